r"""Marginals, score and posterior of the forward process.

Statement: If $x_0 \sim \sum_k w_k N(\mu_k, \sigma_k^2 I)$ then $p_t = \sum_k w_k N(\alpha_t \mu_k,
    (\bar\alpha_t \sigma_k^2 + 1 - \bar\alpha_t) I)$, the score is $s(x,t) = \sum_k \gamma_k(x,t)
    (\alpha_t \mu_k - x)/\sigma_{k,t}^2$, and the denoiser is $E[x_0 | x_t = x] = (x + (1 -
    \bar\alpha_t) s(x,t))/\alpha_t$. With covariances $\Sigma_k$ in place of $\sigma_k^2 I$ the
    same, with $(\bar\alpha_t \Sigma_k + (1 - \bar\alpha_t) I)^{-1}$ in place of $1/\sigma_{k,t}^2$.
Hypotheses: none; one sigma or one covariance for each mode is allowed.
Measured: log density and score of the engine's diffused mixture, and its denoiser, at states
    drawn from $p_t$, half-way between modes, and far outside, at random times.
Predicted: the convolution integral of $p_0$ with the noise, by the trapezoidal rule in every
    coordinate of every mode, and the score from the posterior mean under that integral; the
    denoiser from the closed-form law of $x_0$ given $x_t$. Neither uses the engine's formulas.
Evidence: sampled states; errors in units of the engine's accuracy target $10^{-12} (|x| + \max_k
    |\alpha_t \mu_k|)/\sigma_t^2 \cdot \max(1, q/1000)$, $q$ the exponent $|x -
    \alpha_t\mu_k|^2/(2\sigma_t^2)$ of the nearest mode, which is what doubles can resolve.
Source: arXiv 2605.06831 v1, Lemma G.1
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn import oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.spectrum import eigenpairs
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import isotropic, proper
from verify.ledger.sides import Part, Side, Tolerance
from verify.measure.covariances import matrices
from verify.measure.paths import Level, random_states, relevant_exponent, score_scale

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.1",
    short="marginals and score",
    needs=(proper,),
    derivation="derivations/forward/marginal.py",
    proof_needs=(isotropic.because("the rest is measured, the proof is of one sigma"),),
    does_not_show=(
        "That the discrete chain of a sampler has these marginals: it is a statement about the "
        "forward process. Points are a sample; exactness between them rests on the derivation."
    ),
)

# Half for the engine's target, half for the rounding of the quadrature.
TOLERANCE = Tolerance(atol=2e-12)
NODES = 0.35 * np.arange(-29, 30)  # in posterior standard deviations; tails below 1e-22 are cut
Values = dict[str, Array]  # by quantity: "score" (n, d), "log density" (n,), "denoiser" (n, d)


@CLAIM.sampled(unit="components")
def marginals(case: Case, narrower: float = 0.0, noise: float = 1.0) -> Iterator[Part]:
    """Engine against quadrature and closed-form posterior. narrower: by what share its modes are;
    noise: factor on its noise variance."""
    states = case.memo("G.1 states", lambda: random_states(case, "G.1", 16, 256))
    reference = case.memo("G.1 reference", lambda: [_reference(level, x) for level, x in states])
    mixture = _narrowed(case.mixture, narrower) if narrower else case.mixture
    sides = [
        _sides(level, x, _engine(mixture, level, x, noise), expected)
        for (level, x), expected in zip(states, reference, strict=True)
    ]
    yield from map(Side.joined, zip(*sides, strict=True))


def _sides(level: Level, x: Array, measured: Values, expected: Values) -> list[Side]:
    """The two at states x of one level, in units of the engine's accuracy target."""
    target = score_scale(level, x)
    reach = np.linalg.norm(x, axis=1) + np.linalg.norm(level.marginal.means, axis=1).max()
    scales = {
        "score": target[:, None],
        "log density": relevant_exponent(level, x) + x.shape[1],
        "denoiser": (reach + level.noise_var * target)[:, None] / level.alpha,
    }
    return [
        Side(
            name,
            measured[name],
            equals=expected[name],
            tolerance=TOLERANCE,
            scale=scale,
            where={"t": level.t, "x": x if scale.ndim == 1 else x[:, None]},
        )
        for name, scale in scales.items()
    ]


CLAIM.must_fail(marginals, "σ smaller by 10 %", narrower=0.1)
CLAIM.must_fail(marginals, "noise variance larger by 1 %", noise=1.01)
CLAIM.must_fail_narrowly(
    marginals, "noise variance larger by a share of {}", 1e-2, noise=lambda share: 1.0 + share
)


def _narrowed(mixture: GaussianMixture, share: float) -> GaussianMixture:
    if mixture.covariance is not None:
        covariance = (1.0 - share) ** 2 * matrices(mixture)
        return GaussianMixture(mixture.means, weights=mixture.weights, covariance=covariance)
    sigmas = (1.0 - share) * mixture.sigmas
    return GaussianMixture(mixture.means, sigmas, mixture.weights, allow_duplicates=True)


def _engine(mixture: GaussianMixture, level: Level, x: Array, noise: float) -> Values:
    nu = noise * level.noise_var
    marginal = mixture.diffused(level.abar, noise_var=nu)
    score = marginal.score(x)
    return {
        "score": score,
        "log density": marginal.log_density(x),
        "denoiser": (x + nu * score) / level.alpha,
    }


def _reference(level: Level, x: Array) -> Values:
    """The same values from the convolution integral and from the law of x_0 given x_t."""
    log_terms, offsets = _quadrature(level, x)
    log_density = np.logaddexp.reduce(log_terms, axis=1)
    gamma = np.exp(log_terms - log_density[:, None])
    weights, posterior, _ = oracles.reverse_law(
        level.mixture, x, level.abar, noise_var_t=level.noise_var
    )
    return {
        "score": _score(level, x, gamma, offsets),
        "log density": log_density,
        "denoiser": np.einsum("nk,nkd->nd", weights, posterior),
    }


def _quadrature(level: Level, x: Array) -> tuple[Array, Array]:
    """log of w_k times the k-th convolution integral (n, N), and the mean of x_0 - mu_k under it.

    Each coordinate's integrand is Gaussian, for which the trapezoidal rule is exact to rounding
    once its nodes cover the peak; where the peak lies only steers the nodes. A node splits the
    offset x - alpha mu_k into signal alpha u and noise, neither taken as a difference, so that no
    digits go where the mode is far from the origin or one of the two parts is small.
    """
    mixture, alpha_t, nu = level.mixture, level.alpha, level.noise_var
    var, turn = _axes(mixture)
    step = 1.0 / np.sqrt(1.0 / var + alpha_t**2 / nu)
    offset = x[:, None, :] - alpha_t * mixture.means  # (n, N, d)
    if turn is not None:
        offset = np.einsum("kde,nkd->nke", turn, offset)
    peak = offset / (1.0 + nu / (alpha_t**2 * var)) / alpha_t
    rest = offset / (1.0 + alpha_t**2 * var / nu)  # offset - alpha peak
    u = peak[..., None] + step[..., None] * NODES
    noise = rest[..., None] - alpha_t * step[..., None] * NODES
    log_f = -np.square(u) / (2.0 * var[..., None]) - np.square(noise) / (2.0 * nu)
    top = log_f.max(axis=-1, keepdims=True)
    f = np.exp(log_f - top)
    total = f.sum(axis=-1)
    shift = (f @ NODES) / total
    width = step * (NODES[1] - NODES[0])
    log_norm = np.log(width) - np.log(2.0 * np.pi) - 0.5 * np.log(var * nu)
    log_one = (top[..., 0] + np.log(total) + log_norm).sum(axis=-1)
    return np.log(mixture.weights) + log_one, peak + step * shift


def _axes(mixture: GaussianMixture) -> tuple[Array, Array | None]:
    """(N, 1) or (N, d) variances, and (N, d, d) the eigenvectors in columns along which they are,
    where modes have covariances."""
    if mixture.covariance is None:
        return np.square(mixture.sigmas)[:, None], None
    var, turn = zip(*(eigenpairs(each) for each in matrices(mixture)), strict=True)
    return np.array(var), np.array(turn).transpose(0, 2, 1)


def _score(level: Level, x: Array, gamma: Array, offsets: Array) -> Array:
    """The score from posterior means of x_0 - mu_k: by Tweedie, or by
    E[grad log p_0(x_0) | x_t] / alpha where little noise would cancel in Tweedie's difference."""
    mixture, alpha_t = level.mixture, level.alpha
    var, turn = _axes(mixture)
    pull = -offsets / var
    if turn is not None:
        offsets, pull = (np.einsum("kde,nke->nkd", turn, part) for part in (offsets, pull))
    if level.noise_var >= level.abar * float(var.max() if turn is None else var.min()):
        mean = np.einsum("nk,nkd->nd", gamma, mixture.means + offsets)
        return np.asarray((alpha_t * mean - x) / level.noise_var)
    return np.asarray(np.einsum("nk,nkd->nd", gamma, pull) / alpha_t)

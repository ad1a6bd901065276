r"""Marginals, score and posterior of the forward process.

Statement: If $x_0 \sim \sum_k w_k N(\mu_k, \sigma_k^2 I)$ then
    $p_t = \sum_k w_k N(\alpha_t \mu_k, (\bar\alpha_t \sigma_k^2 + 1 - \bar\alpha_t) I)$, the score
    is $s(x,t) = \sum_k \gamma_k(x,t) (\alpha_t \mu_k - x)/\sigma_{k,t}^2$, and the denoiser is
    $E[x_0 | x_t = x] = (x + (1 - \bar\alpha_t) s(x,t))/\alpha_t$.
Hypotheses: none; one sigma for each mode is allowed.
Measured: log density and score of the engine's diffused mixture, and its denoiser, at states
    drawn from $p_t$, half-way between modes, and far outside, at random times.
Predicted: the convolution integral of $p_0$ with the noise, by the trapezoidal rule in every
    coordinate of every mode, and the score from the posterior mean under that integral; the
    denoiser from the closed-form law of $x_0$ given $x_t$. Neither uses the engine's formulas.
Evidence: sampled states; errors in units of the engine's accuracy target
    $10^{-12} (|x| + \max_k |\alpha_t \mu_k|)/\sigma_t^2 \cdot \max(1, q/1000)$, $q$ the exponent
    $|x - \alpha_t\mu_k|^2/(2\sigma_t^2)$ of the nearest mode, which is what doubles can resolve.
Source: arXiv 2605.06831 v1, Lemma G.1
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.mixture import GaussianMixture
from mixdyn.validation import Array

from ..claim import Basis, Case, Claim, Finding, Verdict
from ..relations import Comparison, Equality, compare

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.1",
    basis=(Basis.SAMPLED,),
    does_not_show=(
        "That the discrete chain of a sampler has these marginals: it is a statement about the "
        "forward process. Points are a sample; exactness between them rests on the derivation."
    ),
)

# Half for the engine's target, half for the rounding of the quadrature.
TOLERANCE = 2e-12
NODES = 0.35 * np.arange(-29, 30)  # in posterior standard deviations; tails below 1e-22 are cut


Values = dict[str, Array]  # by quantity: "score" (n, d), "log density" (n,), "denoiser" (n, d)


def check(case: Case) -> Verdict:
    """Engine against quadrature and closed-form posterior."""
    return _judge(case, case.mixture)


def mutants(case: Case) -> dict[str, Verdict]:
    """Marginals of another mixture, and with another noise level."""
    mixture = case.mixture
    narrow = GaussianMixture(
        mixture.means, 0.9 * mixture.sigmas, mixture.weights, allow_duplicates=True
    )
    return {
        "σ smaller by 10 %": _judge(case, narrow),
        "noise variance larger by 1 %": _judge(case, mixture, noise_factor=1.01),
    }


def _judge(case: Case, engine: GaussianMixture, noise_factor: float = 1.0) -> Verdict:
    states = case.memo("G.1 states", lambda: _states(case))
    reference = case.memo("G.1 reference", lambda: [_reference(case, t, x) for t, x in states])
    measured = [_engine(case, engine, noise_factor, t, x) for t, x in states]
    scales = [_scales(case, t, x) for t, x in states]
    comparisons = [
        compare(
            name,
            Equality(atol=TOLERANCE),
            *(_stack(parts, name) for parts in (measured, reference)),
            scale=_stack(scales, name),
        )
        for name in ("score", "log density", "denoiser")
    ]

    def witness(comparison: Comparison) -> dict[str, Any]:
        per_state = 1 if comparison.name == "log density" else case.mixture.d
        batch, row = divmod(comparison.index // per_state, len(states[0][1]))
        t, x = states[batch]
        return {"quantity": comparison.name, "t": t, "x": x[row]}

    finding = Finding(
        comparisons=comparisons,
        nonvacuous_share=1.0,
        witness=witness,
        unit="components",
    )
    return CLAIM.judge(case, finding)


def _stack(parts: list[Values], name: str) -> Array:
    return np.concatenate([values[name].ravel() for values in parts])


def _states(case: Case) -> list[tuple[int, Array]]:
    """16 random times with states from p_t, between two modes, and far outside."""
    rng, mixture = case.rng("G.1"), case.mixture
    size = case.pick(2_000_000, 20_000_000) // (16 * mixture.N * mixture.d)
    n = min(max(size, 6), case.pick(256, 4096))
    batches = []
    for t in rng.integers(1, case.schedule.T + 1, size=16).tolist():
        abar, nu = float(case.schedule.alpha_bar[t]), float(case.schedule.noise_var[t])
        marginal = mixture.diffused(abar, noise_var=nu)
        x = marginal.sample(n, rng)
        x[::3] = 0.5 * (x[::3] + x[np.roll(np.arange(0, n, 3), 1)])
        x[1::9] *= 5.0
        batches.append((t, x))
    return batches


def _engine(case: Case, engine: GaussianMixture, factor: float, t: int, x: Array) -> Values:
    abar, nu = float(case.schedule.alpha_bar[t]), factor * float(case.schedule.noise_var[t])
    marginal = engine.diffused(abar, noise_var=nu)
    score = marginal.score(x)
    return {
        "score": score,
        "log density": marginal.log_density(x),
        "denoiser": (x + nu * score) / math.sqrt(abar),
    }


def _reference(case: Case, t: int, x: Array) -> Values:
    """The same values from the convolution integral and from the law of x_0 given x_t."""
    abar, nu = float(case.schedule.alpha_bar[t]), float(case.schedule.noise_var[t])
    log_terms, means = _quadrature(case.mixture, x, math.sqrt(abar), nu)
    log_density = np.logaddexp.reduce(log_terms, axis=1)
    gamma = np.exp(log_terms - log_density[:, None])
    weights, posterior, _ = oracles.reverse_law(case.mixture, x, abar, noise_var_t=nu)
    return {
        "score": _score(case.mixture, x, gamma, means, math.sqrt(abar), nu),
        "log density": log_density,
        "denoiser": np.einsum("nk,nkd->nd", weights, posterior),
    }


def _quadrature(
    mixture: GaussianMixture, x: Array, alpha_t: float, nu: float
) -> tuple[Array, Array]:
    """log of w_k times the k-th convolution integral (n, N), and the mean of x_0 under it.

    Each coordinate's integrand is Gaussian, for which the trapezoidal rule is exact to rounding
    once its nodes cover the peak; where the peak lies only steers the nodes.
    """
    var = np.square(mixture.sigmas)[:, None]
    precision = 1.0 / var + alpha_t**2 / nu
    peak = (mixture.means / var + alpha_t * x[:, None, :] / nu) / precision  # (n, N, d)
    step = 1.0 / np.sqrt(precision)
    u = peak[..., None] + step[..., None] * NODES
    log_f = -np.square(u - mixture.means[..., None]) / (2.0 * var[..., None])
    log_f -= np.square(x[:, None, :, None] - alpha_t * u) / (2.0 * nu)
    top = log_f.max(axis=-1, keepdims=True)
    f = np.exp(log_f - top)
    total = f.sum(axis=-1)
    shift = (f @ NODES) / total
    width = step * (NODES[1] - NODES[0])
    log_norm = np.log(width) - np.log(2.0 * np.pi) - 0.5 * np.log(var * nu)
    log_one = (top[..., 0] + np.log(total) + log_norm).sum(axis=-1)
    return np.log(mixture.weights) + log_one, peak + step * shift


def _score(
    mixture: GaussianMixture, x: Array, gamma: Array, means: Array, alpha_t: float, nu: float
) -> Array:
    """The score from posterior means: by Tweedie, or by E[grad log p_0(x_0) | x_t] / alpha where
    little noise would cancel in Tweedie's difference."""
    var = np.square(mixture.sigmas)
    if nu >= alpha_t**2 * float(var.max()):
        return np.asarray((alpha_t * np.einsum("nk,nkd->nd", gamma, means) - x) / nu)
    pull = (mixture.means - means) / var[:, None]
    return np.asarray(np.einsum("nk,nkd->nd", gamma, pull) / alpha_t)


def _scales(case: Case, t: int, x: Array) -> Mapping[str, Array]:
    """What the errors are measured in: the accuracy target without its factor 1e-12."""
    abar, nu = float(case.schedule.alpha_bar[t]), float(case.schedule.noise_var[t])
    means, var = math.sqrt(abar) * case.mixture.means, abar * np.square(case.mixture.sigmas) + nu
    exponent = np.square(x[:, None, :] - means).sum(axis=2) / (2.0 * var)
    q = exponent.min(axis=1) + 40.0  # modes with gamma above 1e-17 have exponents within 40
    reach = np.linalg.norm(x, axis=1) + np.linalg.norm(means, axis=1).max()
    target = reach / var.min() * np.maximum(1.0, q / 1e3)
    wide = np.ones((1, case.mixture.d))
    return {
        "score": target[:, None] * wide,
        "log density": q + case.mixture.d,
        "denoiser": (reach + nu * target)[:, None] / math.sqrt(abar) * wide,
    }

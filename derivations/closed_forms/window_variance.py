r"""The law of the variance of the denoised point over a window of steps.

Hal is the variance of the denoised point $\hat x_0$ over the last $w$ steps. Number them in the
order of sampling, $i = 1..w$, and let $D_i = \hat x_0$ there, per coordinate.

Under the exact reverse law $\hat x_0 = E[x_0|x_t]$ is a martingale, whatever the data: by the
Markov property $E[x_0|x_t]$ is also $E[x_0|x_t, x_{t'}, \dots]$ for all earlier $t' > t$. So
$E D_iD_j = a_{\min(i,j)}$, $a_i = E D_i^2 = E x_0^2 - M_i$ with $M_i$ the mean squared error of
the denoiser, and Hal has mean $\sum_i (w+1-2i) M_i/w^2$: what the denoiser learns over the window.

- Inside one mode at $0$ DDPM keeps this property at any step size, $D_t = \sigma^2y_t/v_t$ and
  $\mathrm{Cov}(D_t, D_s) = \sigma^4V_t/v_t^2$ for $s < t$, $V_t$ the sampler's variance of $y_t$.
  The path is Gaussian, so Hal is a quadratic form of it: $\sum_k \lambda_k\chi^2_d/d$ over $d$
  coordinates, $\lambda$ the eigenvalues of the centred covariance over $w$.
- Between two equal modes at distance $l$ the denoiser's error along the pair is
  $\sigma^2\rho/v + (\rho/v)^2l^2\gamma(1-\gamma)$. Its mean is one integral over the pair's
  coordinate; beyond the mean Hal has no closed form there, because $\hat x_0$ is not Gaussian.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import RATIONAL, SUMS, Rewriting

rho_t, rho_s, sigma, l, V_t = sp.symbols("rho_t rho_s sigma l V_t", positive=True)
y_t, second, y, gamma = sp.symbols("y_t m_2 y gamma", real=True)
q = sp.Symbol("q", positive=True)
w = sp.Symbol("w", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True, positive=True)
M = sp.IndexedBase("M", real=True)
v_t, v_s = sigma**2 + rho_t, sigma**2 + rho_s


def _arithmetic(expr: sp.Expr) -> sp.Expr:
    """Sums of polynomials in the index, and nothing else, in closed form."""

    def plain(node: sp.Basic) -> bool:
        return isinstance(node, sp.Sum) and not node.atoms(sp.Indexed)

    return sp.expand(expr.replace(plain, lambda node: node.doit()))


ARITHMETIC = Rewriting("sum of an arithmetic series", _arithmetic)


def _martingale(share: sp.Expr) -> Chain:
    denoised = sigma**2 * y_t / v_t
    mean = share * y_t + (1 - share) * denoised
    return Chain("E[D_s | y_t] inside one mode", sigma**2 / v_s * mean).equals(
        denoised, RATIONAL, "a DDPM step has mean q y_t + (1-q) x0_hat, q = rho_s/rho_t"
    )


def _covariance() -> Chain:
    share = rho_s / rho_t
    coefficient = share + (1 - share) * sigma**2 / v_t  # of y_t in E[y_s | y_t]
    product = sigma**2 / v_t * sigma**2 / v_s * coefficient * V_t
    return Chain("Cov(D_t, D_s) inside one mode", product).equals(
        sigma**4 * V_t / v_t**2, RATIONAL, "D = sigma^2 y/v, and the coefficient is v_s/v_t"
    )


def _pairs() -> Chain:
    ordered = sp.Sum(1, (j, i, w)) + sp.Sum(1, (j, i + 1, w))
    return Chain("ordered pairs whose first step is i", ordered).equals(
        2 * (w - i) + 1, SUMS, "count them"
    )


def _learned(sign: int = 1) -> sp.Expr:
    return sp.Sum((w + sign - 2 * i) * M[i], (i, 1, w))


def _mean(sign: int) -> Chain:
    a_i = second - M[i]
    weight = w - (2 * (w - i) + 1)
    learned = _learned(sign)
    rest = second * sp.Sum(2 * i - w - 1, (i, 1, w))
    return (
        Chain("w^2 E Hal of a martingale", sp.Sum(weight * a_i, (i, 1, w)))
        .equals(learned + rest, SUMS, "mean of squares minus squared mean; a_i = m_2 - M_i")
        .equals(learned, ARITHMETIC, "the weights add up to nothing")
    )


def _between() -> Chain:
    """Posterior of x_0 along a pair of modes at l/2 and -l/2, gamma that of the first."""
    v = sigma**2 + rho_t
    means = [sigma**2 * y / v + rho_t / v * sign * l / 2 for sign in (1, -1)]
    shares = (gamma, 1 - gamma)
    within = sigma**2 * rho_t / v
    second_moment = sum(g * m**2 for g, m in zip(shares, means, strict=True))
    first = sum(g * m for g, m in zip(shares, means, strict=True))
    return Chain("error of the denoiser along a pair", within + second_moment - first**2).equals(
        within + (rho_t / v) ** 2 * l**2 * gamma * (1 - gamma),
        RATIONAL,
        "within plus between modes",
    )


def _build() -> Proof:
    numbers = {sigma: 0.3, rho_t: 0.9, rho_s: 0.2, y_t: 1.0}
    shares = {w: 3, M: [0.0, 0.9, 0.5, 0.2], second: 1.0}  # M[0] is not summed
    return Proof(
        chains=(
            _martingale(rho_s / rho_t),
            _covariance(),
            _pairs(),
            _mean(1),
            _between(),
        ),
        formulas={
            "covariance": Formula(sigma**4 * V_t / v_t**2, (V_t, rho_t, sigma)),
            "scaled_mean": Formula(_learned(), (M, w)),
            "pair_error": Formula(_between().end, (rho_t, sigma, l, gamma)),
        },
        wrong=(
            Wrong(_martingale(sp.sqrt(rho_s / rho_t)), numbers),
            Wrong(_mean(-1), shares),
        ),
    )


DERIVATION = Derivation(
    id="M5'",
    place=6,
    doc=__doc__,
    latex=(
        r"E\,\mathrm{Hal} = \frac1{w^2}\sum_{i=1}^w (w+1-2i)M_i, \qquad"
        r" \mathrm{Cov}(D_t, D_s) = \frac{\sigma^4V_t}{v_t^2} \quad (s < t, \text{ one mode})"
    ),
    general="mean: any data, any window; law: one mode, any d, DDPM on any grid",
    source="own result on the detector of arXiv 2406.09358 v2, section 5",
    build=_build,
)

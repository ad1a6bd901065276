r"""Path divergence of two samplers with the same noise and different scores.

One step draws $x_s \sim N(\mathrm m, S I)$ with the learned, $N(\mathrm m', SI)$ with the exact
score. With $x_s = \mathrm m + \sqrt S\,\xi$ and $\Delta = \mathrm m - \mathrm m'$ the log
likelihood ratio is $\langle\Delta,\xi\rangle/\sqrt S + |\Delta|^2/(2S)$, with mean
$|\Delta|^2/(2S)$. The densities of paths are products over the steps, so their log ratio is the
sum, and taking conditional expectations step by step gives $KL = E\sum_t|\Delta_t|^2/(2S_t)$ over
learned paths.

For DDIM($\eta$) a score error $e$ changes $\hat x_0$ by $\rho_t\alpha_te$ (in static coordinates)
and the mean by $(1-r)\rho_t\alpha_te$; the noise variance is $\eta^2\rho_s(1-q)$. Per unit of
$\rho$ and with $\eta = 1$ a small step costs $\tfrac12\alpha_t^2|e|^2$, which is
$\tfrac12\beta|e|^2$ per unit of time, as $d\rho = (\beta/\bar\alpha)\,dt$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import c, d, over_coordinates
from ..algebra.rewriting import AT, RATIONAL, SUMS

noise_var, rho_t, rho_s, alpha_t, nu_t, eta, beta = sp.symbols(
    "S rho_t rho_s alpha_t nu_t eta beta", positive=True
)
m = sp.IndexedBase("m", real=True)
m_exact = sp.IndexedBase("m_exact", real=True)
xi = sp.IndexedBase("xi", real=True)
x_t, e, r = sp.symbols("x_t e r", real=True)
q = rho_s / rho_t


def _log_ratio(half: sp.Expr) -> Chain:
    def exponent(mean: sp.IndexedBase) -> sp.Expr:
        place = m[c] + sp.sqrt(noise_var) * xi[c]
        return -over_coordinates((place - mean[c]) ** 2) / (2 * noise_var)

    gap = m[c] - m_exact[c]
    target = over_coordinates(gap * xi[c]) / sp.sqrt(noise_var)
    target += half * over_coordinates(gap**2) / noise_var
    return Chain("log likelihood ratio of a step", exponent(m) - exponent(m_exact)).equals(
        target, SUMS, "the first term has mean zero: xi is standard normal"
    )


def _denoiser() -> Chain:
    def denoise(score: sp.Expr) -> sp.Expr:
        return (x_t + nu_t * score) / alpha_t

    score = sp.Symbol("s", real=True)
    return Chain(
        "what a score error does to the denoiser", denoise(score + e) - denoise(score)
    ).equals((nu_t / alpha_t**2) * alpha_t * e, RATIONAL, "rho = nu/alpha^2")


def _mean() -> Chain:
    x_0, shift = sp.symbols("x_0 f", real=True)
    y_t = sp.Symbol("y_t", real=True)

    def mean(guess: sp.Expr) -> sp.Expr:
        return guess + r * (y_t - guess)

    return Chain("and to the mean of a step", mean(x_0 + shift) - mean(x_0)).equals(
        (1 - r) * shift, RATIONAL, "y_s = x_0 + r (y_t - x_0) + noise"
    )


def step_cost(keep: sp.Expr, strength2: sp.Expr) -> sp.Expr:
    """Divergence of one step for a score error e, with r = keep and eta^2 = strength2."""
    return ((1 - keep) * rho_t * alpha_t * e) ** 2 / (2 * strength2 * rho_s * (1 - q))


def _small_step(factor: sp.Expr) -> tuple[Chain, Chain]:
    per_rho = step_cost(q, sp.S.One) / (rho_t - rho_s)
    simple = rho_t * alpha_t**2 * e**2 / (2 * rho_s)
    at_zero = sp.Subs(simple, rho_s, rho_t)
    return (
        Chain("a step with eta = 1, per unit of rho", per_rho).equals(simple, RATIONAL, "r = q"),
        Chain("a small step, per unit of time", at_zero * beta / alpha_t**2).equals(
            factor * beta * e**2, AT >> RATIONAL, "d rho = beta/alpha^2 dt"
        ),
    )


def _build() -> Proof:
    root = sp.sqrt(q * (1 - eta**2 * (1 - q)))
    tower = Chain("the divergence of the paths", sp.Symbol("KL_paths")).by_theorem(
        "=",
        sp.Symbol("E_sum_of_steps"),
        "chain rule of the relative entropy (Cover and Thomas 2006, Theorem 2.5.3)",
        "same start; conditional expectation of each step's log ratio",
    )
    numbers = {m: [0.3, 0.1], m_exact: [0.1, 0.4], xi: [0.5, -0.2], noise_var: 0.2, d: 2}
    half = sp.Rational(1, 2)
    return Proof(
        chains=(_log_ratio(half), tower, _denoiser(), _mean(), *_small_step(half)),
        formulas={
            "step": Formula(step_cost(root, eta**2), (rho_t, rho_s, alpha_t, e, eta)),
            "gaussian": Formula(
                over_coordinates((m[c] - m_exact[c]) ** 2) / (2 * noise_var),
                (m, m_exact, noise_var, d),
            ),
        },
        wrong=(
            Wrong(_log_ratio(sp.S.One), numbers),
            Wrong(_small_step(sp.S.One)[1], {rho_t: 0.3, alpha_t: 0.8, beta: 0.2, e: 0.4}),
        ),
    )


DERIVATION = Derivation(
    id="X11 (a)",
    place=1,
    also=("X11",),
    doc=__doc__,
    latex=r"KL = E\sum_t\frac{|\mathrm m_t - \mathrm m_t'|^2}{2S_t} \to \tfrac12E\int\beta|e|^2dt",
    general="any d (indexed sums), any number of steps (chain rule cited)",
    source="own result; the chain rule is standard",
    build=_build,
)

r"""What a step of a sampler costs in nats.

In $z = y/\rho$ with the clock $g = 1/\rho$ a step with $\eta = 1$ is the Euler step of
$dz = \hat x_0\,dg + dW$ (stochastic localization), and an exact path moves by $x_0\Delta g$ plus
noise of variance $\Delta g$, where $x_0$ is drawn from its posterior. Given $x_0$ both are normal
of one variance, with the log ratio $\langle x_0 - f, \xi\rangle\sqrt{\Delta g} + \tfrac12\Delta g
|x_0 - f|^2$ for any guess $f$ that the past determines. The mean square error of a guess is that of
the posterior mean plus the guess's distance from it: there is no cross term, so a learned denoiser
adds $\tfrac12\Delta g\,E|\hat x_0 - f|^2$ exactly. What $x_0$ is not known to the path takes off is
the information $I(x_0; z_{k+1} | z_k)$ (chain rule), which is $\tfrac12\int mmse\,dg$ by I-MMSE:
with $h$ the entropy of $y$ and $J$ its Fisher information, $dh/d\rho = J/2$ (de Bruijn) and
$mmse = d\rho - \rho^2J$ (Brown). The path between two nodes is a Brownian bridge under both laws
and adds nothing.

DDIM($\eta$) keeps $r$ of the noise where the bridge keeps $q$: its mean is off by
$(q-r)(y-\hat x_0)$, of mean square $d\rho - mmse$, and its variance is $\eta^2$ that of the bridge.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import N, c, d, e, gamma, k, mu, over_coordinates, over_modes, v, w, y
from ..algebra.rewriting import RATIONAL, SUMS

rho_t, rho_s, eta, dg, mmse, told, rho = sp.symbols(
    "rho_t rho_s eta Delta_g mmse I_k rho", positive=True
)
y_t, f, r, x_0, J = sp.symbols("y_t f r x_0 J", real=True)
shift = sp.Symbol("delta", real=True)
xi = sp.IndexedBase("xi", real=True)
clean = sp.IndexedBase("x_0", real=True)
guess = sp.IndexedBase("f", real=True)
q = rho_s / rho_t
bridge = rho_s * (1 - q)


def _euler() -> tuple[Chain, Chain]:
    mean = (q * y_t + (1 - q) * f) / rho_s
    return (
        Chain("a step with eta = 1, in z = y/rho", mean).equals(
            y_t / rho_t + f * (1 / rho_s - 1 / rho_t), RATIONAL, "Euler's step of dz = f dg + dW"
        ),
        Chain("variance of its noise", bridge / rho_s**2).equals(
            1 / rho_s - 1 / rho_t, RATIONAL, "the step of g"
        ),
    )


def _log_ratio(half: sp.Expr) -> Chain:
    def exponent(center: sp.IndexedBase) -> sp.Expr:
        place = clean[c] * dg + sp.sqrt(dg) * xi[c]
        return -over_coordinates((place - center[c] * dg) ** 2) / (2 * dg)

    gap = clean[c] - guess[c]
    target = sp.sqrt(dg) * over_coordinates(gap * xi[c]) + half * dg * over_coordinates(gap**2)
    return Chain("log ratio of a step given x_0", exponent(clean) - exponent(guess)).equals(
        target, SUMS, "xi is standard normal: the first term has mean zero"
    )


def _no_cross(weight: sp.Expr) -> Chain:
    """Per coordinate, data on atoms (any law being a limit of such)."""
    mean = over_modes(gamma(k) * mu[k, e])
    square = over_modes(gamma(k) * mu[k, e] ** 2)
    error = over_modes(gamma(k) * (mu[k, e] - (mean + shift)) ** 2)
    return Chain("mean square error of a guess", error).equals(
        square - mean**2 + weight * shift**2,
        SUMS,
        "the error of the mean, and the distance from it",
    )


def _chain_rule() -> Chain:
    return Chain("divergence of a step", sp.Symbol("KL_step")).by_theorem(
        "=",
        sp.Symbol("E_log_ratio_given_x0") - sp.Symbol("I_step"),
        "chain rule of the relative entropy (Cover and Thomas 2006, Theorem 2.5.3)",
        "the pair (x_0, z') has the divergence of z' plus that of x_0 given z'",
    )


def _i_mmse(factor: sp.Expr) -> Chain:
    slope = J / 2 - d / (2 * rho)  # of h - (d/2) log(2 pi e rho) in rho, de Bruijn
    return Chain("I-MMSE: dI/dg, with d rho/dg = -rho^2", -(rho**2) * slope).equals(
        factor * (d * rho - rho**2 * J), RATIONAL, "Brown's identity"
    )


def step_cost(keep: sp.Expr, variance: sp.Expr) -> sp.Expr:
    """Of a step that keeps `keep` of the noise and injects this variance."""
    spread = d * (bridge / variance - 1 - sp.log(bridge / variance)) / 2
    off = (q - keep) ** 2 * (d * rho_t - mmse) / (2 * variance)
    return spread + off + (1 - q) ** 2 * mmse / (2 * variance) - told


def _eta() -> tuple[Chain, ...]:
    exact = q * y_t + (1 - q) * f
    at_one = (1 / rho_s - 1 / rho_t) * mmse / 2 - told
    return (
        Chain("how far the mean of DDIM is off", exact - (f + r * (y_t - f))).equals(
            (q - r) * (y_t - f), RATIONAL, "it keeps r in place of q"
        ),
        Chain("at eta = 1", step_cost(q, bridge)).equals(
            at_one, RATIONAL, "no term but the mmse's is left"
        ),
    )


def _build() -> Proof:
    root = sp.sqrt(q * (1 - eta**2 * (1 - q)))
    half = sp.Rational(1, 2)
    numbers = {clean: [0.3, 0.1], guess: [0.1, 0.4], xi: [0.5, -0.2], dg: 0.2, d: 2}
    two = {w: [0.4, 0.6], mu: [[1.0, -1.0], [0.0, 0.3]], N: 2, d: 2, y: [0.5, 0.2], v: 0.8}
    return Proof(
        chains=(
            *_euler(),
            _log_ratio(half),
            _no_cross(sp.S.One),
            _chain_rule(),
            _i_mmse(half),
            *_eta(),
        ),
        formulas={
            "step": Formula(step_cost(root, eta**2 * bridge), (rho_t, rho_s, eta, mmse, told, d)),
        },
        wrong=(
            Wrong(_log_ratio(sp.S.One), numbers),
            Wrong(_no_cross(2 * sp.S.One), {**two, e: 0, shift: 0.3}),
            Wrong(_i_mmse(sp.S.One), {rho: 0.5, J: 1.2, d: 2}),
        ),
    )


DERIVATION = Derivation(
    id="X13",
    place=1,
    doc=__doc__,
    latex=(
        r"KL(\text{exact}\,\|\,\text{sampler}) = KL(\text{start}) +"
        r" \tfrac12\sum_k\int_{g_k}^{g_{k+1}}(mmse(g_k) - mmse(g))\,dg +"
        r" \tfrac12\sum_k\Delta g_k\,E|\hat x_0 - \hat x_0^{net}|^2"
    ),
    general="any data law (atoms, indexed sums), any grid and eta; chain rule cited",
    source="arXiv 2502.02305 (discrete time), arXiv 2601.21943; any eta: own result",
    build=_build,
)

r"""Guidance moves the end of a path by standard deviations, not by distances.

Guidance towards one mode $c$ adds $w(\mu_c - m)$ to the flow. In $\xi = (y-\mu_c)/\sqrt v$ and
$s = 1/\sqrt v$, $ds/du = s$, nothing but that term is left: $d\xi/ds = w(\mu_c - m)$, a vector of
the cone of $\mu_c - \mu_k$, so *guided and unguided ends differ by a vector of that cone*.

*Two modes.* With $\kappa = l/\sqrt v$ and $b = \log(w_c/w_j)$ it reads $d\xi/d\kappa = w/(1+e^L)$,
$L = \kappa^2/2 + \kappa\xi + b$: neither $\sigma$ nor $l$ is left, and the end's offset is a
function of $w$, $b$ and the start alone. The slope falls as $\xi$ rises, which brackets the end,
draws any two paths together, and with $1/(1+e^L) \le e^{-L}$ gives Mills' ratio. Where $\kappa$ is
of order $w^{-1/2}$, as for large $w$, the square drops out and $\xi = \sqrt w\,\eta(\sqrt
w\,\kappa)$, $\eta' = 1/(1+e^{\tau\eta})$: the end moves as $\sqrt w$.

*A step.* DDIM's step is $y_s = ry + (1-r)\hat x_0$, $r = \sqrt{\rho_s/\rho_t}$. For three modes at
$-l, 0, l$ of one weight and a class at $0$ the guided $\hat x_0$ has slope $\sigma^2/v - w(\rho/v)
\,2k/(2+e^{k/2})$ at the class, $k = l^2/v$: below $-1$ for the whole step an end is thrown out.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, DERIVATIVES, EXPAND, EXPONENTIALS, RATIONAL

y, mu_c, m, w, xi, b, eta = sp.symbols("y mu_c m w xi b eta", real=True)
v, l, kappa, s, k, tau, x, r = sp.symbols("v l kappa s k tau x r", positive=True)
W = sp.Symbol("W", positive=True)
sigma, rho = sp.symbols("sigma rho", positive=True)
L = kappa**2 / 2 + kappa * xi + b


def _flow(weight: sp.Expr) -> tuple[Chain, ...]:
    drift = sp.Symbol("dy/du", real=True)
    # d(1/sqrt v)/du = 1/sqrt v, as dv/du = -2 v: the roots of v cancel.
    return (
        Chain(
            "the offset in standard deviations, d xi/du over ds/du",
            drift + y - mu_c,
            where={drift: mu_c + w * (mu_c - m) - y},
        ).equals(weight * (mu_c - m), RATIONAL, "d(1/sqrt v)/du = 1/sqrt v"),
    )


def _two(square: sp.Expr) -> tuple[Chain, ...]:
    at = mu_c + xi * sp.sqrt(v)
    to_other, to_class = (at - (mu_c - l)) ** 2, (at - mu_c) ** 2
    odds = (to_other - to_class) / (2 * v) + b
    share = sp.Symbol("gamma_j", positive=True)
    return (
        Chain("log-odds of the class", odds, where={l: kappa * sp.sqrt(v)}).equals(
            square + kappa * xi + b, EXPAND, "kappa = l/sqrt v"
        ),
        Chain("two modes", w * share * l / kappa, where={l: kappa * sp.sqrt(v)}).equals(
            w * share * sp.sqrt(v), RATIONAL, "mu_c - m = l gamma_j, dkappa/ds = l"
        ),
    )


def _brackets() -> tuple[Chain, ...]:
    other = 1 / (1 + sp.exp(L))
    return (
        Chain("the slope falls as xi rises", -sp.Derivative(w * other, xi)).equals(
            w * kappa * other * (1 - other), DERIVATIVES >> EXPONENTIALS, "logistic"
        ),
        Chain("odds for a share", 1 / (1 + x), where={}).at_most(
            1 / x, 1 / (x * (1 + x)), RATIONAL, "x = e^L > 0"
        ),
    )


def _mills(scale: sp.Expr) -> tuple[Chain, ...]:
    tail = scale * sp.exp(xi**2 / 2 - b) * sp.erfc((kappa + xi) / sp.sqrt(2))
    return (
        Chain("Mills' ratio: derivative", sp.Derivative(-tail, kappa)).equals(
            sp.exp(-L), DERIVATIVES >> EXPONENTIALS, "error function; zero at infinity"
        ),
        Chain("Mills' ratio: from 0 on", sp.Subs(tail, kappa, 0)).equals(
            scale * sp.exp(xi**2 / 2 - b) * sp.erfc(xi / sp.sqrt(2)), AT >> EXPAND, "at 0"
        ),
    )


def _large() -> Chain:
    far = sp.exp(kappa * xi)
    scaled = {kappa: tau / sp.sqrt(W), xi: sp.sqrt(W) * eta}
    # d xi/d kappa = W d eta/d tau
    return Chain("large weights: d eta/d tau", W / (1 + far) / W, where=scaled).equals(
        1 / (1 + sp.exp(tau * eta)), RATIONAL, "xi = sqrt w eta, kappa = tau/sqrt w"
    )


def three_modes(pull: sp.Expr) -> sp.Expr:
    """Slope of the guided x0_hat at the middle of three equal modes, with Var gamma/v = pull."""
    return sigma**2 / v - w * rho / v * pull


def _step(pull: sp.Expr) -> tuple[Chain, ...]:
    outer = sp.exp(-k / 2)
    variance = k * (outer + outer) / (1 + 2 * outer)  # over v, l^2 = k v
    whole = r + (1 - r) * three_modes(pull)
    # slope of x0_hat = (sigma^2 y + rho m)/v guided from the class's own, at common sigma
    own, all_modes = sigma**2 / v, sigma**2 / v + rho / v * pull
    guided, slope = own + w * (own - all_modes), sp.Symbol("dx0_hat/dy", real=True)
    return (
        Chain("variance of the means in the middle, over v", variance).equals(
            pull, EXPONENTIALS, "gamma of the outer two e^(-k/2)/(1 + 2 e^(-k/2))"
        ),
        Chain("slope of a step", r + (1 - r) * slope, where={slope: guided}).equals(
            whole, RATIONAL, "y_s = r y + (1 - r) x0_hat"
        ),
    )


def _build() -> Proof:
    pull = 2 * k / (2 + sp.exp(k / 2))
    numbers = {y: 0.3, mu_c: 1.0, m: 0.2, w: 2.0, v: 0.5}
    mills = w * sp.sqrt(sp.pi / 2) * sp.exp(xi**2 / 2 - b) * sp.erfc(xi / sp.sqrt(2))
    return Proof(
        chains=(
            *_flow(w),
            *_two(kappa**2 / 2),
            *_brackets(),
            *_mills(sp.sqrt(sp.pi / 2)),
            _large(),
            *_step(pull),
        ),
        formulas={
            "slope": Formula(w / (1 + sp.exp(L)), (kappa, xi, w, b)),
            "far": Formula(mills, (xi, w, b)),
            "step": Formula(r + (1 - r) * three_modes(pull), (r, sigma, rho, v, w, k)),
        },
        wrong=(
            Wrong(_flow(1 + w)[0], numbers),
            Wrong(_two(kappa**2)[0], {kappa: 1.0, xi: 0.3, b: 0.1, v: 0.5, mu_c: 0.2}),
            Wrong(_mills(sp.sqrt(sp.pi))[0], {kappa: 0.7, xi: 0.3, b: 0.1}),
            Wrong(_step(2 * k / (1 + sp.exp(k / 2)))[0], {k: 2.0}),
        ),
    )


DERIVATION = Derivation(
    id="X17",
    place=1,
    doc=__doc__,
    latex=(
        r"\frac{d\xi}{ds} = w(\mu_c - m), \qquad \frac{d\xi}{d\kappa} ="
        r" \frac w{1 + e^{\kappa^2/2 + \kappa\xi + b}}, \qquad"
        r" \xi_{\text{end}} - \xi \le w\,e^{-b}\,\frac{1 - \Phi(\xi)}{\varphi(\xi)}"
    ),
    general="flow: any mixture with one sigma, any d; then two modes of any weights; a step: three",
    source="own result; guidance of arXiv 2207.12598",
    build=_build,
)

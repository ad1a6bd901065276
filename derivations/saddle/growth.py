r"""Sharp trapping: one growth bound for every start and any two trajectories.

*Midpoint of two equal modes.* $\tfrac12\tanh(kz/2) - z \le (k/4-1)z$ for every $z \ge 0$: the gap
starts at $0$ and grows, as the slope of $\tanh$ is at most $1$. So $|z(u)| \le |z_0|e^\Lambda$
with $\Lambda = \int\lambda\,du$, no restriction to small $z$ and no factor $\tfrac32$.

*Any two trajectories of any mixture.* $\mathrm{Cov}_\gamma \preceq \mathrm{diam}^2/4$ bounds the
largest eigenvalue of the linearised field everywhere by $\lambda = \mathrm{diam}^2/(4v) - 1$,
hence $|y-y'| \le e^\Lambda|y_0-y_0'|$. For two modes of any weights the slope $k\gamma(1-\gamma)
- 1 \le k/4 - 1$ gives the same with $l$.

*Closed form.* $du = -dv/(2v)$, so $d\Lambda/dv_{\text{end}} = -\lambda/(2v_{\text{end}})$; the
expression below has that derivative and vanishes at $v_{\text{end}} = v_{\text{start}}$.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, DERIVATIVES, EXPAND, EXPONENTIALS, RATIONAL

z, k, D, v_start, v_end, o = sp.symbols("z k D v_s v_e o", positive=True)
g, Lam = sp.symbols("gamma Lambda", real=True)
r = sp.Symbol("r", positive=True)


def closed(diameter: sp.Expr) -> sp.Expr:
    """Lambda from v_start to v_end."""
    return diameter**2 / 8 * (1 / v_end - 1 / v_start) + sp.log(v_end / v_start) / 2


def _integral(expr: sp.Expr) -> tuple[Chain, Chain]:
    rate = D**2 / (4 * v_end) - 1
    return (
        Chain("the closed form: derivative in v_end", sp.Derivative(expr, v_end)).equals(
            -rate / (2 * v_end), DERIVATIVES >> RATIONAL, "du = -dv/(2 v)"
        ),
        Chain("the closed form: no time, no growth", sp.Subs(expr, v_end, v_start)).equals(
            sp.S.Zero, AT >> RATIONAL, "value at v_end = v_start"
        ),
    )


def _concave(rate: sp.Expr) -> Chain:
    f = sp.tanh(k * z / 2) / 2 - z
    slope = Gap(k / 4 * sp.tanh(k * o / 2) ** 2 + (rate - (k / 4 - 1)), EXPONENTIALS)
    return Chain("the field below its tangent at 0", f).at_most_growing(
        rate * z, Growth(z, sp.S.Zero, o, slope, EXPONENTIALS), "slope gap (k/4) tanh^2 >= 0"
    )


def _slope() -> Chain:
    return Chain("slope between any two points, any weights", k * g * (1 - g) - 1).at_most(
        k / 4 - 1, k * (g - sp.Rational(1, 2)) ** 2, EXPAND, "a square; mean value theorem"
    )


def _safe() -> Chain:
    start = sp.Symbol("z_0", positive=True)
    return Chain("a safe start", sp.exp(Lam) * start, where={start: r * sp.exp(-Lam)}).equals(
        r, RATIONAL, "log z_0 = log r - Lambda"
    )


def _build() -> Proof:
    exponent = closed(D)
    return Proof(
        chains=(_concave(k / 4 - 1), _slope(), *_integral(exponent), _safe()),
        formulas={
            "exponent": Formula(exponent, (D, v_start, v_end)),
            "log_safe_start": Formula(sp.log(r) - Lam, (r, Lam)),
        },
        wrong=(
            Wrong(_concave(k / 5 - 1), {k: 6.0, z: 0.01}),
            Wrong(_integral(2 * exponent)[0], {D: 1.0, v_start: 0.5, v_end: 0.2}),
        ),
    )


DERIVATION = Derivation(
    id="X3",
    place=6,
    doc=__doc__,
    latex=(
        r"|y(u)-y'(u)| \le e^\Lambda|y_0-y_0'|, \quad \Lambda ="
        r" \frac{D^2}{8}\Big(\frac1{v_{\text{end}}}"
        r"-\frac1{v_{\text{start}}}\Big) + \frac12\log\frac{v_{\text{end}}}{v_{\text{start}}}"
    ),
    general="any mixture with one sigma (through L.3 and L.2); D = l for two modes",
    source="own result; sharpens arXiv 2605.06831 v1, Proposition 4.7 (2)",
    build=_build,
)

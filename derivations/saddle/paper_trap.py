r"""The published trap around the midpoint.

By Taylor's formula with the curvature bound, $f(z) \le \lambda z + \tfrac{k^2}{12\sqrt3}z^2$ for
$z \ge 0$. While $z \le r \le 6\sqrt3\,\lambda/k^2$ the second term is at most $\tfrac\lambda2z$,
so $z' \le \tfrac32\lambda z$ and $z(u) \le z_0e^{\frac32\lambda_{\max}u}$: a start within
$r\,e^{-\frac32\lambda_{\max}U}$ stays within $r$, and leaving takes $U \ge
\tfrac{2}{3\lambda_{\max}}\log(r/z_0)$. Over a stretch of time $r = 6\sqrt3\,\lambda_{\min}/
k_{\max}^2$ serves every instant. $\lambda = k/4 - 1$ grows as $v$ falls, so $\lambda_{\min}$ is
its value at the start, $\lambda_{\max}, k_{\max}$ those at the end.

Concavity (next) shows that the quadratic term has the other sign for $z \ge 0$, so the factor
$\tfrac32$ and the restriction on $r$ are not needed.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import EXPONENTIALS, LOGARITHMS, RATIONAL

z, k, lam, U, l, v_start, v_end, o, o_2 = sp.symbols("z k lambda U l v_s v_e o o_2", positive=True)
short, lam_slack, k_slack, log_ratio = sp.symbols("s t q L", nonnegative=True)
ROOT = sp.sqrt(3)


def _taylor(weight: sp.Expr) -> Chain:
    """f(z) = tanh(k z/2)/2 - z against its Taylor polynomial; lambda = k/4 - 1."""
    f = sp.tanh(k * z / 2) / 2 - z
    tangent = (k / 4 - 1) * z
    lower = Chain("Taylor", f)
    curvature = k**2 / (6 * ROOT) * weight
    drop = k**2 / 4 * sp.tanh(k * (o + o_2) / 2) / sp.cosh(k * (o + o_2) / 2) ** 2
    inner = Growth(o, sp.S.Zero, o_2, Gap(curvature + drop.subs(o, 0), EXPONENTIALS), EXPONENTIALS)
    outer = Growth(z, sp.S.Zero, o, inner, EXPONENTIALS)
    return lower.at_most_growing(
        tangent + curvature * z**2 / 2, outer, "value and slope agree at 0, curvature is bounded"
    )


def _inside(factor: sp.Expr) -> Chain:
    """z = r - s with r = 6 sqrt(3) lambda/k^2, i.e. lambda = k^2 (z + s)/(6 sqrt(3))."""
    rate = k**2 * (z + short) / (6 * ROOT)
    return Chain("inside the radius", rate * z + k**2 * z**2 / (12 * ROOT)).at_most(
        factor * rate * z,
        k**2 * z * short / (12 * ROOT),
        RATIONAL,
        "r = z + s makes lambda = k^2 (z + s)/(6 sqrt(3))",
    )


def _uniform() -> Chain:
    smallest = 6 * ROOT * lam / (k + k_slack) ** 2
    each = 6 * ROOT * (lam + lam_slack) / k**2
    gap = 6 * ROOT * (lam_slack * (k + k_slack) ** 2 + lam * (2 * k * k_slack + k_slack**2))
    return Chain("one radius for a stretch of time", smallest).at_most(
        each, gap / (k**2 * (k + k_slack) ** 2), RATIONAL, "lambda >= lambda_min and k <= k_max"
    )


def _exit() -> Chain:
    start = sp.Symbol("z_0", positive=True)
    end = start * sp.exp(sp.Rational(3, 2) * lam * U)
    return Chain("the exit time", end, where={U: 2 * log_ratio / (3 * lam)}).equals(
        start * sp.exp(log_ratio), RATIONAL, "there the bound reaches r = z_0 e^L"
    )


def _log_start() -> Chain:
    r = sp.Symbol("r", positive=True)
    return Chain("the start, in logs", sp.log(r * sp.exp(-sp.Rational(3, 2) * lam * U))).equals(
        sp.log(r) - sp.Rational(3, 2) * lam * U, LOGARITHMS, "logarithm of the product"
    )


def _build() -> Proof:
    rate = l**2 / (4 * v_start) - 1
    rate_end, k_max = l**2 / (4 * v_end) - 1, l**2 / v_end
    radius = 6 * ROOT * rate / k_max**2
    time = sp.log(v_start / v_end) / 2
    log_start = sp.log(radius) - sp.Rational(3, 2) * rate_end * time
    arguments = (l, v_start, v_end)
    return Proof(
        chains=(_taylor(sp.S.One), _inside(sp.Rational(3, 2)), _uniform(), _exit(), _log_start()),
        formulas={
            "radius": Formula(radius, arguments),
            "log_start": Formula(log_start, arguments),
            "eigenvalue": Formula(rate, (l, v_start)),
            "u": Formula(time, (v_start, v_end)),
            "exit_time": Formula(2 * log_ratio / (3 * lam), (log_ratio, lam)),
        },
        wrong=(Wrong(_inside(sp.Rational(5, 4)), {k: 6.0, z: 0.2, short: 0.0}),),
    )


DERIVATION = Derivation(
    id="P4.7 (2)",
    place=4,
    doc=__doc__,
    latex=(
        r"|z_0| \le re^{-\frac32\lambda_{\max}U},\ r \le \frac{6\sqrt3\,\lambda_{\min}}{k_{\max}^2}"
        r"\ \Rightarrow\ |z(U)| \le r"
    ),
    general="two equal modes; uses L.2 and L.4",
    source="arXiv 2605.06831 v1, Proposition 4.7 (2)",
    build=_build,
)

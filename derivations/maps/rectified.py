r"""When paths are made straight, and stay so.

Reflow takes the flow's pairs $(a, T(a))$, joins them by $S_t(a) = (1-t)a + tT(a)$ and follows the
mean velocity at each place. Where no two lines meet, that is the velocity of the one line there,
the flow of it is the lines themselves, and one step of Euler's method is exact: reflow changes
nothing any more.

*A line.* The flow keeps the order of its points, so it takes quantiles to quantiles: $F(T(a)) =
\Phi(a)$, with $F$ and $p > 0$ the distribution function and density of the data. Differentiated,
$p(T(a)) T'(a) = \varphi(a)$: $T$ increases, and so does every $S_t$ with $t < 1$, onto the whole
line, since $(1-t)a$ and $T$ both do. So at each place and time there is one $a$, whose line passes
there; $E[T(a) - a | S_t]$ is its velocity, which does not depend on $t$, and has a slope wherever
$S_t$ has one that is positive. So the reflowed flow has one solution from each start, the line
itself. It ends at $T(a)$, where the first flow ends (reflow returns the same pairs: it is
idempotent), and one step of Euler's method ends there too. Products of lines are so in each
coordinate.

*The plane.* $S_t$ is the identity at $t = 0$ and leaves every bounded set as its argument does, so
by Hadamard's theorem it is one-to-one for every $t$ if $(1-t)I + t\,DT$ is never singular, which is
to say that $DT$ has no negative eigenvalue: in the plane $\mathrm{tr}\,DT > -2\sqrt{\det DT}$.
Where $-\lambda$ is an eigenvalue, neighbouring lines meet at $t = 1/(1+\lambda)$.

*Not the cheapest.* Straight lines need not be optimal transport: two pairs exchanged change the
squared cost by $2\langle a-b, T(a)-T(b)\rangle$, so a pair with a negative product shows a cheaper
coupling. One that is antiparallel shows two lines that meet.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import DERIVATIVES, EXPAND, RATIONAL

a, b, T_a, T_b, tr, j_11, j_12, j_21, j_22 = sp.symbols(
    "a b T_a T_b tr j_11 j_12 j_21 j_22", real=True
)
t = sp.Symbol("t", real=True)
x, slope, lam, root, room = sp.symbols("x T_1 lambda r m", positive=True)
density, normal = sp.symbols("p varphi", positive=True)


def _line() -> Chain:
    at = 1 / (1 + x)  # any t in (0, 1)
    return Chain("the slope of a line's S_t", sp.S.Zero).at_most(
        1 - at + at * slope, (x + slope) / (1 + x), RATIONAL, "t = 1/(1 + x), T increases"
    )


def _increases() -> Chain:
    return Chain("the slope of T on a line", sp.S.Zero).at_most(
        normal / density, normal / density, RATIONAL, "F(T(a)) = Phi(a), differentiated"
    )


def _straight() -> tuple[Chain, Chain]:
    place, move = (1 - t) * a + t * T_a, sp.Symbol("velocity", real=True)
    return (
        Chain("velocity along a line", sp.Derivative(place, t)).equals(
            T_a - a, DERIVATIVES >> EXPAND, "the same at every t"
        ),
        Chain("one step of Euler's method", a + move, where={move: T_a - a}).equals(
            T_a, EXPAND, "from t = 0 to 1"
        ),
    )


def _singular(sign: int) -> tuple[Chain, Chain]:
    at = 1 / (1 + lam)
    matrix = sp.Matrix([[j_11, j_12], [j_21, j_22]])
    mixed = (1 - at) * sp.eye(2) + at * matrix
    polynomial = lam**2 + sign * lam * matrix.trace() + matrix.det()
    return (
        Chain("determinant of DS_t at t = 1/(1 + lambda)", mixed.det() * (1 + lam) ** 2).equals(
            polynomial, RATIONAL, "characteristic polynomial of DT at -lambda"
        ),
        Chain("it is positive where tr > -2 sqrt(det)", (lam - root) ** 2).at_most(
            lam**2 + lam * (room - 2 * root) + root**2,
            lam * room,
            EXPAND,
            "det = r^2, tr = m - 2 r",
        ),
    )


def _meet() -> Chain:
    ratio = (1 - t) / t
    return Chain("two lines meet", (1 - t) * (a - b) + t * (T_a - T_b)).equals(
        t * ((T_a - T_b) + ratio * (a - b)), RATIONAL, "T(a) - T(b) antiparallel to a - b"
    )


def _exchange(factor: int) -> Chain:
    exchanged = (a - T_b) ** 2 + (b - T_a) ** 2
    return Chain("two pairs exchanged", exchanged - (a - T_a) ** 2 - (b - T_b) ** 2).equals(
        factor * (a - b) * (T_a - T_b), EXPAND, "per coordinate"
    )


def _build() -> Proof:
    margin = (j_11 + j_22) / (2 * sp.sqrt(j_11 * j_22 - j_12 * j_21))
    return Proof(
        chains=(_increases(), _line(), *_straight(), *_singular(1), _meet(), _exchange(2)),
        formulas={"margin": Formula(margin, (j_11, j_12, j_21, j_22))},
        wrong=(
            Wrong(_singular(-1)[0], {lam: 0.7, j_11: 1.2, j_12: 0.4, j_21: -0.3, j_22: 0.8}),
            Wrong(_exchange(1), {a: 0.3, b: -0.2, T_a: 0.7, T_b: 0.1}),
        ),
    )


DERIVATION = Derivation(
    id="X20",
    place=4,
    doc=__doc__,
    latex=(
        r"\det\big((1-t)I + t\,DT\big) > 0 \text{ for all } t \iff DT \text{ has no eigenvalue} < 0"
        r"; \quad n = 2: \ \mathrm{tr}\,DT > -2\sqrt{\det DT}"
    ),
    general="any dimension; the criterion by trace and determinant in the plane",
    source="own result; reflow of arXiv 2209.03003",
    build=_build,
)

r"""Two modes: a logistic field of one coordinate.

Let $l = |\mu_i - \mu_j|$, $n = (\mu_i - \mu_j)/l$, $\bar\mu$ the midpoint, $k = l^2/v$ and $z =
\langle y - \bar\mu, n\rangle/l$, so that mode $i$ is at $z = \tfrac12$ and $j$ at $-\tfrac12$.
The squared distances differ by $2l^2z$, hence the log-odds of the responsibilities are $kz + b$
with $b = \log(w_i/w_j)$, whatever the components across the pair, and $dz/du = f(z) =
\mathrm{logistic}(kz + b) - \tfrac12 - z$. For equal weights its zeros solve $\tanh(kz/2) = 2z$.
Where $f = 0$ the responsibility is $\tfrac12 + z$, so the slope there is $k(\tfrac14 - z^2) - 1$
for any weights; with $a = z + \tfrac12$ it reads $k\,a(1-a) - 1$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF, logistic
from ..algebra.mixture import c, d, i, j, mu, over_coordinates, y
from ..algebra.rewriting import DERIVATIVES, EXPONENTIALS, RATIONAL, SUMS

z, b, a = sp.symbols("z b a", real=True)
k, l, v, g = sp.symbols("k l v g", positive=True)


def drift(place: sp.Expr, bias: sp.Expr = sp.S.Zero) -> sp.Expr:
    """f(z), the velocity along the pair in units of l."""
    return logistic(k * place + bias) - HALF - place


def _distances(factor: sp.Expr) -> Chain:
    to_j = over_coordinates((y[c] - mu[j, c]) ** 2)
    to_i = over_coordinates((y[c] - mu[i, c]) ** 2)
    # l^2 z = <y - midpoint, mu_i - mu_j>
    projection = over_coordinates((y[c] - (mu[i, c] + mu[j, c]) / 2) * (mu[i, c] - mu[j, c]))
    return Chain("difference of the squared distances", to_j - to_i).equals(
        factor * projection, SUMS, "the projection on the pair is l^2 z"
    )


def _log_odds() -> Chain:
    ratio = sp.exp(b) * sp.exp(2 * l**2 * z / (2 * v))
    return Chain("the responsibility of mode i", ratio / (1 + ratio)).equals(
        logistic(l**2 / v * z + b), RATIONAL, "gamma_i/gamma_j is the ratio of the shares"
    )


def _drift() -> tuple[Chain, Chain]:
    gamma_i = sp.Symbol("gamma_i", positive=True)
    pull = gamma_i * HALF + (1 - gamma_i) * -HALF
    meaning = {gamma_i: logistic(k * z + b)}
    return (
        Chain("the velocity along the pair", pull - z, where=meaning).equals(
            drift(z, b), RATIONAL, "modes at +-1/2"
        ),
        Chain("equal weights", drift(z)).equals(
            sp.tanh(k * z / 2) / 2 - z, EXPONENTIALS, "so the zeros solve tanh(k z/2) = 2 z"
        ),
    )


def _slope(target: sp.Expr) -> tuple[Chain, Chain]:
    gamma_i = logistic(k * z + b)
    return (
        Chain("the slope", sp.Derivative(drift(z, b), z)).equals(
            k * gamma_i * (1 - gamma_i) - 1, DERIVATIVES >> RATIONAL, "derivative of the logistic"
        ),
        Chain("the slope where f = 0", (k * g * (1 - g) - 1).subs(g, z + HALF)).equals(
            target, RATIONAL, "there gamma_i = z + 1/2"
        ),
    )


def _build() -> Proof:
    slope = k * (sp.Rational(1, 4) - z**2) - 1
    in_a = Chain("in the coordinate a", slope.subs(z, a - HALF)).equals(
        k * a * (1 - a) - 1, RATIONAL, "a = z + 1/2"
    )
    numbers = {y: [0.3, 0.1], mu: [[1.0, 0.2], [-0.5, 0.6]], d: 2, i: 0, j: 1}
    return Proof(
        chains=(_distances(sp.Integer(2)), _log_odds(), *_drift(), *_slope(slope), in_a),
        formulas={
            "logit": Formula(k * z + b, (z, k, b)),
            "drift": Formula(drift(z, b), (z, k, b)),
            "slope_at_zero": Formula(slope, (z, k)),
            "slope_in_a": Formula(k * a * (1 - a) - 1, (k, a)),
        },
        wrong=(
            Wrong(_distances(sp.Integer(1)), numbers),
            Wrong(_slope(k * (HALF - z**2) - 1)[1], {k: 5.0, z: 0.2}),
        ),
    )


DERIVATION = Derivation(
    id="O4",
    place=4,
    doc=__doc__,
    latex=(
        r"\mathrm{logit}\,\gamma_i = kz + b, \quad f(z) = \mathrm{logistic}(kz+b) - \tfrac12 - z,"
        r"\quad f(z^*) = 0 \Rightarrow f'(z^*) = k(\tfrac14 - z^{*2}) - 1"
    ),
    general="two modes, any d (indexed sums), any weights",
    source="arXiv 2605.06831 v1, section 4 and B.1",
    build=_build,
)

r"""Convergence to the tube around a pair's line.

From $\xi' = -\xi + \text{rem}$, half the square of the distance $D = |\xi|$ changes at the rate
$-D^2 + \langle\xi, \text{rem}\rangle \le -D^2 + DR$, hence $D' \le -D + R$ and, by the linear
differential inequality, $D(u) \le e^{-u}D_0 + (1-e^{-u})R$ with $R$ the supremum of the remainder
over the time that is left. Now $e^{-u} = \sqrt{v_t/v_\tau}$; in $x$ units the first factor
becomes $\sigma_t/\sigma_\tau$, where $\sigma_t$ is the standard deviation of the marginal's
modes: the distance to the tube shrinks exactly as that, and the bound holds for any schedule.
(The exact bound has $\alpha_t(1-e^{-u})R$; $\alpha_tR$ is a little larger and needs no $u$.)

*High probability.* Let $x_\tau$ come from mode $K$: $x_\tau - \alpha\mu_K = \sigma_\tau Z$. The
dominating pair contains the nearest mode, so the distance to its line is at most that to its
nearer mode and hence at most $\sigma_\tau|Z|$, also when $K$ is not of the pair. The chi-square
tail with $d$ degrees of freedom applies, for a deterministic $\tau$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import c, over_coordinates
from ..algebra.rewriting import RATIONAL, SUMS

xi = sp.IndexedBase("xi", real=True)
rem = sp.IndexedBase("rem", real=True)
R, D, angle, margin = sp.symbols("R D angle margin", nonnegative=True)
sigma_t, sigma_tau, alpha_t, alpha_tau, distance, v_t, v_tau = sp.symbols(
    "sigma_t sigma_tau alpha_t alpha_tau D_tau v_t v_tau", positive=True
)
radius, parallel2 = sp.symbols("Z P", nonnegative=True)
log_inverse, degrees, delta = sp.symbols("L n delta", positive=True)


def _square() -> Chain:
    rate = over_coordinates(xi[c] * (-xi[c] + rem[c]))
    return Chain("half the squared distance", rate).equals(
        -over_coordinates(xi[c] ** 2) + over_coordinates(xi[c] * rem[c]), SUMS, "linearity"
    )


def _distance_rate() -> Chain:
    # <xi, rem> = D R - angle with angle >= 0 by Cauchy-Schwarz; divide by D.
    return Chain("the distance itself, times D", -(D**2) + (D * R - angle)).at_most(
        D * (-D + R), angle, RATIONAL, "Cauchy-Schwarz: the inner product is D R minus a slack"
    )


def _in_x(power: int) -> Chain:
    """alpha_t times the bound in y, with D_tau in x units and v = (sigma/alpha)^2."""
    shrink = (sigma_t / alpha_t) / (sigma_tau / alpha_tau)
    start = alpha_t * (shrink * distance / alpha_tau + (1 - shrink) * R)
    target = (sigma_t / sigma_tau) ** power * distance + alpha_t * R
    return Chain("the bound in x", start).at_most(
        target, alpha_t * shrink * R, RATIONAL, "drop the factor 1 - e^(-u) <= 1"
    )


def _nearest() -> Chain:
    # |x - alpha mu_i|^2 = D^2 + P; dominance: mode K is farther than the nearer of the pair.
    near2 = D**2 + parallel2
    return (
        Chain("the line is nearer than the mode the point came from", D**2)
        .at_most(near2, parallel2, RATIONAL, "Pythagoras: the distance to a point of the line")
        .at_most(
            near2 + margin, margin, RATIONAL, "the margin is nonnegative: at most |x - mu_K|^2"
        )
    )


def _build() -> Proof:
    threshold = degrees + 2 * sp.sqrt(degrees * log_inverse) + 2 * log_inverse
    level = threshold.subs(log_inverse, -sp.log(delta))
    high = sigma_t * sp.sqrt(level) + alpha_t * R
    near = {distance: sigma_tau * radius}
    at_tau = Chain("insert the chi-square radius", _in_x(1).end, where=near).equals(
        sigma_t * radius + alpha_t * R, RATIONAL, "sigma_tau cancels"
    )
    in_v = sp.sqrt(v_t / v_tau)
    numbers = {
        sigma_t: 0.2,
        sigma_tau: 0.5,
        alpha_t: 0.9,
        alpha_tau: 0.6,
        distance: 0.7,
        R: 0.0,
    }
    return Proof(
        chains=(_square(), _distance_rate(), _in_x(1), _nearest(), at_tau),
        formulas={
            "distance": Formula(in_v * D + (1 - in_v) * R, (D, v_tau, v_t, R)),
            "distance_x": Formula(_in_x(1).end, (distance, sigma_tau, sigma_t, alpha_t, R)),
            "high_probability": Formula(high, (degrees, delta, sigma_t, alpha_t, R)),
        },
        wrong=(Wrong(_in_x(2), numbers),),
    )


DERIVATION = Derivation(
    id="T4.2",
    place=6,
    also=("X2",),
    doc=__doc__,
    latex=(
        r"d_\perp(y_t) \le e^{-u}d_\perp(y_\tau) + (1-e^{-u})R, \qquad"
        r" d_\perp(x_t) \le \frac{\sigma_t}{\sigma_\tau}\,d_\perp(x_\tau) + \alpha_tR"
    ),
    general="any N and d (indexed sums); uses the linear differential inequality L.2",
    source="arXiv 2605.06831 v1, Theorem 4.2; the form in x: own result (X2)",
    build=_build,
)

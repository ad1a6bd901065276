r"""DDPM leaves the midpoint.

Statement: Let $A_t = \langle x_t - \alpha_t \bar\mu, n \rangle$ with
    $dA = b\,dt + \sqrt\beta\,dB$ in reverse time. If
    $\sup_{|a| \le 2\theta} |b(a,t)| \le 2\theta K(t)$ and
    $\mathrm{sgn}(a)\, b(a,t) \ge \lambda |a|$ for all $|a| \ge \theta$, then from
    $|A_\tau| \le \theta$, with $Q = \int \beta$,
    $P(|A_0| \le \theta) \le \frac{4}{\pi} \exp\big(-\frac{\pi^2 Q}{32 \theta^2 (2 + \int K)^2}\big)
    + \exp\big(-\frac{2 \lambda \theta^2}{\sup \beta}\big)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the closest pair is separated with margin 7 at some node of the papers' grid,
      which is the start $\tau$.
    - growth: $|b| \le 2\theta K(t)$ for $|a| \le 2\theta$, also off the line through the pair.
    - outward: $\mathrm{sgn}(a)\, b \ge \lambda |a|$ for all $|a| \ge \theta$, on states of the two
      modes, with $\lambda$ the largest rate on $[\theta, 2\theta]$, where the paper's code looks.
      The row applies where growth and this held at one state.
Measured: the exact probability of the continuous reverse SDE from five starts within $\theta$, for
    $\theta = 0.15\, l$; and how often DDPM, started at the midpoint, ends within $\theta$ of it.
Predicted: the bound, in the reading most favourable to it: K by the supremum condition and summed
    over the times $1..\tau$, and $\lambda$ from $[\theta, 2\theta]$ alone. How often the outward
    condition holds there is a number of its own. The sharper bound is X5's, where the drift along
    the pair is a function of A alone.
Evidence: exact probabilities (O1) with the engine's drift in the bound; sampled hypotheses and
    DDPM, a chain whose law differs from the continuous one by its steps. Certified: at every time
    of the stretch $|b| \le 2\theta K$ to a thousandth, for all $|a| \le 2\theta$ of the tube that
    the pair dominates; and on its line, at 0.6 l from the bisector and at every level, the drift
    points back, so that the outward condition is false as it stands.
Source: arXiv 2605.06831 v1, Proposition 5.1
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.proof import Law, Statement, Term
from mixdyn.proof.statement import of_law, z
from mixdyn.proof.statement import v as level_of
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Log10, Number, number_from_log
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis, Table
from verify.measure.continuum import (
    NO_TOLERANCE,
    certified,
    dominated_tube,
    pair_law,
    proof_window,
    variances,
)
from verify.measure.midpoint.bound import (
    SUP_RTOL,
    Bound,
    ended_near,
    growth_and_outward,
    own_bound,
    published_bound,
)
from verify.measure.midpoint.comparison_diffusion import reference_from
from verify.measure.midpoint.stretch import (
    HALF_WIDTH,
    Window,
    bisector_drift,
    elapsed_noise,
    find_window,
    level_between,
)
from verify.measure.paths import KAPPA, ddim_grid, level_at

CLAIM = Claim.from_docstring(
    __doc__,
    id="P5.1",
    short="midpoint bound",
    rests_on={
        "G.1": "the drift of the bisector coordinate",
        "G.6": "confinement of the noise",
        "A4.4": "the time from which it is stated",
    },
    needs=(
        modes(2),
        one_sigma.because(
            "the drift along a pair depends on the place across it where widths differ"
        ),
    ),
    derivation="derivations/midpoint/confinement.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "That DDPM stays near a midpoint: it does not. The bound is true and says nothing, because "
        "the noise left after τ is too little to leave [-2θ, 2θ] by itself; the drift does it, and "
        "the proof counts the drift as an obstacle."
    ),
)

CONTROL_GAP = 10.0  # tolerances by which the control's bound lies below the truth
STARTS = np.linspace(-1.0, 1.0, 5)  # A at the start over theta
SWEEP = (0.05, 0.1, 0.15, 0.2)  # theta over l
EXACT = Tolerance(rtol=1e-9, log=True)
_ACROSS = 1e4  # how much wider boxes of a proof may be across the pair


@CLAIM.sampled(unit="starts")
def probability(case: Case, grown: bool = False) -> Iterator[Part]:
    """The bound in the paper's regime against the exact probability. grown: the first term alone,
    1/32 replaced by what the truth just contradicts."""
    window = find_window(case)
    if window is None:
        yield Hypothesis("separation", 0.0)
        yield "The closest pair is not separated with margin 7 at any noisy node."
        return
    bound = own_bound(case, window)
    truth = case.memo("P5.1 truth", lambda: _truth(case, window, bound.theta, window.t, STARTS))
    work = case.pick(200_000, 10_000_000)
    ddpm = case.memo("P5.1 DDPM", lambda: ended_near(case, window, case.mixture, work, "P5.1 DDPM"))
    growth, outward, share = growth_and_outward(case, window)
    yield from (Hypothesis("separation", 1.0, 0.0), growth, outward)
    most = float(truth.max())
    log_bound = most - CONTROL_GAP * EXACT.rtol if grown else bound.log_total
    where = {
        "pair": [window.pair.i, window.pair.j],
        "t": window.t,
        "theta": bound.theta,
        "a_start": STARTS * bound.theta,
    }
    name = "P(|A_0| ≤ θ), exact"
    yield Side(name, truth, at_most=log_bound, tolerance=EXACT, where=where)
    where = {**where, "a_start": 0.0}
    yield Side("share of DDPM runs", ddpm, at_most=number_from_log(log_bound), where=where)
    yield Facts(
        applicable=share,
        nonvacuous=float(log_bound < 0.0),
        truth=Log10.from_log(most),
        sharper_bound=_sharper(case, window, bound.theta, window.t),
    )
    yield (
        f"τ = {window.t} raw steps, {window.steps} DDIM steps; θ = {HALF_WIDTH:g} l. The outward "
        "condition cannot hold for every |a| ≥ θ: the drift vanishes at a_*, next to the mode, and "
        "points back beyond it. DDPM's steps are discrete and its last one has no noise; the exact "
        "probability is that of the continuous process."
    )
    yield lambda: (_numbers(case, window, bound, most), _sweep(case, window))


CLAIM.must_fail(
    probability,
    "the first term alone, its exponent grown until it is just below the truth",
    grown=True,
)


# -- the right-hand side -------------------------------------------------------------------------


def _continuous_integral(case: Case, window: Window, theta: float) -> float:
    """int K over the whole stretch from tau to clean data, K by the supremum condition."""
    sigma2 = float(case.mixture.sigma) ** 2
    node, weight = np.polynomial.legendre.leggauss(64)
    ends = np.log(sigma2 + case.schedule.rho[[0, window.t]])
    log_v = ends[0] + 0.5 * (node + 1.0) * (ends[1] - ends[0])
    a = np.linspace(-2.0 * theta, 2.0 * theta, 401)
    total = 0.0
    for place, w in zip(log_v, weight, strict=True):
        level = level_between(case.mixture, math.exp(place))
        sup = float(np.abs(bisector_drift(level, window.pair, a)).max())
        total += w * sup * level.v * level.abar  # d(-log abar) = abar dv = abar v dlog v
    return total * 0.5 * (ends[1] - ends[0]) / (2.0 * theta)


# -- the left-hand side --------------------------------------------------------------------------


def _truth(case: Case, window: Window, theta: float, t: int, starts: Array) -> Array:
    """log P(|A_0| <= theta) of the continuous reverse SDE from A_t = theta starts."""
    pair, schedule = window.pair, case.schedule
    x = schedule.alpha[t] * pair.midpoint + theta * starts[:, None] * pair.direction
    law = oracles.reverse_mixture(
        case.mixture, x, float(schedule.alpha_bar[t]), noise_var_t=float(schedule.noise_var[t])
    )
    return law.log_slab_probability(pair.direction, pair.midpoint, theta)


def _two_mode(case: Case, window: Window, theta: float) -> float:
    """X5 for the two modes by themselves, taken as equal in weight."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    return float(bounds.log_midpoint_probability(window.pair.length, theta, v[window.t], v[0]))


def _sharper(case: Case, window: Window, theta: float, t: int) -> Log10 | None:
    found = reference_from(case, window.pair, t)
    return None if found is None else Log10.from_log(found.log_probability(theta))


# -- hypotheses and further values ---------------------------------------------------------------


def _turning(case: Case, window: Window, t: int) -> float:
    """a_*/l at raw time t: where the drift along the line of the pair turns back."""
    from scipy.optimize import brentq

    level, pair = level_at(case, t), window.pair

    def drift(a: float) -> float:
        return float(bisector_drift(level, pair, np.array([a * pair.length]))[0])

    low = 0.25 * level.alpha
    if drift(low) <= 0.0 or drift(1.0) >= 0.0:
        return math.nan
    return float(brentq(drift, low, 1.0, xtol=1e-12))


def _numbers(
    case: Case, window: Window, bound: Bound, log_truth: float
) -> dict[str, Number | None]:
    noise = elapsed_noise(case, window.t)
    exponent = math.log(4.0 / math.pi) - bound.log_confinement
    turn = [_turning(case, window, t) for t in (1, window.t)]
    whole = _continuous_integral(case, window, bound.theta)
    terms = [
        bounds.log_midpoint_terms(bound.theta, bound.noise, k, bound.rate, 1.0)[0]
        for k in (whole, 0.0)
    ]
    return {
        "share of times at which the paper's own check holds, outward on [θ, 2θ] alone": float(
            np.mean(bound.drift.outward > 0.0)
        ),
        "first term (confinement)": number_from_log(bound.log_confinement),
        "second term (return)": number_from_log(bound.log_return),
        "factor on the first term's exponent at which it would meet the truth": (
            (math.log(4.0 / math.pi) - log_truth) / exponent
        ),
        "∫K, supremum form, summed over times 1..τ": bound.integral,
        "∫K, supremum form, as an integral down to clean data": whole,
        "first term with that integral": number_from_log(float(terms[0])),
        # Where b(0) is not 0 no K satisfies it.
        "∫K of the stated hypothesis |b| ≤ K|a|": (
            float(bound.drift.slope @ noise) if bound.drift.vanishes else None
        ),
        "∫K of |b| ≤ K|a| on [θ, 2θ] alone": float(bound.drift.far_slope @ noise),
        "first term without any drift": number_from_log(float(terms[1])),
        "Q": bound.noise,
        "λ": bound.rate,
        "a_*/l at raw time 1": turn[0],
        "a_*/l at τ": turn[1],
        "X5 for the two modes by themselves": Log10.from_log(_two_mode(case, window, bound.theta)),
    }


def _sweep(case: Case, window: Window) -> Table:
    """Bound, sharper bound and truth for other theta and other starting times."""
    times = ddim_grid(case).times
    index = int(np.flatnonzero(times == window.t)[0])
    chosen = [int(times[k]) for k in (index, max(index - 6, 0), max(index - 16, 0))]
    rows: list[tuple[float | Log10 | str | None, ...]] = []
    for t in dict.fromkeys(chosen):
        for half_width in SWEEP:
            bound = published_bound(case, window, half_width, t)
            truth = _truth(case, window, bound.theta, t, np.zeros(1))
            sharper = _sharper(case, window, bound.theta, t)
            total = Log10.from_log(bound.log_total)
            rows.append((t, half_width, bound.integral, total, sharper, Log10.from_log(truth[0])))
    columns = ("raw τ", "θ/l", "∫K", "bound", "X5", "truth")
    return Table("Other starting times and half-widths, from the midpoint", columns, rows)


# -- both conditions, at every place and level ---------------------------------------------------


def conditions(case: Case, place: float = 0.6, less: float = 0.0) -> list[Statement] | None:
    """Growth holds at every time, anywhere in the tube that the pair dominates; outward is false.
    place: of the points at which it is, on both sides, over l; less: taken from K, as a share.

    The drift of A is alpha (A/2 + (m - A) abar/sigma_t^2) in y units, sigma_t^2 = v abar and 1/abar
    = 1 + v - sigma^2.
    """
    window = proof_window(case)
    tube = None if window is None else dominated_tube(case, window, KAPPA)
    if window is None or tube is None:
        return None
    pair, sides = window.pair, tube[1:]
    law = pair_law(case.mixture, pair)
    inverse = level_of + (1.0 - float(case.mixture.sigma) ** 2)
    drift = 0.5 * z(0) + of_law("field", 0) * inverse / level_of
    back = [
        Statement.over(
            f"at {side:+g} l it points back",
            law,
            -side * drift,
            side * pair.length,
            *[0.0] * len(sides),
            variances(case, window.t),
        )
        for side in (place, -place)
    ]
    return [*back, *_grows(case, window, law, drift.apply("abs"), sides, 1.0 - less)]


def _grows(
    case: Case, window: Window, law: Law, size: Term, sides: Sequence[Array], share: float
) -> Iterator[Statement]:
    """|b| <= 2 theta K at raw times 1..tau, for |A| <= 2 theta; K to what its grid may miss."""
    bound, v = own_bound(case, window), case.schedule.effective_variance(float(case.mixture.sigma))
    reach = 2.0 * bound.theta
    for t, most in enumerate((share * (1.0 + SUP_RTOL) * reach * bound.drift.sup).tolist(), 1):
        alpha = float(case.schedule.alpha[t])
        side = (-reach / alpha, reach / alpha)
        yield Statement.over(
            f"|b| at t = {t}",
            law,
            most / alpha - size,
            side,
            *sides,
            float(v[t]),
            # Across the pair the drift hardly changes.
            scale=[reach, *[_ACROSS * reach] * len(sides), 1.0],
        )


CONDITIONS = certified(CLAIM, conditions)
CLAIM.must_fail(CONDITIONS, "at 0.3 l from the bisector", place=0.3)
CLAIM.must_fail(CONDITIONS, "a K smaller by a hundredth", less=0.01)

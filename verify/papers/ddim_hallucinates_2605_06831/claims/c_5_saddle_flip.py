r"""An inexact score can turn the saddle into a trap.

Statement: If the error $e$ of the score vanishes at the saddle, the eigenvalue along the pair
    becomes $\lambda + \sigma_t^2 \langle n, De\, n \rangle$, $\lambda = l^2/(4v) - 1$. If $De$ maps
    $n$ to a multiple of itself the saddle is stable along the pair iff
    $\sigma_t^2 \langle n, De\, n \rangle < -\lambda$. Without that condition the criterion is
    necessary for symmetric $De$, but not sufficient: the equilibrium is stable iff every eigenvalue
    of $\mathrm{Cov}_\gamma/v - I + \sigma_t^2 De$ has a negative real part.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - saddle: $l^2 > 4v$.
    - vanishing: $e$ vanishes at the saddle (learned: it moves the equilibrium by at most 1 % of
      $l$).
    - aligned: $De$ maps $n$ to a multiple of itself (its share is among the errors at levels with a
      saddle).
Measured: Jacobian of the closest pair's perturbed field at its midpoint by central differences, at
    nodes of the papers' grid, for errors that pull towards the midpoint with slopes from half to
    three times the one that flips it, for errors that push away, and for such across the pair; and
    flows that start next to the midpoint, with and without an error of $\delta_{max} = 0.02$ built
    to flip the saddle at every time.
Predicted: the eigenvalue; stability by the criterion; a trapped path under the flipping error.
Evidence: exact up to the differences; two flows. For errors that couple the pair's direction with
    another the row counts where the criterion misleads. Learned: Jacobians of the trained models at
    the midpoints of closest modes at late nodes, and the equilibria of their flow next to them.
    Certified: the same by enclosures of networks and mixture, all three hypotheses proved.
Source: arXiv 2605.06831 v1, Appendix C.5
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry.pairs import Mask
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof.zeros import Kind
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis
from verify.measure.midpoint.traps import node_variances
from verify.measure.networks.field import fields_of, named, on_segments
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.paths import thinned
from verify.measure.saddles.learned import learned_saddles
from verify.measure.saddles.slopes import midpoint_slopes, shown
from verify.measure.score_errors.inexact import (
    Curve,
    ErrorField,
    PerturbedField,
    Ridge,
    across,
    amplitude,
    fixed,
)
from verify.measure.score_errors.proved_saddles import errors_at_midpoints

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.5",
    short="inexact: eigenvalue",
    rests_on={"P4.7 (1)": "the eigenvalue that flips"},
    needs=(
        modes(2),
        one_sigma.because(
            "at one level it holds in lengths of C, as P4.7 (1) does; it is measured in Euclidean "
            "ones"
        ),
    ),
    derivation="derivations/errors/eigenvalue_shift.py",
    does_not_show=(
        "That a learned score has such an error: its slope at the midpoint must be of the size of "
        "λ/σ_t², which grows without bound as the data are approached, while its size can be small."
    ),
)

STRENGTHS = (-1.0, 0.5, 0.9, 1.1, 3.0)  # slope towards the midpoint over the one that flips it
HEIGHT = 0.02  # delta_max of the flipping error
FLAT = 1e-6  # lambda up to which a level counts as having no saddle
SIGN = Tolerance(atol=0.5)
STIFFEST = 500.0  # lambda up to which flows are followed
STAYS = 0.01  # how far a learned equilibrium may lie from the midpoint, over l, to count as there


@CLAIM.sampled(unit="nodes × errors")
def synthetic(case: Case, counted: float = 1.0, coupled: bool = False) -> Iterator[Part]:
    """Eigenvalues, stability, and two flows. counted: a factor on the predicted shift; coupled:
    judge unaligned errors too."""
    places = case.memo("C.5 places", lambda: list(_places(case)))
    rates = _rates(case)
    yield Hypothesis.from_slack("saddle", rates)
    if not places:
        return
    v, error, aligned, rate, shift, parallel, largest = fields_of(
        places, "v", "error", "aligned", "rate", "shift", "parallel", "largest"
    )
    among, want, where = aligned | coupled, rate + counted * shift, {"v": v, "error": error}
    yield Hypothesis("vanishing", 1.0, 0.0)  # by construction
    if not coupled:
        yield Hypothesis("aligned", float(aligned.mean()))
    yield Facts(applicable=float(np.mean(rates > FLAT)) * float(among.mean()))
    yield Side(
        "eigenvalue along the pair",
        parallel,
        equals=want,
        tolerance=Tolerance(atol=1e-6),
        # Differences of a field whose exponents reach k = 4 (lambda + 1) lose k ulps.
        scale=(rate + 1.0) * (1.0 + (rate + 1.0) / 1e5),
        among=among,
        where=where,
    )
    yield Side("stable", largest < 0.0, equals=want < 0.0, tolerance=SIGN, among=among, where=where)
    n = int(np.sum(~aligned))
    misled = int(np.sum(~aligned & ((largest < 0.0) != (rate + shift < 0.0))))
    yield {
        "errors that couple directions": n,
        "of them, called wrongly by the criterion alone": misled,
    }
    if n:
        yield (
            f"Of {n} errors that couple n with another direction, the criterion taken alone calls "
            f"{misled} wrongly: stable by its sign, unstable by the spectrum."
        )
    flows = case.memo("C.5 flows", lambda: _flows(case))
    if flows is not None:
        yield from _of_flows(flows)


@CLAIM.learned(unit="models × nodes × midpoints", of=networks)
def learned(case: Case, models: Sequence[TrainedModel], counted: float = 1.0) -> Iterator[Part]:
    """Slopes at the midpoints of trained scores, and their signs. counted: a factor on the
    predicted shift."""
    slopes = [midpoint_slopes(case, model) for model in models]
    saddles = [learned_saddles(case, model) for model in models]
    shift, measured, growth = fields_of(slopes, "shift", "measured", "growth")
    (aligned,), (found, z, off) = (
        fields_of(slopes, "aligned"),
        fields_of(saddles, "found", "z", "off"),
    )
    rate = slopes[0].rate[:, None]
    stays = found & (np.abs(z) <= STAYS) & (off <= STAYS)
    held, given = _given(rate, stays, aligned)
    yield from given
    yield Facts(applicable=float(np.mean(held)), model=named(models))
    if not held.any():
        return
    want, where = rate + counted * shift, on_segments(case, models, slopes[0].times)
    yield Side(
        "slope along the pair at the midpoint",
        measured,
        equals=want,
        # lambda is that of two modes alone: third modes add e^(-k) k^2 to it.
        tolerance=Tolerance(atol=1e-3),
        scale=rate + 1.0,
        among=held,
        where=where,
    )
    yield Side("stable", growth < 0.0, equals=want < 0.0, tolerance=SIGN, among=held, where=where)
    yield lambda: shown(slopes, saddles, float(np.mean((rate > 0.0) & aligned)))


def _given(rate: Array, stays: Mask, aligned: Mask) -> tuple[Mask, list[Hypothesis]]:
    """Where all three hypotheses hold, and the share of each."""
    saddle = np.broadcast_to(rate > 0.0, aligned.shape)
    masks = {"saddle": saddle, "vanishing": stays, "aligned": aligned}
    shares = [Hypothesis(name, float(np.mean(mask))) for name, mask in masks.items()]
    return saddle & stays & aligned, shares


@CLAIM.certified(unit="models × nodes × midpoints", of=networks)
def proved(case: Case, models: Sequence[TrainedModel], counted: float = 1.0) -> Iterator[Part]:
    """The criterion by enclosures of the error's slope, against the proved kind of the equilibrium
    next to the midpoint. counted: a factor on the slope."""
    found = [errors_at_midpoints(case, model) for model in models]
    low, high, aligned, kind, far = fields_of(found, "low", "high", "aligned", "kind", "far")
    rate = midpoint_slopes(case, models[0]).rate[:, None]
    stays = far <= STAYS
    held, given = _given(rate, stays, aligned)
    yield from given
    yield Facts(applicable=float(np.mean(held)), model=named(models))
    if not held.any():
        return
    traps, leaves = rate + counted * high < 0.0, rate + counted * low > 0.0
    yield Side(
        "stable, proved",
        np.where(kind < 0, np.nan, kind == Kind.SINK),
        equals=np.where(traps | leaves, traps, np.nan),
        tolerance=SIGN,
        among=held,
        where=on_segments(case, models, found[0].times),
    )
    doubles = np.array([midpoint_slopes(case, model).shift for model in models])
    yield Side(
        "slope of the error in doubles, against what is proved",
        doubles,
        equals=0.5 * counted * (low + high),
        tolerance=Tolerance(atol=1.0),
        scale=0.5 * (high - low) + 1e-9 * (rate + 1.0),
        where=on_segments(case, models, found[0].times),
    )
    yield {
        "midpoints": int(held.size),
        "of them with all hypotheses proved": int(held.sum()),
        "largest share of λ that the error is proved to take away there": float(
            (-high / rate)[held].max()
        ),
        "midpoints at which the criterion is proved to call for a trap": int(traps.sum()),
    }


CLAIM.must_fail_narrowly(
    proved, "σ_t² counted 1 + {} times, proved", 1.0, counted=lambda more: 1.0 + more
)
CLAIM.must_fail(synthetic, "σ_t² counted twice", counted=2.0)
CLAIM.must_fail_narrowly(
    synthetic, "σ_t² counted 1 + {} times", 1.0, counted=lambda more: 1.0 + more
)
CLAIM.must_fail(
    synthetic,
    "the criterion without alignment",
    when=lambda case: case.mixture.d > 1,
    coupled=True,
)
CLAIM.must_fail(learned, "learned: σ_t² counted twice", counted=2.0)
CLAIM.must_fail_narrowly(
    learned, "learned: σ_t² counted 1 + {} times", 1.0, counted=lambda more: 1.0 + more
)


@dataclass(frozen=True)
class Place:
    """An error at one level: lambda, sigma_t^2 <n, De n>, the measured parallel entry of the
    Jacobian and the largest real part of its eigenvalues, and whether De is aligned with n."""

    v: float
    error: str
    rate: float
    shift: float
    parallel: float
    largest: float
    aligned: bool


# -- spectra -------------------------------------------------------------------------------------


def _pair_alone(case: Case) -> tuple[GaussianMixture, geometry.Pair]:
    """The closest pair in its own frame: means at +-l/2 on the first axis."""
    i, j = geometry.nearest_pairs(case.mixture)[0]
    means = np.zeros((2, case.mixture.d))
    means[:, 0] = 0.5 * geometry.pair(case.mixture, i, j).length * np.array([1.0, -1.0])
    both = GaussianMixture(means, float(case.mixture.sigma))
    return both, geometry.pair(both, 0, 1)


def _levels(case: Case) -> Array:
    return thinned(node_variances(case), 10)


def _rates(case: Case) -> Array:
    """lambda at every level."""
    _, pair = _pair_alone(case)
    return bounds.midpoint_eigenvalues(pair.length, _levels(case))[0]


def _places(case: Case) -> Iterator[Place]:
    both, pair = _pair_alone(case)
    for v, rate in zip(_levels(case).tolist(), _rates(case).tolist(), strict=True):
        if rate <= FLAT:
            continue
        for error, slope, aligned in _errors(pair, rate, v, float(both.sigma)):
            field = PerturbedField(both, error)
            jacobian = field.jacobian(pair.midpoint[None], v)[0]
            parallel = float(pair.direction @ jacobian @ pair.direction)
            largest = float(np.linalg.eigvals(jacobian).real.max())
            yield Place(v, error.name, rate, slope, parallel, largest, aligned)


def _errors(
    pair: geometry.Pair, rate: float, v: float, sigma: float
) -> Iterator[tuple[ErrorField, float, bool]]:
    """Errors that vanish at the midpoint, with sigma_t^2 <n, De n> and whether n is an eigenvector.

    A ridge u tanh(<w, y>) of velocity `speed` has sigma_t^2 De = speed u w^T at the midpoint.
    """
    n, side, origin = pair.direction, across(pair), pair.midpoint
    speed = HEIGHT * pair.length

    def field(name: str, *ridges: Ridge) -> ErrorField:
        return ErrorField(name, origin, ridges, fixed(speed / amplitude(v, sigma)))

    for strength in STRENGTHS:
        slope = -strength * rate
        ridge = Ridge(1.0, n, slope / speed * n, Curve.TANH if strength > 0.0 else Curve.SINE)
        yield field(f"along, {strength:g}", ridge), slope, True
    if side is None:
        return
    half = Ridge(0.5, n, -3.0 * rate / speed * n)
    yield field("along and across", half, Ridge(0.5, side, -side / speed)), -1.5 * rate, True
    for strength, coupling in ((1.2, 1.5), (2.0, 3.0)):
        # Entries lambda - strength lambda along, -1 across, b off the diagonal: the determinant
        # vanishes at coupling 1.
        b = math.sqrt(coupling * (strength - 1.0) * rate)
        ridges = (
            Ridge(0.5, n, -2.0 * strength * rate / speed * n),
            Ridge(0.25, n, 4.0 * b / speed * side),
            Ridge(0.25, side, 4.0 * b / speed * n),
        )
        name = f"coupled, {strength:g} and {coupling:g}"
        yield field(name, *ridges), -strength * rate, False


# -- flows ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flows:
    """From one start, over l: |z| at the start, at the end without and with the flipping error; the
    factor e^Lambda by which the exact flow can leave; e_max over the score between the modes."""

    start: float
    free: float
    trapped: float
    log_growth: float
    relative_size: float


def _flows(case: Case) -> Flows | None:
    """The pair's flow while 1 < lambda < 500; None where there is no such stretch."""
    both, pair = _pair_alone(case)
    sigma = float(both.sigma)
    v_start = min(float(_levels(case)[0]), pair.length**2 / 8.0)
    v_end = max(sigma**2, pair.length**2 / (4.0 * (STIFFEST + 1.0)))
    if v_end >= 0.5 * v_start:
        return None

    def size(v: float) -> float:
        return HEIGHT * pair.length / amplitude(v, sigma)

    # The slope must beat lambda at the end, where it is largest: twice that.
    steep = 2.0 * (pair.length**2 / (4.0 * v_end) - 1.0) / (HEIGHT * pair.length)
    error = ErrorField(
        "flip", pair.midpoint, (Ridge(-1.0, pair.direction, steep * pair.direction),), size
    )
    none = ErrorField("none", pair.midpoint, (), size)
    # Inside the trap, which reaches to about HEIGHT/lambda.
    start = min(1e-3, 0.25 * HEIGHT / (pair.length**2 / (4.0 * v_start) - 1.0))
    y = pair.midpoint + start * pair.length * pair.direction
    ends = [
        abs(float(pair.bisector_coordinate(_follow(field, y, v_start, v_end))[0])) / pair.length
        for field in (PerturbedField(both, none), PerturbedField(both, error))
    ]
    growth = float(bounds.growth_exponent(pair.length, v_start, v_end))
    relative = max(
        size(x) * amplitude(x, sigma) / x * 4.0 * x / pair.length for x in (v_start, v_end)
    )
    return Flows(start, ends[0], ends[1], growth, relative)


def _follow(field: PerturbedField, y: Array, v_start: float, v_end: float) -> Array:
    """The end (1, d) of a flow from y (d,), by an implicit method: the trap is stiff."""
    from scipy.integrate import solve_ivp

    solved = solve_ivp(
        lambda u, place: field.pull(place[None], v_start * math.exp(-2.0 * u))[0],
        (0.0, 0.5 * math.log(v_start / v_end)),
        y,
        method="LSODA",
        rtol=1e-8,
        atol=1e-9 * field.length,
    )
    return np.asarray(solved.y[:, -1])[None]


def _of_flows(flows: Flows) -> Iterator[Part]:
    tolerance = Tolerance(rtol=1e-9)
    name = "end under the flipping error, over l"
    yield Side(name, flows.trapped, at_most=flows.start, tolerance=tolerance)
    if flows.log_growth > math.log(20.0) + 4.0:
        left = 20.0 * flows.start
        yield Side("end without it, over l", flows.free, at_least=left, tolerance=tolerance)
    yield {
        "start of the flows, over l": flows.start,
        "end without an error, over l": flows.free,
        name: flows.trapped,
        "its e_max over the score half-way to a mode": flows.relative_size,
    }

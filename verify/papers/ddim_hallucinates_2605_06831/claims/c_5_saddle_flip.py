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
Source: arXiv 2605.06831 v1, Appendix C.5
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Equality, Lower, Upper, compare
from verify.measure.paths import ddim_grid
from verify.measure.saddles import learned_flip
from verify.measure.score_errors.inexact import (
    Curve,
    ErrorField,
    PerturbedField,
    Ridge,
    across,
    amplitude,
    fixed,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.5",
    short="inexact: eigenvalue",
    rests_on={"P4.7 (1)": "the eigenvalue that flips"},
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED, Basis.LEARNED),
    derivation="derivations/eigenvalue_shift.py",
    does_not_show=(
        "That a learned score has such an error: its slope at the midpoint must be of the size of "
        "λ/σ_t², which grows without bound as the data are approached, while its size can be small."
    ),
)

STRENGTHS = (-1.0, 0.5, 0.9, 1.1, 3.0)  # slope towards the midpoint over the one that flips it
HEIGHT = 0.02  # delta_max of the flipping error
FLAT = 1e-6  # lambda up to which a level counts as having no saddle
STIFFEST = 500.0  # lambda up to which flows are followed


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


def check(case: Case) -> list[Verdict]:
    """Eigenvalues, stability, and two flows; then trained models."""
    return [_judge(case), *learned_flip.rows(CLAIM, case)]


def mutants(case: Case) -> dict[str, Verdict]:
    """Twice the shift; and, off a line, the criterion for errors that couple directions."""
    found = {"σ_t² counted twice": _judge(case, shift_factor=2.0)} | narrowest(
        "σ_t² counted 1 + {} times", lambda more: _judge(case, shift_factor=1.0 + more), 1.0
    )
    found |= learned_flip.mutants(CLAIM, case)
    if case.mixture.d > 1:
        found["the criterion without alignment"] = _judge(case, coupled=True)
    return found


def _judge(case: Case, shift_factor: float = 1.0, coupled: bool = False) -> Verdict:
    """shift_factor: on the predicted shift; coupled: judge unaligned errors too (mutants)."""
    common = Hypothesis("common_sigma", 1.0, 0.0)
    places = case.memo("C.5 places", lambda: list(_places(case)))
    rates = case.memo("C.5 rates", lambda: _rates(case))
    saddle = Hypothesis.from_slack("saddle", rates)
    vanishing = Hypothesis("vanishing", 1.0, 0.0)  # by construction
    aligned = Hypothesis("aligned", float(np.mean([p.aligned for p in places])) if places else 0.0)
    chosen = [p for p in places if p.aligned or coupled]
    if not chosen:
        finding = Finding(hypotheses=[common, saddle], applicable_share=0.0)
        return CLAIM.judge(case, finding)
    names = ("rate", "shift", "parallel", "largest")
    rate, shift, parallel, largest = (np.array([getattr(p, n) for p in chosen]) for n in names)
    want = rate + shift_factor * shift
    # Differences of a field whose exponents reach k = 4 (lambda + 1) lose k ulps.
    scale = (rate + 1.0) * (1.0 + (rate + 1.0) / 1e5)
    comparisons = [
        compare("eigenvalue along the pair", Equality(atol=1e-6), parallel, want, scale=scale),
        compare("stable", Equality(atol=0.5), largest < 0.0, want < 0.0),
    ]
    flows = case.memo("C.5 flows", lambda: _flows(case))
    comparisons += [] if flows is None else _compare_flows(flows)

    def witness(comparison: Comparison) -> dict[str, Any]:
        if comparison not in comparisons[:2]:
            return {"quantity": comparison.name}
        place = chosen[comparison.index]
        return {"quantity": comparison.name, "v": place.v, "error": place.error}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[common, saddle, vanishing, *([] if coupled else [aligned])],
        applicable_share=float(np.mean(rates > FLAT)) * (1.0 if coupled else aligned.held_share),
        nonvacuous_share=1.0,
        witness=witness,
        unit="nodes × errors",
        note=_note(places),
        numbers=_numbers(case, places, flows),
    )
    return CLAIM.judge(case, finding)


def _misled(places: list[Place]) -> list[Place]:
    return [p for p in places if not p.aligned and (p.largest < 0.0) != (p.rate + p.shift < 0.0)]


def _note(places: list[Place]) -> str:
    coupled = [p for p in places if not p.aligned]
    if not coupled:
        return ""
    return (
        f"Of {len(coupled)} errors that couple n with another direction, the criterion taken alone "
        f"calls {len(_misled(places))} wrongly: stable by its sign, unstable by the spectrum."
    )


# -- spectra -------------------------------------------------------------------------------------


def _pair_alone(case: Case) -> tuple[GaussianMixture, geometry.Pair]:
    """The closest pair in its own frame: means at +-l/2 on the first axis."""
    i, j = geometry.nearest_pairs(case.mixture)[0]
    means = np.zeros((2, case.mixture.d))
    means[:, 0] = 0.5 * geometry.pair(case.mixture, i, j).length * np.array([1.0, -1.0])
    both = GaussianMixture(means, float(case.mixture.sigma))
    return both, geometry.pair(both, 0, 1)


def _levels(case: Case) -> Array:
    v = case.schedule.effective_variance(float(case.mixture.sigma))[ddim_grid(case).times]
    return v[np.unique(np.linspace(0, len(v) - 1, 10).astype(int))]


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


def _compare_flows(flows: Flows) -> list[Comparison]:
    found = [
        compare(
            "end under the flipping error, over l", Upper(rtol=1e-9), flows.trapped, flows.start
        )
    ]
    if flows.log_growth > math.log(20.0) + 4.0:
        left = 20.0 * flows.start
        found.append(compare("end without it, over l", Lower(rtol=1e-9), flows.free, left))
    return found


def _numbers(case: Case, places: list[Place], flows: Flows | None) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {
        "errors that couple directions": sum(not p.aligned for p in places),
        "of them, called wrongly by the criterion alone": len(_misled(places)),
    }
    if flows is not None:
        numbers |= {
            "start of the flows, over l": flows.start,
            "end without an error, over l": flows.free,
            "end under the flipping error, over l": flows.trapped,
            "its e_max over the score half-way to a mode": flows.relative_size,
        }
    return numbers

r"""The exact law of a hybrid sampler.

Statement: Let a hybrid take the reverse SDE from $v_\tau$ to $v_z$ and the probability-flow ODE
    from there to clean data, on a product grid with product weights. Given $y_\tau$ the
    coordinates of $y_{end}$ are independent, and
    $P(y_{end,c} \le b) = \sum_k \gamma_k \Phi\big((G_c(b) - \mu_{k,c} - q (y_{\tau,c} - \mu_{k,c}))
    / \sqrt{v_z(1-q)}\big)$, $q = v_z/v_\tau$, where $G_c$ is the flow of coordinate c backwards
    from clean data to $v_z$ and $\gamma_k$ runs over the modes of that coordinate. Off product
    grids, where the flow has no closed form, the discrete hybrid's probability of ending between
    two modes is the mean weight of paths that are drawn towards it.
Hypotheses:
    - common_sigma: all modes share one sigma.
Measured: end points from three starts along the closest pair, by exact draws of the reverse SDE
    over z raw steps and an adaptive solution of the ODE, for the paper's starting time with
    z = 2, 5, 8 and for raw time 3 with z = 2; the largest distance of their empirical distribution
    function to the law, over quantiles of each coordinate. Off product grids: how many ends of DDPM
    and DDIM steps, z = 2 and 8, lie within a middle part of the pair that holds half of them.
Predicted: no distance, to within what the inequality of Dvoretzky, Kiefer and Wolfowitz allows with
    probability 1 - 1e-8; off product grids the estimate, to within its own error and that of the
    count, with the same probability.
Evidence: sampled; neither side has a discretisation error. The paper's hybrid of DDPM and DDIM
    steps is set beside it in a table and differs from it by its steps.
Source: our exact form of the hybrid samplers of arXiv 2605.06831 v1, Figure 5
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mixdyn import geometry, oracles
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.rare import RareEvent, rare_event
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, ExactReverse, Hybrid
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.numbers import Log10
from mixdyn.support.statistics import POWER, Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.midpoint.stretch import HALF_WIDTH, first_pair, start_time
from verify.measure.paths import ddim_grid

CLAIM = Claim.from_docstring(
    __doc__,
    id="X6",
    short="hybrids: exact law",
    rests_on={"O1": "the stochastic part", "O2": "the deterministic part"},
    needs=(
        modes(2),
        one_sigma.because("the law joins two closed forms in one clock"),
    ),
    derivation="derivations/closed_forms/hybrid.py",
    does_not_show=(
        "What the paper's hybrid does with a learned score, whose trap between the modes the exact "
        "score does not have; or the law of its discrete steps, which the table measures."
    ),
)

MISS = 1e-8
STARTS = np.array([0.0, 0.05, 0.25])  # from the midpoint, over l
DEEPEST = 200.0  # l/sigma
OFF_GRID_STEPS = (2, 8)  # z there
QUANTILES = np.linspace(0.02, 0.98, 25)


@dataclass(frozen=True)
class Runs:
    """End points y (starts, n, d) of a hybrid from raw time t with z raw steps of noise, and those
    of the paper's discrete one."""

    t: int
    z: int
    start: Array
    exact: Array
    discrete: Array

    def variances(self, case: Case) -> tuple[float, float, float]:
        """At the start, where the flow takes over, and of clean data."""
        v = case.schedule.effective_variance(float(case.mixture.sigma))
        return float(v[self.t]), float(v[self.t - self.z]), float(v[0])


Law = Callable[[Case, Runs, Array], Array]


def noise_then_flow(case: Case, run: Runs, points: Array) -> Array:
    """P(y_end,c <= b_c) at points b (starts, m, d), for each start."""
    v_start, v_switch, v_end = run.variances(case)
    flat = points.reshape(-1, case.mixture.d)
    back = oracles.flow_map(case.mixture, flat, v_end, v_switch).reshape(points.shape)
    return _kernel(case, run.start, v_start, v_switch, back)


def noise_alone(case: Case, run: Runs, points: Array) -> Array:
    """The same of the reverse SDE all the way."""
    v_start, _, v_end = run.variances(case)
    return _kernel(case, run.start, v_start, v_end, points)


def _one_step_more(case: Case, run: Runs, points: Array) -> Array:
    """The right law of another hybrid, where one noisy time more is left."""
    return noise_then_flow(case, replace(run, z=min(run.z + 1, max(run.t - 1, run.z))), points)


def _flow_then_noise(case: Case, run: Runs, points: Array) -> Array:
    """The flow down to a last stretch as long in u as the noise was."""
    v_start, v_switch, v_end = run.variances(case)
    v_last = max(v_end * v_start / v_switch, v_end * 1.01)
    start = oracles.flow_map(case.mixture, run.start, v_start, v_last)
    return _kernel(case, start, v_last, v_end, points)


def _kernel(case: Case, start: Array, v_from: float, v_to: float, points: Array) -> Array:
    stages, lowest = [("sde", v_to)], np.full(case.mixture.d, -np.inf)
    law = [
        [
            oracles.hybrid_log_interval(case.mixture, y[None], v_from, stages, (lowest, b))[0]
            for b in row
        ]
        for y, row in zip(start, points, strict=True)
    ]
    return np.exp(law)


@CLAIM.sampled(unit="starts × coordinates")
def ends(case: Case, law: Law = noise_then_flow, wider: float = 1.0) -> Iterator[Part]:
    """The empirical distribution function of the ends against their law. wider: off product grids,
    a factor on the middle of the pair that the estimate is asked for."""
    if case.schedule.T < 2:
        yield "With one step there is no noisy time between the noise and the clean data."
        return
    if not _product(case):
        yield from _between(case, wider)
        return
    runs = case.memo("X6 runs", lambda: runs_of(case))
    allowed = math.sqrt(math.log(2.0 / MISS) / (2.0 * runs[0].exact.shape[1]))
    for run in runs:
        yield Side(
            f"distance to the law, raw time {run.t}, z = {run.z}",
            _distance(case, run, law),
            equals=0.0,
            tolerance=Tolerance(atol=allowed),
            where={
                "t": run.t,
                "z": run.z,
                "y": run.start[:, None],
                "coordinate": np.arange(case.mixture.d),
            },
        )
    yield _seen(runs[0].exact.shape[1], allowed)
    yield (
        "The law is that of the continuous hybrid; the table's hybrid of DDPM and DDIM steps "
        "differs from it by its discretisation."
    )
    yield lambda: (_rare(case, runs), _table(case, runs))


def _product(case: Case) -> bool:
    return case.mixture.product_axes() is not None


CLAIM.must_fail(ends, "one raw step of noise more", law=_one_step_more, when=_product)
CLAIM.must_fail(ends, "noise all the way", law=noise_alone, when=_product)
CLAIM.must_fail(ends, "flow first, then the noise", law=_flow_then_noise, when=_product)
CLAIM.must_fail_narrowly(
    ends,
    "a middle wider by a share of {}",
    1.0,
    wider=lambda more: 1.0 + more,
    when=lambda case: not _product(case),
)


def _distance(case: Case, run: Runs, law: Law) -> Array:
    """sup |F_n - F| over quantiles of the sample, (starts, d)."""
    ordered = np.sort(run.exact, axis=1)
    n = ordered.shape[1]
    rank = np.unique((QUANTILES * n).astype(int))
    predicted = law(case, run, ordered[:, rank])
    # F_n jumps from k/n to (k + 1)/n at the point itself.
    low, high = rank[:, None] / n, (rank[:, None] + 1) / n
    return np.asarray(np.maximum(predicted - low, high - predicted).max(axis=1))


def _seen(n: int, allowed: float) -> str:
    """In words, which wrong laws n draws tell from the right one, as DKW allows a distance."""
    from mixdyn.support import laws

    distance = allowed + float(laws.normal_quantile(POWER)) * 0.5 / math.sqrt(n)
    return (
        f"A distribution function {distance:.2g} off at one of the quantiles would have failed "
        f"with probability {POWER:g}."
    )


# -- off product grids ---------------------------------------------------------------------------

WHOLE_GAP = 0.99  # share of a pair's length that counts as all of it


def _between(case: Case, wider: float) -> Iterator[Part]:
    """Counts of the discrete hybrid's ends between the pair's modes against `rare_event`."""
    t = start_time(case)
    for z in [z for z in OFF_GRID_STEPS if z < t]:
        share, hits = case.memo(f"X6 between {z}", functools.partial(_counted, case, z))
        if share == WHOLE_GAP:
            yield NotApplicable("the ends do not gather in the middle: no part of it holds half")
            return
        found = _estimated(case, z, wider * share)
        rate, most = math.exp(found.log_p), math.exp(found.interval(MISS)[1])
        low, high = hits.interval(MISS)
        yield Side(
            f"share that ends within the middle of the pair, raw time {t}, z = {z}",
            hits.rate,
            equals=rate,
            tolerance=Tolerance(atol=most - rate + max(high - hits.rate, hits.rate - low)),
            where={"t": t, "z": z, "share": share},
        )
    yield (
        "The flow has no closed form here, so the law is that of the discrete hybrid: DDPM steps, "
        "then DDIM. The middle is what about half of the ends lie in."
    )
    yield lambda: {
        f"P(ends within 0.15 l of the midpoint), z = {z}": _in_the_middle(case, z)
        for z in OFF_GRID_STEPS
        if z < t
    }


def _in_the_middle(case: Case, z: int) -> Log10 | None:
    """None where the starts that end there are closer than rounding."""
    try:
        found = _estimated(case, z, 2.0 * HALF_WIDTH)
    except NotApplicableError:
        return None
    return Log10.from_log(found.log_p) if found.relative_error < 0.5 else None


def _hybrid(case: Case, z: int) -> tuple[Hybrid, Array]:
    """The sampler and its start, a twentieth of the pair's length beside the midpoint."""
    pair = first_pair(case.mixture)
    start = pair.midpoint + STARTS[1] * pair.length * pair.direction
    x = case.schedule.alpha[start_time(case)] * start
    return Hybrid(z=z, base=DDIM(spacing=ddim_grid(case))), x


def _counted(case: Case, z: int) -> tuple[float, Proportion]:
    """The middle share of the pair that holds half of the first ends, and how many of others."""
    pair, (sampler, x) = first_pair(case.mixture), _hybrid(case, z)
    t, n = start_time(case), case.pick(30_000, 600_000)

    def run(count: int, first: int) -> Array:
        out = sample(
            case.mixture,
            case.schedule,
            sampler,
            x=np.tile(x, (count, 1)),
            start=t,
            rng=case.stream(f"X6 between {z}"),
            first=first,
        )
        return np.asarray(out.x)

    along = np.abs(pair.bisector_coordinate(run(1000, 0)))
    share = min(2.0 * float(np.median(along)) / pair.length, WHOLE_GAP)
    event = geometry.Between(share=share, pairs=((pair.i, pair.j),))
    return share, Proportion(int(event.holds(case.mixture, run(n, 1000)).sum()), n)


def _estimated(case: Case, z: int, share: float) -> RareEvent:
    """Of ending in the middle `share` of the pair."""
    pair, (sampler, x) = first_pair(case.mixture), _hybrid(case, z)
    event = geometry.Between(share=min(share, 0.999), pairs=((pair.i, pair.j),))
    return case.memo(
        f"X6 rare {z} {share:.12g}",
        lambda: rare_event(
            case.mixture,
            case.schedule,
            sampler,
            event,
            rel=0.02,
            rng=case.stream("X6 rare"),
            x=x,
            start=start_time(case),
            budget=1_000_000,
        ),
    )


# -- end points ----------------------------------------------------------------------------------


def runs_of(case: Case) -> list[Runs]:
    """From the paper's starting time and from raw time 3, as far as the schedule has them."""
    tau = start_time(case)
    plans = [(tau, 2), (tau, 5), (tau, 8), (3, 2)]
    found = [_run(case, t, z) for t, z in dict.fromkeys(plans) if z < t <= case.schedule.T]
    return found or [_run(case, case.schedule.T, 1)]


def _run(case: Case, t: int, z: int) -> Runs:
    pair, schedule = first_pair(case.mixture), case.schedule
    n = max(1_000, case.pick(8_000, 400_000) // case.mixture.d)
    start = pair.midpoint + pair.length * STARTS[:, None] * pair.direction
    x = np.repeat(schedule.alpha[t] * start, n, axis=0)
    noisy = ExactReverse(TimeGrid([*range(t, t - z - 1, -1), 0][: z + 2], schedule.T))
    label = f"X6 {t} {z}"
    path = sample(case.mixture, schedule, noisy, x=x, rng=case.stream(label), keep="trajectory")
    y = np.asarray(path.trajectory)[z] / schedule.alpha[t - z]
    v = schedule.effective_variance(float(case.mixture.sigma))
    solver = DormandPrince(rtol=1e-6, atol=1e-8 * pair.length)
    end = integrate_ode(case.mixture, y, v[[t - z, 0]], solver).y
    base = Hybrid(z=z, base=DDIM(spacing=ddim_grid(case)))
    seed = case.stream(f"{label} discrete")
    discrete = sample(case.mixture, schedule, base, x=x, start=t, rng=seed).x
    shape = (len(STARTS), n, case.mixture.d)
    return Runs(t, z, start, end.reshape(shape), np.asarray(discrete).reshape(shape))


# -- rare ends and the discrete hybrid -----------------------------------------------------------


def _log_inside(case: Case, run: Runs, row: int) -> float:
    """log P(|A_end| <= theta) from one start, by the exact law."""
    pair = first_pair(case.mixture)
    v_start, v_switch, v_end = run.variances(case)
    axis = int(np.argmax(np.abs(pair.direction)))
    low, high = np.full(case.mixture.d, -np.inf), np.full(case.mixture.d, np.inf)
    low[axis] = pair.midpoint[axis] - HALF_WIDTH * pair.length
    high[axis] = pair.midpoint[axis] + HALF_WIDTH * pair.length
    stages, start = [("sde", v_switch), ("ode", v_end)], run.start[row : row + 1]
    found = oracles.hybrid_log_interval(case.mixture, start, v_start, stages, (low, high))
    return float(found[0, axis])


def _rare(case: Case, runs: list[Runs]) -> dict[str, Log10 | None]:
    """How rarely the exact hybrids end near the midpoint they start from; None beyond the depth
    that ball arithmetic reaches in a second."""
    within_reach = first_pair(case.mixture).length <= DEEPEST * float(case.mixture.sigma)
    return {
        f"P(ends within 0.15 l of the midpoint), raw time {run.t}, z = {run.z}": (
            Log10.from_log(_log_inside(case, run, 0)) if within_reach else None
        )
        for run in runs
    }


def _table(case: Case, runs: list[Runs]) -> Table:
    """The share that ends on the far side of the midpoint."""
    pair, rows = first_pair(case.mixture), []
    axis = int(np.argmax(np.abs(pair.direction)))
    box = np.full(case.mixture.d, -np.inf), pair.midpoint
    for run in runs:
        v_start, v_switch, v_end = run.variances(case)
        stages = [("sde", v_switch), ("ode", v_end)]
        law = oracles.hybrid_log_interval(case.mixture, run.start, v_start, stages, box)
        below = np.exp(law[:, axis])
        far = below if pair.direction[axis] > 0.0 else 1.0 - below
        for row, place in enumerate(STARTS):
            shares = [_far_side(pair, ends[row]) for ends in (run.exact, run.discrete)]
            low, high = shares[1].interval()
            rows.append((run.t, run.z, place, far[row], *(s.rate for s in shares), low, high))
    columns = (
        *("raw start", "z", "start/l", "exact law", "exact draws and ODE", "DDPM and DDIM steps"),
        *("from", "to"),
    )
    return Table("Share that ends beyond the midpoint, with 95 % intervals", columns, rows)


def _far_side(pair: geometry.Pair, y: Array) -> Proportion:
    return Proportion(int(np.count_nonzero(pair.bisector_coordinate(y) < 0.0)), len(y))

r"""Where hallucinations come from: decomposition by visits to midpoints.

Statement: Let $M$ be the event that a trajectory is within $\theta\, l$ of the midpoint of its two
    nearest modes, in static coordinates, at some node with raw time $1 \le t \le t(\tau_3)$. For
    any event $H$ of its end, $P(H) = P(H|M) P(M) + P(H|M^c) P(M^c)$.
Hypotheses: none.
Measured: DDIM with 50 quadratic steps and DDPM from noise, $\theta = 0.35$, $\tau_3$ = 11 DDIM
    steps. Exact score: P(H) from fused runs, for H = interpolation, H = "the nearest mode changed
    after $t(\tau_3)$" and H = "in the outer half of its mode", a control that always has mass.
    Trained models, H = interpolation: P(H) counted while the samplers run, and both conditionals,
    P(H|M) and P(M|H).
Predicted: the two conditional parts, counted node by node on the same runs; for trained models also
    $P(H|M) P(M) = P(M|H) P(H)$. There hallucinations come from midpoints and noise frees paths from
    them: of each model, DDIM's P(M|H) exceeds P(M), and its P(H|M) exceeds DDPM's.
Evidence: sampled; counts must agree exactly. $P(M|H)$ differs from $P(M)$ where their
    Clopper-Pearson intervals, each missing with probability 1e-6, lie apart; the two samplers are
    ordered by Fisher's exact test, which errs as rarely. The rates, with 95 % intervals, and
    their means over training seeds are in the tables.
Source: arXiv 2605.06831 v1, Appendix I.1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import geometry
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.networks.learned_decomposition import shown
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.paths import by_sampler, reverse_runs
from verify.measure.networks.visit_windows import compare_visits, decompose
from verify.measure.networks.visits import (
    Decomposition,
    MidpointVisits,
    Visits,
    window_time,
    with_interval,
)
from verify.measure.paths import ddim_grid

CLAIM = Claim.from_docstring(
    __doc__,
    id="I.1",
    short="decomposition",
    rests_on={"F1": "the rates that it splits"},
    needs=(modes(2),),
    does_not_show=(
        "That a visit causes a hallucination: the identity holds for every event M, and a path "
        "that ends between two modes was between them before. With the exact score there are "
        "hardly any to decompose; the row on trained models speaks about the paper's experiment. "
        "Per model, DDPM's few hallucinations decide nothing about where they come from."
    ),
)

ONE_RUN = Tolerance(atol=0.5)
EVENTS = ("outer half of its mode", "nearest mode changed", "interpolation")


# -- the exact score -----------------------------------------------------------------------------


def _parts(visited: geometry.Mask, hits: geometry.Mask) -> Array:
    """Runs with H by the decomposition; visited (n,), hits (events, n)."""
    return np.asarray((hits & visited).sum(axis=1) + (hits & ~visited).sum(axis=1))


@CLAIM.sampled(unit="events")
def identity(
    case: Case, combine: Callable[[geometry.Mask, geometry.Mask], Array] = _parts
) -> Iterator[Part]:
    """Counts of the whole against the sum of the parts."""
    runs = case.memo("I.1 runs", lambda: _runs(case))
    n_empty = 0
    for run in runs:
        counts = _events(case, run.fused_end, run.nearest).sum(axis=1)
        n_empty += int((counts == 0).sum())
        yield Side(
            f"runs with H, {run.name}",
            counts,
            equals=combine(run.visited, _events(case, run.end, run.nearest)),
            tolerance=ONE_RUN,
            telling=counts > 0,
            where={"sampler": run.name, "event": np.array(EVENTS)},
        )
    yield (
        f"t(τ_3) is raw time {window_time(case)}; {len(runs[0].end):,} runs of each sampler. A "
        f"single run too few would have failed; {n_empty} of {len(runs) * len(EVENTS)} events "
        "never happened."
    )
    yield lambda: _table(case, runs)


@dataclass(frozen=True)
class Runs:
    """Per run: whether it visited a midpoint, the nearest mode at t(tau_3), and its end, once from
    the observed path and once from the fused one; each (n,) or (n, d)."""

    name: str
    visited: geometry.Mask
    nearest: IntArray
    end: Array
    fused_end: Array


def _runs(case: Case) -> list[Runs]:
    """DDIM and DDPM from the same noise, twice each: observed, and fused."""
    mixture, schedule = case.mixture, case.schedule
    work = schedule.T * mixture.N * mixture.d
    n = int(np.clip(case.pick(3 * 10**8, 10**10) // work, 500, case.pick(8192, 100_000)))
    grid = ddim_grid(case)
    samplers: list[tuple[str, Sampler]] = [
        (f"DDIM-{grid.steps}", DDIM(spacing=grid)),
        (f"DDPM-{schedule.T}", DDPM()),
    ]
    found = []
    for name, sampler in samplers:
        seed = case.stream("I.1")
        observer = MidpointVisits(mixture, schedule, [window_time(case)])
        seen = sample(mixture, schedule, sampler, n=n, rng=seed, observers=[observer], keep="none")
        visits: Visits = seen.observations[0]
        fused = sample(mixture, schedule, sampler, n=n, rng=seed).x
        found.append(
            Runs(name, visits.visited(), visits.nearest[:, 0], visits.end, np.asarray(fused))
        )
    return found


def _events(case: Case, end: Array, nearest: IntArray) -> geometry.Mask:
    """Which of EVENTS each run has, (events, n)."""
    first, _, distance, _ = geometry.two_nearest(case.mixture.means, end)
    relative = distance  # of point masses, which have no width
    if case.mixture.covariance is not None:
        offset = end - case.mixture.means[first]
        relative = np.linalg.norm(geometry.in_stds(case.mixture, first, offset), axis=1)
    elif case.mixture.smallest_var > 0.0:
        relative = distance / case.mixture.sigmas[first]
    return np.array(
        [
            relative > np.median(relative),
            first != nearest,
            geometry.classify(case.mixture, end) == geometry.Region.INTERPOLATION,
        ]
    )


def _table(case: Case, runs: Sequence[Runs]) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for run in runs:
        for event, hit in zip(EVENTS, _events(case, run.end, run.nearest), strict=True):
            parts = Decomposition.of(run.visited, hit)
            conditional = (parts.hit_given_visit, parts.hit_given_none, parts.p_hit)
            cells = [cell for part in conditional for cell in with_interval(part)]
            rows.append((run.name, event, parts.p_visit.rate, *cells))
    columns = (
        *("sampler", "H", "P(M)", "P(H|M)", "from", "to", "P(H|not M)", "from", "to"),
        *("P(H)", "from", "to"),
    )
    return Table("The decomposition, with 95 % intervals", columns, rows)


# -- trained models ------------------------------------------------------------------------------


@CLAIM.learned(unit="runs", of=networks)
def learned(
    case: Case, models: Sequence[TrainedModel], weighted: bool = True, exchanged: bool = False
) -> Iterator[Part]:
    """What a visit means for each model; P(H) from its parts, and P(H, M) by either product, as
    numbers of runs. weighted: conditional rates by their weights; exchanged: DDPM's runs taken for
    DDIM's and the reverse."""
    runs = reverse_runs(case, models)
    groups = by_sampler(runs)
    parts = {name: [decompose(run) for run in group] for name, group in groups.items()}
    ddim, ddpm = list(parts.values())[:: -1 if exchanged else 1]
    asked = [
        comparison
        for model, *pair in zip(models, ddim, ddpm, strict=True)
        for comparison in compare_visits(model.name, *pair)
    ]
    yield from asked
    for name, found in parts.items():
        whole = [run.counted.successes for run in groups[name]]
        sums = [_rebuilt(part, weighted) for part in found]
        yield Side(f"runs with H, {name}", whole, equals=sums, tolerance=ONE_RUN)
        yield Side(
            f"runs with M and H by either product, {name}",
            [part.n * _rate(part.hit_given_visit) * part.p_visit.rate for part in found],
            equals=[part.n * _rate(part.visit_given_hit) * part.p_hit.rate for part in found],
            tolerance=ONE_RUN,
        )
    yield Facts(
        nonvacuous=np.array([part.hits > 0 for part in (*ddim, *ddpm)]),
        model=", ".join(model.name for model in models),
        witness=lambda _: {"seed": case.stream("learned paths")},
    )
    yield lambda: shown(case, runs, parts, 2 * len(models) - len(asked))


def _rate(share: Proportion | None) -> float:
    return 0.0 if share is None else share.rate  # an event that never happens has weight 0


def _rebuilt(part: Decomposition, weighted: bool) -> float:
    p = part.p_visit.rate if weighted else 1.0
    q = 1.0 - p if weighted else 1.0
    return part.n * (_rate(part.hit_given_visit) * p + _rate(part.hit_given_none) * q)


# -- controls ------------------------------------------------------------------------------------


def _unweighted(visited: geometry.Mask, hits: geometry.Mask) -> Array:
    rates = [hits[:, group].mean(axis=1) for group in (visited, ~visited) if group.any()]
    return np.asarray(len(visited) * np.sum(rates, axis=0))


CLAIM.must_fail(identity, "P(H|M) P(M) alone", combine=lambda m, h: (h & m).sum(axis=1))
CLAIM.must_fail(identity, "P(H|M) + P(H|M^c)", combine=_unweighted)
CLAIM.must_fail(
    identity, "a run with H forgotten", combine=lambda m, h: np.maximum(h.sum(axis=1) - 1, 0)
)
CLAIM.must_fail(learned, "P(H|M) + P(H|M^c), trained models", weighted=False)
CLAIM.must_fail(learned, "DDIM and DDPM exchanged, trained models", exchanged=True)

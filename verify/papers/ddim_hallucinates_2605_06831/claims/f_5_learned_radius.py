r"""Started next to a midpoint, trained models leave it with noise and hardly without.

Statement: Of runs started on the segment between two closest modes, 5 % of its length $l$ from the
    midpoint, at the time from which the two are separated (margin 7), each shipped model under DDIM
    interpolates on more than half; in the mean over these models hybrids that take $z$ = 2, 5, 8
    DDPM steps first interpolate the less often the larger $z$ is, and DDPM least.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separated: the closest pair is separated before the end.
    - budget: with the exact score DDIM's steps bring such a start within the radius of its mode, by
      the closed form $(1/2 - r)\, l$ times the product of $(\sigma^2 + \sqrt{\rho_t \rho_s})/v_t$.
Measured: interpolations among runs from 1 % and 5, 10, ..., 50 % of $l$ off the midpoint, all
    models together; the same from an earlier node, 11 DDIM steps left, and from one with 3 steps
    left, where the exact score runs out of time as well. The exact score's on the first model's
    starts and noise are beside them.
Predicted: the order, and one half, at 5 %.
Evidence: learned; one half against the Clopper-Pearson interval that misses with probability 1e-6,
    the order by Fisher's exact test of independent counts, which errs as rarely. Both are over runs
    of these models; a table says how far the models differ.
Source: arXiv 2605.06831 v1, Figure 5
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mixdyn import geometry
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Outcome
from verify.ledger.sides import Facts, NotApplicable, Part, Side
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.midpoint.stretch import Window, find_window
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.order import compare_independent
from verify.measure.networks.pooled import variation_note, variation_table
from verify.measure.networks.radius_sweep import (
    LATE_STEPS,
    LEARNED_RADII,
    NEAR,
    Sweep,
    ddim_contraction,
    learned_sweep,
)
from verify.measure.networks.rates import Cell
from verify.measure.networks.visits import STEPS_LEFT, with_interval

CLAIM = Claim.from_docstring(
    __doc__,
    id="F5",
    short="rate against radius",
    rests_on={"C.5": "the trap at the midpoint", "X4": "the budget at its rim"},
    needs=(
        modes(2),
        one_sigma.because("the radius about a midpoint is Euclidean, and the segment bends (X12)"),
    ),
    does_not_show=(
        "That another model keeps the order. That noise always helps: from starts outside the trap "
        "of a trained score DDIM never interpolates, while a few noisy steps carry some paths into "
        "it (see the table)."
    ),
)

HALF = 0.5


@CLAIM.learned(unit="runs", of=networks)
def order(
    case: Case,
    models: Sequence[TrainedModel],
    change: Callable[[Sweep], Sweep] = lambda sweep: sweep,
) -> Iterator[Part]:
    """DDIM against one half on each model, and the order of the samplers, at the nearest start."""
    window = find_window(case)
    if window is None:
        yield NotApplicable("The closest pair is not separated at any noisy node.")
        return
    sweep = change(learned_sweep(case, window.steps))
    first = sweep.samplers[0]
    for model, rate in zip(models, sweep.each(first, NEAR), strict=True):
        yield Side(f"interpolations of {first}, {model.name}", rate, at_least=HALF)
    rates = {name: sweep.pooled(name, NEAR) for name in sweep.samplers}
    for one, other in pairwise(sweep.samplers):
        yield compare_independent(f"{one} above {other}", rates[one], rates[other])
    yield Hypothesis("separated", 1.0, 0.0)
    reach = _reach(case, window, window.t)
    yield Hypothesis.from_slack("budget", np.array([NEAR - reach]))
    yield Facts(
        model=", ".join(model.name for model in models),
        witness=lambda _: {"t_start": sweep.start, "radius over l": NEAR},
    )
    yield lambda: _shown(case, window, sweep)


def _reach(case: Case, window: Window, start: int) -> float:
    """The start radius over l from which DDIM's steps, one mode owning the point, just reach the
    mode; below 0 if they do from everywhere."""
    radius = float(geometry.mode_radius(case.mixture)[0]) / window.pair.length
    return 0.5 - radius / ddim_contraction(case, start)


def _shown(case: Case, window: Window, sweep: Sweep) -> Iterator[Part]:
    starts = dict.fromkeys((window.steps, STEPS_LEFT, LATE_STEPS))
    sweeps = [learned_sweep(case, steps) for steps in starts]
    shares = {name: sweep.each(name, NEAR) for name in sweep.samplers}
    yield from (_note(sweeps), variation_note(shares))
    yield {
        "largest start radius over l that the budget leaves outside its mode": _reach(
            case, window, window.t
        ),
        "start radius over l below which DDIM mostly interpolates": crossing(sweep),
    }
    yield _near_table(case, window, sweeps)
    yield from map(_table, sweeps)
    yield variation_table(shares)


def crossing(sweep: Sweep) -> float | None:
    """Where DDIM's mean rate first falls below one half, linearly between two radii."""
    rate = np.array([sweep.pooled("DDIM", radius).rate for radius in LEARNED_RADII])
    below = np.flatnonzero(rate < HALF)
    if len(below) == 0 or below[0] == 0:
        return None
    k = below[0]
    share = (rate[k - 1] - HALF) / (rate[k - 1] - rate[k])
    return float(LEARNED_RADII[k - 1] + share * (LEARNED_RADII[k] - LEARNED_RADII[k - 1]))


def _note(sweeps: Sequence[Sweep]) -> str:
    """From where a noisy sampler interpolates more often than DDIM."""
    texts = []
    for sweep in sweeps:
        worse = [f"{100 * radius:g}" for radius in LEARNED_RADII if _noise_harms(sweep, radius)]
        places = f"from {', '.join(worse)} % of l" if worse else "from no radius"
        texts.append(f"{places} at raw time {sweep.start}")
    return f"A noisy sampler interpolates more often than DDIM {'; '.join(texts)}."


def _noise_harms(sweep: Sweep, radius: float) -> bool:
    """Whether some sampler with noise is seen to interpolate more often than DDIM."""
    first, *others = (sweep.pooled(name, radius) for name in sweep.samplers)
    return any(compare_independent("", other, first).outcome is Outcome.HOLDS for other in others)


def _near_table(case: Case, window: Window, sweeps: Sequence[Sweep]) -> Table:
    """Every start time: the mean of the models at the nearest start, and where DDIM's trap ends."""
    columns = ("t", "DDIM steps left", "trap of DDIM over l", "out of time below, over l")
    samplers = [column for name in sweeps[0].samplers for column in (name, "from", "to")]
    rows: list[tuple[Cell, ...]] = []
    for sweep in sweeps:
        shares = [with_interval(sweep.pooled(name, NEAR)) for name in sweep.samplers]
        place = (sweep.start, sweep.steps_left, crossing(sweep))
        reach = _reach(case, window, sweep.start)
        rows.append((*place, reach, *(cell for cells in shares for cell in cells)))
    caption = f"Started {NEAR:g} l off the midpoint, all models together, with 95 % intervals"
    return Table(caption, (*columns, *samplers), rows)


def _table(sweep: Sweep) -> Table:
    """Rates by start radius: every model, and the exact score."""
    columns = ("score", "sampler", *(f"r = {radius:g} l" for radius in LEARNED_RADII))
    rows: list[tuple[Cell, ...]] = []
    for name, hits in zip(sweep.scores, sweep.hits, strict=True):
        for sampler, row in zip(sweep.samplers, hits, strict=True):
            rows.append((name, sampler, *(row / sweep.n).tolist()))
    caption = f"Interpolation rates from raw time {sweep.start}, {sweep.n:,} runs each"
    return Table(caption, columns, rows)


# -- controls ------------------------------------------------------------------------------------


def _exchanged(sweep: Sweep) -> Sweep:
    five, eight = (sweep.samplers.index(f"hybrid z={z}") for z in (5, 8))
    hits = sweep.hits.copy()
    hits[:, [five, eight]] = hits[:, [eight, five]]
    return replace(sweep, hits=hits)


CLAIM.must_fail(order, "hybrids z=5 and z=8 exchanged", change=_exchanged)
CLAIM.must_fail(
    order,
    "the exact score",
    change=lambda sweep: replace(sweep, hits=np.broadcast_to(sweep.exact, sweep.hits.shape)),
)

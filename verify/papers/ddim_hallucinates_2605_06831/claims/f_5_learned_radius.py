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
    left, where the exact score runs out of time as well. The exact score's on the same starts and
    noise are beside them.
Predicted: the order, and one half, at 5 %.
Evidence: learned; Clopper-Pearson intervals that miss with probability 1e-6. Those of the mean are
    over runs of these models; a table says how far the models differ.
Source: arXiv 2605.06831 v1, Figure 5
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from mixdyn import geometry
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Outcome, Statistical, compare_rate
from verify.measure.midpoint.stretch import Window, find_window
from verify.measure.networks.models import TrainedModel, learned_mutants, learned_rows
from verify.measure.networks.pooled import variation_note, variation_table
from verify.measure.networks.radius_sweep import (
    LEARNED_RADII,
    NEAR,
    Sweep,
    ddim_contraction,
    learned_sweep,
)
from verify.measure.networks.rates import compare_order
from verify.measure.networks.visits import STEPS_LEFT, with_interval

CLAIM = Claim.from_docstring(
    __doc__,
    id="F5",
    short="rate against radius",
    rests_on={"C.5": "the trap at the midpoint", "X4": "the budget at its rim"},
    needs=(modes(2), one_sigma),
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That another model keeps the order. That noise always helps: from starts outside the trap "
        "of a trained score DDIM never interpolates, while a few noisy steps carry some paths into "
        "it (see the table)."
    ),
)

HALF = 0.5
LATE_STEPS = 3

Cell = float | str | None


def check(case: Case) -> list[Verdict]:
    """The order of the samplers at the nearest start."""
    return learned_rows(CLAIM, case, partial(_judge, case, _measure))


def mutants(case: Case) -> dict[str, Verdict]:
    """Two hybrids exchanged, and the exact score in place of the models."""
    changed = {"hybrids z=5 and z=8 exchanged": _exchanged, "the exact score": _exact}
    judges = {name: partial(_judge, case, measure) for name, measure in changed.items()}
    return learned_mutants(CLAIM, case, judges)


def _measure(case: Case, models: Sequence[TrainedModel], window: Window) -> Sweep:
    return learned_sweep(case, window.steps)


def _exchanged(case: Case, models: Sequence[TrainedModel], window: Window) -> Sweep:
    sweep = _measure(case, models, window)
    five, eight = (sweep.samplers.index(f"hybrid z={z}") for z in (5, 8))
    order = np.arange(len(sweep.samplers))
    order[[five, eight]] = eight, five
    return replace(sweep, hits=sweep.hits[:, order])


def _exact(case: Case, models: Sequence[TrainedModel], window: Window) -> Sweep:
    sweep = _measure(case, models, window)
    return replace(sweep, hits=np.broadcast_to(sweep.exact, sweep.hits.shape))


def _judge(
    case: Case,
    measure: Callable[[Case, Sequence[TrainedModel], Window], Sweep],
    models: Sequence[TrainedModel],
) -> Verdict:
    window = find_window(case)
    if window is None:
        reason = "The closest pair is not separated at any noisy node."
        return CLAIM.not_applicable(case, reason, Basis.LEARNED)
    reach = _reach(case, window, window.t)
    hypotheses = [
        Hypothesis("common_sigma", 1.0, 0.0),
        Hypothesis("separated", 1.0, 0.0),
        Hypothesis.from_slack("budget", np.array([NEAR - reach])),
    ]
    sweep = measure(case, models, window)
    starts = dict.fromkeys((window.steps, STEPS_LEFT, LATE_STEPS))
    sweeps = [learned_sweep(case, steps) for steps in starts]
    shares = {name: sweep.each(name, NEAR) for name in sweep.samplers}
    tables = [_near_table(case, window, sweeps), *(_table(models, s) for s in sweeps)]

    def witness(comparison: Comparison) -> dict[str, Any]:
        return {"quantity": comparison.name, "t_start": sweep.start, "radius over l": NEAR}

    finding = Finding(
        comparisons=_comparisons(sweep, models),
        hypotheses=hypotheses,
        nonvacuous_share=1.0,
        witness=witness,
        unit="runs",
        note=f"{_note(sweeps)} {variation_note(shares)}",
        numbers={
            "largest start radius over l that the budget leaves outside its mode": reach,
            "start radius over l below which DDIM mostly interpolates": _crossing(sweep),
        },
        tables=[*tables, variation_table(shares)],
        model=", ".join(model.name for model in models),
    )
    return CLAIM.judge(case, finding, Basis.LEARNED)


def _reach(case: Case, window: Window, start: int) -> float:
    """The start radius over l from which DDIM's steps, one mode owning the point, just reach the
    mode; below 0 if they do from everywhere."""
    radius = float(geometry.mode_radius(case.mixture)[0]) / window.pair.length
    return 0.5 - radius / ddim_contraction(case, start)


def _comparisons(sweep: Sweep, models: Sequence[TrainedModel]) -> list[Comparison]:
    first = sweep.samplers[0]
    found = [
        compare_rate(f"interpolations of {first}, {model.name}", Statistical("lower"), rate, HALF)
        for model, rate in zip(models, sweep.each(first, NEAR), strict=True)
    ]
    rates = {name: sweep.pooled(name, NEAR) for name in sweep.samplers}
    for one, other in pairwise(sweep.samplers):
        found.append(compare_order(f"{one} above {other}", rates[one], rates[other]))
    return found


def _crossing(sweep: Sweep) -> float | None:
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
    """Whether the interval of some sampler with noise lies above DDIM's."""
    first, *others = (sweep.pooled(name, radius) for name in sweep.samplers)
    return any(compare_order("", other, first).outcome is Outcome.HOLDS for other in others)


def _near_table(case: Case, window: Window, sweeps: Sequence[Sweep]) -> Table:
    """Every start time: the mean of the models at the nearest start, and where DDIM's trap ends."""
    columns = ("t", "DDIM steps left", "trap of DDIM over l", "out of time below, over l")
    samplers = [column for name in sweeps[0].samplers for column in (name, "from", "to")]
    rows: list[tuple[Cell, ...]] = []
    for sweep in sweeps:
        shares = [with_interval(sweep.pooled(name, NEAR)) for name in sweep.samplers]
        place = (sweep.start, sweep.steps_left, _crossing(sweep))
        reach = _reach(case, window, sweep.start)
        rows.append((*place, reach, *(cell for cells in shares for cell in cells)))
    caption = f"Started {NEAR:g} l off the midpoint, all models together, with 95 % intervals"
    return Table(caption, (*columns, *samplers), rows)


def _table(models: Sequence[TrainedModel], sweep: Sweep) -> Table:
    """Rates by start radius: every model, and the exact score."""
    columns = ("score", "sampler", *(f"r = {radius:g} l" for radius in LEARNED_RADII))
    rows: list[tuple[Cell, ...]] = []
    scores = [*(model.name for model in models), "exact score"]
    for name, hits in zip(scores, sweep.hits, strict=True):
        for sampler, row in zip(sweep.samplers, hits, strict=True):
            rows.append((name, sampler, *(row / sweep.n).tolist()))
    caption = f"Interpolation rates from raw time {sweep.start}, {sweep.n:,} runs each"
    return Table(caption, columns, rows)

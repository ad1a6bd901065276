"""What the learned row of X3 shows: how fast a trained score leaves a midpoint, and the rate that
follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mixdyn import bounds
from mixdyn.support.numbers import Log10, Number, show_share

from ...ledger.case import Case
from ...ledger.sides import Part
from ...ledger.verdict import Table
from ..midpoint.traps import flow_of_log_distance
from .field import find_segments, spreads, variances
from .models import TrainedModel
from .traps import (
    Trap,
    end_reach,
    exact_traps,
    fine_interval,
    observed,
    observed_fine,
    start_nodes,
    strip_mass,
)


def shown(
    case: Case, models: Sequence[TrainedModel], found: Sequence[Sequence[Trap]]
) -> Iterator[Part]:
    """Note, numbers and table of X3's learned row; found: the traps of each model by node."""
    yield _note(case, models, found)
    yield _numbers(case, models, found)
    yield _table(case, models, found)


def exact_trap(case: Case, t: int) -> tuple[float, float]:
    """log of the width over l of the exact flow's trap from t, two modes, and its growth exponent
    Lambda."""
    v, length = variances(case), find_segments(case).length
    k_start, k_end = length**2 / float(v[t]), length**2 / float(v[0])
    log_radius = float(flow_of_log_distance(np.log(end_reach(case)), k_end, k_start)[0])
    return np.log(2.0) + log_radius, float(bounds.growth_exponent(length, v[t], v[0]))


def _exact_mass(case: Case) -> float:
    """Mass of the exact flow's trap at the first start node."""
    t = int(start_nodes(case)[0])
    half = 0.5 * np.exp(exact_trap(case, t)[0])
    return strip_mass(case, np.array([-half, half]), t)


def _numbers(
    case: Case, models: Sequence[TrainedModel], found: Sequence[Sequence[Trap]]
) -> dict[str, Number | None]:
    first = found[0][0].t
    exact = exact_traps(case)[0].interval
    numbers: dict[str, Number | None] = {
        "first start, raw time": first,
        "Λ of the exact flow from there": exact_trap(case, first)[1],
        "Λ of the exact score, DDIM": float(np.median(exact_traps(case)[0].growth)),
    }
    series = {
        "Λ of the learned score, DDIM": [float(np.median(every[0].growth)) for every in found],
        "Λ at the learned midpoints, DDIM": [float(np.median(every[0].middle)) for every in found],
        "rate of DDIM predicted": [strip_mass(case, every[0].interval, first) for every in found],
        "rate of DDIM observed": [observed(case, model).ended.rate for model in models],
        "rate at every late time predicted": [
            strip_mass(case, fine_interval(case, model), first) for model in models
        ],
        "rate at every late time observed": [observed_fine(case, model).rate for model in models],
    }
    return {
        **numbers,
        **spreads(series),
        "rate of DDIM with the exact score, by its own trap": strip_mass(case, exact, first),
        "rate of the exact flow, by its own trap": _exact_mass(case),
    }


def _note(case: Case, models: Sequence[TrainedModel], found: Sequence[Sequence[Trap]]) -> str:
    first = found[0][0].t
    log_width, exponent = exact_trap(case, first)
    exact = exact_traps(case)[0]
    learned = float(np.median([every[0].growth for every in found]))
    middle = float(np.median([every[0].middle for every in found]))
    width = float(np.median([every[0].width for every in found]))
    seen = [observed(case, model) for model in models]
    caught, through = (
        float(np.mean([getattr(s, name)[2] for s in seen])) for name in ("caught", "through")
    )
    return (
        f"Why one trap is seen and the other not: from t = {first} a distance to the midpoint may "
        f"grow by e^{exponent:.4g} under the exact flow, by e^{float(np.median(exact.growth)):.3g} "
        f"under DDIM with the exact score, by e^{learned:.3g} with the learned one. So {width:.2g} "
        f"l of a segment end outside both modes, instead of {np.exp(log_width):.2g} l and "
        f"{float(np.median(exact.width)):.2g} l. At t = {found[0][2].t} {show_share(caught)} of "
        f"the paths in the trap interpolate, and {show_share(through)} of the interpolations lie "
        "in it. "
        f"Paths are slow there rather than held: the learned midpoints multiply distances by "
        f"e^{middle:.3g}."
    )


def _table(case: Case, models: Sequence[TrainedModel], found: Sequence[Sequence[Trap]]) -> Table:
    seen = [observed(case, model) for model in models]
    rows = [
        _table_row(case, t, exact_traps(case)[k], [every[k] for every in found])
        + tuple(
            float(np.mean([getattr(s, name)[k] for s in seen]))
            for name in ("inside", "caught", "through")
        )
        for k, t in enumerate(start_nodes(case).tolist())
    ]
    columns = (
        "t",
        "Λ, exact flow",
        "width over l, exact flow of two modes",
        "Λ, DDIM with the exact score",
        "width over l, DDIM with the exact score",
        "Λ, DDIM with the learned score",
        "Λ at the learned midpoint",
        "width over l, learned DDIM",
        "least model",
        "largest model",
        "mass of exact p_t in it",
        "share of learned paths in it",
        "of them interpolate",
        "of interpolations in it",
    )
    return Table(
        "Traps between closest modes: starts that end outside both. The mass is that of the exact "
        "marginal; learned paths have strayed from it by the later nodes",
        columns,
        rows,
    )


def _table_row(case: Case, t: int, exact: Trap, here: Sequence[Trap]) -> tuple[Number | None, ...]:
    """From one start node: exponents, widths, and the mass of the learned traps."""
    width = np.array([np.median(trap.width) for trap in here])
    log_width, exponent = exact_trap(case, t)
    return (
        t,
        exponent,
        Log10.from_log(log_width),
        float(np.median(exact.growth)),
        float(np.median(exact.width)),
        float(np.median([trap.growth for trap in here])),
        float(np.median([trap.middle for trap in here])),
        float(width.mean()),
        float(width.min()),
        float(width.max()),
        float(np.mean([strip_mass(case, trap.interval, t) for trap in here])),
    )

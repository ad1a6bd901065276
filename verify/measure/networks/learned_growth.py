"""The learned row of X3: how fast a trained score leaves a midpoint, and the rate that follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn import bounds

from ...ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from ...ledger.quantities import Log10, Number, show_share
from ...ledger.relations import Comparison, Equality, Lower, compare
from ..midpoint.traps import flow_of_log_distance
from .field import field_mutants, find_segments, named, narrowest_field_mutant, spread, variances
from .models import TrainedModel, learned_rows
from .traps import (
    Trap,
    end_reach,
    exact_traps,
    fine_trap,
    observed,
    observed_fine,
    start_nodes,
    strip_mass,
    traps,
)

PREDICTED = Equality(rtol=0.5, atol=10.0)  # the predicted rate, to a half of it and ten runs


def rows(claim: Claim, case: Case) -> list[Verdict]:
    """The learned row of a case, where it has trained models."""
    return learned_rows(claim, case, lambda models: _row(claim, case, models))


def mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """Less of the growth exponent."""
    return field_mutants(
        claim, case, {"learned: half of Λ": lambda models: _row(claim, case, models, 0.5)}
    ) | narrowest_field_mutant(
        claim,
        case,
        "learned: (1 - {}) Λ",
        lambda models, less: _row(claim, case, models, 1.0 - less),
        0.5,
    )


def _row(
    claim: Claim, case: Case, models: Sequence[TrainedModel], growth_factor: float = 1.0
) -> Verdict:
    """growth_factor: on the learned exponent (mutant)."""
    found = [traps(case, model) for model in models]
    comparisons = _compare(case, models, found, growth_factor)

    def witness(comparison: Comparison) -> dict[str, Any]:
        place: dict[str, Any] = {"quantity": comparison.name}
        if comparison is not comparisons[0]:
            return place | {"model": models[comparison.index].name}
        each = len(found[0]) * found[0][0].width.size
        model, rest = divmod(comparison.index, each)
        node, segment = divmod(rest, found[0][0].width.size)
        pair = find_segments(case).modes[segment]
        return place | {"model": models[model].name, "t": found[model][node].t, "pair": pair}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[Hypothesis("common_sigma", 1.0, 0.0)],
        nonvacuous_share=1.0,
        witness=witness,
        unit="models × nodes × segments",
        note=_note(case, models, found),
        numbers=_numbers(case, models, found),
        tables=[_table(case, models, found)],
        model=named(models),
    )
    return claim.judge(case, finding, Basis.LEARNED)


def _compare(
    case: Case,
    models: Sequence[TrainedModel],
    found: Sequence[Sequence[Trap]],
    growth_factor: float,
) -> list[Comparison]:
    """Widths against the learned exponent, then rates against the mass of the first trap."""
    width = np.array([[trap.width for trap in every] for every in found])
    growth = growth_factor * np.array([[trap.growth for trap in every] for every in found])
    least = 2.0 * end_reach(case) * np.exp(-growth)
    coarse = [strip_mass(case, every[0].interval, every[0].t) for every in found]
    fine = [fine_trap(case, model) for model in models]
    fine_mass = [strip_mass(case, trap.interval, trap.t) for trap in fine]
    runs = [observed(case, model).ended for model in models]
    fine_runs = [observed_fine(case, model) for model in models]
    one, rates, fine_rates = (
        1.0 / runs[0].trials,
        [r.rate for r in runs],
        [r.rate for r in fine_runs],
    )
    name = "interpolation rate of DDIM against the mass of the learned trap"
    return [
        compare("width of the learned trap over l", Lower(rtol=1e-6, atol=1e-4), width, least),
        compare(f"{name}, papers' nodes", PREDICTED, rates, coarse, scale=one),
        compare(f"{name}, every late time", PREDICTED, fine_rates, fine_mass, scale=one),
    ]


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
    fine = [fine_trap(case, model) for model in models]
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
            strip_mass(case, trap.interval, trap.t) for trap in fine
        ],
        "rate at every late time observed": [observed_fine(case, model).rate for model in models],
    }
    for name, values in series.items():
        numbers |= spread(name, values)
    exact = exact_traps(case)[0].interval
    numbers["rate of DDIM with the exact score, by its own trap"] = strip_mass(case, exact, first)
    numbers["rate of the exact flow, by its own trap"] = _exact_mass(case)
    return numbers


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

r"""Eigenvalues of a trained score's flow at the midpoints.

Statement: At late times a midpoint between two close modes is a saddle for a trained score as it is
    for the exact one: of the eigenvalues of the Jacobian of $\sigma_t^2 s/\alpha_t$ there one is
    positive, along the pair, and those across it are negative; and they have the size of the exact
    ones, $l^2/(4v) - 1$ and $-1$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - saddle: $l^2 \ge 8v$, so that the exact eigenvalue is at least 1.
Measured: Jacobians of the trained models by automatic differentiation, in float64, at the midpoints
    of closest modes at late nodes of the papers' grid: the largest and the smallest real part.
Predicted: the signs; the sizes to within a factor of 2, by the exact Jacobian of the mixture.
Evidence: every midpoint of closest modes, each trained model.
Source: arXiv 2605.06831 v1, Figure E.12
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Equality, Lower, Upper, compare
from verify.measure.networks.field import field_mutants, find_segments, named, spread
from verify.measure.networks.models import TrainedModel, learned_rows
from verify.measure.saddles.learned_flip import MidpointSlopes, midpoint_slopes

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.12",
    short="midpoint spectra",
    rests_on={"P4.7 (1)": "the exact eigenvalue", "C.5": "what a learned score makes of it"},
    needs=(modes(2), one_sigma),
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That a path at the midpoint stays or leaves: the learned drift does not vanish there, and "
        "its saddles lie elsewhere (C.4). A positive eigenvalue may be too small to matter (X3)."
    ),
)

FACTOR_2 = Equality(rtol=math.log(2.0), log=True)
_SIGN = 1e-9


def check(case: Case) -> list[Verdict]:
    """Signs, then sizes."""
    return learned_rows(CLAIM, case, lambda models: _judge(case, models))


def mutants(case: Case) -> dict[str, Verdict]:
    """A node in place of the saddle; the exact score, which has the stated spectrum, with an
    eigenvalue 2.2 times as large: beside the networks' own failures no fault is narrow."""
    return field_mutants(
        CLAIM,
        case,
        {
            "unstable across the pair": lambda models: _judge(case, models, sign_across=-1.0),
            "2.2 times the eigenvalues of the exact score": lambda models: _judge(
                case, models, change=lambda slopes: _exact(slopes, 2.2)
            ),
        },
    )


def _exact(slopes: MidpointSlopes, factor: float) -> MidpointSlopes:
    """The exact spectrum, its eigenvalue along the pair times a factor, in a network's place."""
    return replace(slopes, growth=factor * slopes.exact_growth, lowest=slopes.exact_lowest)


def _judge(
    case: Case,
    models: Sequence[TrainedModel],
    sign_across: float = 1.0,
    change: Callable[[MidpointSlopes], MidpointSlopes] = lambda slopes: slopes,
) -> Verdict:
    """sign_across: -1 asks for unstable directions across the pair; change: of what was measured
    (mutants)."""
    slopes = [change(midpoint_slopes(case, model)) for model in models]
    comparisons = _compare(slopes, case.mixture.d, sign_across)

    def witness(comparison: Comparison) -> dict[str, Any]:
        shape = slopes[0].growth.shape
        model, node, segment = np.unravel_index(comparison.index, (len(slopes), *shape))
        place = {"model": models[int(model)].name, "t": int(slopes[0].times[node])}
        pair = find_segments(case).modes[segment]
        return {"quantity": comparison.name, **place, "pair": pair}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[
            Hypothesis("common_sigma", 1.0, 0.0),
            Hypothesis.from_slack("saddle", slopes[0].rate - 1.0),
        ],
        nonvacuous_share=1.0,
        witness=witness,
        unit="models × nodes × midpoints",
        note=_note(slopes, case.mixture.d),
        numbers=_numbers(slopes),
        tables=[_table(slopes)],
        model=named(models),
    )
    return CLAIM.judge(case, finding)


def _compare(slopes: Sequence[MidpointSlopes], d: int, sign_across: float) -> list[Comparison]:
    growth, lowest, exact = (
        np.array([getattr(s, name) for s in slopes])
        for name in ("growth", "lowest", "exact_growth")
    )
    found = [compare("largest eigenvalue is positive", Lower(atol=_SIGN), growth, 0.0)]
    if d > 1:
        name = "smallest eigenvalue is negative"
        found.append(compare(name, Upper(atol=_SIGN), sign_across * lowest, 0.0))
    with np.errstate(divide="ignore"):
        sizes = np.log(np.maximum(growth, 0.0)), np.log(exact)
    found.append(compare("largest eigenvalue against the exact one", FACTOR_2, *sizes))
    return found


def _note(slopes: Sequence[MidpointSlopes], d: int) -> str:
    growth = np.array([s.growth for s in slopes])
    lowest = np.array([s.lowest for s in slopes])
    ratio = growth / np.array([s.exact_growth for s in slopes])
    near = np.abs(np.log(np.maximum(ratio, 1e-300))) <= math.log(2.0)
    kept = [
        int(t) for t, row in zip(slopes[0].times, near.mean(axis=(0, 2)), strict=True) if row >= 0.5
    ]
    text = (
        f"The largest eigenvalue is negative at {int((growth <= 0.0).sum())} of "
        f"{growth.size} places"
    )
    text += f", the smallest positive at {int((lowest >= 0.0).sum())}" if d > 1 else ""
    least = f"down to t = {min(kept)}" if kept else "at no node"
    return (
        f"{text}. Most have the exact size to a factor of 2 {least}; at the last noisy node the "
        f"median is {np.median(ratio[:, -1]):.2g} of it."
    )


def _numbers(slopes: Sequence[MidpointSlopes]) -> dict[str, float | int | None]:
    numbers: dict[str, float | int | None] = {}
    series: dict[str, list[float]] = {
        "places with a negative eigenvalue along the pair": [
            float((s.growth <= 0.0).sum()) for s in slopes
        ],
        "last noisy node: median along the pair": [float(np.median(s.growth[-1])) for s in slopes],
        "median over the exact one": [
            float(np.median(s.growth[-1] / s.exact_growth[-1])) for s in slopes
        ],
        "median across the pair": [float(np.median(s.lowest[-1])) for s in slopes],
        "largest median over the nodes": [float(np.median(s.growth, axis=1).max()) for s in slopes],
    }
    for name, values in series.items():
        numbers |= spread(name, values)
    return numbers


def _table(slopes: Sequence[MidpointSlopes]) -> Table:
    rows = []
    for node, t in enumerate(slopes[0].times.tolist()):
        growth, lowest, exact, exact_lowest = (
            np.array([getattr(s, name)[node] for s in slopes])
            for name in ("growth", "lowest", "exact_growth", "exact_lowest")
        )
        medians = np.median(growth, axis=1)
        rows.append(
            (
                t,
                float(np.median(exact)),
                float(np.median(growth)),
                float(medians.min()),
                float(medians.max()),
                float(growth.min()),
                float(growth.max()),
                int((growth <= 0.0).sum()),
                float(np.median(exact_lowest)),
                float(np.median(lowest)),
                float(lowest.max()),
            )
        )
    columns = (
        "t",
        "exact, along",
        "learned, median",
        "least model",
        "largest model",
        "least midpoint",
        "largest midpoint",
        "negative",
        "exact, across",
        "learned, median across",
        "largest across",
    )
    return Table("Eigenvalues at the midpoints per unit of intrinsic time", columns, rows)

"""The learned row of C.5: does the error of a trained score turn a saddle into a trap?

The midpoint itself is no equilibrium of a learned flow, whose saddles have moved; so the row counts
two things, the sign of the slope at the midpoint and the kind of the equilibrium next to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import Mask
from mixdyn.support.checks import Array, IntArray

from ...ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from ...ledger.relations import Comparison, Equality, compare
from ..measurement import Measurement
from ..networks.field import (
    field_mutants,
    find_segments,
    flow_of,
    late_nodes,
    median,
    named,
    narrowest_field_mutant,
    spread,
    variances,
)
from ..networks.models import TrainedModel, learned_rows
from .learned import LearnedSaddles, learned_saddles

# n is an eigenvector of the exact Jacobian, so that De n is parallel to n iff J n is, J the learned
# one. Tangent of the angle between n and J n up to which the two count as parallel.
ALIGNED = 0.1
STAYS = 0.01  # how far the equilibrium may lie from the midpoint, in units of l, to count as there
_FAVOURABLE = "share where all holds, were the error not asked to vanish"


@dataclass(frozen=True, eq=False)
class MidpointSlopes:
    """One model at the midpoints. rate (M,): lambda. All others (M, P). shift: sigma_t^2 <n, De n>.
    measured: slope of the learned drift along n by differences. growth, lowest: largest and
    smallest real part of the learned eigenvalues; exact_growth, exact_lowest: of the exact ones.
    aligned: whether J n is parallel to n."""

    times: IntArray
    rate: Array
    shift: Array
    measured: Array
    growth: Array
    lowest: Array
    exact_growth: Array
    exact_lowest: Array
    aligned: Mask


@Measurement
def midpoint_slopes(case: Case, model: TrainedModel) -> MidpointSlopes:
    """Of one model of a case."""
    segments, flow, times = find_segments(case), flow_of(case, model), late_nodes(case)
    rate = bounds.midpoint_eigenvalues(segments.length, variances(case)[times])[0]
    n, y = segments.directions, segments.midpoints
    rows = []
    for t in times.tolist():
        learned, exact = flow.jacobian(y, t), flow.exact_jacobian(y, t)
        shift = np.einsum("pi,pij,pj->p", n, learned - exact, n)
        image = np.einsum("pij,pj->pi", learned, n)
        along = np.einsum("pi,pi->p", image, n)
        across = np.linalg.norm(image - along[:, None] * n, axis=1)
        slope = np.einsum("pi,pi->p", flow.differences(y, t, n[None])[:, 0], n)
        ends = [
            end(np.linalg.eigvals(jacobian).real, axis=1)
            for jacobian in (learned, exact)
            for end in (np.max, np.min)
        ]
        rows.append((shift, slope, *ends, across <= ALIGNED * np.abs(along)))
    return MidpointSlopes(times, rate, *(np.array(part) for part in zip(*rows, strict=True)))


def rows(claim: Claim, case: Case) -> list[Verdict]:
    """The learned row of a case, where it has trained models."""
    return learned_rows(claim, case, lambda models: _row(claim, case, models))


def mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """Too much of the shift."""
    return field_mutants(
        claim,
        case,
        {"learned: σ_t² counted twice": lambda models: _row(claim, case, models, 2.0)},
    ) | narrowest_field_mutant(
        claim,
        case,
        "learned: σ_t² counted 1 + {} times",
        lambda models, more: _row(claim, case, models, 1.0 + more),
        1.0,
    )


def _row(
    claim: Claim, case: Case, models: Sequence[TrainedModel], shift_factor: float = 1.0
) -> Verdict:
    """shift_factor: on the predicted shift (mutant)."""
    slopes = [midpoint_slopes(case, model) for model in models]
    saddles = [learned_saddles(case, model) for model in models]
    masks = _hypotheses(slopes, saddles)
    hypotheses = [
        Hypothesis("common_sigma", 1.0, 0.0),
        *(Hypothesis(name, float(np.mean(mask))) for name, mask in masks.items()),
    ]
    held = np.logical_and.reduce(list(masks.values()))
    if not held.any():
        finding = Finding(hypotheses=hypotheses, applicable_share=0.0, model=named(models))
        return claim.judge(case, finding, Basis.LEARNED)
    comparisons = _compare(slopes, held, shift_factor)
    where = np.argwhere(held)

    def witness(comparison: Comparison) -> dict[str, Any]:
        model, node, segment = where[comparison.index].tolist()
        modes = find_segments(case).modes[segment]
        place = {"model": models[model].name, "t": int(slopes[0].times[node]), "pair": modes}
        return {"quantity": comparison.name, **place}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=hypotheses,
        applicable_share=float(np.mean(held)),
        nonvacuous_share=1.0,
        witness=witness,
        unit="models × nodes × midpoints",
        note=_note(slopes, saddles),
        numbers=_numbers(slopes, saddles) | {_FAVOURABLE: _share(masks, "saddle", "aligned")},
        tables=[_table(slopes, saddles)],
        model=named(models),
    )
    return claim.judge(case, finding, Basis.LEARNED)


def _hypotheses(
    slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles]
) -> dict[str, Mask]:
    """By hypothesis, at which midpoints of which model and node it holds, (models, M, P)."""
    aligned = np.array([s.aligned for s in slopes])
    stays = np.array([s.found & (np.abs(s.z) <= STAYS) & (s.off <= STAYS) for s in saddles])
    saddle = np.broadcast_to(slopes[0].rate[:, None] > 0.0, aligned.shape)
    return {"saddle": saddle, "vanishing": stays, "aligned": aligned}


def _share(masks: Mapping[str, Mask], *names: str) -> float:
    return float(np.mean(np.logical_and.reduce([masks[name] for name in names])))


def _compare(slopes: Sequence[MidpointSlopes], held: Mask, shift_factor: float) -> list[Comparison]:
    rate = np.broadcast_to(slopes[0].rate[:, None], held.shape)[held]
    shift, measured, growth = (
        np.array([getattr(s, name) for s in slopes])[held]
        for name in ("shift", "measured", "growth")
    )
    want = rate + shift_factor * shift
    name = "slope along the pair at the midpoint"
    # lambda is that of two modes alone: third modes add e^(-k) k^2 to it.
    return [
        compare(name, Equality(atol=1e-3), measured, want, scale=rate + 1.0),
        compare("stable", Equality(atol=0.5), growth < 0.0, want < 0.0),
    ]


def _stable(saddles: Sequence[LearnedSaddles]) -> int:
    return sum(int((s.unstable == 0).sum()) for s in saddles)


def _note(slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles]) -> str:
    growth = np.array([s.growth for s in slopes])
    found = sum(int(s.found.sum()) for s in saddles)
    removed = np.median([-s.shift[-1] / s.rate[-1] for s in slopes])
    distance = median(np.array([np.abs(s.z[-1]) for s in saddles]))
    speed = max(float(np.abs(s.delta).max()) for s in saddles)
    return (
        f"Trapping by a sink: {int((growth < 0.0).sum())} of {growth.size} Jacobians at midpoints "
        f"are stable, and {_stable(saddles)} of the {found} equilibria next to them, which lie "
        f"{distance:.2g} l away at the last noisy node (median). There the error takes away "
        f"{removed:.5g} of λ (median), where 1 would flip it. It drives the midpoints themselves "
        f"at up to {speed:.2g} l per unit of intrinsic time, so that the slope there is the "
        "eigenvalue of an equilibrium only where they stay."
    )


def _numbers(
    slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles]
) -> dict[str, float | int | None]:
    numbers: dict[str, float | int | None] = {
        "midpoints with a stable Jacobian": int(sum((s.growth < 0.0).sum() for s in slopes)),
        "midpoints with a negative slope along the pair": int(
            sum((s.measured < 0.0).sum() for s in slopes)
        ),
        "stable equilibria between the modes": _stable(saddles),
        "called wrongly by the criterion": int(
            sum(((s.growth < 0.0) != (s.rate[:, None] + s.shift < 0.0)).sum() for s in slopes)
        ),
    }
    shares = [float(np.mean(s.growth[-1] < 0.0)) for s in slopes]
    numbers |= spread("share of midpoints with a stable Jacobian, last noisy node", shares)
    numbers |= spread(
        "median learned slope, last noisy node", [float(np.median(s.measured[-1])) for s in slopes]
    )
    numbers |= spread(
        "least eigenvalue of a learned saddle along its unstable direction",
        [float(np.min(s.growth, where=s.found, initial=np.inf)) for s in saddles],
    )
    return numbers


def _table(slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles]) -> Table:
    rows = []
    for node, t in enumerate(slopes[0].times.tolist()):
        measured, growth, shift = (
            np.array([getattr(s, name)[node] for s in slopes])
            for name in ("measured", "growth", "shift")
        )
        medians = np.median(measured, axis=1)
        stable = (growth < 0.0).sum(axis=1)
        rate = float(slopes[0].rate[node])
        rows.append(
            (
                t,
                rate,
                float(np.median(measured)),
                float(medians.min()),
                float(medians.max()),
                float(measured.min()),
                float(np.median(-shift / rate)),
                ", ".join(str(count) for count in stable),
                sum(int((s.unstable[node] == 0).sum()) for s in saddles),
                median(np.array([s.growth[node] for s in saddles])),
            )
        )
    columns = (
        "t",
        "λ",
        "learned slope, median",
        "least model",
        "largest model",
        "least midpoint",
        "part of λ taken away, median",
        f"stable of {slopes[0].growth.shape[1]} midpoints, by model",
        "stable equilibria",
        "growth at the learned saddles, median",
    )
    return Table("Slope of the learned drift at the midpoints", columns, rows)

"""The learned row of C.4: where a trained score's saddles are, and where they should be.

Beside the statement, whose eigenvalue is that of the exact field, stands the same formula with the
learned slope at the midpoint: the slope of the error is of the size of the eigenvalue itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn.geometry import Mask
from mixdyn.support.checks import Array
from mixdyn.support.numbers import show_share

from ...ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from ...ledger.relations import Comparison, Equality, Upper, compare
from ..networks.field import (
    error_table,
    field_mutants,
    find_segments,
    median,
    named,
    root_mean_square,
    segment_errors,
    spread,
    variances,
)
from ..networks.models import TrainedModel, learned_rows
from ..paths import KAPPA
from .learned import LearnedSaddles, learned_saddles

ABOUT = Equality(rtol=0.5, atol=0.01)  # "about -delta/lambda": to a half, or to 1 % of l


def rows(claim: Claim, case: Case) -> list[Verdict]:
    """The learned row of a case, where it has trained models."""
    return learned_rows(claim, case, lambda models: _row(claim, case, models))


def mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """The error with the wrong sign."""
    return field_mutants(
        claim,
        case,
        {"learned: error of the other sign": lambda models: _row(claim, case, models, -1.0)},
    )


def _row(
    claim: Claim, case: Case, models: Sequence[TrainedModel], error_factor: float = 1.0
) -> Verdict:
    """error_factor: on the predicted error (mutant)."""
    saddles = [learned_saddles(case, model) for model in models]
    k = find_segments(case).length ** 2 / variances(case)[saddles[0].times]
    found = np.array([s.found for s in saddles])
    dominance = np.array([np.where(s.found, s.dominance, -math.inf) for s in saddles])
    hypotheses = [
        Hypothesis("common_sigma", 1.0, 0.0),
        Hypothesis.from_slack("saddle", _rate(k) - 1.0),
        Hypothesis("dominance", float(np.mean(dominance >= KAPPA))),
    ]
    chosen = found & (dominance >= KAPPA) & (_rate(k) >= 1.0)
    if not chosen.any():
        finding = Finding(hypotheses=hypotheses, applicable_share=0.0, model=named(models))
        return claim.judge(case, finding, Basis.LEARNED)
    comparisons = _compare(saddles, k, chosen, error_factor)
    where = np.argwhere(chosen)

    def witness(comparison: Comparison) -> dict[str, Any]:
        model, node, segment = where[comparison.index].tolist()
        modes = find_segments(case).modes[segment]
        place = {"model": models[model].name, "t": int(saddles[0].times[node]), "pair": modes}
        return {"quantity": comparison.name, **place, "z": saddles[model].z[node, segment]}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=hypotheses,
        applicable_share=float(np.mean(chosen)),
        nonvacuous_share=_telling(saddles, k, chosen),
        witness=witness,
        unit="models × nodes × midpoints",
        note=_note(case, models, saddles, chosen),
        numbers=_numbers(saddles, k, chosen),
        tables=[_table(saddles, k), error_table(case, models)],
        model=named(models),
    )
    return claim.judge(case, finding, Basis.LEARNED)


def _compare(
    saddles: Sequence[LearnedSaddles], k: Array, chosen: Mask, error_factor: float
) -> list[Comparison]:
    """The shift against -delta/lambda with delta at the midpoint; then what the statement allows
    beyond -delta/lambda with delta at the saddle, twice that of two modes."""
    rate = _rate(k)
    z, delta, there = (
        np.array([getattr(s, name) for s in saddles]) for name in ("z", "delta", "delta_there")
    )
    allowed = (k / (6.0 * math.sqrt(3.0)) * k)[:, None] / rate * z**2
    predicted = -error_factor * delta / rate
    left = np.abs(z + error_factor * there / rate)
    tolerance = Upper(rtol=1e-6, atol=1e-6)
    return [
        compare("shift over l, against -δ/λ", ABOUT, z[chosen], predicted[chosen]),
        compare("beyond -δ/λ, δ at the saddle", tolerance, left[chosen], allowed[chosen]),
    ]


def _rate(k: Array) -> Array:
    """lambda at every node, (M, 1)."""
    return (k / 4.0 - 1.0)[:, None]


def _telling(saddles: Sequence[LearnedSaddles], k: Array, chosen: Mask) -> float:
    """Share of the saddles at which the bound beyond -delta/lambda is below the shift itself."""
    z = np.abs(np.array([s.z for s in saddles]))[chosen]
    slope = np.broadcast_to((k**2 / (6.0 * math.sqrt(3.0)))[:, None] / _rate(k), chosen.shape)
    return float(np.mean(slope[chosen] * z < 1.0))


def _near(z: Array, predicted: Array) -> Array:
    """Where the shift is as predicted, to the tolerance of the comparison; False where unknown."""
    return np.asarray(np.nan_to_num(ABOUT.excess(z, predicted), nan=np.inf) <= 1.0)


def _numbers(
    saddles: Sequence[LearnedSaddles], k: Array, chosen: Mask
) -> dict[str, float | int | None]:
    rate, last = _rate(k), -1
    numbers: dict[str, float | int | None] = {
        "equilibria between the modes: searched": int(chosen.size),
        "found": int(sum(s.found.sum() for s in saddles)),
        "of them saddles": int(sum((s.unstable == 1).sum() for s in saddles)),
        "of them stable": int(sum((s.unstable == 0).sum() for s in saddles)),
        "segments on which the drift has further zeros": int(
            sum((s.crossings > 1).sum() for s in saddles)
        ),
    }
    near, with_net = (
        [
            float(np.mean(_near(s.z, -s.delta / slope).reshape(s.z.shape)[held]))
            for s, held, slope in zip(saddles, chosen, slopes, strict=True)
            if held.any()
        ]
        for slopes in ([rate] * len(saddles), [s.slope_net for s in saddles])
    )
    numbers |= spread("share with shift about -δ/λ", near)
    numbers |= spread("share with shift about -δ/λ', λ' the learned slope", with_net)
    shifts = [root_mean_square(s.z[last]) for s in saddles]
    numbers |= spread("rms shift at the last noisy node, over l", shifts)
    numbers |= spread(
        "rms of δ/λ at the last noisy node",
        [root_mean_square(s.delta[last] / rate[last]) for s in saddles],
    )
    return numbers


def _note(
    case: Case, models: Sequence[TrainedModel], saddles: Sequence[LearnedSaddles], chosen: Mask
) -> str:
    found = sum(int(s.found.sum()) for s in saddles)
    stable = sum(int((s.unstable == 0).sum()) for s in saddles)
    further = sum(int((s.crossings > 1).sum()) for s in saddles)
    errors = [segment_errors(case, model) for model in models]
    rate = _rate(find_segments(case).length ** 2 / variances(case)[saddles[0].times])
    slope = np.mean([(s.slope - s.slope_net)[-1] for s in saddles]) / float(rate[-1, 0])
    along, towards = (
        float(np.mean([getattr(e, name)[-1] for e in errors]))
        for name in ("share_along", "share_towards")
    )
    return (
        f"Of {chosen.size} searches {chosen.size - found} found no equilibrium between the modes; "
        f"{stable} of the others are stable, and on {further} segments the drift has further zeros "
        "between the modes. The formula takes De to be small against λ; at the "
        f"last noisy node σ_t² De takes away {slope:.4g} of λ. There {show_share(along)} of the "
        f"squared error lies along the pair and {show_share(towards)} of that points to the "
        "midpoint."
    )


def _table(saddles: Sequence[LearnedSaddles], k: Array) -> Table:
    rate = _rate(k)
    rows = []
    for node, t in enumerate(saddles[0].times.tolist()):
        here = [(s.z[node], s.delta[node], s.slope_net[node]) for s in saddles]
        z, delta, net = (np.array(part) for part in zip(*here, strict=True))
        near = np.array([_near(a, -b / rate[node]) for a, b in zip(z, delta, strict=True)])
        off = [root_mean_square(s.off[node]) for s in saddles]
        rms = [root_mean_square(part) for part in z]
        rows.append(
            (
                t,
                float(rate[node, 0]),
                float(np.median(net)),
                root_mean_square(delta),
                root_mean_square(delta / rate[node]),
                root_mean_square(z),
                min(rms),
                max(rms),
                median(np.abs(z + delta / net)),
                float(np.mean(near)),
                float(np.mean(off)),
            )
        )
    columns = (
        "t",
        "λ",
        "learned slope, median",
        "rms δ",
        "rms δ/λ",
        "rms shift over l",
        "least model",
        "largest model",
        "median beyond -δ/(learned slope)",
        "share about -δ/λ",
        "rms distance from the line",
    )
    return Table("Learned saddles next to the midpoints of closest modes", columns, rows)

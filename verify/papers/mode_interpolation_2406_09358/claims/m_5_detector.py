r"""The variance of $\hat x_0$ along the last steps tells hallucinations from the rest.

Statement: On each shipped network a threshold on Hal, the variance of the predicted $\hat x_0$ over
    the last steps, removes 95 % of the hallucinations and keeps 98 % of the other samples in one
    dimension (last 15 steps), and removes 96 % and keeps 95 % on the 5 x 5 grid.
Hypotheses: none.
Measured: DDPM from noise on trained networks of the paper's problems. A hallucination ends more
    than 6 (in the plane 5) sigma from every mode. On lines 100,000 of them and as many other
    samples are drawn from the chain conditioned on its end, in the plane chains are sorted by
    their end. The share of hallucinations above the level that keeps the stated share of the
    others, both numbers at this one level. In the plane, for which the paper's text fixes no
    window, one half of both populations chooses it and the other half is counted.
Predicted: at least 95 % on each network in one dimension, at least 96 % on each in the plane.
Evidence: learned. It holds where the level that beyond doubt keeps the stated share of the others
    (a nonparametric tolerance limit) still removes as many hallucinations, and fails where one
    that beyond doubt keeps no more removes fewer; every interval misses with probability 1e-6.
    Beside it: the window that one half finds best on lines too, the reading most favourable to the
    paper; AUC with DeLong's standard error, and rivals: the entropy of the exact posterior and the
    distance to the bisector along the same steps (both need the modes), and the likelihood ratio
    of Hal over all windows, fitted on one half and evaluated on the other.
Source: arXiv 2406.09358 v2, section 5
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from mixdyn.problem.schedule import NoiseSchedule
from verify.data.saved import words_on_code
from verify.ledger.claim import Basis, Case, Claim, Finding, Origin, Table, Verdict
from verify.ledger.relations import Comparison, Outcome, Statistical, compare_rate
from verify.measure.interpolation import problems as interpolation_problems
from verify.measure.interpolation.detector import (
    LINE,
    LINE_WINDOW,
    PLANE,
    WINDOWS,
    Detection,
    saved,
)
from verify.measure.interpolation.networks import on_standard

CLAIM = Claim.from_docstring(
    __doc__,
    id="M5",
    short="the detector",
    rests_on={"M5'": "the law of Hal inside one mode"},
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That one window or one level serves every problem or another network: it has to lie where "
        "a mode owns the path, and the level comes from samples whose class is known. In the "
        "closed law of M5' a level could be computed without them, but networks move the denoised "
        "point more than the exact score does (see the table)."
    ),
)

_MIXED = 0.06  # more than the share removed can spare

Change = Callable[[Sequence[Detection]], Sequence[Detection]]


def check(case: Case) -> list[Verdict]:
    """The operating points of the paper."""
    return _rows(case, tuple)


def mutants(case: Case) -> dict[str, Verdict]:
    """Other samples among the hallucinations: a few on the one network that does best, so that no
    network's own failure hides theirs; and nothing else on all."""
    changes: dict[str, Change] = {
        f"{_MIXED:.0%} other samples among the hallucinations of the best network": _spoilt,
        "one population in place of two": lambda found: [d.mixed(1.0) for d in found],
    }
    return {name: row for name, change in changes.items() for row in _rows(case, change)}


def _spoilt(detections: Sequence[Detection]) -> list[Detection]:
    """The network with most hallucinations removed on a line, some of them replaced."""

    def removed(d: Detection) -> float:
        return d.removed(LINE_WINDOW, d.level(LINE_WINDOW, LINE[0])).rate

    lines = [d for d in detections if d.d == 1] or list(detections)
    return [max(lines, key=removed).mixed(_MIXED)]


def _rows(case: Case, change: Change) -> list[Verdict]:
    def saved_row() -> list[Verdict]:
        detections, about = saved()
        verdict = CLAIM.judge(case, _judge(change(detections), about))
        return [dataclasses.replace(verdict, origin=Origin.STORED, seed=int(about["seed"]))]

    return on_standard(CLAIM, case, Basis.LEARNED, saved_row)


def _judge(detections: Sequence[Detection], about: dict[str, object]) -> Finding:
    return Finding(
        comparisons=[_at_window(d, *_reading(d)) for d in detections],
        nonvacuous_share=1.0,
        witness=lambda c: {"compared": c.name, "seed": about["seed"]},
        unit="hallucinations",
        note=f"Stored measurement of `python -m verify.measure.interpolation.detector`, commit "
        f"{str(about['commit'])[:12]}, {about['hardware']}. {words_on_code(about)}".strip(),
        numbers={**_favourable(detections), **_told_apart(detections)},
        tables=[_windows(detections), _rivals(detections), _closed(detections)],
        model=", ".join(d.name for d in detections),
    )


def _reading(detection: Detection) -> tuple[int, bool]:
    """The paper's window, or the one that the first half of both populations chooses; and whether
    the second half alone is counted."""
    if detection.d == 1:
        return LINE_WINDOW, False
    return detection.best_window(PLANE[0]), True


def _at_window(detection: Detection, window: int, rest: bool) -> Comparison:
    """Both numbers of the statement at one level; rest: on the second half of both populations."""
    kept, removed = LINE if detection.d == 1 else PLANE
    name = f"{detection.name}, last {window} steps, {100 * kept:g} % kept: share removed"
    lenient, strict = (
        compare_rate(
            name, Statistical("lower"), detection.removed(window, level, rest=rest), removed
        )
        for level in detection.sure_levels(window, kept, rest=rest)
    )
    if lenient.outcome is Outcome.FAILS:
        return lenient
    if strict.outcome is Outcome.HOLDS:
        return strict
    between = min(max(float(strict.excess or 0.0), -1.0), 1.0)
    return dataclasses.replace(strict, outcome=Outcome.INCONCLUSIVE, excess=between)


def _favourable(detections: Sequence[Detection]) -> dict[str, float]:
    """On lines the window that the first half chooses, and what the second half says of it."""
    numbers: dict[str, float] = {}
    for d in (d for d in detections if d.d == 1):
        window = d.best_window(LINE[0])
        level = d.sure_levels(window, LINE[0], rest=True)[1]
        what = f"most favourable window, {d.name}"
        numbers[f"{what}: steps"] = window
        numbers[f"{what}: removed where {100 * LINE[0]:g} % are kept"] = d.removed(
            window, level, rest=True
        ).rate
    return numbers


def _told_apart(detections: Sequence[Detection]) -> dict[str, float]:
    return {f"l^2/(8 v) where the best window begins, {d.name}": _owned(d) for d in detections}


def _owned(detection: Detection) -> float:
    """How far the two nearest modes are told apart at the first step of the window of largest
    AUC: l^2/(8 v), the exponent of the density at their midpoint."""
    schedule: NoiseSchedule = interpolation_problems.schedule()
    window = max(WINDOWS, key=lambda w: detection.areas[f"Hal, {w} steps"][0])
    if detection.d == 1:
        length, sigma = 1.0, interpolation_problems.SIGMA
    else:
        grid = interpolation_problems.grid()
        length, sigma = float(np.linalg.norm(grid.means[1] - grid.means[0])), float(grid.sigma)
    return float(length**2 / (8.0 * schedule.effective_variance(sigma)[window]))


def _windows(detections: Sequence[Detection]) -> Table:
    """AUC and operating points, window by window."""
    rows = []
    for d in detections:
        kept = (LINE if d.d == 1 else PLANE)[0]
        for window in WINDOWS:
            area, error = d.areas[f"Hal, {window} steps"]
            level = d.level(window, kept)
            removed = d.removed(window, level)
            rows.append(
                (
                    *(d.name, window, removed.trials, area, error),
                    *(d.kept(window, level).rate, removed.rate, *removed.interval()),
                )
            )
    columns = (
        *("network", "window", "hallucinations", "AUC", "standard error", "kept"),
        *("removed", "from", "to"),
    )
    return Table("Hal over windows of different length, 95 % intervals", columns, rows)


def _rivals(detections: Sequence[Detection]) -> Table:
    """The best window against statistics that know more."""
    rows: list[tuple[float | str, ...]] = []
    for d in detections:
        hal = max(d.areas[f"Hal, {w} steps"] for w in WINDOWS)
        others = [v for k, v in d.areas.items() if not k.startswith("Hal")]
        rows.append((d.name, *hal, *(cell for pair in others for cell in pair)))
    names = [k for k in detections[0].areas if not k.startswith("Hal")]
    heads = [cell for name in ("Hal, best window", *names) for cell in (name, "standard error")]
    caption = (
        "AUC of Hal and of its rivals; the likelihood ratio is fitted on half of the "
        "hallucinations and falls behind where they are few"
    )
    return Table(caption, ("network", *heads), rows)


def _closed(detections: Sequence[Detection]) -> Table:
    """Where the level of the closed law would cut."""
    rows = []
    for d in detections:
        law = d.about["closed law"]
        rows.append(
            (
                *(d.name, d.about["points"], d.about["share"]),
                "law of the chain" if d.about["conditioned"] else "count",
                *(law["level"], law["mean of right"], 1.0 - law["right above"] / law["right"]),
            )
        )
    columns = (
        *("network", "training points", "hallucinations in all", "by"),
        *("level that keeps 98 % in one mode", "mean Hal measured", "kept by it"),
    )
    return Table("The closed law of one mode against trained networks, 15 steps", columns, rows)

r"""The variance of $\hat x_0$ along the last steps tells hallucinations from the rest.

Statement: A threshold on Hal, the variance of the predicted $\hat x_0$ over the last steps, removes
    95 % of the hallucinations and keeps 98 % of the other samples in one dimension (last 15
    steps), and removes 96 % and keeps 95 % on the 5 x 5 grid.
Hypotheses:
    - undecided: hallucinations come from paths whose second mode still has a posterior probability
      of at least 0.02 at time 16, the only ones that are run in numbers.
Measured: DDPM on trained networks of the paper's problems, from the exact $p_t$ at $t = 16$. A
    hallucination ends more than 6 (in the plane 5) sigma from every mode. The share of them above
    the level that keeps the stated share of the others: one half of these sets the level. In the
    plane, for which the paper's text fixes no window, one half of the hallucinations chooses it
    and the other half is counted.
Predicted: at least 95 % over the networks in one dimension, at least 96 % on each in the plane.
Evidence: learned; decided only where the Clopper-Pearson interval, which misses with probability
    1e-6, lies on one side. AUC with DeLong's standard error, windows, and rivals: the entropy of
    the exact posterior and the distance to the bisector along the same steps (both need the
    modes), and the likelihood ratio of Hal over all windows, fitted on one half and evaluated on
    the other.
Source: arXiv 2406.09358 v2, section 5
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from mixdyn.schedule import NoiseSchedule
from mixdyn.statistics import Proportion
from verify import interpolation_problems
from verify.claim import Basis, Case, Claim, Finding, Hypothesis, Origin, Table, Verdict
from verify.relations import Comparison, Statistical, compare_rate
from verify.trained.detector import WINDOWS, Detection, saved
from verify.trained.interpolation import on_standard

CLAIM = Claim.from_docstring(
    __doc__,
    id="M5",
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That one window or one level serves every problem: it has to lie where a mode owns the "
        "path, and the level comes from samples whose class is known. In the closed law of M5' a "
        "level could be computed without them, but networks move the denoised point more than "
        "the exact score does (see the table)."
    ),
)

_LINE_WINDOW = 15
_LINE, _PLANE = (0.98, 0.95), (0.95, 0.96)  # the share kept, the share removed

Change = Callable[[Detection], Detection]


def check(case: Case) -> list[Verdict]:
    """The operating points of the paper."""
    return _rows(case, lambda detection: detection)


def mutants(case: Case) -> dict[str, Verdict]:
    """The populations under each other's names; both mixed together."""
    changes: dict[str, Change] = {
        "populations swapped": Detection.swapped,
        "one population in place of two": lambda d: dataclasses.replace(d, wrong=d.right),
    }
    return {name: row for name, change in changes.items() for row in _rows(case, change)}


def _rows(case: Case, change: Change) -> list[Verdict]:
    def saved_row() -> list[Verdict]:
        detections, about = saved()
        verdict = CLAIM.judge(case, _judge([change(d) for d in detections], about))
        return [dataclasses.replace(verdict, origin=Origin.STORED, seed=int(about["seed"]))]

    return on_standard(CLAIM, case, Basis.LEARNED, saved_row)


def _judge(detections: Sequence[Detection], about: dict[str, object]) -> Finding:
    lines, planes = ([d for d in detections if d.d == d_] for d_ in (1, 2))
    plain = [d.about["plain"] for d in detections]
    wrong = sum(p["wrong"] for p in plain)
    undecided = sum(p["of them undecided"] for p in plain)
    return Finding(
        comparisons=[_on_lines(lines), *map(_in_plane, planes)],
        hypotheses=[Hypothesis("undecided", undecided / max(wrong, 1))],
        nonvacuous_share=1.0,
        witness=lambda c: {"compared": c.name, "seed": about["seed"]},
        unit="hallucinations",
        note=f"Stored measurement of `python -m verify.trained.detector`, commit "
        f"{str(about['commit'])[:12]}, {about['hardware']}.",
        numbers={
            f"l^2/(8 v) where the best window begins, {d.name}": _owned(d) for d in detections
        },
        tables=[_windows(detections), _rivals(detections), _closed(detections)],
        model=", ".join(d.name for d in detections),
    )


def _on_lines(lines: Sequence[Detection]) -> Comparison:
    """All networks in one dimension together: each one's hallucinations above its own level."""
    kept, removed = _LINE
    found = [d.removed(_LINE_WINDOW, kept) for d in lines]
    total = Proportion(sum(p.successes for p in found), sum(p.trials for p in found))
    name = f"one dimension, last {_LINE_WINDOW} steps, {100 * kept:g} % kept: share removed"
    return compare_rate(name, Statistical("lower"), total, removed)


def _in_plane(detection: Detection) -> Comparison:
    kept, removed = _PLANE
    window = detection.best_window(kept)
    name = f"{detection.name}, last {window} steps, {100 * kept:g} % kept: share removed"
    found = detection.removed(window, kept, rest=True)
    return compare_rate(name, Statistical("lower"), found, removed)


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
        kept = (_LINE if d.d == 1 else _PLANE)[0]
        for window in WINDOWS:
            area, error = d.areas[f"Hal, {window} steps"]
            removed = d.removed(window, kept)
            rows.append(
                (
                    *(d.name, window, int(d.wrong[0].sum()), area, error, kept),
                    *(d.kept(window, kept).rate, removed.rate, *removed.interval()),
                )
            )
    columns = (
        *("network", "window", "hallucinations", "AUC", "standard error", "to keep", "kept"),
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
        plain = d.about["plain"]
        rare = d.about["rare"]
        share = rare["wrong"] / rare["tried"]  # of all paths: the rest start decided
        rows.append(
            (
                *(d.name, d.about["points"], share, plain["wrong"] / plain["n"], law["level"]),
                *(law["mean of right"], 1.0 - law["right above"] / law["right"]),
            )
        )
    columns = (
        *("network", "training points", "hallucinations from undecided starts, of all paths"),
        *("in all", "level that keeps 98 % in one mode", "mean Hal measured", "kept by it"),
    )
    return Table("The closed law of one mode against trained networks, 15 steps", columns, rows)

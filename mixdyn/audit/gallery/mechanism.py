"""Does a sampler return the data's law as its steps grow, and why not: from its rows alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from enum import IntEnum, StrEnum

from ..card import NAMED
from .rows import Row

_RIGHT = 0.02  # relative: of a spread that is right
_MEAN = 0.05  # standard deviations of the data: of a mean that is
_OUTSIDE = 1e-3  # share of a mixture: of modes that are kept
_CLOCK = 0.02
_SAME = 0.07  # relative: a spread that the last level explains
_WIDE = 0.05  # standard deviations from which on steps matter more than the end
_STALLED = 0.2  # an order that is none
_UNEVEN = 3.0  # quotient of neighbouring steps


class Law(IntEnum):
    """What a sampler returns at its largest number of steps."""

    ALL = 0
    ALL_BUT_FINE = 1
    NOT = 2
    BACKWARDS = 3


class End(StrEnum):
    """What its last level makes of data finer than that."""

    RIGHT = "returned as they are"
    NOISE = "the noise of the last level is left in"
    MEAN = "posterior mean at the last level"
    OTHER = "another last step"


def ending(row: Row, k: int = 0) -> tuple[End, float | None]:
    """What becomes of data of the k-th standard deviation, and the share of their spread that the
    last level explains."""
    std, gain, last, end = NAMED[k], row["gain"][k], row["asked"][1], row["end"]
    known = math.hypot(1.0, end / std) if end else last and 1.0 / math.hypot(1.0, last / std)
    if _off(row, k) <= _RIGHT:
        return End.RIGHT, known
    if known is None or abs(gain / known - 1.0) >= _SAME:
        return End.OTHER, known
    return (End.NOISE if end else End.MEAN), known


@dataclasses.dataclass(frozen=True)
class Judgement:
    """since: steps from which on it is so, None where that is said of no number of steps; why: the
    mechanism, in words."""

    law: Law
    since: int | None
    why: str


def judge(rows: Sequence[Row]) -> Judgement:
    """Of the cards of one sampler, at least one of them no failure."""
    done = sorted((row for row in rows if "error" not in row), key=lambda row: row["n_eval"])
    last = done[-1]
    if last["asked"][0] is not None and last["asked"][0] < last["asked"][1]:
        return Judgement(Law.BACKWARDS, None, "it runs from data to noise")
    law = _law(last)
    since = None
    for row in reversed(done):
        if _law(row) > law:
            break
        since = row["steps"]
    parts = [*_ends(last), *_clock(last), *_steps(done), *_mean(last), *_modes(last)]
    if last["why"]:
        parts.append(f"it is not affine ({last['why']})")
    if any(row["seeded"] is False for row in done):
        parts.append("the same seed gives another sample")
    parts += _failures(rows)
    found = "; ".join(parts) or "nothing above 2 % was found"
    return Judgement(law, None if law == Law.NOT else since, found)


def _off(row: Row, k: int) -> float:
    """How far the spread at the k-th standard deviation is off, beyond its interval."""
    return max(abs(row["gain"][k] - 1.0) - row["gain_half"] * row["gain"][k], 0.0)


def _law(row: Row) -> Law:
    wrong = [k for k, std in enumerate(NAMED) if _off(row, k) > _RIGHT]
    coarse = any(NAMED[k] > _WIDE for k in wrong)
    means = zip(row["mean_error"], NAMED, strict=True)
    if coarse or _share(row) > _OUTSIDE or any(abs(m) > _MEAN * std for m, std in means):
        return Law.NOT
    return Law.ALL_BUT_FINE if wrong else Law.ALL


def _share(row: Row) -> float:
    return row["outside"][0] / row["outside"][1]


def _ends(row: Row) -> list[str]:
    """Where its levels end, and what that makes of the finest data that come out wrong."""
    fine = [k for k, std in enumerate(NAMED) if std <= _WIDE and _off(row, k) > _RIGHT]
    if not fine or row["asked"][1] is None:
        return []
    last, end, std = row["asked"][1], row["end"], NAMED[fine[0]]
    (kind, known), spread = ending(row, fine[0]), f"{row['gain'][fine[0]]:.3g} of the spread {std}"
    if end:
        left = "and leaves that in:" if kind == End.NOISE else f"({known:.3g} with that alone),"
        return [f"it returns at noise {end:.3g} {left} {spread}"]
    if kind == End.MEAN:
        return [
            f"its last call is at noise {last:.3g}, and one step from there returns the posterior "
            f"mean, {spread}"
        ]
    return [
        f"the step from its last call, at noise {last:.3g}, returns {spread} where the posterior "
        f"mean has {known:.3g}"
    ]


def _clock(row: Row) -> list[str]:
    call, error, asked, true = row["clock"]
    if error is None or abs(error) <= _CLOCK or true is None:
        return []
    return [f"at call {call} its state has noise {true:.3g} where it asks the model at {asked:.3g}"]


def _steps(done: Sequence[Row]) -> list[str]:
    """What more steps do to the spread that is farthest off, of those that no end explains."""
    last = done[-1]
    k = max(range(len(NAMED)), key=lambda k: (NAMED[k] > _WIDE) * _off(last, k))
    if NAMED[k] <= _WIDE or _off(last, k) <= _RIGHT:
        return []
    uneven = (last["quotient"] or 0.0) > _UNEVEN
    found = [f"neighbouring steps in log noise differ by up to {last['quotient']:.3g}"] * uneven
    text = f"at {NAMED[k]} it returns {last['gain'][k]:.3g} of the spread"
    before = next((row for row in reversed(done[:-1]) if row["n_eval"] < last["n_eval"]), None)
    if before is None or last["why"]:
        return [text, *found]
    errors = [abs(row["gain"][k] - 1.0) for row in (before, last)]
    slope = math.log(errors[0] / errors[1]) / math.log(last["n_eval"] / before["n_eval"])
    if slope < -_STALLED:
        text += f", worse than {before['gain'][k]:.3g} at {before['n_eval']:g} evaluations"
    elif slope < _STALLED:
        text += f", as at {before['n_eval']:g} evaluations ({before['gain'][k]:.3g})"
    else:
        text += f", and the error falls as evaluations^-{slope:.2g}"
    return [text, *found]


def _mean(row: Row) -> list[str]:
    k = max(range(len(NAMED)), key=lambda k: abs(row["mean_error"][k]) / NAMED[k])
    if abs(row["mean_error"][k]) <= _MEAN * NAMED[k]:
        return []
    return [f"the mean of data of spread {NAMED[k]} is {row['mean_error'][k]:+.3g} off"]


def _modes(row: Row) -> list[str]:
    return [f"{100.0 * _share(row):.2g} % of M ends outside"] if _share(row) > _OUTSIDE else []


def _failures(rows: Sequence[Row]) -> list[str]:
    failed = [row for row in rows if "error" in row]
    if not failed:
        return []
    counts = ", ".join(str(row["steps"]) for row in failed)
    return [f"with {counts} steps it fails ({fault(failed[-1])})"]


def fault(row: Row) -> str:
    """What was received, of a row's error."""
    found = row["error"].partition("received ")[2] or row["error"]
    return found.partition(". ")[0].removesuffix(".")

"""Does a sampler return the data's law as its steps grow, and why not: from its rows alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from enum import IntEnum, StrEnum

from ...support.numbers import show_share
from ..card import NAMED
from ..right import CLOCK, MEAN, OUTSIDE, SPREAD, mean_off, spread_off
from .rows import Row

_SAME = 0.07  # relative: a spread that the last level explains
_WIDE = 0.05  # standard deviations from which on steps matter more than the end
_STALLED = 0.2  # an order that is none
_UNEVEN = 3.0  # quotient of neighbouring steps
ROUNDED = 2e-5  # of a spread: what rows tell of an error


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
    known = math.hypot(1.0, end / std) if end else None
    if not end and last is not None:
        known = 1.0 / math.hypot(1.0, last / std)
    if _off(row, k) <= SPREAD:
        return End.RIGHT, known
    if known is None or abs(gain / known - 1.0) >= _SAME:
        return End.OTHER, known
    return (End.NOISE if end else End.MEAN), known


class Mechanism(StrEnum):
    """What keeps a sampler from the data's law, the first of these that applies."""

    NONE = "nothing above 2 % was found"
    CONSISTENCY = (
        "made for consistency maps: it takes the prediction for the end of the flow, which the "
        "posterior mean is not"
    )
    NOT_AFFINE = "it clips, thresholds or adapts its steps"
    STALLED = "its steps err at spreads wider than 0.05, and more steps make it no better"
    SLOW = "its steps still err at spreads wider than 0.05; the error falls as steps are added"
    ONCE = "its steps err at spreads wider than 0.05; only one number of steps ran"
    OTHERWISE = "the mean, or the share between modes, is off"
    SHRUNK = "the last step returns the posterior mean: what is finer than the last level shrinks"
    NOISY = "it returns at a noise level: fine data come out with that noise"
    WIDE = "fine data come out too wide, which its last level does not explain"
    NARROW = "fine data come out too narrow, which its last level does not explain"


@dataclasses.dataclass(frozen=True)
class Judgement:
    """since: steps from which on it is so, None where that is said of no number of steps;
    mechanism: the main one; why: all that was found, in words."""

    law: Law
    since: int | None
    why: str
    mechanism: Mechanism = Mechanism.NONE


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
    parts = [
        *_handed(last),
        *_ends(last),
        *_clock(last),
        *_steps(done),
        *_mean(last),
        *_modes(last),
    ]
    if last["why"]:
        what = "by sampling" if last.get("large") else "it is not affine"
        parts.append(f"{what} ({last['why']})")
    if any(row["seeded"] is False for row in done):
        parts.append("the same seed gives another sample")
    parts += _failures(rows)
    found = "; ".join(parts) or "nothing above 2 % was found"
    return Judgement(law, None if law == Law.NOT else since, found, _mechanism(law, done))


def _mechanism(law: Law, done: Sequence[Row]) -> Mechanism:
    last = done[-1]
    if law == Law.NOT:
        if last.get("consistency"):
            return Mechanism.CONSISTENCY
        if last["why"] and not last.get("large"):
            return Mechanism.NOT_AFFINE
        k = _worst(last)
        if k is None:
            return Mechanism.OTHERWISE
        slope, before = _fall(done, k)
        if before is None:
            return Mechanism.ONCE
        return Mechanism.SLOW if slope >= _STALLED else Mechanism.STALLED
    k = next((k for k, std in enumerate(NAMED) if std <= _WIDE and _off(last, k) > SPREAD), None)
    if k is None:
        return Mechanism.NONE
    other = Mechanism.WIDE if last["gain"][k] > 1.0 else Mechanism.NARROW
    return {End.MEAN: Mechanism.SHRUNK, End.NOISE: Mechanism.NOISY}.get(ending(last, k)[0], other)


def _off(row: Row, k: int) -> float:
    """How far the spread at the k-th standard deviation is off, beyond its interval."""
    return spread_off(row["gain"][k], row["gain_half"] * row["gain"][k])


def _law(row: Row) -> Law:
    wrong = [k for k, std in enumerate(NAMED) if _off(row, k) > SPREAD]
    coarse = any(NAMED[k] > _WIDE for k in wrong)
    means = [mean_off(error, std) for error, std in zip(row["mean_error"], NAMED, strict=True)]
    if coarse or _share(row) > OUTSIDE or max(means) > MEAN:
        return Law.NOT
    return Law.ALL_BUT_FINE if wrong else Law.ALL


def _share(row: Row) -> float:
    return row["outside"][0] / row["outside"][1]


def _handed(row: Row) -> list[str]:
    gains, at = row.get("consistency"), ", ".join(f"{std:g}" for std in NAMED)
    if not gains:
        return []
    share = ", ".join(f"{gain:.3g}" for gain in gains)
    text = f"handed the exact consistency map it returns {share} of the spreads {at}"
    if max(gains) > 1.0 + SPREAD:
        text += (
            ": too wide, since the noise of the next level is read off that same prediction, and "
            "its amplitude adds to that of x_0, where independent noise would add in square"
        )
    return [text]


def _ends(row: Row) -> list[str]:
    """Where its levels end, and what that makes of the finest data that come out wrong."""
    fine = [k for k, std in enumerate(NAMED) if std <= _WIDE and _off(row, k) > SPREAD]
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
    if error is None or abs(error) <= CLOCK or true is None:
        return []
    return [f"at call {call} its state has noise {true:.3g} where it asks the model at {asked:.3g}"]


def _worst(row: Row) -> int | None:
    """The spread that is farthest off, of those that no end explains."""
    k = max(range(len(NAMED)), key=lambda k: (NAMED[k] > _WIDE) * _off(row, k))
    return None if NAMED[k] <= _WIDE or _off(row, k) <= SPREAD else k


def _fall(done: Sequence[Row], k: int) -> tuple[float, Row | None]:
    """The power by which the error at the k-th spread falls with evaluations (NaN for a single
    number of them), and the card from which that is so."""
    last = done[-1]
    before = next((row for row in reversed(done[:-1]) if row["n_eval"] < last["n_eval"]), None)
    if before is None:
        return math.nan, None
    errors = [max(abs(row["gain"][k] - 1.0), ROUNDED) for row in (before, last)]
    return math.log(errors[0] / errors[1]) / math.log(last["n_eval"] / before["n_eval"]), before


def _steps(done: Sequence[Row]) -> list[str]:
    """What more steps do to the spread that is farthest off."""
    last, k = done[-1], _worst(done[-1])
    if k is None:
        return []
    uneven = (last["quotient"] or 0.0) > _UNEVEN
    found = [f"neighbouring steps in log noise differ by up to {last['quotient']:.3g}"] * uneven
    text = f"at {NAMED[k]} it returns {last['gain'][k]:.3g} of the spread"
    slope, before = _fall(done, k)
    if before is None or last["why"]:
        return [text, *found]
    if slope < -_STALLED:
        text += f", worse than {before['gain'][k]:.3g} at {before['n_eval']:g} evaluations"
    elif slope < _STALLED:
        text += f", as at {before['n_eval']:g} evaluations ({before['gain'][k]:.3g})"
    else:
        text += f", and the error falls as evaluations^-{slope:.2g}"
    return [text, *found]


def _mean(row: Row) -> list[str]:
    off = [mean_off(error, std) for error, std in zip(row["mean_error"], NAMED, strict=True)]
    k = off.index(max(off))
    if off[k] <= MEAN:
        return []
    return [f"the mean of data of spread {NAMED[k]} is {row['mean_error'][k]:+.3g} off"]


def _modes(row: Row) -> list[str]:
    return [f"{show_share(_share(row), 2)} of M ends outside"] if _share(row) > OUTSIDE else []


def _failures(rows: Sequence[Row]) -> list[str]:
    failed = [row for row in rows if "error" in row]
    if not failed:
        return []
    counts = ", ".join(str(row["steps"]) for row in failed)
    return [f"with {counts} steps it fails ({fault(failed[-1])})"]


def fault(row: Row) -> str:
    """What was received, of a row's error, in words where that is a bare value."""
    rule, _, found = row["error"].partition("; received ")
    found = (found or rule).partition(". ")[0].removesuffix(".")
    if found == row["spec"]:
        return rule
    if " with 0 non-finite entries in what it hands " in found:
        return f"it hands {found.partition('it hands ')[2]}, a batch of another size than its start"
    try:
        return f"it asks the model where {rule.partition(' ')[0]} is {float(found):.2g}"
    except ValueError:
        return found.removeprefix(f"{row['spec']}, ")

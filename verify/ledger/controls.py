"""Negative controls that fail narrowly: the smallest fault of a kind that a check still rejects.

A constant of the theorem is wrong by s: by a gross s any check fails, and a narrow control asks how
small s may become. Where the two sides meet, that is a share of the rounding error; where a bound
is loose, the share of it that the measured side leaves unused.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .relations import Outcome
from .verdict import NARROW, Verdict

_GOAL = 10.0  # tolerances by which the control that is looked for fails
_ROUNDS = 48
_DOUBT = 4  # rounds without a size that passes, after which it is asked whether 0 does
_DIGITS = 17


def narrowest(name: str, mutant: Callable[[float], Verdict], gross: float) -> dict[str, Verdict]:
    """The mutant of one kind that fails by at most `NARROW` tolerances, under its name.

    mutant : the claim's verdict with a fault of the given size; 0 is the claim itself. gross : a
    size > 0 that is rejected. name : has a place {} for the size. The size is looked for between 0
    and `gross`; where no narrow one is found it is the smallest that was seen to fail, where the
    claim itself fails, so that no size is the smallest, it is `gross`, and where `gross` is not
    rejected there is none.
    """
    high, failed = gross, mutant(gross)
    most = {name.format(f"{gross:g}"): failed}
    if failed.verdict is not Outcome.FAILS:
        return {}
    low, below, shown = 0.0, 0.0, f"{gross:g}"
    for k in range(_ROUNDS):
        above = _worst(failed)
        if above <= NARROW:
            break
        if k == _DOUBT and low == 0.0 and mutant(0.0).verdict is Outcome.FAILS:
            return most
        size, text = _rounded(low, _next(low, high, (_GOAL - below) / (above - below), k % 2 == 1))
        tried = mutant(size)
        if tried.verdict is Outcome.FAILS:
            high, failed, shown = size, tried, text
        else:
            low, below = size, _worst(tried)
    return {name.format(shown): failed}


def _worst(verdict: Verdict) -> float:
    """The largest excess of its comparisons; infinite where none is known."""
    known = [c.excess for c in verdict.comparisons if c.excess is not None]
    return max((e for e in known if not math.isnan(e)), default=math.inf)


def _next(low: float, high: float, share: float, halve: bool) -> float:
    """The size at a share of the way from low to high, or every other time one half-way: an excess
    is the largest of several, so that it may grow from one point on only."""
    if not halve and 0.0 < share < 1.0:
        return low + share * (high - low)
    return math.sqrt(low * high) if 0.0 < 4.0 * low < high else 0.5 * (low + high)


def _rounded(low: float, size: float) -> tuple[float, str]:
    """A size in as few significant digits as keep it half as far from `low`, and those digits."""
    for digits in range(2, _DIGITS):
        text = f"{size:.{digits}g}"
        if abs(float(text) - size) <= 0.5 * (size - low):
            return float(text), text
    return size, repr(size)

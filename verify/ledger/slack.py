"""How close a comparison came to failing, read from a row's data.

`excess` counts in units of the relation's own tolerance, so it orders the points of one
comparison; `relative_slack` says how much room an inequality left, as a share of its larger side.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mixdyn.support.numbers import Log10, read_number

from .relations import Outcome

Row = Mapping[str, Any]


def excess(comparison: Row) -> float | None:
    """The violation in units of the tolerance: above 1 where the comparison failed.

    Of a counted rate, the evidence against the bound over the evidence that decides (`relations`).
    None where nothing can be said (a NaN).
    """
    value = comparison["excess"]
    return None if value is None else float(value)


def relative_slack(comparison: Row) -> float | None:
    """The room of an inequality over its larger side: 0 at equality, negative where it is violated.

    None for equalities, and where a side is missing or both are zero.
    """
    relation = comparison["relation"]
    sides = read_number(comparison, "measured"), read_number(comparison, "bound")
    if relation["kind"] not in ("upper", "lower") and not _is_counted(comparison):
        return None
    small, large = sides[::-1] if relation["symbol"] == "≥" else sides
    if isinstance(small, Log10) and isinstance(large, Log10):
        gap = (large.exponent - small.exponent) * math.log(10.0)
        return -math.expm1(-gap) if gap >= 0.0 else math.expm1(gap)
    if isinstance(small, Log10) or isinstance(large, Log10) or small is None or large is None:
        return None
    size = max(abs(small), abs(large))
    return (large - small) / size if size > 0.0 else None


def _is_counted(comparison: Row) -> bool:
    """Whether its relation is decided by an interval, which may miss, not by a tolerance."""
    return "miss" in comparison["relation"]


def is_undecided(comparison: Row) -> bool:
    """Whether a comparison is inconclusive for want of a number, not for want of a sample."""
    missing = comparison["outcome"] == Outcome.INCONCLUSIVE
    return missing and not _is_counted(comparison)


def family(name: str) -> str:
    """A comparison's name without its numbers, which may belong to one case only."""
    return re.sub(r"[-+]?\d[\d,.]*(?:e[-+]?\d+)?", "#", name)

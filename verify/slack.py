"""How close a comparison came to failing, read from a row's data.

`excess` counts in units of the relation's own tolerance, so it orders the points of one
comparison; `relative_slack` says how much room an inequality left, as a share of its larger side.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from .quantities import Log10, read_number
from .relations import Outcome, Statistical

Row = Mapping[str, Any]


def excess(comparison: Row) -> float | None:
    """The violation in units of the tolerance: above 1 where the comparison failed.

    Of a counted rate, the signed divergence n kl(rate, bound) over log(1/miss), about 1 where the
    interval that decides just clears the bound. None where nothing can be said (a NaN).
    """
    if comparison["relation"]["kind"] != Statistical.kind:
        value = comparison["excess"]
        return None if value is None else float(value)
    relation, rate, bound = comparison["relation"], comparison["measured"], comparison["bound"]
    if rate is None or bound is None:
        return None
    sign = math.copysign(1.0, rate - bound) * (1.0 if relation["side"] == "upper" else -1.0)
    divergence = binary_divergence(rate, min(max(bound, 0.0), 1.0))
    return sign * comparison["n"] * min(divergence, 1e300) / math.log(1.0 / relation["miss"])


def binary_divergence(p: float, q: float) -> float:
    """kl(p, q) = p log(p/q) + (1 - p) log((1 - p)/(1 - q)) for p and q in [0, 1]."""
    total = 0.0
    for a, b in ((p, q), (1.0 - p, 1.0 - q)):
        if a > 0.0:
            total += a * math.log(a / b) if b > 0.0 else math.inf
    return max(total, 0.0)


def relative_slack(comparison: Row) -> float | None:
    """The room of an inequality over its larger side: 0 at equality, negative where it is violated.

    None for equalities, and where a side is missing or both are zero.
    """
    relation = comparison["relation"]
    sides = read_number(comparison, "measured"), read_number(comparison, "bound")
    if relation["kind"] not in ("upper", "lower", Statistical.kind) or None in sides:
        return None
    small, large = sides if relation["symbol"] == "≤" else sides[::-1]
    if isinstance(small, Log10) and isinstance(large, Log10):
        gap = (large.exponent - small.exponent) * math.log(10.0)
        return -math.expm1(-gap) if gap >= 0.0 else math.expm1(gap)
    if isinstance(small, Log10) or isinstance(large, Log10) or small is None or large is None:
        return None
    size = max(abs(small), abs(large))
    return (large - small) / size if size > 0.0 else None


def is_undecided(comparison: Row) -> bool:
    """Whether a comparison is inconclusive for want of a number, not for want of a sample."""
    missing = comparison["outcome"] == Outcome.INCONCLUSIVE
    return missing and comparison["relation"]["kind"] != Statistical.kind


def family(name: str) -> str:
    """A comparison's name without its numbers, which may belong to one case only."""
    return re.sub(r"[-+]?\d[\d,.]*(?:e[-+]?\d+)?", "#", name)

"""Where DDIM on a line ends, and with what probability: replayed start by start.

Modes of one width sigma stand at `values` with `weights`; `steps` are alpha_bar and the variance of
the noise at the sampler's times, decreasing. The map of a step is increasing in x, so that what
starts between two starts ends between their ends. A statement is about the distance of an end to
the nearest value, for a standard normal start:
at_most   it is larger than `radius` with the probability `bound` at most. What starts between the
          ends of one of the `starts` (value, low, high) ends within the radius of its value.
at_least  with that probability at least. Whatever ends within the radius of a value lies between
          its starts.
"""

import itertools
from typing import Any

from flint import arb

BITS = 512  # what a step multiplies a ball by, more than the map does, takes digits


def faults(data: dict[str, Any]) -> list[str]:
    """Names of the statements that do not follow."""
    steps = [[arb(float.fromhex(x)) for x in pair] for pair in data["steps"]]
    # What makes every step increasing.
    if not all(
        0 < a <= b and d >= 0 and c > 0 and d <= c for (a, c), (b, d) in itertools.pairwise(steps)
    ):
        return ["its steps do not lead to less noise"]
    return [row["name"] for row in data["statements"] if not _holds(row, steps)]


def _holds(row: dict[str, Any], steps: list[list[Any]]) -> bool:
    values, weights = ([float.fromhex(x) for x in row[key]] for key in ("values", "weights"))
    radius, bound = float.fromhex(row["radius"]), float.fromhex(row["bound"])
    starts = [[float.fromhex(x) for x in one] for one in row["starts"]]
    sigma = arb(float.fromhex(row["sigma"]))
    inside = row["side"] == "at_most"
    if not radius > 0 or not min(weights) > 0 or values != sorted(values):
        return False
    if not inside and [value for value, _, _ in starts] != values:
        return False
    if not all(low < high for _, low, high in starts):
        return False
    # Disjoint, and in order.
    if any(first[2] > second[1] for first, second in itertools.pairwise(starts)):
        return False
    for value, low, high in starts:
        ends = [_end(arb(x), steps, values, weights, sigma) for x in (low, high)]
        if inside and not (values.count(value) and _within(ends, value, radius)):
            return False
        if not inside and not _around(ends, value, radius, values):
            return False
    total = sum((_normal(low, high) for _, low, high in starts), arb(0))
    return bool(1 - total <= bound if inside else 1 - total >= bound)


def _within(ends: list[Any], value: float, radius: float) -> bool:
    return bool(ends[0] >= arb(value) - radius and ends[1] <= arb(value) + radius)


def _around(ends: list[Any], value: float, radius: float, values: list[float]) -> bool:
    """Beyond the radius on both sides, or beyond the middle to the next value, whose turn it is."""
    k = values.index(value)
    low, high = arb(value) - radius, arb(value) + radius
    if k > 0:
        low = low.max((arb(values[k - 1]) + value) / 2)
    if k + 1 < len(values):
        high = high.min((arb(values[k + 1]) + value) / 2)
    return bool(ends[0] <= low and ends[1] >= high)


def _end(
    x: Any, steps: list[list[Any]], values: list[float], weights: list[float], sigma: Any
) -> Any:
    """Of a start, by x_s = (b_s/b_t) x + (a_s - a_t b_s/b_t) E[x_0 | x], a the root of alpha_bar, b
    that of the noise's variance, E by each mode's own mean and variance."""
    for (square, noise), (later, less) in itertools.pairwise(steps):
        a, kept = square.sqrt(), (less / noise).sqrt()
        total = square * sigma * sigma + noise
        logs = [
            arb(w).log() - (x - a * m) ** 2 / (2 * total)
            for m, w in zip(values, weights, strict=True)
        ]
        most = max(logs, key=lambda log: float(log.mid()))
        odds = [(log - most).exp() for log in logs]
        mean = sum((p * m for p, m in zip(odds, values, strict=True)), arb(0)) / sum(odds, arb(0))
        gain = a * sigma * sigma / total
        x = kept * x + (later.sqrt() - a * kept) * (mean + gain * (x - a * mean))
    return x


def _normal(low: float, high: float) -> Any:
    """P(low < Z < high)."""
    root = arb(2).sqrt()
    return ((arb(high) / root).erf() - (arb(low) / root).erf()) / 2

"""Terms that are positive all over a box: certificates of proofs over a continuum.

A certificate says of terms that each is positive all over a box of (z, v), and how the box was cut
up to see it. Here every piece is looked at again, in ball arithmetic, by formulas of their own:
nothing of the prover is imported, only python-flint. A piece that balls do not settle as it is may
be halved some times more. Doubles are hexadecimal text, and exact.

A law has means (N, d), weights (N,), a centre and axes (k, d): y = centre + z axes, and
gamma_q ~ w_q exp(-|y - mu_q|^2/(2v)). Terms are trees: see `_Place.value`.
"""

import functools
import math
import operator
from typing import Any

from flint import arb

BITS, HALVINGS = 80, 8
TWO: dict[str, Any] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}
TWO |= {"min": lambda a, b: a.min(b), "max": lambda a, b: a.max(b)}
ONE: dict[str, Any] = {"neg": operator.neg, "abs": abs}
ONE |= {name: operator.methodcaller(name) for name in ("exp", "log", "tanh", "sqrt")}
Box = list[tuple[float, float]]


def _dot(a: Any, b: Any) -> Any:
    return sum((x * y for x, y in zip(a, b, strict=True)), arb(0))


def numbers(data: Any) -> Any:
    """Hexadecimal text in nested lists as balls."""
    return [numbers(one) for one in data] if isinstance(data, list) else arb(float.fromhex(data))


class _Place:
    """A law at a box: everything is a ball that holds its values there. sloped: the field also by
    its slopes from the middle of the place."""

    def __init__(self, law: dict[str, Any], box: Box, sloped: bool = False) -> None:
        self.law, self.box, self.axes, self.sloped = law, box, law["axes"], sloped
        *self.z, self.v = (arb(low).union(arb(high)) for low, high in box)
        gaps = [[a - b for a, b in zip(row, law["centre"], strict=True)] for row in law["means"]]
        self.at = [[_dot(axis, gap) for axis in self.axes] for gap in gaps]
        self.energy = [_dot(gap, gap) / 2 for gap in gaps]
        self.logs = [w.log() for w in law["weights"]]

    def log_ratio(self, q: int, r: int) -> Any:
        """log(gamma_q/gamma_r)."""
        return self.log_powers(q, 1, r, -1)

    def log_powers(self, *powers: int) -> Any:
        """log(gamma_q^n gamma_r^m ...) of q, n, r, m, ..., in which every coordinate occurs once:
        the normaliser cancels where the exponents sum to 0."""
        modes, times = powers[::2], powers[1::2]
        if sum(times) != 0:
            raise ValueError("exponents sum to 0")
        logs, energy = (_dot(times, [each[q] for q in modes]) for each in (self.logs, self.energy))
        apart = [_dot(times, [self.at[q][k] for q in modes]) for k in range(len(self.z))]
        return logs + (_dot(apart, self.z) - energy) / self.v

    @functools.cached_property
    def gamma(self) -> list[Any]:
        """Each between its extremes, which are at those of the log ratios."""
        found = []
        for q in range(len(self.at)):
            ratios = [self.log_ratio(r, q) for r in range(len(self.at))]
            ends = [sum((x.exp() for x in side), arb(0)) for side in (
                [x.lower() for x in ratios], [x.upper() for x in ratios])]  # fmt: skip
            found.append((1 / ends[0]).union(1 / ends[1]))
        return found

    def mean(self, a: int) -> Any:
        """Component a of the mean field from the centre, written around the strongest mode."""
        ref = max(range(len(self.at)), key=lambda q: float(self.gamma[q].mid()))
        return self.at[ref][a] + _dot(self.gamma, (row[a] - self.at[ref][a] for row in self.at))

    def covariance(self, a: int, b: int) -> Any:
        """Over pairs of modes; gamma_q gamma_r is 1/4 at most."""
        total = arb(0)
        for q, one in enumerate(self.at):
            for r in range(q):
                both = self.gamma[q] * self.gamma[r]
                both = both if both < 0.25 else both.lower().max(arb(0)).union(arb(0.25))
                first, second = one[a] - self.at[r][a], one[b] - self.at[r][b]
                total += both * (first * first if a == b else first * second)
        return total

    def jacobian(self, a: int, b: int) -> Any:
        """Of the field: covariance/v less the product of the axes."""
        return self.covariance(a, b) / self.v - _dot(self.axes[a], self.axes[b])

    def field(self, a: int) -> Any:
        """Component a of m - y."""
        place = (z * _dot(self.axes[a], axis) for z, axis in zip(self.z, self.axes, strict=True))
        plain = self.mean(a) - sum(place, arb(0))
        if not self.sloped:
            return plain
        middle = [0.5 * (low + high) for low, high in self.box[:-1]]
        at = _Place(self.law, [*((m, m) for m in middle), self.box[-1]]).field(a)
        steps = [z - m for z, m in zip(self.z, middle, strict=True)]
        return plain.intersection(
            at + _dot((self.jacobian(a, b) for b in range(len(steps))), steps)
        )

    def value(self, term: list[Any]) -> Any:
        """Numbers, z(k), v, the methods above at whole numbers, and functions of terms."""
        name, *rest = term
        if name == "number":
            return numbers(rest[0])
        if name in ("z", "v"):
            return self.z[rest[0]] if name == "z" else self.v
        if name in ("log_ratio", "log_powers", "mean", "covariance", "jacobian", "field"):
            return getattr(self, name)(*rest)
        return (TWO | ONE)[name](*(self.value(part) for part in rest))


def holds(law: dict[str, Any], term: list[Any], box: Box, halvings: int = HALVINGS) -> bool:
    """Whether the term is positive all over the box."""
    if any(_Place(law, box, sloped).value(term) > 0 for sloped in (False, True)):
        return True

    def worth(k: int) -> tuple[float, float]:
        """Of a cut across axis k: the worse half's bound, or else how wide the side is."""
        ends = [float(_Place(law, half).value(term).lower()) for half in halves(box, k)]
        width = (box[k][1] - box[k][0]) / (1e-3 + abs(box[k][1]))
        return min(end if end > -math.inf else -math.inf for end in ends), width

    if halvings == 0:
        return False
    best = halves(box, max(range(len(box)), key=worth))
    return all(holds(law, term, half, halvings - 1) for half in best)


def halves(box: Box, k: int) -> tuple[Box, Box]:
    """Cut at 0.5 (lo + hi) of coordinate k."""
    (low, high), cut = box[k], 0.5 * (box[k][0] + box[k][1])
    return [*box[:k], (low, cut), *box[k + 1 :]], [*box[:k], (cut, high), *box[k + 1 :]]


def replay(law: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether the tree's leaves, in preorder, are the box, and the term is positive on each."""
    ends = [[float.fromhex(end) for end in side] for side in row["box"]]
    whole = [(low, high) for low, high in ends if low <= high]
    waiting = (
        [whole] if len(whole) == len(ends) == len(law["axes"]) + 1 and whole[-1][0] > 0 else []
    )
    for letter in row["tree"]:
        if not waiting:
            return False
        box = waiting.pop()
        if letter != ".":
            waiting += halves(box, int(letter))[::-1]
        elif not holds(law, row["term"], box):
            return False
    return bool(row["tree"]) and not waiting


def faults(data: dict[str, Any]) -> list[str]:
    """Names of the statements that do not follow."""
    laws = [{key: numbers(value) for key, value in law.items()} for law in data["laws"]]
    return [row["name"] for row in data["statements"] if not replay(laws[row["law"]], row)]

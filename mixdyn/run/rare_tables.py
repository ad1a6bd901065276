"""What a chain does along one pair of modes alone: its chance of ending in the gap, step by step.

Where two modes dominate, the coordinate a along the line that joins them is a chain of its own,

    a_s = f_t(a_t) + std_t xi,   f_t(a) = x0_hat + keep_t (a - x0_hat),

of the two modes' denoiser x0_hat. From the last noisy time, whose deterministic rest is pulled back
by bisection, psi_t(a) = P(the end lies in the gap | a_t = a) is carried backwards by quadrature.
`rare` draws paths towards the gap by it; that it is of two modes alone costs efficiency, no
exactness.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .. import kernels
from ..samplers.plan import StepPlan
from ..support.checks import Array, IntArray
from ..support.errors import NotApplicableError
from .path_cost import noisy_steps

REACH = 20.0  # standard deviations of a step that are looked at: what is beyond has mass 1e-88
SPACING = 0.6  # of places, in the standard deviations that made a and that its step makes
_EDGE = 0.1  # softness of the gap's ends, in the last step's standard deviations
_FALL = np.concatenate([[0.0], np.geomspace(0.25, 35.0, 22)])  # places beside them, in _EDGE
_LOGITS = np.geomspace(0.5, 60.0, 24)
_BEYOND = 6.0  # standard deviations beyond the modes at which places end
_BISECTIONS = 80
_MOST_PLACES = 20_000_000  # of all tables: ten seconds, 16 bytes each
_RESOLVED = 1e-12  # of the places' reach, of the states that the steps without noise take to a gap


@dataclasses.dataclass(frozen=True)
class Line:
    """Two modes on a line: at +length/2 (weight e^log_ratio >= 1 times the other's) and at
    -length/2; the gap is |a| <= half. v_first: the variance of a mode from which on they are
    alone."""

    length: float
    log_ratio: float
    half: float
    v_first: float


@dataclasses.dataclass(frozen=True, eq=False)
class Clock:
    """A plan in static coordinates y = x/alpha. rho (K + 1,) at the nodes of the noisy steps; keep
    and std (K,) of these; rest: (rho_t, keep) of the steps without noise that follow, sigma2 the
    variance of a mode."""

    plan: StepPlan
    sigma2: float
    rho: Array
    keep: Array
    std: Array
    rest: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, plan: StepPlan, sigma2: float) -> Clock:
        """The clock of a plan that begins with a noisy step."""
        count, alpha, rho = noisy_steps(plan), plan.schedule.alpha, plan.schedule.rho
        keep = plan.keep * alpha[plan.t] / alpha[plan.s]
        std = plan.noise_std / alpha[plan.s]
        nodes = rho[plan.grid.times[: count + 1]]
        rest = zip(rho[plan.t[count:]].tolist(), keep[count:].tolist(), strict=True)
        return cls(plan, sigma2, nodes, keep[:count], std[:count], tuple(rest))

    @property
    def steps(self) -> int:
        """Number of noisy steps."""
        return len(self.std)

    @property
    def v(self) -> Array:
        """(K + 1,) variances of a mode at the nodes."""
        return self.sigma2 + self.rho

    def move(self, line: Line, a: Array, rho: float, keep: float) -> Array:
        """f(a) of the two modes."""
        v = self.sigma2 + rho
        logit = line.log_ratio + line.length * a / v
        # tanh keeps its digits beside 0, where the separatrix is.
        mean = 0.5 * line.length * np.tanh(0.5 * logit)
        x0_hat = (self.sigma2 * a + rho * mean) / v
        return np.asarray(x0_hat + keep * (a - x0_hat))

    def end(self, line: Line, a: Array) -> Array:
        """Where the steps without noise take a."""
        for rho, keep in self.rest:
            a = self.move(line, a, rho, keep)
        return a


Tables = tuple[IntArray, Array, Array]  # first (K + 1,), places and log psi, one behind another


class GapTables:
    """psi of several lines at every node from which on a line's two modes are alone.

    lines are in decreasing order of v_first, so that those with a table at a node come first.
    """

    def __init__(self, clock: Clock, lines: Sequence[Line]) -> None:
        self.clock, self.lines = clock, lines
        v = clock.v
        first = np.array([line.v_first for line in lines])
        self.counts = [int((first >= level).sum()) for level in v]
        self._check_size()
        self.at: list[Tables | None] = [None] * len(v)
        last = clock.steps
        if self.counts[last] == 0:
            return
        self.at[last] = _joined([self._last(line) for line in lines[: self.counts[last]]])
        for k in range(last - 1, -1, -1):
            if self.counts[k]:
                self.at[k] = self._before(k)

    def _check_size(self) -> None:
        """Refuse pairs so long that their tables would take minutes, before the first is made."""
        nodes = enumerate(self.counts[:-1])
        total = sum(sum(self._counts(line, k)) for k, c in nodes for line in self.lines[:c])
        if total > _MOST_PLACES:
            longest = max(line.length for line in self.lines)
            raise NotApplicableError(
                f"tables of the pairs hold at most {_MOST_PLACES:,} places, their lengths over a "
                "step's noise",
                f"{total:.2g} of pairs up to {longest:.4g} long",
                "Name nearer pairs by Between(pairs=...), or let noise end earlier (Hybrid).",
            )

    def of(self, k: int) -> Tables:
        """The tables at node k, of the first `counts[k]` lines, at least one."""
        tables = self.at[k]
        if tables is None:
            raise TypeError("no line has a table at this node")
        return tables

    def start(self, line: int) -> int | None:
        """The node at which a line's two modes are first alone; None where they never are."""
        found = [k for k, count in enumerate(self.counts) if count > line]
        return found[0] if found else None

    def log_chance(self, line: int) -> float:
        """About the log of the probability of the gap for a state of the two modes at `start`."""
        k, shape = self.start(line), self.lines[line]
        if k is None:
            return 0.0
        z = np.linspace(-8.0, 8.0, 161)
        std = math.sqrt(self.clock.v[k])
        share = 1.0 / (1.0 + math.exp(-shape.log_ratio))
        a = np.concatenate([0.5 * shape.length + std * z, -0.5 * shape.length + std * z])
        density = np.exp(-0.5 * z**2) * 0.1 / math.sqrt(2.0 * math.pi)
        log_psi = kernels.tabulated(a, np.full(len(a), line), self.of(k))
        terms = log_psi + np.log(np.concatenate([share * density, (1.0 - share) * density]))
        return float(np.logaddexp.reduce(terms))

    def _before(self, k: int) -> Tables:
        """The tables at node k from those at the next."""
        clock, after = self.clock, self.of(k + 1)
        places = [self._places(line, k) for line in self.lines[: self.counts[k]]]
        rho, keep = float(clock.rho[k]), float(clock.keep[k])
        moved = [clock.move(s, a, rho, keep) for s, a in zip(self.lines, places, strict=False)]
        table = np.repeat(np.arange(len(places)), [len(a) for a in places])
        log_psi = kernels.tilted(np.concatenate(moved), table, after, float(clock.std[k]), REACH)[
            :, 2
        ]
        return _first(places), np.concatenate(places), log_psi

    def _counts(self, line: Line, k: int) -> tuple[int, int]:
        """How many places at node k are evenly spaced, and how many where the map is steep: no
        farther apart than the noises around it and the map ask for."""
        clock, v = self.clock, float(self.clock.v[k])
        std_in = float(clock.std[k - 1]) if k else math.sqrt(v)
        std_out, keep, rho = float(clock.std[k]), float(clock.keep[k]), float(clock.rho[k])
        plain = keep + (1.0 - keep) * clock.sigma2 / v
        step = SPACING / (1.0 / std_in + plain / std_out)
        rise = (1.0 - keep) * rho / v * line.length
        return 2 + math.ceil(2.0 * self._reach(line, v) / step), math.ceil(
            rise / (SPACING * std_out)
        )

    @staticmethod
    def _reach(line: Line, v: float) -> float:
        return 0.5 * line.length + _BEYOND * math.sqrt(v)

    def _places(self, line: Line, k: int) -> Array:
        """Places at node k."""
        v, (many, count) = float(self.clock.v[k]), self._counts(line, k)
        reach = self._reach(line, v)
        even = np.linspace(-reach, reach, many)
        # Where the map is steep its values, not its places, are equally spaced.
        share = np.arange(1, 1 + count) / (count + 1.0)
        logit = np.concatenate([np.log(share) - np.log1p(-share), -_LOGITS, _LOGITS])
        steep = (logit - line.log_ratio) * v / line.length
        return np.unique(np.concatenate([even, steep[np.abs(steep) < reach]]))

    def _last(self, line: Line) -> tuple[Array, Array]:
        """Places and log psi at the last noisy time: 0 in what ends in the gap, and a fall beside
        it, for modes beside the two that move its ends a little."""
        clock, v = self.clock, float(self.clock.v[-1])
        std = float(clock.std[-1])
        reach = self._reach(line, v)
        low, high = (self._pull_back(line, edge, reach) for edge in (-line.half, line.half))
        if high - low < _RESOLVED * reach:
            raise NotApplicableError(
                "the states that end in a gap must be farther apart than rounding",
                f"{high - low:.2g} along a pair of length {line.length:.4g}, at the last noise",
                "Ask for a wider gap, or put noise into later steps.",
            )
        fall = _EDGE * std * _FALL
        inner = np.linspace(low, high, 3)[1:-1]
        even = np.linspace(-reach, reach, 2 + math.ceil(2.0 * reach / (SPACING * std)))
        places = np.unique(np.concatenate([low - fall, high + fall, inner, even]))
        outside = np.maximum(np.maximum(low - places, places - high), 0.0) / (_EDGE * std)
        return places, -0.5 * np.minimum(outside, 35.0) ** 2

    def _pull_back(self, line: Line, edge: float, reach: float) -> float:
        """The a that the steps without noise take to `edge`, or the end of the places."""
        low, high = np.array([-reach]), np.array([reach])
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            below = self.clock.end(line, middle) < edge
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return float(0.5 * (low + high)[0])


def _joined(parts: Sequence[tuple[Array, Array]]) -> Tables:
    places = [part[0] for part in parts]
    return _first(places), np.concatenate(places), np.concatenate([part[1] for part in parts])


def _first(places: Sequence[Array]) -> IntArray:
    return np.concatenate([[0], np.cumsum([len(a) for a in places])]).astype(np.int64)

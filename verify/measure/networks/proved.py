"""What is proved of trained networks on lines: the mass of starts that DDIM takes between modes.

The intervals of starts are found in doubles, by bisection of DDIM's map, and then followed by
enclosures of the network of real numbers (`mixdyn.proof`); what is found decides only what is
tried. With a slack the proof holds for every prediction within it of the enclosed one, at every
step.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import learned
from mixdyn.learned.architecture import sinusoids
from mixdyn.learned.loading import SizedModel
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.proof.network import EnclosedNetwork
from mixdyn.proof.tubes import Steps, tube
from mixdyn.samplers import DDIM
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError

from ...ledger.case import Case
from ..measurement import Measurement
from .models import TrainedModel

_MARGINS = (1e-3, 1e-2, 0.1)  # of an interval of starts, left out at both ends
_GRID = np.linspace(-3.5, 3.5, 2001)
_HALVINGS = 40


def enclosed(score: Any) -> EnclosedNetwork:
    """The network of a `LearnedScore` of real numbers. Raises NotApplicableError for any other
    model, of which nothing is known but its values."""
    if isinstance(score, SizedModel):
        score = score.model
    known = learned.available() and isinstance(score, learned.LearnedScore)
    if not known or score.weights.architecture.kind != "mlp":
        raise NotApplicableError(
            "only a residual MLP whose weights are known can be enclosed",
            type(score).__name__,
            "Name a checkpoint of `mixdyn train`.",
        )
    weights = score.weights
    times = np.arange(score.schedule.T + 1.0)
    return EnclosedNetwork(weights.tensors, sinusoids(times, weights.architecture.embedding))


def ddim_steps(schedule: NoiseSchedule, steps: int = 50) -> Steps:
    """DDIM's on the quadratic grid; their coefficients count as exact."""
    sampler = DDIM(steps)
    plan = sampler.plan(schedule, sampler.grid(schedule))
    c_x, c_eps, _ = plan.eps_form()
    return Steps(np.asarray(plan.t), c_x, c_eps)


def normal_mass(low: float, high: float) -> float:
    """Below P(low < z < high), z standard normal, in ball arithmetic."""
    from flint import arb, ctx

    with ctx.workprec(128):
        root = arb(2).sqrt()
        mass = ((arb(high) / root).erf() - (arb(low) / root).erf()) / 2
        return max(0.0, float(mass.lower()) * (1.0 - 2.0**-50))


@dataclass(frozen=True, eq=False)
class ProvedStarts:
    """K intervals of starts of one network on a line, from start to stop (K,).

    found: their mass (K,) as bisected in doubles; mass: of what is followed, a margin less at both
    ends; low, high: between which all of that is proved to end, infinite where nothing is. gap: the
    two modes (K, 2) between which it should. boxes: that were looked at.
    """

    start: Array
    stop: Array
    found: Array
    mass: Array
    low: Array
    high: Array
    gap: Array
    boxes: int

    def proved(self, margin: float) -> Array:
        """(K,): the mass that ends farther than `margin` from both modes."""
        beyond = (self.low > self.gap[:, 0] + margin) & (self.high < self.gap[:, 1] - margin)
        return np.where(beyond, self.mass, 0.0)


@Measurement
def proved_starts(
    case: Case,
    places: tuple[float, ...],
    margin: float,
    model: TrainedModel,
    *,
    slack: float = 0.0,
) -> ProvedStarts:
    """Of a network for modes at these places, its outputs farther than `margin` from all of them.

    A margin of starts is widened tenfold where what is left ends too near a mode."""
    steps, net = ddim_steps(model.score.schedule), enclosed(model.score)
    start, stop, gap = _intervals(steps, model.score.in_double(), places, margin)
    low, high = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    ends, boxes = (start.copy(), stop.copy()), 0
    waiting = np.ones(len(start), bool)
    for share in _MARGINS:
        if not waiting.any():
            break
        spare = share * (stop - start)[waiting]
        tried = start[waiting] + spare, stop[waiting] - spare
        found = tube(net, steps, tried, slack=slack)
        boxes += found.boxes
        low[waiting], high[waiting] = found.low[-1], found.high[-1]
        ends[0][waiting], ends[1][waiting] = tried
        waiting = ~((low > gap[:, 0] + margin) & (high < gap[:, 1] - margin))
    whole, kept = (
        np.array([normal_mass(a, b) for a, b in zip(*(e.tolist() for e in pair), strict=True)])
        for pair in ((start, stop), ends)
    )
    return ProvedStarts(start, stop, whole, kept, low, high, gap, boxes)


def _run(steps: Steps, score: Any, z: Array) -> Array:
    """(n,) ends of starts, in doubles."""
    x = z[:, None]
    for t, c_x, c_eps in zip(*(part.tolist() for part in steps), strict=True):
        x = c_x * x + c_eps * score.eps(x, t)
    return x[:, 0]


def _intervals(
    steps: Steps, score: Any, places: tuple[float, ...], margin: float
) -> tuple[Array, Array, Array]:
    """Starts between which DDIM ends in a gap, (K,) each, and the gap's modes (K, 2)."""
    gaps = [(left + margin, right - margin) for left, right in itertools.pairwise(places)]
    start, stop, gap = [], [], []
    crossings = _crossings(steps, score, np.array(gaps).ravel())
    for k, (edges, between) in enumerate(zip(gaps, itertools.pairwise(places), strict=True)):
        cuts = np.sort(np.concatenate(crossings[2 * k : 2 * k + 2]))
        middle = 0.5 * (cuts[1:] + cuts[:-1])
        if not middle.size:
            continue
        there = _run(steps, score, middle)
        inside = (there > edges[0]) & (there < edges[1])
        start += cuts[:-1][inside].tolist()
        stop += cuts[1:][inside].tolist()
        gap += [between] * int(inside.sum())
    return np.array(start), np.array(stop), np.array(gap).reshape(-1, 2)


def _crossings(steps: Steps, score: Any, edges: Array) -> list[Array]:
    """Starts that end at each edge, by bisection between neighbours of the grid, all at once."""
    above = _run(steps, score, _GRID) > edges[:, None]
    owner, at = np.nonzero(above[:, 1:] != above[:, :-1])
    low, high, side = _GRID[at], _GRID[at + 1], above[owner, at]
    for _ in range(_HALVINGS if at.size else 0):
        middle = 0.5 * (low + high)
        same = (_run(steps, score, middle) > edges[owner]) == side
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return [(0.5 * (low + high))[owner == k] for k in range(len(edges))]


def ended_in_gaps(
    steps: Steps, score: Any, places: tuple[float, ...], margin: float, starts: Array
) -> int:
    """How many starts (n,) end in a gap, in the model's own precision."""
    ends = _run(steps, score, starts)
    pairs = itertools.pairwise(places)
    return int(sum(((ends > a + margin) & (ends < b - margin)).sum() for a, b in pairs))


def rounding_of(steps: Steps, score: Any, starts: Array) -> float:
    """The largest difference of a prediction in single precision from that in double, along the
    paths of starts (n,) that stay within 10."""
    x, double, worst = starts[:, None], score.in_double(), 0.0
    for t, c_x, c_eps in zip(*(part.tolist() for part in steps), strict=True):
        near = np.abs(x[:, 0]) < 10.0
        eps = double.eps(x, t)
        if near.any():
            worst = max(worst, float(np.abs(eps - score.eps(x, t))[near].max()))
        x = c_x * x + c_eps * eps
    return worst

"""Last steps of a noisy chain in one dimension, drawn given what becomes of them.

Hallucinations are rare (one sample in 10,000 on the lines of arXiv 2406.09358), so paths are drawn
from the chain conditioned on its end. The state lives on equally spaced places, no farther apart
than an eighth of the least noise, where sums of normal densities are integrals to rounding. h_t(x),
the probability of the event from x at time t, is carried back from the end; given the event a step
goes to y with probability p(y|x) h(y)/h(x) (Doob's transform). Draws are independent, of the law of
the network's own chain from noise: the law at the first of these steps is that of `noisy_law`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry import Mask
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array, IntArray

from .line_law import noisy_law

_MARGIN = 1.5  # beyond the outermost modes; what is farther out is left out
_PER_NOISE = 8.0  # places within one standard deviation of the smallest noise


@dataclass(frozen=True, eq=False)
class LastSteps:
    """DDPM from time K to 0 on G places.

    places (G,). moved (K, G): where a step takes a place without its noise, row 0 from time K.
    noise (K - 1,): standard deviations, all but the last step's, which has none. start (G,):
    probabilities at time K. event (G,): whether the last step, from time 1, takes a place into the
    event.
    """

    places: Array
    moved: Array
    noise: Array
    start: Array
    event: Mask

    @property
    def steps(self) -> int:
        """K."""
        return len(self.moved)

    def probability(self) -> float:
        """Of the event."""
        return float(self.start @ self._chances(self.event)[0])

    def draw(self, n: int, rng: np.random.Generator, *, event: bool) -> IntArray:
        """(n, K) indices of the places of n paths at the times K..1, given the event or its
        complement."""
        chances = self._chances(self.event == event)
        first = self.start * chances[0]
        found = np.empty((n, self.steps), dtype=np.int64)
        found[:, 0] = rng.choice(len(self.places), n, p=first / first.sum())
        for k in range(self.steps - 1):
            occupied, rows = np.unique(found[:, k], return_inverse=True)
            weights = self._transition(k, occupied) * chances[k + 1]
            levels = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
            levels[:, -1] = 1.0
            flat = (levels + np.arange(len(occupied))[:, None]).ravel()
            at = np.searchsorted(flat, rows + rng.random(n), side="right")
            found[:, k + 1] = np.minimum(at - rows * len(self.places), len(self.places) - 1)
        return found

    def _chances(self, event: Mask) -> list[Array]:
        """Per time K..1 the probability (G,) of an event of the last place."""
        chances = [event.astype(float)]
        for k in reversed(range(self.steps - 1)):
            chances.append(self._transition(k) @ chances[-1])
        return chances[::-1]

    def _transition(self, k: int, rows: IntArray | slice = slice(None)) -> Array:
        """(m, G) probabilities from the places `rows` at time K - k to each at the next time."""
        gap = (self.places - self.moved[k][rows, None]) / self.noise[k]
        step = self.places[1] - self.places[0]
        kernel: Array = np.exp(-0.5 * gap**2) * (step / (self.noise[k] * np.sqrt(2.0 * np.pi)))
        return kernel


def last_steps(
    model: Any,
    schedule: NoiseSchedule,
    ends: tuple[float, float],
    start: int,
    event: Callable[[Array], Mask],
) -> LastSteps:
    """The last `start` steps of DDPM with a model of a line whose modes lie between two ends.

    event: whether final states (n, 1) belong to it, (n,).
    """
    sampler = DDPM()
    plan = sampler.plan(schedule, sampler.grid(schedule))
    law = noisy_law(model, plan, schedule.T - start)
    noise = plan.noise_std[-start:-1]
    step = float(noise.min()) / _PER_NOISE
    places = np.arange(ends[0] - _MARGIN, ends[1] + _MARGIN, step)
    c_x, c_eps, _ = plan.eps_form()
    moved = np.array(
        [
            c_x[k] * places
            + c_eps[k] * np.asarray(model.eps(places[:, None], int(plan.t[k])))[:, 0]
            for k in range(schedule.T - start, schedule.T)
        ]
    )
    start_mass = law.density(places) * step
    return LastSteps(places, moved, noise, start_mass, event(moved[-1][:, None]))

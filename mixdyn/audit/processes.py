"""What solvers of differential equations are handed: forward processes dx = f(t) x dt + g(t) dW in
a continuous time, with their level at every time.

process="vp": beta rises from beta_min = 0.1 to beta_max = 20 over t in [0, 1] (arXiv 2011.13456),
stop = 0.001; "ve": sigma_min = 0.01 to sigma_max = 50, geometrically; "edm": t is sigma, from
sigma_max = 80 to sigma_min = 0.002 on the grid of rho = 7 (arXiv 2206.00364); "flow": x = (1 - t)
x_0 + t eps, whose model is the velocity. The last two are ODEs alone. stop: the time of the end.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..score.protocol import Level
from ..support.checks import Array, check_choice
from .calls import sorted_out


@dataclasses.dataclass(frozen=True)
class Process:
    """level, f = d log alpha/dt and g^2 at a time; times (steps + 1,), falling; what the model is
    asked for: eps, or velocity, which is dx/dt itself."""

    level: Callable[[float], Level]
    f: Callable[[float], float]
    g2: Callable[[float], float]
    times: Array
    predicts: str = "eps"

    @property
    def start_std(self) -> float:
        """Of the noise of the first level."""
        first = self.level(float(self.times[0]))
        return first.noise_std if first.alpha == 1.0 else 1.0

    def velocity(self, x: Any, t: float, model: Callable[[Any, Level], Any]) -> Any:
        """dx/dt of the probability flow at x."""
        at = self.level(t)
        answer = model(x, at)
        if self.predicts == "velocity":
            return answer
        return self.f(t) * x + 0.5 * self.g2(t) / at.noise_std * answer

    def reverse_drift(self, x: Any, t: float, model: Callable[[Any, Level], Any]) -> Any:
        """Of the reverse diffusion, in the time that runs backwards."""
        at = self.level(t)
        return -self.f(t) * x - self.g2(t) / at.noise_std * model(x, at)


def vp(steps: int, beta_min: float = 0.1, beta_max: float = 20.0, stop: float = 1e-3) -> Process:
    """Variance-preserving."""

    def level(t: float) -> Level:
        log_alpha = -0.5 * (beta_min * t + 0.5 * (beta_max - beta_min) * t * t)
        return Level(math.exp(log_alpha), -math.expm1(2.0 * log_alpha))

    def beta(t: float) -> float:
        return beta_min + (beta_max - beta_min) * t

    return Process(level, lambda t: -0.5 * beta(t), beta, np.linspace(1.0, stop, steps + 1))


def ve(steps: int, sigma_min: float = 0.01, sigma_max: float = 50.0, stop: float = 0.0) -> Process:
    """Variance-exploding."""
    rate = math.log(sigma_max / sigma_min)

    def var(t: float) -> float:
        return (sigma_min * math.exp(rate * t)) ** 2

    return Process(
        lambda t: Level(1.0, var(t)),
        lambda t: 0.0,
        lambda t: 2.0 * rate * var(t),
        np.linspace(1.0, stop, steps + 1),
    )


def edm(steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Process:
    """Variance-exploding with sigma as time."""
    roots = np.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), steps + 1)
    return Process(lambda t: Level(1.0, t * t), lambda t: 0.0, lambda t: 2.0 * t, roots**rho)


def flow(steps: int, stop: float = 0.0) -> Process:
    """The straight path of flow matching."""
    return Process(
        lambda t: Level(1.0 - t, t * t),
        lambda t: -1.0 / (1.0 - t),
        lambda t: 2.0 * t / (1.0 - t),
        np.linspace(1.0, stop, steps + 1),
        "velocity",
    )


ODES: Mapping[str, Callable[..., Process]] = {"vp": vp, "ve": ve, "edm": edm, "flow": flow}
SDES: Mapping[str, Callable[..., Process]] = {"vp": vp, "ve": ve}  # even steps, and finite noise


def process_beside(
    solver: str,
    calls: Mapping[str, Callable[..., Any]],
    known: Mapping[str, Callable[..., Process]],
    steps: int,
    settings: Mapping[str, Any],
) -> tuple[Process, dict[str, Any]]:
    """The process that `settings` name, process="vp" or another, in `steps` steps, and what of them
    belongs to the solver's own call; see `sorted_out`."""
    given = dict(settings)
    name = check_choice(given.pop("process", "vp"), known, "process", "Name one.")
    of_process, own = sorted_out(solver, {"its process": known[name], **calls}, given)
    return known[name](steps, **of_process), own

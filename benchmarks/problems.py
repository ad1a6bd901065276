"""The problems on which integrators are compared, and the closed form they are compared with.

All are product mixtures of one sigma, so that the probability flow is known in closed form
(`mixdyn.oracles.flow_map`). Errors are in units of sigma, the scale that a sample must resolve.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from mixdyn import GaussianMixture, NoiseSchedule, oracles
from mixdyn.problem import presets

SCHEDULE = NoiseSchedule.linear()


def nodes(mixture: GaussianMixture, steps: int) -> np.ndarray:
    """(steps + 1,) effective variances from time T to clean data, even in their logarithm."""
    clean = float(mixture.sigma**2)
    v = np.geomspace(clean + SCHEDULE.rho[SCHEDULE.T], clean, steps + 1)
    v[[0, -1]] = clean + SCHEDULE.rho[SCHEDULE.T], clean
    return v


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A mixture, states x (n, d) at time T, and where the flow takes them, (n, d)."""

    name: str
    mixture: GaussianMixture
    x: np.ndarray
    end: np.ndarray

    @property
    def v_to(self) -> float:
        """Effective variance of clean data."""
        return float(self.mixture.sigma**2)

    def summary(self, x: np.ndarray) -> dict[str, float]:
        """Median and 90 % quantile of the distance from the truth in sigma, and the share of
        samples more than 20 sigma off: those that went to another mode."""
        gap = np.linalg.norm(x - self.end, axis=1) / self.mixture.sigma
        return {
            "median": float(np.median(gap)),
            "upper": float(np.quantile(gap, 0.9)),
            "lost": float(np.mean(~(gap <= 20))),
        }


def _in_64_dimensions() -> GaussianMixture:
    """32 modes on the corners of a cube of five coordinates out of 64."""
    corners = np.array(list(itertools.product([-0.7, 0.7], repeat=5)))
    rest = np.random.default_rng(0).normal(scale=0.3, size=59)
    return GaussianMixture(np.hstack([corners, np.tile(rest, (32, 1))]), 0.05)


def mixtures() -> dict[str, GaussianMixture]:
    """Name to mixture."""
    return {
        "5 x 5 grid": presets.grid(),
        "sigma 1e-3, weights 1 : 300 : 699": GaussianMixture(
            [[-1.0], [0.3], [1.2]], 1e-3, [0.001, 0.3, 0.699]
        ),
        "64 dimensions": _in_64_dimensions(),
    }


def problems(n: int) -> list[Problem]:
    """Every problem with n states."""
    found = []
    for name, mixture in mixtures().items():
        x = np.random.default_rng(1).standard_normal((n, mixture.d))
        v = mixture.sigma**2 + SCHEDULE.rho
        end = oracles.flow_map(mixture, x / SCHEDULE.alpha[SCHEDULE.T], v[SCHEDULE.T], v[0])
        found.append(Problem(name, mixture, x, end))
    return found

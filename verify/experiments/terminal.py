"""The probability that the reverse SDE ends near the midpoint it started from, and its bounds.

arXiv 2605.06831 v1, Proposition 5.1 and figure E.14: K(t), lambda_t and the bound, beside a sharper
bound (comparison with two point masses), the linear confinement bound and the exact law. The
closest pair of the case as a mixture of its own, exact score, clean end. A is the coordinate along
the pair from the midpoint in x units; rates are per unit of int beta = -log abar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import two_modes
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array, IntArray
from verify.ledger.claim import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import HALF_WIDTH, require_window

HALF_WIDTHS = np.linspace(0.02, 0.49, 48)  # theta in l


@dataclass(frozen=True)
class Problem:
    """The pair alone, at distance `length`, under a schedule."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    length: float

    @property
    def sigma(self) -> float:
        """The common standard deviation."""
        return float(self.mixture.sigma)

    def drift(self, a: Array, t: int) -> Array:
        """b(a, t) of the engine's exact score: drift along the pair per unit of int beta."""
        x = a[:, None]
        marginal = self.mixture.diffused(
            float(self.schedule.alpha_bar[t]), noise_var=float(self.schedule.noise_var[t])
        )
        return np.asarray(0.5 * a + marginal.score(x)[:, 0])

    def clock(self, tau: int) -> Array:
        """(tau,) increments of int beta at t = 1..tau."""
        return -np.diff(self.schedule.log_alpha_bar[: tau + 1])


def _rates(problem: Problem, theta: float, tau: int) -> dict[str, Array]:
    """Per t = 1..tau, (tau,): K by the supremum over |a| <= 2 theta, K by |b| <= K |a|, and the
    outward rates b(theta)/theta and b(2 theta)/(2 theta)."""
    inner = theta * np.geomspace(1e-6, 2.0, 400)
    rows = []
    for t in range(1, tau + 1):
        size = np.abs(problem.drift(inner, t))
        edge = problem.drift(theta * np.array([1.0, 2.0]), t) / (theta * np.array([1.0, 2.0]))
        rows.append((size.max() / (2.0 * theta), (size / inner).max(), *edge))
    names = ("k_sup", "k_ratio", "outward", "chord")
    return dict(zip(names, np.array(rows).T, strict=True))


def _log10_bounds(problem: Problem, theta: float, tau: int) -> list[float]:
    """log10 of the paper's bound, the linear confinement, the sharper bound and the exact law.

    Integrals over time are sums over t = 1..tau, each rate taken at the noisy end of its step.
    """
    rates, clock = _rates(problem, theta, tau), problem.clock(tau)
    beta = problem.schedule.beta[1 : tau + 1]
    outward = max(float((beta * rates["outward"]).min()), 0.0)
    terms = bounds.log_midpoint_terms(
        theta, float(clock.sum()), float(rates["k_sup"] @ clock), outward, float(beta.max())
    )
    growth = np.cumsum((rates["chord"] * clock)[::-1])[::-1]
    noise = float(np.exp(-2.0 * growth) @ clock)
    linear = bounds.log_linear_confinement(theta, float(growth[0]), noise)
    v = problem.schedule.effective_variance(problem.sigma)
    sharp = bounds.log_midpoint_probability(problem.length, theta, v[tau], v[0])
    logs = [float(np.logaddexp(*terms)), float(linear), float(sharp), _truth(problem, theta, tau)]
    return [value / math.log(10.0) for value in logs]


def _truth(problem: Problem, theta: float, tau: int) -> float:
    """log P(|A_0| <= theta) from the midpoint by the exact reverse law."""
    schedule = problem.schedule
    law = oracles.reverse_mixture(
        problem.mixture,
        np.zeros((1, 1)),
        float(schedule.alpha_bar[tau]),
        noise_var_t=float(schedule.noise_var[tau]),
        noise_var_s=0.0,
    )
    return float(law.log_slab_probability([1.0], [0.0], theta)[0])


def _measured(problem: Problem, case: Case, tau: int, n: int) -> IntArray:
    """(theta,) runs of DDPM from the midpoint that end within theta of it, among n."""
    run = sample(
        problem.mixture,
        problem.schedule,
        DDPM(),
        x=np.zeros((n, 1)),
        rng=case.stream("terminal"),
        start=tau,
    )
    distance = np.sort(np.abs(np.asarray(run.x)[:, 0]))
    return np.searchsorted(distance, HALF_WIDTHS * problem.length, side="right")


def _taus(tau: int, T: int) -> list[int]:
    """Raw times around tau, a few a factor of two."""
    times = np.unique(np.rint(tau * np.geomspace(0.1, 8.0, 24)).astype(int))
    return [int(t) for t in times if 2 <= t <= T]


@Measurement
def terminal(case: Case) -> dict[str, Any]:
    """log10 probabilities over theta, (theta, 4), and over tau, (tau, 4), in the order of `kinds`;
    the rates at theta = `half_width` l, (tau,) each; hits (theta,) of DDPM among n runs."""
    window = require_window(case)
    length, tau = window.pair.length, window.t
    mixture = two_modes(length, float(case.mixture.sigma))
    problem = Problem(mixture, case.schedule, length)
    rates = _rates(problem, HALF_WIDTH * length, tau)
    clock = problem.clock(tau)
    n, taus = case.pick(100_000, 1_000_000), _taus(tau, case.schedule.T)
    return {
        "n": n,
        "kinds": ["bound of P5.1", "linear confinement", "bound of X5", "exact"],
        "tau": tau,
        "half_width": HALF_WIDTH,
        "theta": HALF_WIDTHS,
        "over_theta": [_log10_bounds(problem, f * length, tau) for f in HALF_WIDTHS],
        "taus": taus,
        "over_tau": [_log10_bounds(problem, HALF_WIDTH * length, t) for t in taus],
        "hits": _measured(problem, case, tau, n),
        **rates,
        "k_sup_integral": float(rates["k_sup"] @ clock),
        "k_ratio_integral": float(rates["k_ratio"] @ clock),
    }

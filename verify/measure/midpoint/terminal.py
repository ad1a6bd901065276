"""The probability that the reverse SDE ends near the midpoint it started from, and its bounds.

arXiv 2605.06831 v1, Proposition 5.1 and figure E.14: K(t), lambda_t and the bound, beside a sharper
bound (comparison with two point masses), the linear confinement bound and the exact law. The
closest pair of the case as a mixture of its own, exact score, clean end. A is the coordinate along
the pair from the midpoint in x units; rates are per unit of int beta = -log abar.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.geometry import Pair, pair
from mixdyn.problem.presets import two_modes
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array, IntArray
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import (
    HALF_WIDTH,
    bisector_drift,
    elapsed_noise,
    require_window,
)
from verify.measure.paths import level_at

HALF_WIDTHS = np.linspace(0.02, 0.49, 48)  # theta in l


def _rates(case: Case, pair: Pair, theta: float, tau: int) -> dict[str, Array]:
    """Per t = 1..tau, (tau,): K by the supremum over |a| <= 2 theta, K by |b| <= K |a|, and the
    outward rates b(theta)/theta and b(2 theta)/(2 theta)."""
    inner, outer = theta * np.geomspace(1e-6, 2.0, 400), theta * np.array([1.0, 2.0])
    rows = []
    for t in range(1, tau + 1):
        level = level_at(case, t)
        size = np.abs(bisector_drift(level, pair, inner))
        edge = bisector_drift(level, pair, outer) / outer
        rows.append((size.max() / (2.0 * theta), (size / inner).max(), *edge))
    names = ("k_sup", "k_ratio", "outward", "chord")
    return dict(zip(names, np.array(rows).T, strict=True))


def _log10_bounds(case: Case, pair: Pair, theta: float, tau: int) -> list[float]:
    """log10 of the paper's bound, the linear confinement, the sharper bound and the exact law.

    Integrals over time are sums over t = 1..tau, each rate taken at the noisy end of its step.
    """
    rates, clock = _rates(case, pair, theta, tau), elapsed_noise(case, tau)
    beta = case.schedule.beta[1 : tau + 1]
    outward = max(float((beta * rates["outward"]).min()), 0.0)
    terms = bounds.log_midpoint_terms(
        theta, float(clock.sum()), float(rates["k_sup"] @ clock), outward, float(beta.max())
    )
    growth = np.cumsum((rates["chord"] * clock)[::-1])[::-1]
    noise = float(np.exp(-2.0 * growth) @ clock)
    linear = bounds.log_linear_confinement(theta, float(growth[0]), noise)
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    sharp = bounds.log_midpoint_probability(pair.length, theta, v[tau], v[0])
    logs = [float(np.logaddexp(*terms)), float(linear), float(sharp), _truth(case, theta, tau)]
    return [value / math.log(10.0) for value in logs]


def _truth(case: Case, theta: float, tau: int) -> float:
    """log P(|A_0| <= theta) from the midpoint by the exact reverse law."""
    law = oracles.reverse_mixture(
        case.mixture,
        np.zeros((1, 1)),
        float(case.schedule.alpha_bar[tau]),
        noise_var_t=float(case.schedule.noise_var[tau]),
        noise_var_s=0.0,
    )
    return float(law.log_slab_probability([1.0], [0.0], theta)[0])


def _measured(case: Case, length: float, tau: int, n: int) -> IntArray:
    """(theta,) runs of DDPM from the midpoint that end within theta of it, among n."""
    x, rng = np.zeros((n, 1)), case.stream("terminal")
    run = sample(case.mixture, case.schedule, DDPM(), x=x, rng=rng, start=tau)
    distance = np.sort(np.abs(np.asarray(run.x)[:, 0]))
    return np.searchsorted(distance, HALF_WIDTHS * length, side="right")


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
    alone, between = replace(case, mixture=mixture), pair(mixture, 1, 0)
    rates, clock = _rates(alone, between, HALF_WIDTH * length, tau), elapsed_noise(case, tau)
    n, taus = case.pick(100_000, 1_000_000), _taus(tau, case.schedule.T)
    return {
        "n": n,
        "kinds": ["bound of P5.1", "linear confinement", "bound of X5", "exact"],
        "tau": tau,
        "half_width": HALF_WIDTH,
        "theta": HALF_WIDTHS,
        "over_theta": [_log10_bounds(alone, between, f * length, tau) for f in HALF_WIDTHS],
        "taus": taus,
        "over_tau": [_log10_bounds(alone, between, HALF_WIDTH * length, t) for t in taus],
        "hits": _measured(alone, length, tau, n),
        **rates,
        "k_sup_integral": float(rates["k_sup"] @ clock),
        "k_ratio_integral": float(rates["k_ratio"] @ clock),
    }

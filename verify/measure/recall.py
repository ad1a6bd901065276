"""Data sets as point masses: how often a noised point's own one is what it is taken for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mixdyn import oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import ExactReverse
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import standard_error

from ..ledger.case import Case
from .measurement import Arrays, Measurement

GAUSSIAN = ((64, 2), (1000, 8), (4000, 64))  # n points, d dimensions
_SAMPLED = ((64, 2), (64, 8), (200, 32))
_SHARES = (0.5, 2.0)  # of rho_C
_HALVES = tuple((n, d) for n in (100, 20_000) for d in (2, 4, 8, 16, 32, 64))
_POINTS, _SIZE = 16, 64
_SPREADS = (3e-3, 0.03, 0.3, 3.0)  # of the data's variance a coordinate


@dataclasses.dataclass(frozen=True)
class Recall:
    """Over data sets of `size` points (K,) in d dimensions (K,) at rho (K,): mean of gamma_own, its
    standard error over sets, the closed form, the share of draws that came back, and how many."""

    size: IntArray
    d: IntArray
    rho: Array
    mean: Array
    std_error: Array
    predicted: Array
    came_back: Array
    n_draws: Array


@dataclasses.dataclass(frozen=True)
class OwnSets:
    """Data of the case's law, at rho (K,): gamma_own and information density i (K, sets, points)
    of `size` points."""

    rho: Array
    gamma: Array
    density: Array
    size: int


@Measurement
def recall_of_gaussians(case: Case) -> Recall:
    """Points of N(0, I), noised; gamma by the engine, and one exact draw from every state."""
    rng, rows = case.rng("X15"), []
    sets = case.pick(60, 600)
    for n, d in _SAMPLED:
        for share in _SHARES:
            rho = share * oracles.information_rho(np.ones(d), math.log(n))
            clock = NoiseSchedule.from_alphas_cumprod([1.0 / (1.0 + rho)])
            found = [_one_set(clock, rng.standard_normal((n, d)), rng) for _ in range(sets)]
            gamma, back = (np.array(part) for part in zip(*found, strict=True))
            error = float(standard_error(gamma))
            predicted = oracles.gaussian_return(n, d, rho)
            rows.append((n, d, rho, gamma.mean(), error, predicted, back.mean(), sets * _POINTS))
    return Recall(*(np.array(column) for column in zip(*rows, strict=True)))


def _one_set(clock: NoiseSchedule, x: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Of one data set: mean gamma_own of a few states, and the share of draws that came back."""
    data, own = GaussianMixture.from_data(x), x[:_POINTS]
    noise = rng.standard_normal(own.shape)
    states = clock.alpha[1] * own + math.sqrt(clock.noise_var[1]) * noise
    gamma = data.at_level(
        float(clock.alpha[1]), float(clock.alpha_bar[1]), float(clock.noise_var[1])
    ).responsibilities(states)
    seed = int(rng.integers(1 << 62))
    ends = np.asarray(sample(data, clock, ExactReverse((1, 0)), x=states, rng=seed).x)
    back = np.abs(ends - own).max(axis=1) < 1e-9
    return float(np.diagonal(gamma).mean()), float(back.mean())


@Measurement
def own_sets(case: Case) -> OwnSets:
    """At levels from the width of a mode to beyond the data's extent."""
    rng, mixture = case.rng("X15 own"), case.mixture
    d, sets = mixture.d, case.pick(60, 1000)
    points = mixture.sample(sets * _SIZE, rng).reshape(sets, _SIZE, d)
    noise = rng.standard_normal((sets, _POINTS, d))
    spread = float(points.reshape(-1, d).var(axis=0).mean())
    rho = np.array(_SPREADS) * spread
    gamma, density = np.empty((2, len(rho), sets, _POINTS))
    for k, level in enumerate(rho.tolist()):
        states = points[:, :_POINTS] + math.sqrt(level) * noise
        marginal = mixture.at_level(1.0, 1.0, level)
        own = -0.5 * np.square(noise).sum(axis=2) - 0.5 * d * math.log(2.0 * math.pi * level)
        flat = marginal.log_density(states.reshape(-1, d))
        density[k] = own - flat.reshape(sets, _POINTS)
        for s, x in enumerate(points):
            law = GaussianMixture.from_data(x).at_level(1.0, 1.0, level)
            gamma[k, s] = np.diagonal(law.responsibilities(states[s]))
    return OwnSets(rho, gamma, density, _SIZE)


@Measurement
def recall_curves(case: Case) -> Arrays:
    """For the figure: the closed form over rho/rho_C, the bound from below, and data sets of the
    engine."""
    shares = np.geomspace(0.1, 8.0, 21)
    curves = {}
    for n, d in _SAMPLED:
        start = oracles.information_rho(np.ones(d), math.log(n))
        curves[f"{n}, {d}"] = [oracles.gaussian_return(n, d, s * start) for s in shares]
    found = recall_of_gaussians(case)
    starts = [
        oracles.information_rho(np.ones(d), math.log(n))
        for n, d in zip(found.size.tolist(), found.d.tolist(), strict=True)
    ]
    halves = []
    for n, d in _HALVES:
        start = oracles.information_rho(np.ones(d), math.log(n))
        halves.append(_half(n, d, start))
    return {
        "n": np.unique(found.n_draws),
        "shares": shares,
        "names": np.array(list(curves)),
        "curves": np.array(list(curves.values())),
        "engine_share": found.rho / np.array(starts),
        "engine": found.mean,
        "engine_error": found.std_error,
        "size": found.size,
        "d": found.d,
        "half_n": np.array([n for n, _ in _HALVES]),
        "half_d": np.array([d for _, d in _HALVES]),
        "half": np.array(halves),
    }


def _half(n: int, d: int, start: float) -> float:
    """rho of half return over rho_C."""
    from scipy.optimize import brentq

    def short(log_share: float) -> float:
        return oracles.gaussian_return(n, d, start * math.exp(log_share)) - 0.5

    return math.exp(float(brentq(short, -0.5, 2.0, xtol=1e-3)))

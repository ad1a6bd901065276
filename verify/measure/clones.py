"""Clones: two draws of the reversed diffusion from one noisy state, counted and in closed form."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mixdyn import geometry, oracles
from mixdyn.geometry.dominance_times import tau_2
from mixdyn.problem.checks import check_common_sigma
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.run.clones import clone_return
from mixdyn.run.sampling import sample
from mixdyn.samplers import ExactReverse
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError

from ..ledger.case import Case
from .covariances import matrices
from .measurement import Arrays, Measurement
from .paths import ddim_grid, level_at

STIFFNESS = (0.5, 1.0, 2.0, 4.0, 8.0, 20.0)  # l^2/v of the closest pair, about which clones are run
_STEEPEST = 73.0  # l/sqrt(v), beyond which exp(-k/8) leaves the doubles


@dataclasses.dataclass(frozen=True)
class Clones:
    """At times t (K,), of n states each: how many had two clones of one mode (K,), and the sum of
    the engine's sum_k gamma_k^2 over them (K,), with its variance as a count (K,)."""

    t: IntArray
    agreed: IntArray
    expected: Array
    variance: Array
    n: int


@Measurement
def clones_of(case: Case) -> Clones:
    """Clones by exact draws down to clean data; which mode they are of is drawn from the posterior
    there, whose mean over the draws is the state's own."""
    times, n = stiff_times(case), case.pick(4000, 40_000)
    n = max(200, min(n, 4_000_000 // (case.mixture.N * case.mixture.d)))
    rows = []
    for t in times:
        level, rng = level_at(case, t), case.rng(f"X16 clones {t}")
        x = level.marginal.sample(n, rng)
        squares = np.square(level.marginal.responsibilities(x)).sum(axis=1)
        modes = []
        for k in range(2):
            seed, back = case.stream(f"X16 {t} {k}"), ExactReverse((t, 0))
            ends = sample(case.mixture, case.schedule, back, x=x, rng=seed).x
            modes.append(_mode(case, np.asarray(ends), rng))
        spread = float((squares * (1.0 - squares)).sum())
        rows.append((int((modes[0] == modes[1]).sum()), float(squares.sum()), spread))
    agreed, expected, variance = (np.array(part) for part in zip(*rows, strict=True))
    return Clones(np.array(times), agreed, expected, variance, n)


def _mode(case: Case, clean: Array, rng: np.random.Generator) -> IntArray:
    """A mode for each clean sample, drawn from its posterior."""
    total = np.cumsum(case.mixture.responsibilities(clean), axis=1)
    u = rng.random((len(clean), 1))
    return np.minimum((total < u).sum(axis=1), case.mixture.N - 1)


def stiff_times(case: Case) -> list[int]:
    """The times nearest to the stiffnesses, without repetition, latest noise first."""
    pair = case.mixture.subset(list(geometry.nearest_pairs(case.mixture)[0]))
    k = pair_stiffness(pair, case.schedule.rho[1:])
    found = {1 + int(np.argmin(np.abs(np.log(k / wanted)))) for wanted in STIFFNESS}
    return sorted(found, reverse=True)


def pair_stiffness(pair: GaussianMixture, rho: Array) -> Array:
    """(K,) k = Delta^T C^-1 Delta of two modes at rho (K,), C the mean of their covariances."""
    delta = pair.means[1] - pair.means[0]
    values, vectors = np.linalg.eigh(matrices(pair).mean(axis=0))
    along = np.square(delta @ vectors)
    return np.asarray((along / (values + rho[:, None])).sum(axis=1))


def grid_levels(case: Case) -> tuple[IntArray, Array]:
    """Noisy times of the papers' grid, and v there."""
    times = ddim_grid(case).times
    times = times[times >= 1]
    return times, case.schedule.effective_variance(float(case.mixture.sigma))[times]


# -- closed forms ----------------------------------------------------------------------------------


def log_product_parting(mixture: GaussianMixture, v: Array) -> Array:
    """log of the probability (K,) that clones from effective variances v (K,) part, on a product of
    1-D mixtures: they agree on every axis. Quadrature about each mode of an axis; -inf far down."""
    axes = mixture.product_axes()
    if axes is None:
        raise TypeError("only of product mixtures")
    out = np.full(len(v), -np.inf)
    for at, std in enumerate(np.sqrt(v).tolist()):
        apart = [_axis(*axis, std) for axis in axes if len(axis[0]) > 1]
        parting = -math.expm1(sum(math.log1p(-part) for part in apart))
        out[at] = math.log(parting) if parting > 0.0 else -math.inf
    return out


def _axis(values: Array, weights: Array, std: float) -> float:
    """sum_i w_i int p_i (1 - gamma_i): of every node the part that is not its own."""
    # Poles of the responsibilities lie pi std/l off the axis: ten nodes to each.
    steepest = float(np.diff(np.sort(values)).min()) / std
    if steepest > _STEEPEST:
        return 0.0
    z, total = np.linspace(-39.0, 39.0, 1201 + int(100.0 * steepest)), 0.0
    normal = np.exp(-0.5 * z * z) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)
    for i, (value, weight) in enumerate(zip(values, weights, strict=True)):
        y = value + std * z[:, None]
        log_terms = np.log(weights) - 0.5 * np.square((y - values) / std)
        terms = np.exp(log_terms - log_terms.max(axis=1, keepdims=True))
        others = np.delete(terms, i, axis=1).sum(axis=1)
        total += weight * float(normal @ (others / (others + terms[:, i])))
    return total


def pair_table(mixture: GaussianMixture) -> tuple[Array, Array, Array]:
    """Of every pair: squared length, sqrt(w_i w_j) and log(w_i/w_j); equal ones together, with the
    sum of the roots."""
    i, j = np.triu_indices(mixture.N, k=1)
    square = np.square(geometry.pairwise_distances(mixture.means)[i, j])
    ratio = np.abs(np.log(mixture.weights[i] / mixture.weights[j]))
    root = np.sqrt(mixture.weights[i] * mixture.weights[j])
    keys = np.round(np.column_stack([square / square.max(), ratio]), 12)
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    # A group stands at its shortest length: the bound grows.
    shortest = np.full(len(first), np.inf)
    np.minimum.at(shortest, group.reshape(-1), square)
    return shortest, np.asarray(np.bincount(group.reshape(-1), root), float), ratio[first]


@Measurement
def agreement_curves(case: Case) -> Arrays:
    """For the figure: over times of the schedule the engine's probability that clones agree, what
    the closest pair alone does, the sum over pairs, and clones that were counted. two_k,
    two_return, two_at_least (200,): of two equal modes over k; birth (2,): k and return where their
    saddle is born."""
    check_common_sigma(case.mixture, "the law of clones in k")
    if case.mixture.N < 2:
        raise NotApplicableError("clones part between modes", "one mode", "Take two or more.")
    times = np.unique(np.geomspace(1, case.schedule.T, 60).astype(int))
    v = case.schedule.effective_variance(float(case.mixture.sigma))[times]
    seen = clone_return(
        case.mixture, case.schedule.rho[times], n=case.pick(4000, 20_000), rng=case.stream("X16")
    )
    length = geometry.pair(case.mixture, *geometry.nearest_pairs(case.mixture)[0]).length
    square, roots, ratio = pair_table(case.mixture)
    each = oracles.log_two_mode_parting(square[:, None] / v, ratio[:, None])
    sums = np.exp(each + np.log(2.0 * np.cosh(0.5 * ratio))[:, None])
    counted = clones_of(case)
    late = {k: tau_2(case.mixture, case.schedule, k) for k in (2.0, 7.0, 20.0)}
    apart = square.min() * (1.0 + 1e-9)
    two_k = np.geomspace(0.1, 60.0, 200)
    near = np.square(geometry.pairwise_distances(case.mixture.means)) <= apart
    np.fill_diagonal(near, False)
    return {
        "times": times,
        "k": length**2 / v,
        "pair": oracles.two_mode_return(length**2 / v),
        "two_k": two_k,
        "two_return": oracles.two_mode_return(two_k),
        "two_at_least": 1.0 - 0.5 * np.exp(-two_k / 8.0),
        "birth": np.array([4.0, float(oracles.two_mode_return(4.0))]),
        "probability": seen.probability,
        "chance": np.array(seen.chance),
        "at_least": 1.0 - roots @ sums,
        "counted_t": counted.t,
        "counted": counted.agreed / counted.n,
        "n": np.array([counted.n]),
        "kappas": np.array(list(late)),
        "tau_2": np.array([int(table[near].max()) for table in late.values()]),
    }

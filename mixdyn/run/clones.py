"""Where two draws of the reversed diffusion from one noisy state, clones, still end alike (X15,
X16): when a data set is memorised, when a path has chosen its mode or class.

x_0 is drawn of the mixture, y = x_0 + sqrt(rho) xi. A draw of the exact reversed diffusion from y
ends in class c (a mode, a data point, a label) with the posterior probability Gamma_c(y), so two of
them end in one class, and one returns to the class of x_0, with probability

    E sum_c Gamma_c^2 = E Gamma_own.

The mean is taken over random y, with one x_0 and one xi for all levels: of modes of one sigma a
level then costs no pass over the data, as |y - mu_k|^2 - v |xi|^2 = |x - mu_k|^2 + 2 sqrt(v) xi.(x
- mu_k) with the mean x of its mode, v = sigma^2 + rho. These two tables are made of blocks of modes
and dropped again, whatever the size of the data.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from ..problem.checks import check_mixture
from ..problem.mixture import GaussianMixture
from ..problem.noise import resolve_seed
from ..support.checks import Array, IntArray, check_array, check_integer, check_memory
from ..support.errors import InputError, NotApplicableError
from ..support.statistics import standard_error, systematic

_BYTES = 4e9  # of all states of a call
_ENTRIES = 1 << 22  # held of the states at a time: 32 MiB
_TABLE = 1 << 17  # of a block of modes: 1 MiB, for the caches
_COARSE, _FINE = 25, 5  # levels of a search, and between two of them
_FEW = 8  # of the states look where to search
_SAME = 1e-9  # of the squared lengths: closer than this a distance is taken by differences


@dataclasses.dataclass(frozen=True, eq=False)
class CloneReturn:
    """What n clones say at levels rho (K,), noise variances in y = x/alpha.

    probability (K,) : that two clones of a path end in one class; std_error (K,) of it. information
    (K,) : of the class and the noisy state, nats. alive (K,) : median over states of 1/sum Gamma^2,
    the number of classes that a state may still end in. chance : the probability without signal.
    """

    rho: Array
    probability: Array
    std_error: Array
    information: Array
    alive: Array
    chance: float
    n: int

    def crossing(self, level: float) -> float | None:
        """The largest rho at which the probability is `level`, by a line in log rho between two
        levels; None where it is on one side at all of them."""
        below = self.probability < level
        falls = np.flatnonzero(~below[:-1] & below[1:])
        if falls.size == 0:
            return None
        k = int(falls[-1])
        share = (self.probability[k] - level) / (self.probability[k] - self.probability[k + 1])
        low, high = np.log(self.rho[k]), np.log(self.rho[k + 1])
        return float(np.exp(low + share * (high - low)))


@dataclasses.dataclass(frozen=True, eq=False)
class Transition:
    """Where clones of a path begin to end alike.

    rho : where they do half way from chance to always (of many classes with probability 1/2), None
    where no level is. std_error : of log rho, from the number of clones. early, late : where they
    do by a tenth and nine tenths of that way, early > late; the window in which it is decided.
    curve : what it was read from.
    """

    rho: float | None
    std_error: float
    early: float | None
    late: float | None
    curve: CloneReturn


def clone_return(
    mixture: GaussianMixture,
    rho: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    n: int = 1024,
    rng: int | None = 0,
) -> CloneReturn:
    """The chance that two clones of a path end in one class, at noise variances rho (K,) > 0, from
    n random states.

    labels (N,) : the class of every mode, any integers; None makes each mode one, and equal modes
    one together. Costs 4 n N d + O(K n N) operations for modes of one sigma, K as much for others;
    32 MiB at a time and n d.
    """
    levels = check_array(rho, "rho", ndim=1)
    if levels.size == 0 or (levels <= 0.0).any():
        raise InputError("rho must be > 0", f"{levels[levels <= 0.0][:1]}", "Add noise.")
    classes = _classes(check_mixture(mixture), labels)
    clones = _Clones(mixture, classes, check_integer(n, "n", 2), resolve_seed(rng))
    return clones.at(levels)


def memorisation(data: GaussianMixture, *, n: int = 1024, rng: int | None = 0) -> Transition:
    """The noise at which a clone of a data point comes back to it half the time (X15).

    data : `GaussianMixture.from_data`, of any bandwidth; equal points are one. Below this rho a
    sampler with the data's own score returns copies of the data, whatever its noise.
    """
    return _transition(data, None, n, rng)


def speciation(
    mixture: GaussianMixture, labels: ArrayLike | None = None, *, n: int = 1024, rng: int | None = 0
) -> Transition:
    """The noise at which a path chooses its mode, or the label of its mode (X16): labels as in
    `clone_return`."""
    return _transition(mixture, labels, n, rng)


def _transition(
    mixture: GaussianMixture, labels: ArrayLike | None, n: int, rng: int | None
) -> Transition:
    classes = _classes(check_mixture(mixture), labels)
    if classes.max() == 0:
        raise NotApplicableError(
            "clones can part where there are two classes or more",
            "one place of all modes, or one label",
            "Take a mixture of modes at different places, or two labels.",
        )
    n, seed = check_integer(n, "n", 2 * _FEW), resolve_seed(rng)
    few = _Clones(mixture, classes, n // _FEW, seed)
    offset = mixture.means - mixture.weights @ mixture.means
    size = float((mixture.weights @ np.square(offset)).sum()) + mixture.std_range[1] ** 2
    curve = few.at(size * np.geomspace(1e-8, 1e2, _COARSE))
    wanted = [1.0 - share * (1.0 - curve.chance) for share in (0.9, 0.5, 0.1)]
    early, rho, late = (curve.crossing(level) for level in wanted)
    if rho is None:
        return Transition(None, float("nan"), early, late, curve)
    every = _Clones(mixture, classes, n, seed)
    fine = every.at(rho * np.geomspace(0.6, 1.0 / 0.6, _FINE))
    found = fine.crossing(wanted[1])
    return Transition(rho if found is None else found, _spread(fine, found), early, late, curve)


def _spread(curve: CloneReturn, rho: float | None) -> float:
    """Standard error of log rho where the curve has a value."""
    if rho is None:
        return float("nan")
    k = min(max(int(np.searchsorted(curve.rho, rho)), 1), len(curve.rho) - 1)
    rise = np.log(curve.rho[k] / curve.rho[k - 1])
    slope = (curve.probability[k - 1] - curve.probability[k]) / rise
    return float(curve.std_error[k] / slope) if slope > 0.0 else float("inf")


def _classes(mixture: GaussianMixture, labels: ArrayLike | None) -> IntArray:
    """(N,) classes 0, 1, ...; without labels equal means are one where all have one spread."""
    if labels is None:
        if not mixture.has_common_sigma:
            return np.arange(mixture.N)
        return np.unique(mixture.means, axis=0, return_inverse=True)[1].reshape(-1)
    given = np.asarray(labels)
    if given.shape != (mixture.N,) or given.dtype.kind not in "iub":
        raise InputError(
            f"labels are one integer for each of the {mixture.N} modes",
            f"shape {given.shape} of type {given.dtype}",
            "Pass an (N,) array of integers.",
        )
    return np.unique(given, return_inverse=True)[1].reshape(-1)


class _Clones:
    """States of n paths: for every level the same points and normals."""

    def __init__(self, mixture: GaussianMixture, classes: IntArray, n: int, seed: int) -> None:
        self.mixture, self.n = mixture, n
        weights = np.asarray(np.bincount(classes, mixture.weights), float)
        self.log_weights, self.chance = np.log(weights), float(weights @ weights)
        self.means, self.weights, self.classes = mixture.means, mixture.weights, classes
        places = np.unique(classes, return_index=True)[1]
        if mixture.has_common_sigma and (self.means[places][classes] == self.means).all():
            self.means, self.weights = self.means[places], weights
            self.classes = np.arange(len(places))
        check_memory(16.0 * n * (mixture.d + 1), _BYTES, "the states of clones", "Lower n.")
        rng = np.random.default_rng(seed)
        self.own = systematic(self.weights, n, rng)
        self.noise = rng.standard_normal((n, mixture.d))
        self.within = rng.standard_normal((n, mixture.d))

    def at(self, rho: Array) -> CloneReturn:
        """Over all states."""
        check_memory(
            16.0 * self.n * len(rho), _BYTES, "what states give at every level", "Lower n."
        )
        agree, known = np.empty((len(rho), self.n)), np.empty((len(rho), self.n))
        one_sigma, n_classes = self.mixture.has_common_sigma, len(self.log_weights)
        labelled = n_classes < len(self.weights)
        width = max(self.mixture.d, len(rho) * n_classes if labelled else 0, 1 << 12)
        rows = max(1, _ENTRIES // width)
        for first in range(0, self.n, rows):
            some = slice(first, min(first + rows, self.n))
            found = self._of_one_sigma(some, rho) if one_sigma else self._of_any(some, rho)
            agree[:, some], known[:, some] = (np.array(part) for part in zip(*found, strict=True))
        error = standard_error(agree)
        alive = np.median(1.0 / agree, axis=1)
        means = agree.mean(axis=1), error, known.mean(axis=1)
        return CloneReturn(rho, *means, alive, self.chance, self.n)

    def _of_any(self, some: slice, rho: Array) -> list[tuple[Array, Array]]:
        """By the mixture's own responsibilities."""
        mixture = self.mixture
        x = mixture.from_normals(self.own[some], self.within[some])
        found = []
        for level in rho.tolist():
            y = x + np.sqrt(level) * self.noise[some]
            gamma = mixture.at_level(1.0, 1.0, level).responsibilities(y)
            found.append(_read(_joined(gamma, self.classes, self.log_weights), self.log_weights))
        return found

    def _of_one_sigma(self, some: slice, rho: Array) -> list[tuple[Array, Array]]:
        """By the two tables, block by block of modes."""
        own, xi, log_w = self.own[some], self.noise[some], np.log(self.weights)
        labelled = len(self.log_weights) < len(self.weights)
        kind = _ByLabel if labelled else _ByMode
        sums = [kind(len(own), self.log_weights) for _ in rho]
        v = float(self.mixture.sigmas[0]) ** 2 + rho
        centre = self.means.mean(axis=0)
        x = self.means[own] - centre
        xi_x = _dot(xi, x)
        columns = max(64, _TABLE // len(own))
        for first in range(0, len(self.means), columns):
            block = slice(first, min(first + columns, len(self.means)))
            mu = self.means[block] - centre
            apart, along = _squares(x, mu), xi_x[:, None] - xi @ mu.T
            for tally, variance in zip(sums, v.tolist(), strict=True):
                z = along * (-1.0 / np.sqrt(variance))
                z += log_w[block]
                z -= apart * (0.5 / variance)
                tally.add(z, log_w[block], self.classes[block])
        return [tally.read() for tally in sums]


class _ByMode:
    """Sums over modes that are a class each, beside the largest term so far."""

    def __init__(self, n: int, log_weights: Array) -> None:
        self._top = np.full(n, -np.inf)
        self._total, self._square, self._log = np.zeros(n), np.zeros(n), np.zeros(n)

    def add(self, z: Array, log_w: Array, classes: IntArray) -> None:
        """A block of logits (n, b)."""
        top = np.maximum(self._top, z.max(axis=1))
        z -= top[:, None]
        moved = np.maximum(self._top - top, -700.0)
        keep, e = np.exp(moved), np.exp(np.maximum(z, -700.0))
        z -= log_w
        self._log = keep * (self._log + moved * self._total) + _dot(e, z)
        self._square = np.square(keep) * self._square + _dot(e, e)
        self._total = keep * self._total + e.sum(axis=1)
        self._top = top

    def read(self) -> tuple[Array, Array]:
        """sum gamma^2 and sum gamma log(gamma/w)."""
        total = self._total
        return self._square / np.square(total), self._log / total - np.log(total)


class _ByLabel:
    """Sums over the modes of every class."""

    def __init__(self, n: int, log_weights: Array) -> None:
        self._top, self._sums = np.full(n, -np.inf), np.zeros((n, len(log_weights)))
        self._log_weights = log_weights

    def add(self, z: Array, log_w: Array, classes: IntArray) -> None:
        """A block of logits (n, b)."""
        top = np.maximum(self._top, z.max(axis=1))
        self._sums *= np.exp(self._top - top)[:, None]
        self._sums += _joined(np.exp(z - top[:, None]), classes, self._log_weights)
        self._top = top

    def read(self) -> tuple[Array, Array]:
        """sum Gamma^2 and sum Gamma log(Gamma/W)."""
        return _read(self._sums / self._sums.sum(axis=1, keepdims=True), self._log_weights)


def _read(gamma: Array, log_weights: Array) -> tuple[Array, Array]:
    logs = np.log(np.maximum(gamma, 1e-300)) - log_weights
    return _dot(gamma, gamma), _dot(gamma, logs)


def _squares(x: Array, mu: Array) -> Array:
    """|x - mu|^2 (n, b), of those that nearly agree by differences."""
    size = _dot(x, x)[:, None] + _dot(mu, mu)
    out = size - 2.0 * (x @ mu.T)
    i, j = np.nonzero(out <= _SAME * size)
    out[i, j] = np.square(x[i] - mu[j]).sum(axis=1)
    return np.asarray(out)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _joined(gamma: Array, classes: IntArray, log_weights: Array) -> Array:
    """Sums (n, C) of gamma (n, b) over the modes of every class."""
    order = np.argsort(classes, kind="stable")
    ordered = classes[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    out = np.zeros((len(gamma), len(log_weights)))
    out[:, ordered[starts]] = np.add.reduceat(gamma[:, order], starts, axis=1)
    return out

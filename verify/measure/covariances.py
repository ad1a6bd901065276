"""Modes of any covariances in static coordinates: their laws at a level, odds and lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn.geometry import Mask
from mixdyn.geometry.dominance_times import DominanceTimes, times_of
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.spectrum import eigenpairs
from mixdyn.support.checks import Array, IntArray

from ..ledger.case import Case
from ..ledger.verdict import Hypothesis
from .paths import Paths, ddim_grid, thinned

_MOST_NODES = 20


def one_width(case: Case) -> bool:
    """Whether all modes share one sigma > 0: then a claim's own, isotropic form is measured."""
    return case.mixture.has_common_sigma and case.mixture.smallest_var > 0.0


# What a row of an extended claim says on modes of one sigma, of the hypothesis that it keeps there.
COMMON_SIGMA = Hypothesis("common_sigma", 1.0, 0.0)


def matrices(mixture: GaussianMixture) -> Array:
    """(N, d, d) covariances of the modes."""
    if mixture.covariance is not None:
        return mixture.covariance.matrices(mixture.d)
    return np.square(mixture.sigmas)[:, None, None] * np.eye(mixture.d)


def axes_of(mixture: GaussianMixture) -> tuple[Array, Array]:
    """(d,) eigenvalues of the covariance that all modes share, (d, d) eigenvectors in rows."""
    if mixture.covariance is None:
        return np.full(mixture.d, float(mixture.sigma) ** 2), np.eye(mixture.d)
    return eigenpairs(mixture.covariance.matrices(mixture.d)[0])


def common_axes(mixture: GaussianMixture) -> tuple[Array, Array] | None:
    """(d, d) eigenvectors in rows that all modes have, and their variances (N, d) along them; None
    where they have none in common, as far as the mixture was given so."""
    c = mixture.covariance
    if c is None:
        return np.eye(mixture.d), np.square(mixture.sigmas)[:, None].repeat(mixture.d, axis=1)
    if c.common:
        values, rows = axes_of(mixture)
        return rows, values[None].repeat(mixture.N, axis=0)
    if not c.shared:
        return None
    return (c.directions[0] if len(c.directions) else np.eye(mixture.d)), c.values


def law_at(mixture: GaussianMixture, rho: float) -> GaussianMixture:
    """The marginal in static coordinates."""
    return mixture.at_level(1.0, 1.0, rho)


def energies(law: GaussianMixture, y: Array) -> Array:
    """(n, N): q/2 + log det(C)/2 of every mode at y (n, d), -log of its density but for a constant;
    q the squared Mahalanobis distance."""
    if law.covariance is not None:
        log_det = law.covariance.total(np.log, law.d)
    else:
        log_det = 2.0 * law.d * np.log(law.sigmas)
    return np.asarray(0.5 * (law.squared_distances(y) + log_det))


def noisy(case: Case, paths: Paths) -> slice:
    """The nodes of paths at which every mode has a density: all, or all but clean data."""
    return slice(0, len(paths.times) - (case.mixture.smallest_var == 0.0 and paths.times[-1] == 0))


def posterior_times(case: Case, paths: Paths, kappa: float) -> DominanceTimes:
    """`tau_1` in posterior odds: a pair dominates where every other mode's energy is kappa above
    the least. Of one sigma these are the odds of Assumption 4.1."""
    times = paths.times[noisy(case, paths)]

    def contenders() -> Iterator[tuple[int, Mask]]:
        for k in range(len(times))[::-1]:
            found = energies(law_at(case.mixture, float(case.schedule.rho[times[k]])), paths.y[k])
            yield int(times[k]), found - found.min(axis=1, keepdims=True) < kappa

    return times_of(contenders(), paths.n, case.mixture.N)


def squared_lengths(law: GaussianMixture) -> Array:
    """(N, N): of mu_i - mu_j, the smaller of those by the covariances of the two modes."""
    found = law.squared_distances(law.means)
    return np.minimum(found, found.T)


def separated_until(mixture: GaussianMixture, least: float, i: IntArray, j: IntArray) -> Array:
    """(P,) the largest rho with Delta^T C^-1 Delta >= least for both covariances of pairs (i, j),
    -1 where none has.

    In the eigenvectors of a covariance this is a sum of falling fractions, solved by bisection.
    """
    values, vectors = np.linalg.eigh(matrices(mixture))
    delta = mixture.means[i] - mixture.means[j]
    until = []
    for mode in (i, j):
        along2 = np.square(np.einsum("pd,pde->pe", delta, vectors[mode]))
        lam = np.maximum(values[mode], 0.0)
        low, high = np.zeros(len(i)), along2.sum(axis=1) / least

        def enough(rho: Array, along2: Array = along2, lam: Array = lam) -> Mask:
            with np.errstate(divide="ignore", invalid="ignore"):
                terms = np.where(along2 > 0.0, along2 / (lam + rho[:, None]), 0.0)
            return np.asarray(terms.sum(axis=1) >= least)

        for _ in range(100):
            middle = 0.5 * (low + high)
            above = enough(middle)
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        until.append(np.where(enough(np.zeros(len(i))), low, -1.0))
    return np.minimum(*until)


# -- one covariance: a level at a time it is one sigma in other coordinates ------------------------


def noisy_levels(case: Case) -> Array:
    """(K,) rho at nodes of the papers' grid, down to the last at which all modes have a density."""
    rho = case.schedule.rho[ddim_grid(case).times]
    return thinned(rho[rho > 0.0] if case.mixture.smallest_var == 0.0 else rho, _MOST_NODES)


def whitened(mixture: GaussianMixture, rho: float) -> GaussianMixture:
    """Modes of one covariance in z = C^-1/2 y, along the eigenvectors of C = Sigma + rho I."""
    values, rows = axes_of(mixture)
    means = mixture.means @ rows.T / np.sqrt(values + rho)
    return GaussianMixture(means, 1.0, mixture.weights)


def unwhitened(mixture: GaussianMixture, rho: float, z: Array) -> Array:
    """(n, d) points y of z (n, d)."""
    values, rows = axes_of(mixture)
    return np.asarray((z * np.sqrt(values + rho)) @ rows)

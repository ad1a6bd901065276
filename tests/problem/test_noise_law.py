"""The noise is standard normal and independent across coordinates, samples, times and streams."""

import numpy as np
import pytest
from numba import config
from scipy import stats

from mixdyn.problem.noise import Stream, standard_normals

N = 1_000 if config.DISABLE_JIT else 200_000
SEED = 20240607


def cells(z, count):
    """Index of the equally likely cell each normal falls into."""
    return np.minimum((stats.norm.cdf(z) * count).astype(int), count - 1)


def test_normals_follow_the_normal_distribution(plausible):
    z = standard_normals(SEED, N, 2, 17)
    for column in z.T:
        plausible(stats.kstest(column, "norm").pvalue, what="Kolmogorov-Smirnov")
        plausible(stats.chisquare(np.bincount(cells(column, 50), minlength=50)).pvalue)


def test_tails_hold_their_share_on_both_sides(plausible):
    z = standard_normals(SEED, N, 2, 18).ravel()
    level = 2.0 if config.DISABLE_JIT else 4.0
    for count in ((z > level).sum(), (z < -level).sum()):
        plausible(stats.binomtest(int(count), z.size, stats.norm.sf(level)).pvalue, what="tail")


def test_mean_and_variance_are_zero_and_one(plausible):
    z = standard_normals(SEED, N, 3, 19).ravel()
    plausible(2 * stats.norm.sf(abs(z.sum()) / np.sqrt(z.size)), what="mean")
    square = stats.chi2(z.size)
    plausible(2 * min(square.cdf(np.square(z).sum()), square.sf(np.square(z).sum())), what="var")


NEIGHBOURS = {
    "coordinates of a block": lambda: standard_normals(SEED, N, 2, 3).T,
    "blocks": lambda: standard_normals(SEED, N, 4, 3).T[1:3],
    "samples": lambda: standard_normals(SEED, 2 * N, 1, 3).reshape(N, 2).T,
    "times": lambda: [standard_normals(SEED, N, 1, t)[:, 0] for t in (3, 4)],
    "streams": lambda: [standard_normals(SEED, N, 1, 3, stream=s)[:, 0] for s in list(Stream)[:2]],
    "seeds": lambda: [standard_normals(SEED + k, N, 1, 3)[:, 0] for k in (0, 1)],
}


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_neighbours_are_independent(kind, plausible):
    a, b = NEIGHBOURS[kind]()
    correlation = (a * b).sum() / np.sqrt(N)  # variance one, normal for large N
    plausible(2 * stats.norm.sf(abs(correlation)), what="correlation")
    k = 4 if config.DISABLE_JIT else 16
    table = np.bincount(cells(a, k) * k + cells(b, k), minlength=k * k)
    plausible(stats.chisquare(table).pvalue, what="joint cells")

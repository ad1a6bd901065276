"""Which pairs interpolations join: nearest neighbours or diagonals.

arXiv 2605.06831 v1, appendix D.1, and arXiv 2406.09358 v2 (the grid against the rotated diamond).
Two parts: responsibilities of a diagonal's ends where it dominates, on the exact field; and the
interpolations of DDIM under the blurred score (`blurred`), since the exact score makes none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import two_nearest
from mixdyn.geometry.dominance_times import dominance_margin
from mixdyn.geometry.dynamics import static_responsibilities
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import grid
from mixdyn.run.sampling import sample
from mixdyn.support.checks import Array, IntArray
from verify.ledger.case import Case
from verify.measure.interpolation.networks import joined
from verify.measure.measurement import Measurement
from verify.measure.networks.rates import ddim
from verify.measure.score_errors.blurred import BLUR, blurred_score

SIDE = 5
SHEARS = (0.25, 0.5)
LEVELS = (0.02, 0.05, 0.1)  # effective variances, in squared distances of the grid
KINDS = ("first side", "second side", "diagonal", "neither")


def _affine(matrix: Array) -> GaussianMixture:
    """The square grid of unit step under a linear map of its means, sigma as on the 5 x 5 grid."""
    square = grid(SIDE, 1.0, 0.01, normalize=False)
    return GaussianMixture(square.means @ matrix.T, square.sigma)


def lattices() -> dict[str, tuple[GaussianMixture, Array]]:
    """Name -> mixture and the (2, 2) map whose columns are the sides of its cells."""
    turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / math.sqrt(2.0)
    maps = {"square": np.eye(2), "diamond": turn, "rectangle 1:1.25": np.diag([1.25, 1.0])}
    maps |= {f"sheared by {s}": np.array([[1.0, s], [0.0, 1.0]]) for s in SHEARS}
    return {name: (_affine(matrix), matrix) for name, matrix in maps.items()}


def _pairs(mixture: GaussianMixture, *steps: Array) -> list[tuple[int, int]]:
    """The pairs of modes one of these steps apart."""
    found = []
    for step in steps:
        end, _, gap, _ = two_nearest(mixture.means, mixture.means + step)
        found += [(k, int(end[k])) for k in np.flatnonzero(gap < 1e-9).tolist()]
    return found


def _sampled(case: Case, n: int) -> IntArray:
    """(L, 4) kinds of n DDIM samples under the blurred score, per lattice."""
    rows = []
    for mixture, cell in lattices().values():
        model = blurred_score(mixture, case.schedule)
        run = sample(model, case.schedule, ddim(case.schedule), n=n, rng=case.stream("diagonals"))
        first, second = cell.T
        steps = (first,), (second,), (first + second, first - second)
        groups = [_pairs(mixture, *each) for each in steps]
        rows.append(joined(mixture, np.asarray(run.x), groups))
    return np.array(rows)


def _ratios(case: Case, shear: float, n: int) -> dict[str, Array]:
    """Where the short diagonal of a central cell dominates: margin kappa, log(gamma_far/gamma_near)
    and its bound, for points of the cell at several v."""
    rng = case.rng(f"diagonal {shear}")
    mixture = _affine(np.array([[1.0, shear], [0.0, 1.0]]))
    # In the order of the grid's means: the short diagonal joins (i + 1, j) and (i, j + 1).
    corner = SIDE * (SIDE // 2) + SIDE // 2
    i, j, near, far = corner + SIDE, corner + 1, corner, corner + SIDE + 1
    mu = mixture.means
    short, long = (float(np.sum((mu[a] - mu[b]) ** 2)) for a, b in ((i, j), (near, far)))
    found: dict[str, list[Array]] = {"kappa": [], "log_ratio": [], "bound": []}
    for v in LEVELS:
        share = rng.random((n, 2))
        y = mu[near] + share @ np.array([mu[i] - mu[near], mu[j] - mu[near]])
        kappa = dominance_margin(mixture, y, v, pair=(i, j))
        y, kappa = y[kappa > 0], kappa[kappa > 0]
        log_gamma = np.log(static_responsibilities(mixture, y, v)[:, [i, j]])
        found["kappa"].append(kappa)
        found["log_ratio"].append(-np.abs(log_gamma[:, 0] - log_gamma[:, 1]))
        found["bound"].append(
            bounds.diagonal_log_ratio(kappa, v, other_diagonal2=long, this_diagonal2=short)
        )
    return {name: np.concatenate(values) for name, values in found.items()}


@Measurement
def diagonals(case: Case) -> dict[str, Any]:
    """lattices (L,), kinds (4,), counts (L, 4) among n samples each; for a square cell and a
    sheared one, NAME_kappa, NAME_log_ratio, NAME_bound (points,) where a diagonal dominates."""
    n, n_points = case.pick(20_000, 100_000), case.pick(400, 1_000)
    data: dict[str, Any] = {
        "n": n,
        "lattices": list(lattices()),
        "kinds": KINDS,
        "counts": _sampled(case, n),
        "shear": SHEARS[-1],
        "blur": BLUR,
    }
    for name, shear in (("square", 0.0), ("sheared", SHEARS[-1])):
        found = _ratios(case, shear, n_points)
        data |= {f"{name}_{key}": value for key, value in found.items()}
    return data

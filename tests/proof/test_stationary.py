"""Krawczyk's test encloses the zeros of fields that are known in closed form, at every level."""

import numpy as np
import pytest

from mixdyn import oracles, presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Law
from mixdyn.proof.stationary import equilibrium

UNEVEN = Law.of(GaussianMixture([[-0.5], [0.5]], 1.0, [0.3, 0.7]), [0.0], [[1.0]])


@pytest.mark.parametrize("k", [8.0, 12.0, 30.0])
def test_the_saddle_of_two_uneven_modes_is_enclosed_over_a_range_of_levels(k):
    low, high = 1.0 / (1.01 * k), 1.0 / k
    ends = [oracles.two_mode_equilibria(1.0 / v, np.log(0.7 / 0.3))[1] for v in (low, high)]
    found = equilibrium(UNEVEN, [(ends[1] - 0.02, ends[1] + 0.02), (low, high)])
    assert found is not None
    assert all(found.contains(np.array([end])).all() for end in ends)
    assert found.hi - found.lo < 3.0 * abs(ends[1] - ends[0]) + 1e-12


def test_a_box_without_a_zero_or_with_three_of_them_is_refused():
    assert equilibrium(UNEVEN, [(0.1, 0.12), (0.1, 0.1)]) is None
    assert equilibrium(UNEVEN, [(-0.6, 0.6), (0.05, 0.05)]) is None


def test_a_saddle_in_the_plane_is_enclosed_to_rounding_at_one_level():
    grid = presets.grid()
    length = np.linalg.norm(grid.means[12] - grid.means[13])
    law = Law.of(grid, 0.5 * (grid.means[12] + grid.means[13]), np.eye(2))
    near = 0.01 * length
    found = equilibrium(law, [(-near, near), (-near, near), (length**2 / 20.0,) * 2])
    assert found is not None
    assert np.all(found.hi - found.lo < 1e-13)
    values = law.over(type(found)(np.append(found.lo, length**2 / 20.0)[None],
                                  np.append(found.hi, length**2 / 20.0)[None]))  # fmt: skip
    assert all(values.field(a).contains(0.0).all() for a in (0, 1))

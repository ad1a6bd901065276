"""A mixture that varies along one coordinate of many is separable however many there are."""

from __future__ import annotations

import numpy as np
import pytest

from mixdyn import GaussianMixture
from mixdyn.oracles import flow_map

pytestmark = pytest.mark.compiled


def test_seventy_dimensions_flow_like_one_along_the_axis_and_shrink_across_it():
    means = np.zeros((2, 70))
    means[:, -1] = -1.0, 1.0
    mixture, line = GaussianMixture(means, 0.1), GaussianMixture([[-1.0], [1.0]], 0.1)
    y = np.random.default_rng(0).standard_normal((5, 70))
    moved = flow_map(mixture, y, 2.0, 0.5)
    np.testing.assert_allclose(moved[:, -1], flow_map(line, y[:, -1:], 2.0, 0.5)[:, 0], atol=1e-13)
    np.testing.assert_allclose(moved[:, :-1], 0.5 * y[:, :-1], atol=1e-13)

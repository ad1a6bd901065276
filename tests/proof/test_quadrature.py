"""Integrals lie between their bounds, which close in with the cells."""

import math

import pytest

from mixdyn.proof.quadrature import integral


@pytest.mark.parametrize("cells", [10, 100, 10_000])
def test_a_known_integral_lies_between_the_bounds(cells):
    found = integral(lambda x: (x.square() * -1.0).exp(), -6.0, 6.0, cells)
    assert found.lo < math.sqrt(math.pi) * math.erf(6.0) < found.hi
    assert found.hi - found.lo == pytest.approx(2.0 * 12.0 / cells, rel=0.2)


def test_a_function_of_one_value_is_known_to_rounding():
    found = integral(lambda x: x * 0.0 + 1.0, 0.0, 3.0)
    assert found.lo <= 3.0 <= found.hi
    assert found.hi - found.lo < 1e-9

"""Deep traps: the mass of an interval over the density at its separatrix, and the work that takes.

It is held against the flow of the interval's ends wherever those can be afforded.
"""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixdyn import oracles
from mixdyn.oracles import trap
from mixdyn.oracles.flow_arb import flow_interval_arb, interval_levels_arb
from mixdyn.oracles.separable import Axis
from mixdyn.problem.mixture import GaussianMixture

pytestmark = pytest.mark.compiled

# The package's name for it is a function's module, not the function.
flow_arb = sys.modules["mixdyn.oracles.flow_arb"]


@st.composite
def problems(draw):
    """An axis of 2 to 4 values, a pair on it, a fraction, and levels for traps to 1e-400."""
    n = draw(st.integers(2, 4))
    values = np.cumsum([draw(st.floats(0.5, 2.0)) for _ in range(n)])
    weights = np.array([draw(st.floats(0.01, 1.0)) for _ in range(n)])
    lower = draw(st.integers(0, n - 2))
    length = values[lower + 1] - values[lower]
    fraction = draw(st.floats(0.02, 0.3))
    k_start = draw(st.floats(5.0, 60.0))
    k_end = k_start * draw(st.floats(5.0, 50.0))
    return Axis(values, weights / weights.sum()), lower, fraction, length, k_start, k_end


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_the_asymptote_is_the_image_of_the_interval_within_its_stated_error(problem):
    axis, lower, fraction, length, k_start, k_end = problem
    v_from, v_to = length**2 / k_start, length**2 / k_end
    middle = 0.5 * (axis.values[lower] + axis.values[lower + 1])
    ends = middle - fraction * length, middle + fraction * length
    found = trap._around_separatrix(axis, lower, ends, v_to, v_from, None)
    if found is None:
        return
    center, width = found
    other_center, other_width = flow_interval_arb(axis, ends, v_to, v_from)
    assert width.overlaps(other_width)
    assert width.rel_accuracy_bits() >= 36
    assert center.overlaps(other_center)


def test_the_asymptote_is_used_for_deep_traps_and_not_for_the_rim():
    axis, ends = Axis(np.array([0.0, 1.0]), np.array([0.6, 0.4])), (0.35, 0.65)
    assert trap._around_separatrix(axis, 0, ends, 1 / 2000.0, 1 / 20.0, None) is not None
    assert trap._around_separatrix(axis, 0, (0.05, 0.95), 1 / 40.0, 1 / 20.0, None) is None


def test_the_levels_of_an_interval_differ_by_its_probability():
    axis = Axis(np.array([0.0, 1.0, 3.0]), np.array([0.5, 0.3, 0.2]))
    low, high = interval_levels_arb(axis, 0, (0.4, 0.7), 0.05)
    scale = math.sqrt(2 * 0.05)
    plain = sum(
        0.5 * w * (math.erf((0.7 - m) / scale) - math.erf((0.4 - m) / scale))
        for m, w in zip(axis.values, axis.weights, strict=True)
    )
    assert float((high - low).mid()) == pytest.approx(plain, rel=1e-12)


@pytest.fixture
def work(monkeypatch):
    """(levels evaluated, bits of the most precise of them) since the start of the test."""
    from flint import ctx

    seen, plain = [], flow_arb._conserved

    def counted(*args):
        seen.append(int(ctx.prec))
        return plain(*args)

    monkeypatch.setattr(flow_arb, "_conserved", counted)
    return seen


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 3, 2)])
@pytest.mark.parametrize(("ratio", "log10"), [(1e3, -26600.0), (1e5, -2.66e8)])
def test_a_trap_at_a_thousand_sigma_takes_a_few_evaluations_of_few_bits(
    work, weights, ratio, log10
):
    mixture = GaussianMixture([[0.0], [1.0], [5.0]], 1.0 / ratio, np.array(weights) / sum(weights))
    found = oracles.trap_radius(mixture, (0, 1), 0.15, 0.1, ratio**-2)
    # (1/2 - 0.15)^2/(2 v) nats, up to what v_from and the prefactors add
    assert found.log10_radius == pytest.approx(log10, rel=1e-3)
    assert len(work) < 100
    assert max(work) <= 2048


def test_an_offset_below_the_smallest_double_is_not_called_symmetric():
    mixture = GaussianMixture([[0.0], [1.0], [5.0]], 1e-3)
    found = oracles.trap_radius(mixture, (0, 1), 0.15, 0.01, 1e-6)
    assert found.center_offset == 5e-324
    assert oracles.trap_radius(mixture, (1, 0), 0.15, 0.01, 1e-6).center_offset == -5e-324
    pair = GaussianMixture([[0.0], [1.0]], 1e-3)
    assert oracles.trap_radius(pair, (0, 1), 0.15, 0.01, 1e-6).center_offset == 0.0


def test_no_bits_are_spent_on_an_offset_that_the_levels_already_hide(work):
    """The separatrix lies 1e-762 l off the midpoint; of 1e-440 l, forty digits are known."""
    mixture = GaussianMixture(np.arange(5.0)[:, None], 1.0)
    found = oracles.trap_radius(mixture, (0, 1), 0.15, 5.7e-4, 5e-5)
    assert found.log10_radius == pytest.approx(-440.4, abs=0.1)
    assert math.isnan(found.center_offset)
    assert max(work) <= 4096

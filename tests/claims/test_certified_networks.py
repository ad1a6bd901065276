"""What is said to be proved of networks: points agree with it, and what is false is not proved."""

import numpy as np
import pytest

from mixdyn.proof.zeros import Kind
from mixdyn.support.errors import NotApplicableError
from verify.ledger import cases
from verify.measure.interpolation import networks as lines
from verify.measure.interpolation import proved_rates as x22
from verify.measure.interpolation.problems import NEAR, modes_at, schedule
from verify.measure.networks import proved
from verify.measure.networks.field import find_segments
from verify.measure.networks.models import trained_models
from verify.measure.networks.proved_plane import HALVES, proved_boxes
from verify.measure.saddles.learned_proofs import proved_equilibria
from verify.measure.saddles.slopes import midpoint_slopes
from verify.measure.score_errors.proved import error_suprema
from verify.measure.score_errors.proved_saddles import (
    errors_at_midpoints,
    errors_next_to_midpoints,
)

pytestmark = pytest.mark.slow
CASE = cases.standard()


@pytest.fixture(scope="module")
def line():
    """The network of modes at 1, 2, 3 with the largest rate."""
    return lines.networks(CASE, modes_at(NEAR))[2].model


@pytest.fixture(scope="module")
def starts(line):
    return proved.proved_starts(CASE, NEAR, x22.MARGIN, line)


def test_the_proved_mass_is_nearly_all_that_doubles_find(starts):
    mass = starts.proved(x22.MARGIN)
    assert len(mass) == 2
    assert np.all(mass <= starts.found)
    assert np.all(mass >= 0.99 * starts.found)
    assert 0.0044 < mass.sum() < 0.0045


def test_starts_in_doubles_end_where_it_is_proved(line, starts):
    steps = proved.ddim_steps(schedule())
    for k in range(2):
        width = starts.stop[k] - starts.start[k]
        z = np.linspace(starts.start[k] + 1e-3 * width, starts.stop[k] - 1e-3 * width, 500)
        ends = proved._run(steps, line.score.in_double(), z)
        assert np.all((ends >= starts.low[k] - 1e-9) & (ends <= starts.high[k] + 1e-9))
        # The enclosure is tight: the outermost starts nearly reach its ends.
        assert ends.min() - starts.low[k] < 1e-3
        assert starts.high[k] - ends.max() < 1e-3


def test_nothing_is_proved_of_a_gap_that_is_narrower_than_it_is(starts):
    assert starts.proved(1.01 * x22.MARGIN).sum() == 0.0


def test_a_slack_proves_less_and_not_nothing(line, starts):
    slack = proved.proved_starts(CASE, NEAR, x22.MARGIN, line, slack=1e-6)
    less, whole = (each.proved(x22.MARGIN).sum() for each in (slack, starts))
    assert 0.5 * whole < less < whole


def test_a_normal_mass_is_a_lower_bound_to_many_digits():
    from scipy.stats import norm

    for a, b in ((-0.5, 0.7), (3.0, 3.1), (-1e-9, 1e-9)):
        mass, want = proved.normal_mass(a, b), norm.cdf(b) - norm.cdf(a)
        assert mass <= want * (1.0 + 1e-12) + 1e-16
        assert mass == pytest.approx(want, rel=1e-12, abs=1e-16)


def test_only_a_network_whose_weights_are_known_is_enclosed():
    with pytest.raises(NotApplicableError, match="only a residual MLP"):
        proved.enclosed(CASE.mixture)


def test_all_equilibria_next_to_midpoints_are_saddles_and_those_of_modes_sinks():
    found = proved_equilibria(CASE, trained_models(CASE)[0])
    assert np.all(found.kind == Kind.SADDLE)
    assert np.all(found.modes_kind == Kind.SINK)
    assert found.radius.max() < 1e-6


def test_the_error_is_below_its_proved_supremum_and_reaches_nearly_to_it():
    model = trained_models(CASE)[1]
    reach = 0.3 * find_segments(CASE).length
    found = error_suprema(CASE, model, times=(6, 1), reach=reach, most=2)
    assert np.all(found.least <= found.sampled * (1.0 + 1e-9))
    assert np.all(found.sampled <= found.sup)
    assert np.all(found.sup <= 1.1 * found.least)


def test_a_saddle_on_a_line_lies_within_the_radius_by_the_proved_error_and_not_half_of_it(line):
    found = errors_next_to_midpoints(lines.own_case(CASE, modes_at(NEAR)), line)
    assert np.all(found.sampled <= found.size)
    assert np.all(found.sampled[..., -1] >= 0.95 * found.size[..., -1])
    held = np.isfinite(found.radius())
    assert 0 < held.sum() < held.size
    assert np.all(found.saddle[held] <= found.radius()[held])
    assert np.any(found.saddle[held] > found.radius(0.5)[held])


def test_slopes_of_errors_in_doubles_are_what_is_proved_and_some_call_for_a_trap():
    model = trained_models(CASE)[0]
    found, doubles = errors_at_midpoints(CASE, model), midpoint_slopes(CASE, model)
    spare = 1e-9 * (doubles.rate[:, None] + 1.0)
    assert np.all(found.low - spare <= doubles.shift)
    assert np.all(doubles.shift <= found.high + spare)
    assert np.all(found.high - found.low < 1e-3 * (doubles.rate[:, None] + 1.0))
    assert np.all(found.aligned <= doubles.aligned)
    assert found.aligned.sum() > 0.9 * doubles.aligned.sum()


def test_boxes_in_the_plane_end_outside_every_mode_and_have_next_to_no_mass():
    found = proved_boxes(CASE, trained_models(CASE)[1])
    assert 16 < found.tried <= 24
    wide, narrow = found.proved
    assert wide < narrow
    assert narrow > 0.5 * found.tried
    side = 2.0 * HALVES[-1]
    assert 0.0 < found.mass < narrow * side**2 / (2.0 * np.pi)

"""What a start from noise and a last step leave outside, against direct integration."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, ndtr

from mixdyn import bounds
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import InputError, NotApplicableError


def uneven():
    return GaussianMixture([[-1.0], [0.4], [1.5]], 0.1, [0.2, 0.5, 0.3])


@pytest.mark.parametrize("cut", [-3.0, 0.5, 2.0, 4.5])
def test_no_half_line_is_likelier_from_noise_than_its_bound(cut):
    mixture, abar = uneven(), 0.02
    std = math.sqrt(abar * 0.01 + 1.0 - abar)
    from_data = mixture.weights @ ndtr(-(cut - math.sqrt(abar) * mixture.means[:, 0]) / std)
    bound = math.exp(bounds.log_start_probability(mixture, math.log(from_data), abar))
    from_noise = ndtr(-cut)
    assert from_noise <= bound
    assert bound <= from_noise + 3.0 * from_data


def test_a_start_that_is_noise_costs_nothing_and_one_that_is_data_everything():
    centred = GaussianMixture([[0.0, 0.0]], 1.0)
    logs = np.log([1e-3, 1e-9])
    # Order 1e8 is the largest looked at: the loss is log(1/P)/1e8.
    assert bounds.log_start_probability(centred, logs, 0.3) == pytest.approx(logs, rel=2e-8)
    assert float(bounds.log_start_probability(uneven(), -2.0, 0.9999)) == 0.0


@pytest.mark.parametrize("length", [0.02, 0.06, 0.1, 0.14, 0.3])
def test_the_last_step_between_two_modes_stays_below_its_bound(length):
    sigma, rho = 1e-3, 1e-4
    v = sigma**2 + rho

    places = np.linspace(-0.1, length + 0.1, 200_001)
    density = np.exp(-(places**2) / (2.0 * v)) + np.exp(-((places - length) ** 2) / (2.0 * v))
    density *= 0.5 / math.sqrt(2.0 * math.pi * v)
    weight = expit(length * (places - 0.5 * length) / v)
    ends = (sigma**2 * places + rho * length * weight) / v
    outside = np.minimum(np.abs(ends), np.abs(ends - length)) > 5.0 * sigma
    share = float(density[outside].sum() * (places[1] - places[0]))
    bound = bounds.last_step_probability(
        GaussianMixture([[0.0], [length]], sigma), rho, 5.0 * sigma
    )
    assert share <= bound * (1.0 + 1e-6)
    assert bound == 1.0 or bound <= 60.0 * share + 1e-12


def test_without_room_between_two_modes_nothing_lies_outside_after_the_last_step():
    close = GaussianMixture([[0.0], [1e-3]], 1e-3)
    assert bounds.last_step_probability(close, 1e-4, 5e-3) < 1e-100


def test_the_tail_of_one_mode_alone_is_that_of_its_shrunk_normal():
    lonely = GaussianMixture([[0.0, 0.0], [80.0, 0.0]], 1.0)
    tail = quad(lambda r: r * math.exp(-0.5 * r * r), 3.0 * math.sqrt(1.5), np.inf)[0]
    assert bounds.last_step_probability(lonely, 0.5, 3.0) == pytest.approx(tail, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: bounds.log_start_probability(uneven(), 0.5, 0.1), InputError),
        (lambda: bounds.log_start_probability(uneven(), -1.0, 1.5), InputError),
        (lambda: bounds.last_step_probability(uneven(), 0.0, 1.0), InputError),
        (lambda: bounds.last_step_probability(uneven(), 0.1, -1.0), InputError),
        (
            lambda: bounds.last_step_probability(
                GaussianMixture([[0.0], [1.0]], [0.1, 0.2]), 0.1, 1.0
            ),
            NotApplicableError,
        ),
    ],
)
def test_unusable_input_is_refused(call, error):
    with pytest.raises(error):
        call()

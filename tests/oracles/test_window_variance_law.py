"""The law of Hal against closed tails, the engine's samples and the derivation."""

import math

import numpy as np
import pytest
from scipy import stats

from mixdyn import (
    DDPM,
    ExactReverse,
    GaussianMixture,
    NoiseSchedule,
    TimeGrid,
    oracles,
    sample,
)
from mixdyn.run.observers import WindowVariance
from mixdyn.support.errors import InputError

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear(60, 1e-3, 0.4)
TIMES = np.arange(60, -1, -1)
SIGMA, WINDOW, N = 0.1, 6, 20_000


def covariance(window=WINDOW):
    arrays = (SCHEDULE.alpha_bar, TIMES, window, SIGMA)
    return oracles.window_covariance(*arrays, noise_var=SCHEDULE.noise_var)


def test_in_two_dimensions_the_tail_is_a_sum_of_exponentials():
    law = oracles.window_variance_law(covariance(), 2)
    weights = law.weights
    for x in law.mean * np.array([0.01, 0.5, 1.0, 3.0, 8.0]):
        others = [
            math.prod(a / (a - b) for j, b in enumerate(weights) if j != i)
            for i, a in enumerate(weights)
        ]
        closed = sum(c * math.exp(-x / a) for c, a in zip(others, weights, strict=True))
        assert law.tail(x) == pytest.approx(closed, abs=1e-11)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_window_of_two_steps_is_a_chi_square(d):
    law = oracles.window_variance_law(covariance(2), d)
    k = covariance(2)
    assert law.weights == pytest.approx([(k[1, 1] - k[0, 0]) / 4], rel=1e-10)
    for ratio in (1e-4, 0.3, 1.0, 4.0):
        exact = stats.chi2.sf(ratio * d, d)
        assert law.tail(ratio * law.mean) == pytest.approx(exact, abs=1e-12)


def test_the_quantile_inverts_the_tail():
    law = oracles.window_variance_law(covariance(), 1)
    for share in (0.02, 0.5, 0.98, 0.999):
        assert law.tail(law.quantile(share)) == pytest.approx(1.0 - share, abs=1e-10)


def test_the_path_inside_one_mode_has_the_covariance_of_a_martingale():
    k = covariance()
    assert np.array_equal(k, np.diag(k)[np.minimum.outer(range(WINDOW), range(WINDOW))])
    assert (np.diff(np.diag(k)) > 0).all()


@pytest.mark.parametrize("d", [1, 3])
def test_ddpm_in_one_mode_gives_hal_this_law(d, plausible):
    mixture = GaussianMixture(np.full((1, d), 0.3), SIGMA)
    run = sample(
        mixture, SCHEDULE, DDPM(), n=N, rng=d, observers=[WindowVariance(SCHEDULE, WINDOW)]
    )
    law = oracles.window_variance_law(covariance(), d)
    hal = np.asarray(run.observations[0])
    ranks = np.array([law.tail(x) for x in hal[:4000]])
    plausible(stats.kstest(ranks, "uniform").pvalue, what="law")
    z = (hal.mean() - law.mean) / math.sqrt(law.variance / N)
    plausible(2 * stats.norm.sf(abs(z)), what="mean")


def test_the_mean_on_two_modes_is_what_the_denoiser_learns_over_the_window(plausible):
    length = 1.0
    mixture = GaussianMixture([[-0.5], [0.5]], SIGMA)
    sampler = ExactReverse(TimeGrid.full(SCHEDULE.T))
    hal = np.asarray(
        sample(
            mixture, SCHEDULE, sampler, n=N, rng=5, observers=[WindowVariance(SCHEDULE, 20)]
        ).observations[0]
    )
    rho = SCHEDULE.rho[20:0:-1]
    mean = oracles.expected_window_variance(
        [oracles.pair_error(length, SIGMA, float(r)) for r in rho]
    )
    owned = oracles.expected_window_variance(SIGMA**2 * rho / (SIGMA**2 + rho))
    assert mean > 1.5 * owned, "the undecided paths must matter"
    z = (hal.mean() - mean) / (hal.std() / math.sqrt(N))
    plausible(2 * stats.norm.sf(abs(z)), what="mean")


def test_the_error_along_a_pair_is_the_posterior_variance_averaged_over_the_pair():
    for rho in (0.02, 0.1, 0.5):
        v = SIGMA**2 + rho
        z = np.linspace(-12.0, 12.0, 20_001)
        weights = np.exp(-0.5 * z**2) * (z[1] - z[0])
        y = 0.5 + math.sqrt(v) * z
        gamma = 1.0 / (1.0 + np.exp(-y / v))
        undecided = weights @ (gamma * (1 - gamma)) / math.sqrt(2 * math.pi)
        expected = SIGMA**2 * rho / v + (rho / v) ** 2 * undecided
        assert oracles.pair_error(1.0, SIGMA, rho) == pytest.approx(expected, rel=1e-11)
    assert oracles.pair_error(3.0, SIGMA, 1e-4) == pytest.approx(
        SIGMA**2 * 1e-4 / (SIGMA**2 + 1e-4), rel=1e-9
    ), "far below the separation one mode owns every point"


def test_modes_far_apart_in_noise_leave_the_prior_variance():
    assert oracles.pair_error(1.0, SIGMA, 1e6) == pytest.approx(SIGMA**2 + 0.25, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (
            lambda: oracles.window_covariance(SCHEDULE.alpha_bar, TIMES, 61, 0.1),
            "not exceed the 60",
        ),
        (lambda: oracles.window_covariance(SCHEDULE.alpha_bar, TIMES, 1, 0.1), "window must be"),
        (lambda: oracles.window_variance_law([[1.0, 2.0], [0.0, 1.0]], 1), "symmetric"),
        (lambda: oracles.expected_window_variance([0.1, 0.2]), "errors of a denoiser fall"),
        (lambda: oracles.window_variance_law(covariance(), 1).quantile(1.0), "below 1"),
        (lambda: oracles.pair_error(1.0, 0.1, 0.0), "rho must be"),
    ],
)
def test_bad_input_names_its_rule(call, rule):
    with pytest.raises(InputError, match=rule):
        call()

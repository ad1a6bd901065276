"""What a start from N(0, I) costs, against the closed forms of the reverse laws themselves."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from mixdyn import DDIM, GaussianMixture, NoiseSchedule, ProbabilityFlow, presets, sample
from mixdyn.oracles import flow_map, reverse_law
from mixdyn.run.start import StartError, start_error
from mixdyn.support.errors import InputError, StartWarning

pytestmark = pytest.mark.compiled

TWO = GaussianMixture([[-1.0], [1.0]], 0.05, [0.9, 0.1])
THREE = GaussianMixture([[-1.0], [0.2], [1.5]], 0.05, [0.2, 0.7, 0.1])
# abar_T = 0.603, 0.364, 0.048; mode 2 ends with 0.343, 0.258, 0.139 without noise.
LENGTHS = {50: 0.3433, 100: 0.2577, 300: 0.1385}


def by_the_flow(mixture, schedule, t):
    """Weights from the oracle's flow map: where the starts that end between two modes lie."""
    v_t, v_0 = mixture.sigma**2 + schedule.rho[t], mixture.sigma**2
    means = mixture.means[:, 0]

    def end(x):
        y = np.array([[x / schedule.alpha[t]]])
        return float(flow_map(mixture, y, v_t, v_0)[0, 0])

    borders = [
        brentq(lambda x, m=0.5 * (a + b): end(x) - m, -8.0, 8.0, xtol=1e-13)
        for a, b in itertools.pairwise(means)
    ]
    return np.diff([0.0, *norm.cdf(borders), 1.0])


def by_the_reverse_law(mixture, schedule, t):
    """Weights from the oracle's Bayes rule, by adaptive quadrature."""
    return [
        quad(
            lambda x, k=k: (
                norm.pdf(x)
                * reverse_law(mixture, np.array([[x]]), float(schedule.alpha_bar[t]))[0][0, k]
            ),
            -12.0,
            12.0,
            limit=400,
            epsabs=1e-11,
        )[0]
        for k in range(mixture.N)
    ]


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize("mixture", [TWO, THREE], ids=["two", "three"])
def test_weights_on_a_line_are_those_of_both_reverse_processes(mixture, T):
    schedule = NoiseSchedule.linear(T)
    error = StartError(mixture, schedule, T)
    assert np.allclose(error.flow_weights, by_the_flow(mixture, schedule, T), rtol=0, atol=1e-7)
    low, high = error.noisy_weights
    assert low.tobytes() == high.tobytes()
    assert np.allclose(low, by_the_reverse_law(mixture, schedule, T), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("T", "weight"), LENGTHS.items())
def test_short_schedules_give_the_small_mode_of_a_line_too_much_and_say_so(T, weight):
    schedule = NoiseSchedule.linear(T)
    with pytest.warns(StartWarning, match=rf"N\(0, I\) is not p_t at the start t = {T}"):
        run = sample(TWO, schedule, ProbabilityFlow(), n=20_000, rng=0)
    assert run.start_error.flow_weights[1] == pytest.approx(weight, abs=5e-5)
    seen = float(np.mean(run.x > 0.0))
    assert abs(seen - weight) <= 4.0 * np.sqrt(weight * (1.0 - weight) / 20_000) + 2e-3
    assert run.start_error.worst >= weight - 0.1 - 5e-5
    assert f"{run.start_error.flow_weights[1]:.4g}" in run.start_error.words()


def test_a_schedule_that_ends_in_noise_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = sample(TWO, NoiseSchedule.linear(), ProbabilityFlow(), n=10, rng=0)
        for mixture in (presets.grid(), presets.ring(), presets.farthest_point(64)):
            sample(mixture, NoiseSchedule.linear(), DDIM(10), n=10, rng=0)
    assert run.start_error.worst == pytest.approx(9e-4, abs=1e-5)


def test_a_grid_that_begins_too_late_is_told_to_begin_earlier():
    schedule = NoiseSchedule.linear()
    mixture = GaussianMixture([[0.0], [1.0], [3.0]], 0.05, [0.5, 0.3, 0.2])
    late = StartError(mixture, schedule, 801)
    assert late.notable
    assert "Begin at t = 1000" in late.words()
    assert not StartError(mixture, schedule, 1000).notable
    short = StartError(mixture, NoiseSchedule.linear(100), 80)
    assert "Use a schedule that ends in noise" in short.words()


def test_given_states_and_other_models_have_no_start_to_judge():
    class Other:
        d = 1

        def eps(self, x, t):
            return x

    schedule = NoiseSchedule.linear(50)
    assert sample(TWO, schedule, DDIM(10), x=np.zeros((1, 1))).start_error is None
    assert sample(Other(), schedule, DDIM(10), n=1).start_error is None


PLANE = GaussianMixture(
    [[x, y] for x in (-1.0, 0.5, 2.0) for y in (0.0, 1.0)],
    0.1,
    np.outer([0.2, 0.5, 0.3], [0.9, 0.1]).ravel(),
)
SLANTED = GaussianMixture([[0.0, 1, 2], [1, 2, 3], [3, 4, 5]], 0.1, [0.2, 0.3, 0.5])
UNEVEN = GaussianMixture([[-1.0], [1.0]], [0.05, 0.3], [0.7, 0.3])
BENT = GaussianMixture([[0.0, 0], [2, 0], [0, 1]], 0.1, [0.6, 0.3, 0.1])
WIDE = GaussianMixture([[0.0, 0], [2, 0], [0, 1]], [0.1, 0.2, 0.4], [0.6, 0.3, 0.1])
CASES = {"plane": PLANE, "slanted": SLANTED, "uneven": UNEVEN, "bent": BENT, "wide": WIDE}


@pytest.mark.parametrize("name", CASES)
def test_weights_contain_the_mean_of_the_exact_reverse_law_in_any_dimension(name):
    mixture, schedule = CASES[name], NoiseSchedule.linear(100)
    error = StartError(mixture, schedule, 100)
    x = np.random.default_rng(7).standard_normal((200_000, mixture.d))
    gamma = reverse_law(mixture, x, float(schedule.alpha_bar[100]))[0]
    standard_error = gamma.std(axis=0) / np.sqrt(len(x))
    low, high = error.noisy_weights
    assert (gamma.mean(axis=0) >= low - 5.0 * standard_error).all()
    assert (gamma.mean(axis=0) <= high + 5.0 * standard_error).all()
    assert ((high - low) <= (0.0 if name in ("plane", "slanted", "uneven") else 0.02)).all()
    assert error.worst > 0.05
    assert error.worst <= error.total_variation
    off = np.abs(gamma.mean(axis=0) - mixture.weights).max()
    assert off <= error.total_variation + 5.0 * standard_error.max()


@pytest.mark.parametrize("name", CASES)
def test_the_divergence_is_that_of_draws_or_no_smaller(name):
    mixture, schedule = CASES[name], NoiseSchedule.linear(100)
    error = StartError(mixture, schedule, 100)
    marginal = mixture.diffused(float(schedule.alpha_bar[100]))
    x = marginal.sample(200_000, rng=3)
    ratio = marginal.log_density(x) - norm.logpdf(x).sum(axis=1)
    four = 4.0 * ratio.std() / np.sqrt(len(x))
    exact = name in ("plane", "slanted", "uneven")
    assert ratio.mean() <= error.kl + four
    assert not exact or abs(ratio.mean() - error.kl) <= four
    assert error.kl <= error.kl_bound


def test_an_interval_from_draws_contains_the_weights_known_exactly():
    error = StartError(PLANE, NoiseSchedule.linear(100), 100)
    low, high = error._drawn_weights()
    exact = error.noisy_weights[0]
    assert ((low <= exact) & (exact <= high)).all()
    assert (high - low).max() <= 0.02


def test_many_modes_hardly_noised_get_an_interval_in_place_of_a_long_quadrature():
    many = presets.line(3000, 1.0, 0.01, normalize=True)
    schedule = NoiseSchedule.linear()
    early = StartError(many, schedule, 1000)
    assert early.noisy_weights[0].tobytes() == early.noisy_weights[1].tobytes()
    late = StartError(many, schedule, 1)
    assert late.flow_weights is None
    assert late.kl == late.kl_bound
    low, high = late.noisy_weights
    assert (low <= high).all()


def test_a_start_beyond_the_schedule_is_refused_and_one_error_is_kept():
    with pytest.raises(InputError, match=r"t must be an integer in 1\.\.50"):
        StartError(TWO, NoiseSchedule.linear(50), 51)
    assert start_error(TWO, NoiseSchedule.linear(50), 50) is start_error(
        TWO, NoiseSchedule.linear(50), 50
    )


@pytest.mark.parametrize("noise", [1e-3, 1e-14, 1e-20, 1e-200])
def test_of_point_masses_at_little_noise_no_digit_of_the_divergence_is_lost(noise):
    law = GaussianMixture.from_data(np.eye(3) * [3.0, 1.0, 1.0])
    schedule = NoiseSchedule.from_alphas_sigmas(1.0, [np.sqrt(noise), 1.0])
    expected = 0.5 * (3.0 * (noise - 1.0 - np.log(noise)) + 11.0 / 3.0)
    assert start_error(law, schedule, 1).kl_bound == pytest.approx(expected, rel=1e-13)

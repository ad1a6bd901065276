"""AnalyticNoise: its kernels are the true reverse kernel's, to the second moment, at every step."""

import numpy as np
import pytest

import mixdyn
from mixdyn import AnalyticNoise, ExactScore, GaussianMixture, NoiseSchedule, presets
from mixdyn.samplers.plan import bridge_plan
from mixdyn.samplers.posterior import denoiser_slopes
from mixdyn.samplers.step import Rows
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.2)
PAIR = GaussianMixture([[-0.6, 0.1], [0.5, 0.3]], 0.2, [0.3, 0.7])


class Foreign:
    """A model without derivatives."""

    d = 2

    def __init__(self, mixture):
        self.score, self.seen = ExactScore(mixture, SCHEDULE), 0

    def eps(self, x, t):
        self.seen += len(x)
        return self.score.eps(x, t)


def kernels(covariance, model, x, k, grid):
    """Mean (n, d) and covariance (n, d, d) of step k, read off its noise."""
    how = AnalyticNoise(covariance=covariance)
    stepper = how.stepper(model, SCHEDULE, grid)
    t, _ = grid.pairs[k]
    eps = stepper.eps(x, t)
    found = []
    for xi in (np.zeros(2), *np.eye(2)):
        rows = Rows(0, 0)
        object.__setattr__(rows, "of_step", lambda *_, xi=xi: np.tile(xi, (len(x), 1)))
        state = x.copy()
        stepper.advance(state, eps, k, rows)
        found.append(state)
    root = np.stack([found[1] - found[0], found[2] - found[0]], axis=2)
    return found[0], root @ root.transpose(0, 2, 1)


@pytest.mark.parametrize("k", [1, 3, 4])
def test_the_full_kernel_has_the_moments_of_the_true_one(k):
    """By Bayes, between modes and in them; the last step, to the data, too."""
    grid = mixdyn.TimeGrid([90, 60, 40, 20, 5, 0], 100)
    t, s = grid.pairs[k]
    x = SCHEDULE.alpha[t] * np.array([[-0.05, 0.2], [-0.6, 0.1], [0.4, 0.0]])
    mean, covariance = kernels("full", ExactScore(PAIR, SCHEDULE), x, k, grid)
    true = mixdyn.oracles.reverse_moments(PAIR, x, SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[s])
    assert np.abs(mean - true[0]).max() < 1e-12
    assert np.abs(covariance - true[1]).max() < 1e-12
    _, diagonal = kernels("diagonal", ExactScore(PAIR, SCHEDULE), x, k, grid)
    assert np.abs(diagonal - true[1] * np.eye(2)).max() < 1e-12
    _, isotropic = kernels("isotropic", ExactScore(PAIR, SCHEDULE), x, k, grid)
    trace = np.trace(true[1], axis1=1, axis2=2)[:, None, None]
    assert np.abs(isotropic - 0.5 * trace * np.eye(2)).max() < 1e-12


def test_a_model_without_derivatives_is_differenced_and_every_evaluation_counted():
    x = SCHEDULE.alpha[30] * np.array([[-0.05, 0.2], [0.4, 0.0]])
    model = Foreign(PAIR)
    found, cost = denoiser_slopes(model, SCHEDULE, x, 30)
    exact, own = denoiser_slopes(model.score, SCHEDULE, x, 30)
    assert np.abs(found - exact).max() < 1e-5
    assert (cost, own, model.seen) == (4, 2, 8)
    model.seen = 0
    run = mixdyn.sample(model, SCHEDULE, AnalyticNoise(6), n=40, rng=0)
    assert run.n_eval == pytest.approx(6 * 5)
    assert model.seen == 40 * 6 * 5


def test_the_average_is_read_off_samples_and_counted():
    model = Foreign(PAIR)
    run = mixdyn.sample(model, SCHEDULE, AnalyticNoise(6, covariance="average"), n=40, rng=0)
    assert run.n_eval * 40 == pytest.approx(model.seen)
    stepper = AnalyticNoise(covariance="average").stepper(
        ExactScore(PAIR, SCHEDULE), SCHEDULE, AnalyticNoise(6).grid(SCHEDULE)
    )
    x_0 = PAIR.sample(20_000, np.random.default_rng(0))
    noise = np.random.default_rng(1).standard_normal(x_0.shape)
    x = SCHEDULE.alpha[30] * x_0 + np.sqrt(SCHEDULE.noise_var[30]) * noise
    slopes, _ = denoiser_slopes(ExactScore(PAIR, SCHEDULE), SCHEDULE, x, 30)
    mean = np.trace(slopes, axis1=1, axis2=2).mean() / 2
    # 256 samples of the model: the loss varies by about its own size.
    assert stepper._mean_slope(30, 2) == pytest.approx(mean, rel=0.2)


@pytest.mark.compiled
@pytest.mark.parametrize("covariance", ["average", "isotropic", "diagonal", "full"])
def test_one_mode_keeps_its_width_on_few_steps(covariance):
    one, n = GaussianMixture([[0.2, -0.1]], 0.1), 4000
    how = AnalyticNoise(5, covariance=covariance)
    x = mixdyn.sample(one, SCHEDULE, how, n=n, rng=1).x
    spread = (x - one.means[0]).std() / 0.1
    margin = 5.0 / np.sqrt(4 * n) + (0.05 if covariance == "average" else 0.0)
    assert abs(spread - 1.0) < margin
    bare = mixdyn.sample(one, SCHEDULE, mixdyn.DDIM(5, eta=1.0), n=n, rng=1).x
    assert abs((bare - one.means[0]).std() / 0.1 - 1.0) > 2.0 * margin


def test_it_is_ancestral_sampling_where_nothing_is_unknown():
    """Of point masses that are known x_0 has no variance: DDIM with eta = 1."""

    class Known:
        d = 2

        def eps(self, x, t):
            return (x - SCHEDULE.alpha[t] * np.array([0.3, 0.1])) / np.sqrt(SCHEDULE.noise_var[t])

    found = mixdyn.sample(Known(), SCHEDULE, AnalyticNoise(8), n=20, rng=2).x
    bare = mixdyn.sample(Known(), SCHEDULE, mixdyn.DDIM(8, eta=1.0), n=20, rng=2).x
    assert np.abs(found - bare).max() < 1e-5


def test_a_start_without_signal_and_blocks_are_taken():
    schedule = NoiseSchedule.flow_matching(50)
    how = AnalyticNoise(8, "trailing")
    run = mixdyn.sample(presets.grid(), schedule, how, n=30, rng=0)
    parts = [mixdyn.sample(presets.grid(), schedule, how, n=15, rng=0, first=k).x for k in (0, 15)]
    assert np.array_equal(run.x, np.concatenate(parts))
    assert bridge_plan(schedule, how.grid(schedule), 1.0).blind


def test_an_unknown_kernel_is_refused():
    with pytest.raises(InputError, match="covariance"):
        AnalyticNoise(covariance="tied")

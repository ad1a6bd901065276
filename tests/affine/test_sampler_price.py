"""The price of a sampler: closed sums against path likelihoods, matrices and divergences."""

import dataclasses

import numpy as np
import pytest

import mixdyn
from mixdyn import DDIM, DDPM, ExactReverse, Hybrid, NoiseSchedule, TimeGrid, oracles, presets
from mixdyn.affine.accounts import accounts_of, most_from_loss
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.run.start import start_error
from mixdyn.support.errors import InputError, NotApplicableError

GRID = presets.grid()
LINE = GaussianMixture(np.unique(GRID.means[:, 0])[:, None], GRID.sigma)
SCHEDULE = NoiseSchedule.linear()
SPREAD = GaussianMixture(
    [[0.0, 0.0], [1.0, 0.5], [-0.6, 0.9]],
    covariance=[[[0.04, 0.01], [0.01, 0.02]], [[0.01, 0.0], [0.0, 0.09]], [[0.02, 0], [0, 0.02]]],
)
TILTED = mixdyn.PerturbedScore(
    mixdyn.ExactScore(LINE, SCHEDULE), SCHEDULE, lambda x, t: 0.2 * np.cos(3.0 * x)
)


def test_the_line_of_five_modes_costs_what_was_derived():
    """By hand: a page of NumPy, trapezoids of its own, and Monte Carlo on exact paths."""
    uniform = [*range(1000, 0, -20), 1, 0]
    finer = [*range(1000, 0, -4), 1, 0]
    for spacing, nats in (("quadratic", 0.2413), (uniform, 0.6774), (finer, 0.1162)):
        grid = spacing if isinstance(spacing, str) else TimeGrid(spacing)
        found = mixdyn.price(LINE, SCHEDULE, DDIM(spacing=grid, eta=1.0))
        assert found.steps == pytest.approx(nats, abs=5e-5)
        assert found.error == 0.0


@pytest.mark.parametrize(
    "sampler",
    [DDIM(20, eta=1.0), DDIM(20, eta=0.6), DDIM(20, "log_snr", eta=1.1), DDIM(6, "price", eta=1.0)],
    ids=repr,
)
def test_the_steps_and_the_matrices_of_a_sampler_cost_the_same(sampler):
    for mixture in (LINE, GaussianMixture([[0.3], [2.0]], [0.1, 0.4], [0.2, 0.8])):
        own = mixdyn.price(mixture, SCHEDULE, sampler)
        settled = mixdyn.samplers.best_grid.settled(sampler, mixture, SCHEDULE)
        plan = mixdyn.price(mixture, SCHEDULE, mixdyn.transcribe(settled, schedule=SCHEDULE))
        np.testing.assert_allclose(plan.by_step, own.by_step, rtol=1e-9, atol=1e-9)
        assert plan.start == pytest.approx(own.start, rel=1e-6, abs=1e-13)


def _log_ratio(mixture, schedule, plan, n, rng):
    """log density of exact paths over that of a StepPlan's on the noisy nodes, (n,)."""
    t = plan.t
    x_0 = mixture.sample(n, rng)
    y = x_0 + np.sqrt(schedule.rho[t[-1]]) * rng.standard_normal(x_0.shape)
    paths = [y]
    for late, early in zip(t[:0:-1], t[-2::-1], strict=True):
        wide = np.sqrt(schedule.rho[early] - schedule.rho[late])
        paths.append(paths[-1] + wide * rng.standard_normal(y.shape))
    paths.reverse()
    score, found = mixdyn.ExactScore(mixture, schedule), np.zeros(n)
    c_x, c_eps, noise = plan.eps_form()
    for k, (a, b) in enumerate(zip(t[:-1].tolist(), t[1:].tolist(), strict=True)):
        x, new = schedule.alpha[a] * paths[k], schedule.alpha[b] * paths[k + 1]
        # Bayes: p(x_s | x_t) = p(x_t | x_s) p(x_s)/p(x_t), the forward kernel and two marginals.
        ratio = schedule.alpha[a] / schedule.alpha[b]
        var = schedule.noise_var[a] - ratio**2 * schedule.noise_var[b]
        forward = -0.5 * (np.square(x - ratio * new) / var + np.log(var)).sum(axis=1)
        exact = forward + score.log_density(new, b) - score.log_density(x, a)
        away = new - c_x[k] * x - c_eps[k] * score.eps(x, a)
        found += exact + 0.5 * (np.square(away / noise[k]) + 2.0 * np.log(noise[k])).sum(axis=1)
    return found


@pytest.mark.compiled
@pytest.mark.parametrize("mixture", [LINE, SPREAD], ids=["line", "covariances"])
@pytest.mark.parametrize("eta", [1.0, 0.8])
def test_a_price_is_the_mean_log_ratio_of_exact_paths(mixture, eta):
    sampler = DDIM(12, "log_snr", eta=eta)
    plan = sampler.plan(SCHEDULE, sampler.grid(SCHEDULE))
    each = _log_ratio(mixture, SCHEDULE, plan, 20_000, np.random.default_rng(5))
    found = mixdyn.price(mixture, SCHEDULE, sampler)
    error = np.hypot(each.std() / np.sqrt(len(each)), found.error)
    assert abs(each.mean() - found.steps) < 5.0 * error
    assert error < 0.02 * found.steps


def test_start_is_that_of_the_law_at_the_first_time():
    short = NoiseSchedule.linear(T=60)
    for mixture in (GRID, LINE):
        found = mixdyn.price(mixture, short, DDPM())
        assert found.start == pytest.approx(start_error(mixture, short, 60).kl, rel=1e-9)


@pytest.mark.compiled
def test_what_a_model_adds_is_its_error_on_exact_states():
    sampler = DDIM(20, eta=1.0)
    found = mixdyn.price(LINE, SCHEDULE, sampler, TILTED, n=4000)
    g, times = 1.0 / found.rho, sampler.grid(SCHEDULE).times[:-2]
    rng = np.random.default_rng(8)
    x_0, exact = LINE.sample(40_000, rng), mixdyn.ExactScore(LINE, SCHEDULE)
    wanted = []
    for t in times.tolist():
        noise = np.sqrt(SCHEDULE.noise_var[t]) * rng.standard_normal(x_0.shape)
        x = SCHEDULE.alpha[t] * x_0 + noise
        gap = np.square(exact.eps(x, t) - TILTED.eps(x, t)).mean()
        wanted.append(0.5 * SCHEDULE.rho[t] * gap)
    assert found.learning == pytest.approx(np.diff(g) @ wanted, rel=0.05)
    assert found.learning_error < 0.02 * found.learning


@pytest.mark.compiled
@pytest.mark.parametrize("eta", [1.0, 0.7])
def test_matrices_and_steps_agree_on_a_model(eta):
    sampler = DDIM(12, eta=eta)
    own = mixdyn.price(LINE, SCHEDULE, sampler, TILTED, n=4000)
    plan = mixdyn.transcribe(sampler, schedule=SCHEDULE)
    other = mixdyn.price(LINE, SCHEDULE, plan, TILTED, n=4000, seed=1)
    error = np.hypot(own.learning_error, other.learning_error)
    assert abs(own.learning - other.learning) < 5.0 * error
    assert error < 0.1 * own.learning
    assert own.total == pytest.approx(own.start + own.steps + own.learning)


@pytest.mark.compiled
def test_the_recorded_loss_bounds_what_a_model_adds():
    found = mixdyn.price(LINE, SCHEDULE, DDPM(), TILTED, n=200, excess=0.02)
    books = accounts_of(DDPM().plan(SCHEDULE, DDPM().grid(SCHEDULE)))
    assert found.from_loss == most_from_loss(books, 0.02, 1000, 1)
    assert found.learning < found.from_loss
    # On a schedule whose rho falls by one factor the bound is met where all times err alike.
    even = NoiseSchedule.from_log_snr(np.linspace(6.0, -6.0, 100))
    books = accounts_of(DDPM().plan(even, DDPM().grid(even)))
    each = 0.5 * np.diff(1.0 / books.rho) * books.rho[:-1] * 0.01
    assert most_from_loss(books, 0.01, 99, 1) == pytest.approx(each.sum(), rel=1e-9)
    assert mixdyn.price(LINE, SCHEDULE, DDIM(5, eta=0.5), TILTED, excess=0.1).from_loss is None


@pytest.mark.parametrize(
    "sampler",
    [DDIM(10), Hybrid(z=5), mixdyn.transcribe(DDIM(10), schedule=SCHEDULE)],
    ids=["ddim", "hybrid", "plan"],
)
def test_without_noise_the_price_is_infinite_and_says_so(sampler):
    found = mixdyn.price(LINE, SCHEDULE, sampler)
    assert found.steps == found.total == np.inf
    assert found.learning == 0.0
    assert found.start < 1e-12
    assert "infinite" in str(found)
    assert "nois" in found.why
    assert mixdyn.price(LINE, SCHEDULE, sampler, TILTED).learning == np.inf


def test_the_exact_reverse_pays_its_start_alone():
    found = mixdyn.price(LINE, SCHEDULE, ExactReverse())
    assert found.steps == 0.0
    assert found.total == found.start


def test_a_first_level_without_signal_costs_no_start():
    blind = NoiseSchedule.linear(T=50).with_zero_terminal_snr()
    found = mixdyn.price(SPREAD, blind, DDPM(), n=2000)
    assert found.start == 0.0
    seen = mixdyn.price(LINE, blind, DDPM())
    rho = seen.rho
    assert np.isinf(rho[0])
    later = oracles.grid_price(LINE, rho[1:]).sum()
    # The first step costs half of 1/rho times the data's variance less what it tells.
    first = 0.5 * LINE.weights @ (np.square(LINE.means).sum(axis=1) + float(LINE.sigma) ** 2)
    first = first / rho[1] - oracles.channel_nats(LINE, rho[1:2])[0]
    assert seen.steps == pytest.approx(later + first, rel=1e-9)


def test_what_has_no_price_is_refused():
    with pytest.raises(InputError, match="sampler of ours"):
        mixdyn.price(LINE, SCHEDULE, "ddim")
    plan = mixdyn.transcribe(DDIM(5, eta=1.0), schedule=SCHEDULE)
    alpha, noise_var = plan.alpha.copy(), plan.noise_var.copy()
    alpha[2], noise_var[2] = alpha[1], noise_var[1]
    with pytest.raises(NotApplicableError, match="levels that fall"):
        mixdyn.price(LINE, SCHEDULE, dataclasses.replace(plan, alpha=alpha, noise_var=noise_var))


def test_it_says_what_it_says():
    said = str(mixdyn.price(LINE, SCHEDULE, DDIM(eta=1.0), TILTED, n=100, excess=1e-3))
    for word in ("start", "steps", "learning", "total", "last map", "loss allows"):
        assert word in said

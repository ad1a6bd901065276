"""AdaptiveNoise: its noise is the kernel's, its second tries are rare, repeatable and harmless."""

import numpy as np
import pytest

import mixdyn
from mixdyn import AdaptiveNoise, ExactScore, GaussianMixture, NoiseSchedule, TimeGrid, presets
from mixdyn.samplers.adaptive import LateNoiseStepper
from mixdyn.samplers.calibration import Width, kernel_variance, width_of
from mixdyn.samplers.plan import bridge_plan
from mixdyn.samplers.step import Rows
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.2)
PAIR = presets.two_modes(separation=2.0, sigma=0.05, d=2)


def run(model=PAIR, n=60, sampler=None, **options):
    return mixdyn.sample(model, SCHEDULE, sampler or AdaptiveNoise(steps=12), n=n, rng=3, **options)


class Frozen:
    """A model that sees one mode at `center` with the responsibilities of a point mass."""

    d = 2

    def __init__(self, center):
        self.center = np.asarray(center)

    def eps(self, x, t):
        return (x - SCHEDULE.alpha[t] * self.center) / np.sqrt(SCHEDULE.noise_var[t])


def pilot_evaluations(how):
    """Once a run: 64 samples in 14 steps, and two evaluations of each at every late node."""
    assert how.late_rho == 0.1
    return 64 * (14 + 2 * int((SCHEDULE.rho[how.grid(SCHEDULE).times[:-1]] <= 0.1).sum()))


def test_late_steps_are_the_bridge_and_early_ones_carry_no_noise():
    how = AdaptiveNoise(steps=12, late_rho=0.5, late_noise=False, last_noise=False)
    grid = how.grid(SCHEDULE)
    stepper = LateNoiseStepper(ExactScore(PAIR, SCHEDULE), SCHEDULE, grid, how)
    plans = {eta: bridge_plan(SCHEDULE, grid, eta) for eta in (0.0, 1.0)}
    late = SCHEDULE.rho[grid.times[:-1]] <= 0.5
    assert 2 < late.sum() < 10
    for eta, chosen in ((1.0, late), (0.0, ~late)):
        assert np.allclose(stepper._keep[chosen], plans[eta].keep[chosen], rtol=1e-13)
        assert np.allclose(stepper._denoise[chosen], plans[eta].denoise[chosen], rtol=1e-11)
        assert np.allclose(stepper._noise_std[chosen], plans[eta].noise_std[chosen], rtol=1e-13)


def test_a_late_step_injects_the_variance_of_the_true_kernel():
    """Inside one mode, by Bayes: the oracle's covariance of x_s given x_t."""
    mixture = GaussianMixture([[0.3]], 0.05)
    plan = bridge_plan(SCHEDULE, TimeGrid([40, 25, 9, 2, 1, 0], 100), 1.0)
    slopes = 0.05**2 / (0.05**2 + SCHEDULE.rho[plan.t])
    found = kernel_variance(plan, Width(0.05**2, slopes, np.ones(5, bool)))
    for k, (t, s) in enumerate(plan.grid.pairs):
        levels = SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[s]
        _, covariance = mixdyn.oracles.reverse_moments(mixture, [[0.1]], *levels)
        assert found[k] == pytest.approx(covariance[0, 0, 0], rel=1e-11)


def test_noise_makes_up_for_a_slope_too_steep_and_is_never_negative():
    """Steeper slopes keep more of the spread, so less is injected and the marginal comes out; a
    slope of 1 keeps more than there should be: no noise."""
    plan = bridge_plan(SCHEDULE, TimeGrid([9, 2, 1, 0], 100), 1.0)
    s2, rho = 0.02**2, SCHEDULE.rho[plan.t]
    for factor in (0.7, 1.2):
        slopes = factor * s2 / (s2 + rho)
        injected = kernel_variance(plan, Width(s2, slopes, np.ones(3, bool)))
        kept = (plan.keep * SCHEDULE.alpha[plan.t] + plan.denoise * slopes) ** 2 * (s2 + rho)
        wanted = SCHEDULE.alpha_bar[plan.s] * (s2 + SCHEDULE.rho[plan.s])
        assert kept + injected == pytest.approx(wanted, rel=1e-12)
    assert (kernel_variance(plan, Width(s2, np.ones(3), np.ones(3, bool))) == 0.0).all()


def test_an_observed_point_mass_is_hit_exactly_and_nothing_is_tried_twice():
    """x0_hat is the centre everywhere, so the mode's width and the last step's noise are zero."""
    how = AdaptiveNoise(steps=12, checks=2)
    result = run(Frozen([0.3, -0.4]), sampler=how)
    assert np.abs(result.x - [0.3, -0.4]).max() < 1e-7  # the root of a rounding
    # One evaluation a step, two checks; no repetition but for the level of the tests.
    tested_again = result.n_eval - (12 + 2) - pilot_evaluations(how) / 60
    assert -1e-9 < tested_again < 3.0


def test_evaluations_are_counted_as_the_model_sees_them():
    class Counting:
        d = 2
        seen = 0

        def eps(self, x, t):
            Counting.seen += len(x)
            return ExactScore(PAIR, SCHEDULE).eps(x, t)

    result = run(Counting(), n=50)
    assert result.n_eval * 50 == pytest.approx(Counting.seen)
    assert result.n_eval > 12 + 1


def test_the_result_does_not_depend_on_blocks_or_shards():
    whole = run(n=60)
    parts = [run(n=20, first=k).x for k in (0, 20, 40)]
    assert np.array_equal(whole.x, np.concatenate(parts))
    assert np.array_equal(whole.x, run(n=60).x)
    assert not np.array_equal(whole.x[:20], run(n=20, first=100).x)


def test_early_steps_are_of_second_order():
    """On one Gaussian, whose flow is known: the error falls by 4 when the step is halved."""
    one = GaussianMixture([[0.5]], 0.6)
    schedule = NoiseSchedule.linear(4000, 1e-5, 5e-3)
    x = np.array([[1.3], [-0.7]])
    errors = []
    for steps in (160, 320, 640):
        times = np.linspace(4000, 400, steps + 1).astype(int).tolist()
        grid = TimeGrid([*times, 0], 4000)
        how = AdaptiveNoise(steps=steps, late_rho=1e-9, checks=0, rounds=0)
        stepper = how.stepper(ExactScore(one, schedule), schedule, grid)
        rows = Rows(0, 0)
        state = x.copy()
        for k, (t, _) in enumerate(grid.pairs[:-1]):
            stepper.advance(state, stepper.eps(state, t), k, rows)
        v = schedule.effective_variance(0.6)
        y = x / schedule.alpha[4000]
        exact = 0.5 + (y - 0.5) * np.sqrt(v[400] / v[4000])
        errors.append(np.abs(state / schedule.alpha[400] - exact).max())
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 3.6).all(), ratios
    assert (ratios < 4.2).all(), ratios


def test_early_steps_follow_the_closed_recursion_to_rounding():
    """They are deterministic: no sampling hides a wrong factor."""
    schedule, sigma = NoiseSchedule.linear(), 0.2
    how = AdaptiveNoise(steps=30, rounds=0, late_rho=0.01)
    mixture = GaussianMixture([[0.0, 0.0]], sigma)
    run = mixdyn.sample(mixture, schedule, how, n=5, rng=2, keep="trajectory")
    y = run.trajectory / schedule.alpha[run.times][:, None, None]
    std = mixdyn.oracles.late_noise_std(schedule.alpha_bar, run.times, 0.01, sigma)
    early = int((schedule.rho[run.times] > 0.01).sum())
    assert early > 15
    gain = y[: early + 1] / y[0]
    assert np.abs(gain / (std / std[0])[: early + 1, None, None] - 1.0).max() < 1e-11


class Smooth:
    """The exact score of wider modes: what a trained network makes of narrow ones near the data."""

    def __init__(self, mixture, schedule, factor):
        self.wide = ExactScore(GaussianMixture(mixture.means, factor * mixture.sigma), schedule)
        self.exact, self.d = ExactScore(mixture, schedule), mixture.d

    def eps(self, x, t):
        return (self.wide if t == 1 else self.exact).eps(x, t)


def test_a_slope_that_claims_too_wide_a_mode_does_not_widen_the_samples():
    """At the last node alone the score is that of 1.5 sigma. All that its slope claims would make a
    spread of 1.35 sigma; the slopes before it say how much is missing."""
    sigma, n, schedule = 0.007, 2000, NoiseSchedule.linear()
    mixture = GaussianMixture([[0.0, 0.0]], sigma)
    model = Smooth(mixture, schedule, 1.5)
    spread = mixdyn.sample(model, schedule, AdaptiveNoise(rounds=0), n=n, rng=1).x.std() / sigma
    standard_error = 1.0 / np.sqrt(2 * 2 * n)
    assert abs(spread - 1.0) < 5.0 * standard_error + 0.03


@pytest.mark.parametrize("mixture", [GaussianMixture([[0.3]], 0.02), presets.grid()], ids=str)
def test_the_width_of_exact_modes_is_read_off_exactly(mixture):
    """Also where other modes share in the slopes at larger noise: those are left out."""
    schedule = NoiseSchedule.linear()
    grid = TimeGrid([60, 47, 36, 27, 19, 12, 7, 3, 1, 0], schedule.T)
    x = mixture.sample(64, rng=0)
    width = width_of(ExactScore(mixture, schedule), bridge_plan(schedule, grid, 1.0), x)
    assert np.sqrt(width.variance) == pytest.approx(mixture.sigma, rel=1e-3)
    assert width.owned[-3:].all()
    assert width.owned[0] == (mixture.N == 1)


def test_a_sample_between_modes_is_sent_back_and_ends_in_one():
    """Started half way between two modes with hardly any noise left: no sampler of fixed steps can
    leave; the adaptive one returns to noise and decides."""
    schedule = NoiseSchedule.linear()
    grid = AdaptiveNoise(40).grid(schedule)
    start = int(grid.times[-4])
    x = np.tile([1e-3, 0.0], (40, 1))
    stuck = mixdyn.sample(PAIR, schedule, mixdyn.DDIM(40), x=x, start=start, rng=0).x
    assert (mixdyn.classify(PAIR, stuck) != 0).all()
    # Cut grids keep only late nodes, from which no node can be reached that undoes a midpoint.
    full = mixdyn.sample(PAIR, schedule, AdaptiveNoise(40), n=200, rng=0)
    assert (mixdyn.classify(PAIR, full.x) == 0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 1},
        {"late_rho": 0.0},
        {"level": 0.0},
        {"level": 1.0},
        {"checks": -1},
        {"rounds": 32},
    ],
    ids=str,
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(InputError):
        AdaptiveNoise(**wrong)


def test_the_grid_starts_from_t_where_the_papers_would_overlook_the_mean():
    """The papers' 40 nodes below two more; none more where their first node has no signal left."""
    usual = NoiseSchedule.linear()
    times = AdaptiveNoise(42).grid(usual).times
    assert times[:2].tolist() == [1000, 900]
    assert np.array_equal(times[2:], TimeGrid.quadratic(1000, 40).times)
    long = NoiseSchedule.linear(T=3000)
    assert np.array_equal(AdaptiveNoise(42).grid(long).times, TimeGrid.quadratic(3000, 42).times)
    short = NoiseSchedule.linear(T=8, beta_start=0.01, beta_end=0.3)
    for steps in range(2, 9):  # whatever room there is
        grid = AdaptiveNoise(steps).grid(short)
        assert grid.steps == steps


def test_where_no_signal_is_left_the_grid_begins_below():
    """At 0.8 T of this schedule next to none is: a model's error would be multiplied by 1e15."""
    schedule = NoiseSchedule.linear(1000, 1e-3, 0.2)
    grid = AdaptiveNoise(42).grid(schedule)
    assert grid.steps == 42
    assert 1e3 < schedule.rho[grid.times[0]] < 1e10

    class Rough:
        """An exact score with an error of a hundredth, as a network has."""

        d = 2

        def eps(self, x, t):
            return ExactScore(PAIR, schedule).eps(x, t) + 0.01 * np.sin(40.0 * x)

    found = mixdyn.sample(Rough(), schedule, AdaptiveNoise(42), n=300, rng=0).x
    assert (mixdyn.classify(PAIR, found) == 0).mean() > 0.99


def test_more_steps_than_times_are_refused():
    with pytest.raises(InputError, match="steps"):
        AdaptiveNoise(steps=200).grid(SCHEDULE)

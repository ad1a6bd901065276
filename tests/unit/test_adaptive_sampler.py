"""AdaptiveNoise: its noise is the bridge's, its second tries are rare, repeatable and harmless."""

import numpy as np
import pytest

import mixdyn
from mixdyn import AdaptiveNoise, ExactScore, GaussianMixture, NoiseSchedule, TimeGrid, presets
from mixdyn.calibration import last_noise_share
from mixdyn.errors import InputError
from mixdyn.plans import bridge_plan
from mixdyn.steppers import Rows

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
    """Once a run: 64 samples in 12 steps, and two evaluations of each at every late node."""
    return 64 * (12 + 2 * int((SCHEDULE.rho[how.grid(SCHEDULE).times[:-1]] <= 0.1).sum()))


def test_late_steps_are_the_bridge_and_early_ones_carry_no_noise():
    how = AdaptiveNoise(steps=12, late_rho=0.5)
    grid = how.grid(SCHEDULE)
    stepper = how.stepper(ExactScore(PAIR, SCHEDULE), SCHEDULE, grid)
    plans = {eta: bridge_plan(SCHEDULE, grid, eta) for eta in (0.0, 1.0)}
    late = SCHEDULE.rho[grid.times[:-1]] <= 0.5
    assert 2 < late.sum() < 10
    for eta, chosen in ((1.0, late), (0.0, ~late)):
        assert np.allclose(stepper._keep[chosen], plans[eta].keep[chosen], rtol=1e-13)
        assert np.allclose(stepper._denoise[chosen], plans[eta].denoise[chosen], rtol=1e-11)
        assert np.allclose(stepper._noise_std[chosen], plans[eta].noise_std[chosen], rtol=1e-13)


def test_an_observed_point_mass_is_hit_exactly_and_nothing_is_tried_twice():
    """x0_hat is the centre everywhere, so its slope and the last step's noise are zero."""
    how = AdaptiveNoise(steps=12, checks=2)
    result = run(Frozen([0.3, -0.4]), sampler=how)
    assert np.abs(result.x - [0.3, -0.4]).max() < 1e-7  # the root of a rounding
    # One evaluation a step, one probe, two checks; no repetition but for the level of the tests.
    tested_again = result.n_eval - (12 + 1 + 2) - pilot_evaluations(how) / 60
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


def test_the_last_step_returns_the_spread_that_other_samplers_lose():
    """Within a narrow mode DDPM and DDIM end at 0.55 to 0.6 sigma on the standard schedule; the
    posterior's variance makes up for it. 5 standard errors of a standard deviation."""
    sigma, n = 0.007, 400
    mixture = GaussianMixture([[0.0, 0.0]], sigma)
    spread = {}
    for name, sampler in (("adaptive", AdaptiveNoise(rounds=0)), ("ddim", mixdyn.DDIM(40))):
        x = mixdyn.sample(mixture, NoiseSchedule.linear(), sampler, n=n, rng=1).x
        spread[name] = x.std() / sigma
    standard_error = 1.0 / np.sqrt(2 * 2 * n)
    assert abs(spread["adaptive"] - 1.0) < 5.0 * standard_error
    assert spread["ddim"] < 0.7


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


def test_the_exact_slope_is_taken_whole():
    """On a Gaussian all slopes are exact: nothing of the last step's variance is held back."""
    schedule = NoiseSchedule.linear()
    mixture = GaussianMixture([[0.3]], 0.02)
    grid = TimeGrid.full(schedule.T).cut(60)
    x = mixture.sample(64, rng=0)
    share = last_noise_share(ExactScore(mixture, schedule), bridge_plan(schedule, grid, 1.0), x)
    assert share == pytest.approx(1.0, abs=1e-6)


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
        {"checks": 41},
        {"rounds": 32},
    ],
    ids=str,
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(InputError):
        AdaptiveNoise(**wrong)


def test_more_steps_than_times_are_refused():
    with pytest.raises(InputError, match="steps"):
        AdaptiveNoise(steps=200).grid(SCHEDULE)

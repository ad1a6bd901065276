"""CheckedNoise: its checks find what lies between modes and keep what lies in them."""

import numpy as np
import pytest

import mixdyn
from mixdyn import CheckedNoise, ExactScore, GaussianMixture, NoiseSchedule, presets
from mixdyn.samplers.posterior_check import PosteriorRetryStepper
from mixdyn.samplers.step import Rows
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear()
GRID = presets.grid()


def checked(x, mixture=GRID, how=None):
    """Which of the samples x the checks fail, and the evaluations of it."""
    how = how or CheckedNoise()
    stepper = how.stepper(ExactScore(mixture, SCHEDULE), SCHEDULE, how.grid(SCHEDULE))
    base = stepper.base
    base._before = np.zeros_like(x)  # a block of its shape is under way
    stepper._failed = np.zeros(len(x))
    before = stepper._piloted.variance, stepper.extra
    stepper._check(x.copy(), np.arange(len(x)), Rows(0, 0), 0)
    return stepper._failed > 0.0, stepper.extra - before[1]


@pytest.mark.compiled
def test_true_samples_pass_and_points_between_modes_do_not():
    """Of the data the level's share fails a check, four checks at most four times it."""
    x = GRID.sample(4000, np.random.default_rng(0))
    failed, cost = checked(x)
    assert 0.003 < failed.mean() < 4 * 0.003 + 0.005
    assert 3.9 * len(x) < cost < 4.1 * len(x)
    beside = x.copy()
    beside[:, 0] += 8.0 * GRID.sigma
    assert checked(beside)[0].mean() > 0.97
    middle = 0.5 * (GRID.means[0] + GRID.means[1]) + 0.0 * x
    assert checked(middle)[0].mean() > 0.99


def test_the_noise_alone_would_let_them_pass():
    """What `retry` allows at the same levels: the noise, not the posterior's width."""
    how = mixdyn.Retry(mixdyn.DDIM(20))
    stepper = how.stepper(ExactScore(GRID, SCHEDULE), SCHEDULE, how.grid(SCHEDULE))
    x = GRID.sample(2000, np.random.default_rng(0))
    x[:, 0] += 8.0 * GRID.sigma
    stepper._checked = [k for k, t in enumerate(stepper.grid.times[:-1]) if 6 <= t <= 28]
    stepper._failed = np.zeros(len(x))
    stepper._check(x, np.arange(len(x)), Rows(0, 0), 0)
    assert (stepper._failed > 0.0).mean() < 0.05


@pytest.mark.compiled
def test_wider_modes_than_the_middle_one_keep_their_samples():
    """Two modes of three sigma among many: their samples are asked for their own width."""
    sigma = np.full(25, GRID.sigma)
    sigma[[0, 12]] *= 3.0
    mixture = GaussianMixture(GRID.means, sigma)
    rng = np.random.default_rng(1)
    wide = mixture.means[12] + 3.0 * GRID.sigma * rng.standard_normal((3000, 2))
    assert checked(wide, mixture)[0].mean() < 0.04
    # By the middle mode's width a fifth and more would go.
    assert (np.square(wide - mixture.means[12]).sum(axis=1) > 11.6 * GRID.sigma**2).mean() > 0.2


def test_what_is_far_outside_starts_anew():
    x = GRID.sample(50, np.random.default_rng(0))
    x[7] = [40.0, -3.0]
    how = CheckedNoise()
    stepper = how.stepper(ExactScore(GRID, SCHEDULE), SCHEDULE, how.grid(SCHEDULE))
    assert isinstance(stepper, PosteriorRetryStepper)
    stepper.base._before = np.zeros_like(x)
    stepper._failed = np.zeros(len(x))
    stepper._check(x, np.arange(50), Rows(0, 0), 0)
    assert np.isinf(stepper._failed[7])
    assert np.abs(x[7]).max() < 1.0
    first = stepper._kick(x, np.array([7]), Rows(0, 0).choose(np.array([7]), 1))
    assert first.tolist() == [0]


@pytest.mark.compiled
@pytest.mark.parametrize("mixture", [GRID, GaussianMixture([[0.1, 0.3]], 0.2)], ids=str)
def test_spread_and_weights_of_exact_scores_come_out_with_twenty_evaluations(mixture):
    n = 6000
    run = mixdyn.sample(mixture, SCHEDULE, CheckedNoise(), n=n, rng=3)
    assert run.n_eval < 20.0
    nearest = np.square(run.x[:, None] - mixture.means).sum(axis=2).argmin(axis=1)
    spread = (run.x - mixture.means[nearest]).std() / mixture.sigma
    assert abs(spread - 1.0) < 5.0 / np.sqrt(4 * n) + 0.01
    assert (mixdyn.classify(mixture, run.x) == 0).mean() > 0.999
    share = np.bincount(nearest, minlength=mixture.N) / n
    assert np.square(share - mixture.weights).sum() / mixture.weights[0] < 0.012


def test_evaluations_are_counted_as_the_model_sees_them():
    class Counting:
        d, seen = 2, 0

        def eps(self, x, t):
            Counting.seen += len(x)
            return ExactScore(GRID, SCHEDULE).eps(x, t)

    run = mixdyn.sample(Counting(), SCHEDULE, CheckedNoise(), n=200, rng=0)
    assert run.n_eval * 200 == pytest.approx(Counting.seen)


def test_the_result_does_not_depend_on_blocks():
    whole = mixdyn.sample(GRID, SCHEDULE, CheckedNoise(), n=60, rng=0).x
    parts = [
        mixdyn.sample(GRID, SCHEDULE, CheckedNoise(), n=20, rng=0, first=k).x for k in (0, 20, 40)
    ]
    assert np.array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize(
    "schedule",
    [
        NoiseSchedule.linear(),
        NoiseSchedule.linear(T=3000),
        NoiseSchedule.linear(1000, 1e-3, 0.2),
        NoiseSchedule.linear(T=8, beta_start=0.01, beta_end=0.3),
        NoiseSchedule.cosine(50),
        NoiseSchedule.flow_matching(40),
    ],
    ids=repr,
)
def test_grids_have_their_steps_wherever_the_schedule_has_room(schedule):
    for steps in (2, 5, 8, 15, schedule.T):
        if steps <= schedule.T:
            grid = CheckedNoise(steps).grid(schedule)
            assert grid.steps == steps
            assert schedule.rho[grid.times[-2]] <= max(1e-3, 1.01 * schedule.rho[1])
    with pytest.raises(InputError, match="steps"):
        CheckedNoise(schedule.T + 1).grid(schedule)


def test_where_the_schedule_goes_on_without_signal_the_grid_begins_below():
    """A model's error at a level without signal is multiplied by its noise over the signal."""
    schedule = NoiseSchedule.linear(1000, 1e-3, 0.2)
    assert schedule.rho[-1] > 1e40
    first = int(CheckedNoise().grid(schedule).times[0])
    assert schedule.rho[first] == pytest.approx(300.0, rel=0.2)
    short = NoiseSchedule.linear(T=500)
    assert short.rho[-1] < 200.0
    assert CheckedNoise().grid(short).times[0] == 500


@pytest.mark.parametrize("how", [CheckedNoise(rounds=0), CheckedNoise()], ids=["alone", "checked"])
def test_paths_start_about_the_datas_mean(how):
    """At 300 times the data's noise a start about 0 would miss a mean of 10 by half a deviation,
    and the weights by some 0.2."""
    pair = GaussianMixture([[9.0], [11.0]], 0.1)
    run = mixdyn.sample(pair, SCHEDULE, how, n=4000, rng=0, keep="trajectory")
    start, t = np.asarray(run.trajectory)[0], int(run.times[0])
    found = start.mean() / SCHEDULE.alpha[t]
    assert found == pytest.approx(10.0, abs=6.0 * np.sqrt(SCHEDULE.rho[t] / 4000))
    assert start.std() == pytest.approx(1.0, rel=0.06)
    assert abs((run.x > 10.0).mean() - 0.5) < 0.04


def test_without_noise_steps_are_exact_on_a_gaussian_of_variance_one():
    """y/sqrt(1 + rho) about the mean stays, but for what the first step, of first order, leaves to
    the next ones. The usual rule of two steps is off by 1e-2 (the last assertion)."""
    one = GaussianMixture([[0.5, -1.0]], 1.0)
    how = CheckedNoise(rounds=0, early_noise=0.0)
    run = mixdyn.sample(one, SCHEDULE, how, n=50, rng=0, keep="trajectory")

    def kept(run):
        rho = SCHEDULE.rho[run.times]
        rho = rho[rho > how.late_rho]
        y = np.asarray(run.trajectory)[: len(rho)] / np.sqrt(1.0 + rho)[:, None, None]
        y /= SCHEDULE.alpha[run.times[: len(rho)]][:, None, None]
        return y - one.means[0] / np.sqrt(1.0 + rho)[:, None, None]

    found = kept(run)
    np.testing.assert_allclose(found[2:], np.broadcast_to(found[1], found[2:].shape), rtol=3e-5)
    usual = mixdyn.AdaptiveNoise(how.steps, rounds=0).stepper(
        ExactScore(one, SCHEDULE), SCHEDULE, how.grid(SCHEDULE)
    )
    exact = how.alone(ExactScore(one, SCHEDULE), SCHEDULE, how.grid(SCHEDULE))
    for stepper in (usual, exact):
        stepper._before = np.zeros((1, 2))
    early = np.isfinite(usual._ratio)
    assert (np.abs(exact._ratio[early] / usual._ratio[early] - 1.0) > 1e-2).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 1},
        {"late_rho": 0.0},
        {"level": 1.0},
        {"checks": -1},
        {"rounds": 32},
        {"early_noise": 1.1},
        {"early_noise": -0.1},
    ],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(InputError):
        CheckedNoise(**wrong)


def test_early_steps_inject_a_share_of_the_bridges_variance():
    """From one start: on the first step, of a mode of no width, paths come apart by eta times the
    bridge's standard deviation; without early noise not at all, until modes are owned."""
    x = np.full((4000, 2), 0.3)
    point = GaussianMixture([[0.0, 0.0]], 1e-3)
    for eta in (0.0, 0.5, 1.0):
        how = CheckedNoise(rounds=0, early_noise=eta)
        t, s = how.grid(SCHEDULE).times[:2]
        run = mixdyn.sample(point, SCHEDULE, how, x=x, rng=1, keep="trajectory")
        bridge = SCHEDULE.noise_var[s] * (1.0 - SCHEDULE.rho[s] / SCHEDULE.rho[t])
        spread = np.asarray(run.trajectory)[1].std(axis=0)
        np.testing.assert_allclose(spread, eta * np.sqrt(bridge), rtol=0.06, atol=1e-12)

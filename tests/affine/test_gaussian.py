"""What plans do on Gaussian data: against published figures, the linear closed form, our engine
and samples."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

import mixdyn
from mixdyn import DDIM, DDPM, GaussianMixture, NoiseSchedule, oracles, transcribe
from mixdyn.affine.gaussian import convergence, state_laws
from mixdyn.score.protocol import Level
from mixdyn.support.errors import InputError, NotApplicableError

from . import functions

LINEAR = NoiseSchedule.linear()
SHORT = NoiseSchedule.linear(40, 1e-3, 0.3)


@pytest.mark.parametrize(
    ("sampler", "stds", "gains", "digits"),
    [
        (DDIM(50, "leading"), [0.2, 0.007], [0.881027, 0.496400], 6),
        (DDIM(50, "leading"), [0.05, 1.0], [0.653, 0.964], 3),
        (DDIM(50, "trailing"), [0.2, 0.007, 0.05, 1.0], [0.869, 0.091, 0.529, 0.964], 3),
        (DDIM(50, "leading", eta=1.0), [0.2, 0.007], [0.795, 0.474], 3),
        (DDPM(), [0.007, 0.05, 0.2, 1.0], [0.544, 0.926, 0.9815, 0.996], 3),
    ],
)
def test_gains_of_public_schedulers(sampler, stds, gains, digits):
    """Measured on diffusers 0.42.1, on data of mean 0.7."""
    mean_error, found = transcribe(sampler).response(stds, 0.7)
    assert np.abs(found - gains).max() <= 0.5 * 10.0**-digits
    assert (np.abs(mean_error) < 1e-2 * np.array(stds)).all()


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sigma", [0.007, 0.2, 3.0])
def test_the_response_is_the_linear_closed_form_of_one_mode(eta, sigma):
    plan = transcribe(DDIM(20, "quadratic", eta))
    times = DDIM(20, "quadratic").grid(LINEAR).times
    given = {"noise_var": LINEAR.noise_var}
    law = oracles.linear_recursion_std(LINEAR.alpha_bar, times, eta, sigma, **given)
    assert plan.response([sigma], start="true")[1] == pytest.approx(law[-1] / sigma, rel=1e-10)
    inside = state_laws(plan, sigma**2, "true").std
    assert inside[:-1] / plan.alpha[:-1] == pytest.approx(law[:-1], rel=1e-10)
    own = 1.0 / LINEAR.alpha[times[0]]
    law = oracles.linear_recursion_std(LINEAR.alpha_bar, times, eta, sigma, start_std=own, **given)
    assert plan.response([sigma])[1] == pytest.approx(law[-1] / sigma, rel=1e-10)


@pytest.mark.parametrize("sampler", [DDIM(12, eta=0.6), DDPM(), DDPM("beta")])
def test_the_response_is_the_law_of_our_samples(sampler, plausible):
    """200,000 draws of our engine: a z-test of the mean and a chi-square of the variance."""
    n, std, mean = 200_000, 0.3, 0.7
    mixture = GaussianMixture([[mean]], std)
    x = mixdyn.sample(mixture, SHORT, sampler, n=n, rng=11).x[:, 0]
    (mean_error,), (gain,) = transcribe(sampler, schedule=SHORT).response([std], mean)
    z = (x.mean() - mean - mean_error) / (gain * std / math.sqrt(n))
    plausible(2 * stats.norm.sf(abs(z)), level=1e-9, what="mean")
    square = np.square(x - x.mean()).sum() / (gain * std) ** 2
    law = stats.chi2(n - 1)
    plausible(2 * min(law.cdf(square), law.sf(square)), level=1e-9, what="variance")


@pytest.mark.parametrize(
    ("function", "settings", "exact"),
    [
        (functions.heun, {"level": "sigma", "predicts": "x0"}, lambda x, a, b, d: d),
        (functions.flow_euler, {"level": "flow", "predicts": "velocity"}, lambda x, a, b, d: None),
        (functions.second_order, {"level": "log_snr", "predicts": "x0"}, lambda x, a, b, d: d),
    ],
)
def test_the_response_is_where_the_function_itself_ends(function, settings, exact):
    """Deterministic: two starts through the function, with the exact prediction by hand."""
    std, mean = 0.4, 0.7
    plan = transcribe(function, 12, **settings)
    calls = iter(zip(plan.alpha, plan.noise_std, strict=True))

    def model(x, at):
        a, b = next(calls)
        x0 = (b**2 * mean + a * std**2 * x) / (a**2 * std**2 + b**2)
        found = exact(x, a, b, x0)
        return (x - a * x0) / b - x0 if found is None else found

    ends = function(model, plan.start_std * np.array([[0.0], [1.0]]), None, 12)[:, 0]
    mean_error, gain = plan.response([std], mean)
    assert mean + mean_error == pytest.approx(ends[0], rel=1e-12)
    assert gain * std == pytest.approx(abs(ends[1] - ends[0]), rel=1e-12)


def test_all_means_and_stds_at_once_are_those_one_by_one():
    plan = transcribe(DDIM(10, eta=0.3), schedule=SHORT)
    stds, means = np.array([0.1, 0.5, 2.0]), np.array([0.7, -1.0, 3.0])
    together = plan.response(stds, means)
    for i in range(3):
        alone = plan.response([stds[i]], means[i])
        assert [part[i] for part in together] == pytest.approx([p[0] for p in alone], rel=1e-13)
    error, gain = together
    expected = math.sqrt((error**2).sum() + ((gain * stds - stds) ** 2).sum())
    assert plan.w2(stds**2, means) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("predicts", ["v", "velocity", "x0"])
def test_a_first_level_without_signal_is_legitimate(predicts):
    """Zero terminal SNR: x_T says nothing, x0_hat is the data's mean; eps has no such form."""

    def sampler(model, x, rng):
        a, b, c, d = 0.0, 1.0, 0.8, 0.6
        out = model(x, Level(a, b * b))
        x0, eps = {
            "v": lambda: (a * x - b * out, b * x + a * out),
            "velocity": lambda: (x - out, x),
            "x0": lambda: (out, x),
        }[predicts]()
        x = c * x0 + d * eps
        out = model(x, Level(c, d * d))
        return {
            "v": lambda: c * x - d * out,
            "velocity": lambda: (x - d * out) / (c + d),
            "x0": lambda: out,
        }[predicts]()

    plan = transcribe(sampler, level=lambda at: at, predicts=predicts)
    mean_error, gain = plan.response([0.5], 0.7)
    var = 0.8**2 * 0.25 + 0.36
    assert mean_error == pytest.approx(0.0, abs=1e-15)
    assert gain == pytest.approx(0.8 * 0.25 / var * 0.6 / 0.5, rel=1e-14)


# -- the clock -----------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_the_clock_of_ours_is_right_at_every_call(eta):
    plan = transcribe(DDIM(20, eta=eta), schedule=SHORT)
    clock = plan.clock()
    assert clock.worst < 1e-12
    assert np.abs(clock.signal_error).max() < 1e-12
    assert np.nanmax(np.abs(clock.noise_error)) < 1e-12
    assert clock.asked[:-1] == pytest.approx(np.sqrt(SHORT.rho[DDIM(20).grid(SHORT).times[:-1]]))
    assert clock.noise[-1] == pytest.approx(0.0, abs=1e-12)


def test_a_table_read_off_by_one_shows_in_the_clock():
    def late(model, x, rng):
        return functions.ddim(lambda x, t: model(x, max(t - 1, 1)), x, rng, steps=20)

    assert transcribe(functions.ddim, 20).clock().worst < 1e-11
    clock = transcribe(late).clock()
    rho = LINEAR.rho
    wanted = math.sqrt(rho[951] / rho[950])
    assert clock.true[0] / clock.asked[0] == pytest.approx(1.0)  # starts where it is told
    assert clock.worst > 0.02
    assert wanted > 1.009


def test_noise_left_in_shows_at_the_end_of_the_clock():
    def stops(model, x, rng, steps=10):
        sigmas = functions.karras(steps)[:-1]
        for now, then in itertools.pairwise(sigmas):
            x = x + (x - model(x, now)) / now * (then - now)
        return x

    plan = transcribe(stops, 10, level="sigma", predicts="x0")
    clock = plan.clock()
    assert clock.noise[-1] == pytest.approx(0.01, rel=1e-9)
    assert (clock.asked[-1], clock.signal[-1]) == (0.0, pytest.approx(1.0))
    own = plan.clock(start="own")
    assert own.signal[0] == 0.0
    assert own.noise_error[0] == pytest.approx(0.0, abs=1e-12)


# -- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "settings", "order", "steps"),
    [
        (functions.flow_euler, {"level": "flow", "predicts": "velocity"}, 1, (100, 200, 400)),
        (functions.second_order, {"level": "log_snr", "predicts": "x0"}, 2, (100, 200, 400)),
    ],
)
def test_order_is_the_advertised_one_and_no_floor_is_left(function, settings, order, steps):
    end = Level(1.0, 0.0)
    if function is functions.second_order:  # it ends at log SNR 8
        end = Level.of_rho(math.exp(-8.0))
    plans = [transcribe(function, n, end=end, **settings) for n in steps]
    found = convergence(plans, [0.3, 1.5])
    assert found.order == pytest.approx(order, abs=0.05)
    assert found.slope[-1] == pytest.approx(order, abs=0.05)
    assert (np.abs(found.floor) < 0.05 * np.abs(found.error[-1])).all()


def test_the_last_level_of_the_table_is_a_floor():
    """Down to sigma_min in ever more steps, then clean in one: 0.573 of a narrow mode is left."""

    def euler(model, x, rng, steps):
        for now, then in itertools.pairwise(functions.karras(steps)):
            x = x + (x - model(x, now)) / now * (then - now)
        return x

    settings = {"level": "sigma", "predicts": "x0"}
    found = convergence([transcribe(euler, n, **settings) for n in (200, 400, 800)], [0.007])
    left = 0.007 / math.hypot(0.007, 0.01)
    assert left == pytest.approx(0.573, abs=5e-4)
    assert found.floor == pytest.approx(left - 1.0, abs=1e-3)
    assert found.order == pytest.approx(1.0, abs=0.05)


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "kind", "rule"),
    [
        (lambda p: p.response([0.0]), InputError, "every std must be > 0"),
        (lambda p: p.response([1.0], start="mine"), InputError, "start must be one of own, true"),
        (lambda p: p.response([[1.0]]), InputError, "stds must have 1 axis"),
        (lambda p: p.w2([-1.0]), InputError, "std"),
        (lambda p: convergence([p, p, p], [1.0]), InputError, "of ever more calls"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_bad_questions_are_one_line(build, kind, rule):
    with pytest.raises(kind, match=rule):
        build(transcribe(DDIM(5), schedule=SHORT))


def test_a_prediction_that_does_not_exist_at_a_level_is_one_line():
    plan = transcribe(lambda m, x, rng: m(x, 0.0), level="sigma", predicts="score", start_std=1.0)
    with pytest.raises(NotApplicableError, match=r"call 1 at alpha = 1, noise_std = 0"):
        plan.response([1.0])


def test_a_true_start_needs_room_for_the_noise_drawn_before_the_first_call():
    def noisy(model, x, rng):
        return model(x + 5.0 * rng.standard_normal(x.shape), 3.0)

    plan = transcribe(noisy, level="sigma", predicts="x0")
    assert plan.response([1.0])[1] > 0
    with pytest.raises(NotApplicableError, match="no more noise there than its level has"):
        plan.response([1.0], start="true")

"""Plans are read off any affine sampler, and what is not affine is refused in words."""

import numpy as np
import pytest

import mixdyn
from mixdyn import DDIM, DDPM, AdaptiveNoise, NoiseSchedule, transcribe
from mixdyn.affine.plan import Plan
from mixdyn.samplers.plan import bridge_plan
from mixdyn.score.protocol import Level
from mixdyn.support.errors import InputError, NotAffineError

from . import functions

SHORT = NoiseSchedule.linear(40, 1e-3, 0.3)


def test_the_matrix_of_our_ddim_is_the_product_of_its_steps():
    sampler = DDIM(8, eta=0.7)
    plan = transcribe(sampler, schedule=SHORT)
    steps = bridge_plan(SHORT, sampler.grid(SHORT), 0.7)
    c_x, c_eps, c_noise = steps.eps_form()
    row = np.zeros(plan.matrix.shape[1])
    row[0] = 1.0
    for k in range(8):
        assert np.allclose(plan.matrix[k], row, rtol=1e-13, atol=1e-15)
        row = c_x[k] * row
        row[1 + k] += c_eps[k]
        if k < 7:
            row[1 + 8 + k] += c_noise[k]
    assert np.allclose(plan.matrix[8], row, rtol=1e-13, atol=1e-15)
    assert plan.draw_calls.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert plan.draw_times.tolist() == steps.t[:-1].tolist()
    assert (plan.alpha[:-1] == SHORT.alpha[steps.t]).all()
    assert (plan.noise_var[:-1] == SHORT.noise_var[steps.t]).all()
    assert (plan.alpha[-1], plan.noise_var[-1]) == (1.0, 0.0)
    assert plan.rounding < 1e-14


def test_a_sampler_is_an_object_a_class_or_a_name():
    named = [transcribe(s, 6, schedule=SHORT, eta=0.5) for s in (DDIM, "ddim")]
    for plan in [transcribe(DDIM(eta=0.5), 6, schedule=SHORT), *named]:
        assert (plan.matrix == named[0].matrix).all()
        assert plan.provenance["sampler"].startswith("DDIM(steps=6")
        assert plan.provenance["steps"] == 6


def test_a_function_of_a_user_has_the_plan_of_the_sampler_it_is():
    """DDIM on the leading times, written by hand."""
    theirs = transcribe(functions.ddim, 50, eta=0.5)
    ours = transcribe(DDIM(50, "leading", 0.5))
    # Theirs draws once more, times zero.
    assert (theirs.calls, theirs.draws, ours.draws) == (50, 50, 49)
    assert not theirs.noises[:, -1].any()
    assert np.allclose(theirs.matrix[:, :-1], ours.matrix, rtol=0, atol=1e-11)
    assert np.allclose(theirs.alpha, ours.alpha, rtol=1e-15)


def test_two_calls_a_step_and_levels_by_sigma():
    plan = transcribe(functions.heun, 10, level="sigma", predicts="x0")
    assert (plan.calls, plan.draws) == (19, 0)
    assert plan.start_std == pytest.approx(150.0)
    assert plan.noise_std[1] == plan.noise_std[2] == pytest.approx(functions.karras(10)[1])


@pytest.mark.parametrize(
    ("level", "value", "expected"),
    [
        ("sigma", 3.0, (1.0, 9.0)),
        ("abar", 0.64, (0.8, 0.36)),
        ("log_snr", 0.0, (0.5**0.5, 0.5)),
        ("flow", 0.25, (0.75, 0.0625)),
        (lambda s: Level(2.0 * s, 1.0), 3.0, (6.0, 1.0)),
        ("t", Level(0.3, 0.2), (0.3, 0.2)),
        ("t", 7, (SHORT.alpha[7], SHORT.noise_var[7])),
    ],
)
def test_the_level_is_what_its_word_says(level, value, expected):
    plan = transcribe(lambda m, x, rng: m(x, value), level=level, schedule=SHORT)
    assert (plan.alpha[0], plan.noise_var[0]) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("at", [0, 41, 7.5])
def test_a_time_outside_the_table_is_one_line(at):
    with pytest.raises(InputError, match=r"level='t' names a time 1..40") as error:
        transcribe(lambda m, x, rng: m(x, at), schedule=SHORT)
    assert "\n" not in str(error.value)


def clipping(model, x, rng):
    return np.clip(x - model(x, 5), -1, 1)


def thresholding(model, x, rng):
    x0 = x - model(x, 5)
    return x0 / np.maximum(np.abs(x0).max(axis=1, keepdims=True), 0.1)


def adaptive(model, x, rng):
    d = model(x, 5)
    if np.abs(d).max() > 0.5:
        d = 0.5 * (d + model(x - d, 4))
    return x - d


def pooled(model, x, rng):
    return x - 0.1 * (model(x, 5) - x.mean(axis=0))


def shifted(model, x, rng):
    return 0.5 + 0.5 * (x - model(x, 5))


def hidden(model, x, rng):
    return x - model(x, 5) + np.random.default_rng().standard_normal(x.shape)


def shared(model, x, rng):
    return x - model(x, 5) + rng.standard_normal(x.shape[1:])


def coupled(model, x, rng):
    return x[:, ::-1] - model(x, 5)


@pytest.mark.parametrize(
    ("sampler", "found"),
    [
        (clipping, "the end off the sum"),
        (thresholding, "the end off the sum"),
        (adaptive, "1 calls on zeros, 2 on other numbers"),
        (pooled, "the rows of a batch must not see each other"),
        (shifted, r"received 0.5, 0.5 as the end of zeros"),
        (hidden, "nor any noise that is not handed over"),
        (shared, r"a draw of shape \(2,\)"),
        (coupled, "off the sum"),
    ],
)
def test_what_is_not_affine_is_refused_and_can_still_be_run(sampler, found):
    with pytest.raises(NotAffineError, match=found) as error:
        transcribe(sampler)
    assert "\n" not in str(error.value)
    x = np.linspace(-1, 1, 8).reshape(4, 2)
    rng = np.random.default_rng(0)
    end = error.value.driver.run(x, lambda x, at: 0.1 * x, lambda s, t=None: rng.standard_normal(s))
    assert np.shape(end) == (4, 2)


@pytest.mark.parametrize(
    ("sampler", "rule"),
    [
        (lambda m, x, rng: x + rng.uniform(size=x.shape), "noise is normal; received rng.uniform"),
        (lambda m, x, rng: x, "asks its model; received no call"),
        (lambda m, x, rng: m(x, 5) / 0.0, "must be finite"),
        (lambda m, x, rng: m(x[:, :1], 5), r"of the shape \(2, 2\)"),
        (lambda m, x, rng: m(x, np.arange(1, 1 + len(x))), "asked at one level"),
        (3.0, "one of ours, a driver, or a function"),
        ("nothing", "sampler must be one of adaptive, analytic, checked, ddim"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_broken_sampler_is_one_line(sampler, rule):
    with pytest.raises(InputError, match=rule) as error:
        transcribe(sampler)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: transcribe(DDIM(), 0), "steps must be an integer >= 1"),
        (lambda: transcribe(DDPM(), 50), "takes 1000 steps on this schedule"),
        (lambda: transcribe(DDIM(), 5, eta=1.0), "has its options already"),
        (lambda: transcribe(DDIM, 5, colour="red"), "DDIM takes the options"),
        (lambda: transcribe(functions.heun, 5, level="snr"), "level must be one of t, sigma"),
        (lambda: transcribe(functions.heun, 5, predicts="y"), "predicts must be one of eps, x0"),
        (lambda: transcribe(AdaptiveNoise(), schedule=SHORT), "."),
    ],
)
def test_bad_settings_are_one_line(build, rule):
    with pytest.raises(InputError, match=rule) as error:
        build()
    assert "\n" not in str(error.value)


def test_a_cast_to_single_is_measured_not_refused():
    def casting(model, x, rng):
        return functions.ddim(model, x, rng).astype(np.float32)

    assert 1e-9 < transcribe(casting).rounding < 1e-6
    assert transcribe(functions.ddim).rounding < 1e-13


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"matrix": np.ones((3, 3))}, "plan is causal"),
        ({"matrix": np.ones((3, 2))}, "K calls and D draws"),
        ({"alpha": np.ones(2)}, "K calls and D draws"),
        ({"matrix": np.full((3, 3), np.nan)}, "must be finite"),
        ({"start_std": 0.0}, "start_std must be > 0"),
        ({"draw_calls": [3], "draw_times": [1], "matrix": np.zeros((3, 4))}, "causal"),
        ({"predicts": "noise"}, "predicts must be one of"),
    ],
)
def test_a_plan_checks_itself(change, rule):
    matrix = np.array([[1.0, 0.0, 0.0], [1.0, 2.0, 0.0], [1.0, 2.0, 3.0]])
    held = {
        "matrix": matrix,
        "alpha": np.ones(3),
        "noise_var": np.array([2.0, 1.0, 0.0]),
        "predicts": "eps",
        "start_std": 1.0,
        "draw_calls": [],
        "draw_times": [],
    }
    assert Plan(**held).calls == 2
    with pytest.raises(InputError, match=rule):
        Plan(**{**held, **change})


def test_transcribe_and_plan_are_public():
    assert mixdyn.transcribe is transcribe
    assert mixdyn.Plan is Plan

"""Plans step by step: the recursion is the matrix, and runs as the sampler itself does."""

import dataclasses
import itertools

import numpy as np
import pytest

import mixdyn
from mixdyn import (
    DDIM,
    DDPM,
    ExactScore,
    GaussianMixture,
    Hybrid,
    NoiseSchedule,
    ProbabilityFlow,
    as_model,
    presets,
    sample,
    transcribe,
)
from mixdyn.problem.noise import Stream, standard_normals
from mixdyn.run.observers import ClassCounts, SegmentDistance
from mixdyn.score.protocol import Level
from mixdyn.support.errors import InputError, NotApplicableError

from . import functions

SCHEDULE = NoiseSchedule.linear(60, 1e-4, 0.2)
BIMODAL = GaussianMixture([[-0.5, 0.1], [0.5, 0.0]], [0.05, 0.1], [0.4, 0.6])
X0 = {"level": "sigma", "predicts": "x0"}
OURS = {
    "DDIM": DDIM(15),
    "DDIM, eta 0.5": DDIM(15, eta=0.5),
    "DDPM": DDPM(),
    "DDPM, beta": DDPM("beta"),
    "hybrid": Hybrid(3, DDIM(12, "uniform", eta=0.7)),
    "ode": ProbabilityFlow(15, data_std=0.0),
    "ode, order 2": ProbabilityFlow(15, order=2, data_std=0.1),
    "ode, order 4": ProbabilityFlow(15, order=4, data_std=0.1),
}
THEIRS = {
    "ddim": (functions.ddim, {"schedule": functions.SCHEDULE}, 0),
    "ddim, eta": (functions.ddim, {"schedule": functions.SCHEDULE, "eta": 0.5}, 0),
    "heun": (functions.heun, X0, 1),
    "ancestral": (functions.ancestral, X0, 0),
    "flow": (functions.flow_euler, {"level": "flow", "predicts": "velocity"}, 0),
    "2M": (functions.second_order, {"level": "log_snr", "predicts": "x0"}, 1),
    "2M, SDE": (
        functions.second_order,
        {"level": "log_snr", "predicts": "x0", "noisy": True},
        1,
    ),
    "churned": (functions.churned, X0, 0),
    "two draws a step": (functions.twice_noisy, X0, 0),
    "Adams": (functions.adams, X0, 3),
    "remembered noise": (functions.remembered_noise, X0, 1),
}


def ours(name):
    return transcribe(OURS[name], schedule=SCHEDULE)


def theirs(name, steps=10):
    function, settings, _ = THEIRS[name]
    return transcribe(function, steps, **settings)


ALL = [*((ours, name) for name in OURS), *((theirs, name) for name in THEIRS)]


@pytest.mark.parametrize(("made", "name"), ALL, ids=[name for _, name in ALL])
def test_the_recursion_says_what_the_matrix_says(made, name):
    plan = made(name)
    steps = plan.recursion
    size, H = plan.matrix.shape[1], steps.memory
    unit, state, rest = np.eye(size), plan.matrix[0], np.zeros((H + 1, size))
    rows = [state]
    for k in range(plan.calls):
        rest = rest + np.outer(steps.on_state[k], state)
        rest += np.outer(steps.on_output[k], unit[1 + k])
        for j in np.flatnonzero(steps.steps == k):
            rest += np.outer(steps.on_draw[j], unit[1 + plan.calls + j])
        state, rest = rest[0], np.vstack([rest[1:], np.zeros((1, size))])
        rows.append(state)
    assert np.abs(np.array(rows) - plan.matrix).max() <= 1e-13 * np.abs(plan.matrix).max()


@pytest.mark.parametrize("name", THEIRS)
def test_a_step_looks_no_further_back_than_the_method_does(name):
    for steps in (10, 20):
        assert theirs(name, steps).recursion.memory == THEIRS[name][2]


# -- on a mixture --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("mixture", [presets.grid(), BIMODAL], ids=["grid", "bimodal"])
def test_the_plan_of_our_sampler_is_that_sampler_to_rounding_on_our_noise(name, mixture):
    plan = ours(name)
    expected = sample(mixture, SCHEDULE, OURS[name], n=300, rng=3, first=70)
    found = sample(mixture, SCHEDULE, plan, n=300, rng=3, first=70)
    assert (found.times == expected.times).all()
    assert found.n_eval == expected.n_eval
    # A path that starts between two basins may grow rounding a thousandfold.
    error = np.abs(found.x - expected.x).max(axis=1)
    assert np.median(error) < 1e-14
    assert error.max() < 1e-11


def exact(mixture, at, x, predicts):
    eps = ExactScore(mixture, SCHEDULE).eps(x, at)
    if predicts == "eps":
        return eps
    x0 = (x - at.noise_std * eps) / at.alpha if at.alpha else mixture.weights @ mixture.means
    return x0 if predicts == "x0" else eps - x0


@pytest.mark.parametrize("name", THEIRS)
def test_a_function_on_a_mixture_ends_where_its_plan_does(name):
    """The function itself, with the exact prediction and our normals handed to it in turn."""
    plan, (function, settings, _) = theirs(name), THEIRS[name]
    n, seed, t = 300, 5, int(plan.grid(SCHEDULE).times[0])
    calls, draws = itertools.count(), itertools.count()

    class Noise:
        def standard_normal(self, shape):
            return standard_normals(seed, *shape, int(plan.draw_times[next(draws)]))

        def normal(self, mean, std, size):
            return mean + std * self.standard_normal(size)

    def model(x, value):
        k = next(calls)
        at = Level(float(plan.alpha[k]), float(plan.noise_var[k]))
        return exact(BIMODAL, at, x, plan.predicts)

    x_T = plan.start_std * standard_normals(seed, n, 2, t, stream=Stream.START)
    own = {name: settings[name] for name in settings if name in ("eta", "noisy")}
    expected = function(model, x_T, Noise(), steps=10, **own)
    assert next(calls) == plan.calls
    assert next(draws) == plan.draws
    found = sample(BIMODAL, SCHEDULE, plan, n=n, rng=seed).x
    assert np.abs(found - expected).max() < 1e-10


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["2M", "heun", "Adams", "remembered noise", "churned", "flow"])
@pytest.mark.parametrize("product", [True, False])
def test_all_steps_at_once_are_one_after_the_other_bit_for_bit(name, product):
    plan = theirs(name)
    model = ExactScore(presets.grid(), SCHEDULE, detect_product=product)
    stepper = plan.stepper(model, SCHEDULE, plan.grid(SCHEDULE))
    assert stepper.rollout is not None
    fused = sample(model, SCHEDULE, plan, n=300, rng=11, first=1000).x
    traced = sample(model, SCHEDULE, plan, n=300, rng=11, first=1000, keep="trajectory").x
    parts = [sample(model, SCHEDULE, plan, n=150, rng=11, first=f).x for f in (1000, 1150)]
    assert fused.tobytes() == traced.tobytes() == np.vstack(parts).tobytes()
    assert np.isfinite(fused).all()


def test_a_mixture_in_a_hull_takes_only_steps_that_keep_its_centre():
    means = np.zeros((3, 64))
    means[:, 0] = [1.0, 3.0, 4.0]
    mixture = GaussianMixture(means, 0.1)
    low = ExactScore(mixture, SCHEDULE, route="low_rank")
    general = ExactScore(mixture, SCHEDULE, route="general")
    off = dataclasses.replace(ours("DDIM"), matrix=0.9 * ours("DDIM").matrix)
    for plan in (ours("DDIM"), ours("ode"), off, theirs("heun")):
        ends = [sample(model, SCHEDULE, plan, n=50, rng=1).x for model in (low, general)]
        assert np.allclose(*ends, rtol=0, atol=1e-9)


def test_drawn_starts_have_the_samplers_own_size_and_given_ones_are_the_first_input():
    plan = theirs("heun")
    wide = sample(BIMODAL, SCHEDULE, plan, n=4, rng=0, keep="trajectory").trajectory[0]
    drawn = standard_normals(0, 4, 2, plan.calls, stream=Stream.START)
    assert np.allclose(wide, 150.0 * drawn, rtol=1e-14)
    given = sample(BIMODAL, SCHEDULE, plan, x=wide)
    assert np.allclose(given.x, sample(BIMODAL, SCHEDULE, plan, n=4, rng=0).x, rtol=0, atol=1e-12)


def test_a_first_call_without_signal_runs_on_the_mean_of_a_mixture_or_a_model_of_v():
    def sampler(model, x, rng):
        x = 0.8 * (0.0 * x - 1.0 * model(x, Level(0.0, 1.0))) + 0.6 * x  # v at zero signal
        return 0.8 * x - 0.6 * model(x, Level(0.8, 0.36))

    plan = transcribe(sampler, level=lambda at: at, predicts="v")
    x = np.array([[0.3, -0.2], [1.0, 2.0]])
    first = 0.8 * (BIMODAL.weights @ BIMODAL.means) + 0.6 * x
    expected = exact(BIMODAL, Level(0.8, 0.36), first, "x0")
    assert np.allclose(sample(BIMODAL, SCHEDULE, plan, x=x).x, expected, rtol=0, atol=1e-13)
    model = as_model(lambda x, at: 0.1 * x, takes_levels=True)
    with pytest.raises(InputError, match=r"eps says nothing of x0.*alpha=0\.0"):
        sample(model, SCHEDULE, plan, x=x)
    score = mixdyn.ExactScore(BIMODAL, SCHEDULE)
    knows = as_model(lambda x, at: score.v(x, at), predicts="v", takes_levels=True)
    assert np.allclose(sample(knows, SCHEDULE, plan, x=x).x, expected, rtol=0, atol=1e-12)


def test_a_call_without_noise_predicts_none():
    plan = transcribe(lambda m, x, rng: m(0.5 * m(x, 1.0), 0.0), level="sigma", predicts="x0")
    x = np.array([[0.3, -0.2]])
    expected = 0.5 * exact(BIMODAL, Level(1.0, 1.0), x, "x0")
    assert np.allclose(sample(BIMODAL, SCHEDULE, plan, x=x).x, expected, rtol=0, atol=1e-15)


def test_a_model_of_levels_and_a_model_of_times_run_a_plan():
    plan = ours("DDIM, eta 0.5")
    levels = as_model(lambda x, at: 0.1 * at.noise_std * x, takes_levels=True)
    times = as_model(lambda x, t: 0.1 * np.sqrt(SCHEDULE.noise_var[t]) * x)
    ends = [sample(m, SCHEDULE, plan, n=5, d=2, rng=0).x for m in (levels, times)]
    assert np.allclose(*ends, rtol=0, atol=1e-14)
    with pytest.raises(InputError, match="can only be evaluated there"):
        sample(times, SCHEDULE, theirs("heun"), n=5, d=2, rng=0)


# -- nodes ---------------------------------------------------------------------------------------


def test_observers_of_nodes_need_calls_at_times_of_the_schedule():
    distance = SegmentDistance(presets.grid(), SCHEDULE)
    run = {"n": 20, "rng": 0, "observers": [distance], "keep": "none"}
    ours_seen = sample(presets.grid(), SCHEDULE, ours("DDIM"), **run).observations[0]
    expected = sample(presets.grid(), SCHEDULE, OURS["DDIM"], **run).observations[0]
    assert np.allclose(ours_seen.mean, expected.mean, rtol=1e-9)
    with pytest.raises(InputError, match="a sampler whose calls are at times of the schedule"):
        sample(presets.grid(), SCHEDULE, theirs("heun"), **run)
    run["observers"] = [ClassCounts(presets.grid())]
    assert sample(presets.grid(), SCHEDULE, theirs("heun"), **run).observations[0].sum() == 20


def test_a_plan_begins_where_nothing_looks_back_beyond():
    plan = ours("DDIM")
    t = int(plan.grid(SCHEDULE).times[4])
    x = np.array([[0.2, 0.1]])
    found = sample(BIMODAL, SCHEDULE, plan, x=x, start=t).x
    assert np.allclose(found, sample(BIMODAL, SCHEDULE, OURS["DDIM"], x=x, start=t).x, atol=1e-14)
    with pytest.raises(InputError, match="look back begins at its first call"):
        sample(BIMODAL, SCHEDULE, ours("ode, order 2"), x=x, start=5)
    heun = theirs("heun")
    assert heun.grid(SCHEDULE).times.tolist() == list(range(19, -1, -1))


@pytest.mark.parametrize("times", [[1, 1], [-1, 2]])
def test_draws_have_times_of_their_own(times):
    plan = transcribe(DDIM(3, eta=1.0), schedule=SCHEDULE)
    with pytest.raises(InputError, match="every draw of a plan has a time of its own"):
        dataclasses.replace(plan, draw_times=times)


def test_a_start_that_comes_in_late_has_matrices_but_no_recursion():
    def late(model, x, rng):
        return x + model(0.0 * x, 1.0)

    plan = transcribe(late, level="sigma", predicts="x0")
    assert plan.response([1.0])[1] == pytest.approx(1.0)
    with pytest.raises(NotApplicableError, match="x_T in its first input"):
        sample(BIMODAL, SCHEDULE, plan, n=3)


def test_path_noise_and_repetitions_are_not_a_plans():
    with pytest.raises(InputError, match="a plan draws the noise of its own steps"):
        sample(BIMODAL, SCHEDULE, ours("DDIM"), n=3, noise="path")
    with pytest.raises(InputError, match="can go on from any node"):
        sample(BIMODAL, SCHEDULE, mixdyn.Retry(ours("DDIM")), n=3)

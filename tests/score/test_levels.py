"""A model is asked at a level; integer times are a view of it, and what knows no other says so."""

import math

import numpy as np
import pytest

from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, NoiseSchedule, as_model, presets, sample
from mixdyn.learned.loading import SizedModel
from mixdyn.score import (
    AtLevels,
    Level,
    PerturbedScore,
    at_levels,
    from_eps,
    level,
    model_for,
    to_eps,
    to_x0,
)
from mixdyn.solvers.field import MixtureField, ModelField
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(50, 1e-4, 0.3)
MIXTURES = {
    "product": presets.grid(2, sigma=0.3),
    "hull": GaussianMixture(np.outer([0.0, 1.0, 2.5], np.linspace(-1, 1, 20)), 0.2, [1, 2, 3]),
    "per-mode sigma": GaussianMixture([[0.0, 1.0], [1.0, -1.0]], [0.2, 0.7], [0.3, 0.7]),
}
KINDS = ["eps", "x0", "v", "score", "log_density", "responsibilities", "jacobian"]
RHO = 0.37  # of no time


def states(mixture):
    return np.random.default_rng(0).normal(size=(7, mixture.d))


class AtTimesOnly:
    """A model of integer times, as most networks are."""

    d = 2

    def __init__(self):
        self.exact = ExactScore(MIXTURES["per-mode sigma"], SCHEDULE)

    def eps(self, x, t):
        assert type(t) is int
        return self.exact.eps(x, t)


class Continuous(AtTimesOnly):
    """A model of any noise."""

    takes_levels = True

    def eps(self, x, at):
        assert isinstance(at, Level)
        return self.exact.eps(x, at)


class Saying(AtTimesOnly):
    """A model that says so of what it takes."""

    def __init__(self, takes_levels):
        self.takes_levels = takes_levels


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("t", [1, 7, 50])
@pytest.mark.parametrize("name", MIXTURES)
def test_the_level_of_a_time_gives_the_bits_of_that_time(name, t, precision):
    exact, x = ExactScore(MIXTURES[name], SCHEDULE, precision=precision), states(MIXTURES[name])
    for kind in KINDS:
        at_time, at_level = (getattr(exact, kind)(x, at) for at in (t, level(SCHEDULE, t)))
        assert at_time.tobytes() == at_level.tobytes(), kind


@pytest.mark.parametrize("name", MIXTURES)
def test_between_times_and_on_any_path_the_exact_score_is_that_of_the_marginal(name):
    mixture, x = MIXTURES[name], states(MIXTURES[name])
    exact, at = ExactScore(mixture, SCHEDULE), Level.of_rho(RHO)
    marginal = mixture.diffused(at.signal_var, noise_var=at.noise_var)
    assert np.allclose(exact.eps(x, at), -at.noise_std * marginal.score(x), rtol=1e-12)
    exploding = exact.eps(x / at.alpha, Level(1.0, RHO))
    assert np.allclose(exploding, exact.eps(x, at), rtol=1e-12)
    flowing = Level(1.0 / (1.0 + math.sqrt(RHO)), RHO / (1.0 + math.sqrt(RHO)) ** 2)
    assert np.allclose(exact.eps(x * flowing.alpha / at.alpha, flowing), exploding, rtol=1e-12)


def test_without_any_signal_the_state_is_the_noise():
    x = states(MIXTURES["product"])
    eps = ExactScore(MIXTURES["product"], SCHEDULE).eps(x, Level(0.0, 4.0))
    assert np.allclose(eps, x / 2.0, rtol=1e-15)


def test_a_model_of_integer_times_answers_at_the_levels_of_its_schedule_and_no_others():
    model = AtTimesOnly()
    asked, x = at_levels(model, SCHEDULE), states(MIXTURES["product"])
    expected = model.eps(x, 9)
    assert asked.eps(x, 9).tobytes() == expected.tobytes()
    assert asked.eps(x, level(SCHEDULE, 9)).tobytes() == expected.tobytes()
    y = x / SCHEDULE.alpha[9]
    exploding = asked.eps(y, Level(1.0, float(SCHEDULE.rho[9])))
    assert np.allclose(exploding, expected, rtol=1e-12)
    for at in (Level.of_rho(RHO), Level(1.0, 1e-9), Level(0.0, 1.0), Level.of_rho(1e9)):
        with pytest.raises(InputError, match="a model given at integer times can only be"):
            asked.eps(x, at)


@pytest.mark.parametrize("sampler", [DDIM(20), DDPM()])
def test_a_model_that_takes_levels_runs_as_the_model_of_times_does(sampler):
    def run(model):
        return sample(model, SCHEDULE, sampler, n=20, d=2, rng=1).x.tobytes()

    adapted = as_model(Continuous().eps, takes_levels=True)
    sized = SizedModel(model_for(Continuous(), SCHEDULE), 2)
    runs = {run(model) for model in (AtTimesOnly(), Continuous(), adapted, sized)}
    assert len(runs) == 1


@pytest.mark.parametrize(
    "of",
    [
        ExactScore,
        lambda mixture, schedule: PerturbedScore(mixture, schedule, lambda x, t: 0 * x),
        lambda mixture, schedule: at_levels(AtTimesOnly(), schedule),
    ],
)
def test_a_score_of_another_schedule_is_refused(of):
    for other in (NoiseSchedule.linear(100, 1e-4, 0.3), NoiseSchedule.cosine(50)):
        model = of(MIXTURES["per-mode sigma"], other)
        with pytest.raises(
            InputError, match=r"of the schedule that it is run on.*Pass the mixture"
        ):
            sample(model, SCHEDULE, DDIM(5), n=4, rng=0)
    same = of(MIXTURES["per-mode sigma"], NoiseSchedule.linear(50, 1e-4, 0.3))
    assert sample(same, SCHEDULE, DDIM(5), n=4, rng=0).x.shape == (4, 2)


@pytest.mark.parametrize("kind", ["eps", "x0", "v", "score"])
def test_a_function_of_levels_converts_without_a_schedule(kind):
    exact, x, at = ExactScore(MIXTURES["product"], SCHEDULE), states(MIXTURES["product"]), 12
    model = as_model(lambda x, at: getattr(exact, kind)(x, at), predicts=kind, takes_levels=True)
    for where in (level(SCHEDULE, at), Level.of_rho(RHO)):
        eps = AtLevels(model, SCHEDULE).eps(x, where)
        assert np.allclose(eps, exact.eps(x, where), rtol=1e-10, atol=1e-12)


def test_the_field_of_a_continuous_model_is_defined_between_the_times():
    mixture = MIXTURES["per-mode sigma"]
    y, floor = states(mixture), float(np.square(mixture.sigmas).min())
    field = ModelField(Continuous(), SCHEDULE, 2, data_var=floor)
    exact = MixtureField(mixture).pull(y, floor + RHO)
    assert np.allclose(field.pull(y, floor + RHO), exact, rtol=1e-11)


def test_what_holds_x0_is_not_had_from_eps_where_there_is_no_signal():
    x, at = states(MIXTURES["product"]), Level(0.0, 4.0)
    for predicts in ("eps", "score"):
        with pytest.raises(InputError, match=f"of {predicts} says nothing of x0.*alpha = 0"):
            to_x0(x, x, at, predicts)
    for predicts in ("x0", "v", "velocity"):
        with pytest.raises(InputError, match=f"no {predicts} follows from a prediction of eps"):
            from_eps(x, x, at, predicts)
    model = as_model(lambda x, _: x, takes_levels=True)
    with pytest.raises(InputError, match="of eps says nothing of x0"):
        model.x0(x, at)


@pytest.mark.parametrize(
    "at", [Level(0.0, 4.0), Level(0.0, 1.0), Level(1.0, 9.0), Level(0.3, 0.49)]
)
def test_five_predictions_of_one_state_agree_on_every_path(at):
    rng = np.random.default_rng(0)
    x0, eps = rng.standard_normal((2, 5, 3))
    a, b = at.alpha, at.noise_std
    x = a * x0 + b * eps
    known = {"eps": eps, "x0": x0, "v": a * eps - b * x0, "score": -eps / b, "velocity": eps - x0}
    for kind, value in known.items():
        assert to_eps(value, x, at, kind) == pytest.approx(eps, abs=1e-13)
        if a > 0.0 or kind in ("x0", "v", "velocity"):
            assert to_x0(value, x, at, kind) == pytest.approx(x0, abs=1e-13)
        if a > 0.0 or kind in ("eps", "score"):
            assert from_eps(eps, x, at, kind) == pytest.approx(value, abs=1e-13)


def test_the_exact_score_without_signal_knows_the_mean_and_no_more():
    for mixture in MIXTURES.values():
        exact, at, x = ExactScore(mixture, SCHEDULE), Level(0.0, 4.0), states(mixture)
        assert np.array_equal(exact.eps(x, at), x / 2.0)
        assert exact.score(x, at) == pytest.approx(-x / 4.0, rel=1e-14)
        mean = np.average(mixture.means, axis=0, weights=mixture.weights)
        assert exact.x0(x, at) == pytest.approx(np.tile(mean, (len(x), 1)), abs=1e-14)
        assert exact.responsibilities(x, at) == pytest.approx(
            np.tile(mixture.weights, (len(x), 1)), rel=1e-13
        )


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: Level(-0.1, 1.0), "alpha must be >= 0"),
        (lambda: Level(1.0, -1.0), "noise_var must be >= 0"),
        (lambda: Level(math.nan, 1.0), "alpha must be a finite real number"),
        (lambda: Level(1.0, 1.0, -5.0), "signal_var must be >= 0"),
        (lambda: Level(1.0, 1.0, math.inf), "signal_var must be a finite real number"),
        (lambda: Level.of_rho(-1.0), "rho must be >= 0"),
        (lambda: ExactScore(presets.line(), SCHEDULE).eps([[0.0]], Level(1.0, 0.0)), "needs noise"),
        (lambda: as_model(np.add, takes_levels=True, index_base=0), "it has no index base"),
        (lambda: as_model(np.add, takes_levels="yes"), "takes_levels must be a bool"),
        (lambda: as_model(np.add, takes_levels=True).eps(np.ones((1, 2)), 5), "at must be a Level"),
        (lambda: model_for(Saying(1), SCHEDULE), "takes_levels must be a bool"),
        (lambda: model_for(Saying(np.True_), SCHEDULE), "takes_levels must be a bool"),
    ],
)
def test_bad_levels_are_refused(build, rule):
    with pytest.raises(InputError, match=rule):
        build()


def test_a_level_by_its_signal_is_that_by_its_noise():
    for abar in (1.0, 0.3, 1e-9):
        by_signal, by_noise = Level.of_abar(abar), Level.of_rho((1.0 - abar) / abar)
        assert by_signal.signal_var == abar
        assert by_signal.alpha == pytest.approx(by_noise.alpha, rel=1e-15)
        assert by_signal.noise_var == pytest.approx(by_noise.noise_var, rel=1e-15)
    for wrong in (0.0, 1.1, -1.0):
        with pytest.raises(InputError, match="alpha_bar"):
            Level.of_abar(wrong)

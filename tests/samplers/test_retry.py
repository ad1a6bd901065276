"""Retry: any sampler tested by the model alone; sound samples are left, stuck ones are not."""

import numpy as np
import pytest

import mixdyn
from mixdyn import DDIM, DDPM, AdaptiveNoise, ExactScore, Hybrid, NoiseSchedule, Retry, presets
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.2)
PAIR = presets.two_modes(separation=2.0, sigma=0.05, d=2)
BASES = {
    "DDIM": DDIM(12),
    "DDIM, eta": DDIM(12, eta=0.5),
    "DDPM": DDPM(),
    "hybrid": Hybrid(2, DDIM(12)),
    "adaptive": AdaptiveNoise(12, rounds=0),
}


def run(sampler, n=60, model=PAIR, **options):
    return mixdyn.sample(model, SCHEDULE, sampler, n=n, rng=3, **options)


class Counting:
    """A model that counts the states it is asked about."""

    d = 2

    def __init__(self):
        self.seen, self.score = 0, ExactScore(PAIR, SCHEDULE)

    def eps(self, x, t):
        self.seen += len(x)
        return self.score.eps(x, t)


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_samples_that_pass_are_the_base_s_own(base):
    """A level that nothing fails leaves every bit as it is, and costs one evaluation a check."""
    alone, tested = run(base), run(Retry(base, level=1e-12, checks=3))
    assert np.abs(tested.x - alone.x).max() <= 1e-13  # the base may run in one fused kernel
    assert tested.n_eval == pytest.approx(alone.n_eval + 3)


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_every_evaluation_is_counted_as_the_model_sees_it(base):
    model = Counting()
    result = run(Retry(base, level=0.2), n=50, model=model)
    assert result.n_eval * 50 == pytest.approx(model.seen)
    assert result.n_eval > run(base).n_eval + 4  # at this level some fail


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_the_result_does_not_depend_on_blocks_or_shards(base):
    sampler = Retry(base, level=0.2)
    whole = run(sampler, model=Counting())
    parts = [run(sampler, n=20, first=k, model=Counting()).x for k in (0, 20, 40)]
    assert np.array_equal(whole.x, np.concatenate(parts))
    assert (whole.x != run(base, model=Counting()).x).any()


def test_adaptive_noise_is_its_steps_under_retry():
    whole, parts = AdaptiveNoise(12), Retry(AdaptiveNoise(12, rounds=0))
    assert np.array_equal(run(whole).x, run(parts).x)
    assert run(whole).n_eval == run(parts).n_eval


class Stuck:
    """The exact score of two modes, with a trap half way that holds whoever comes near."""

    d = 2

    def __init__(self):
        self.score = ExactScore(PAIR, SCHEDULE)

    def eps(self, x, t):
        alpha, std = SCHEDULE.alpha[t], np.sqrt(SCHEDULE.noise_var[t])
        held = np.abs(x[:, :1] / alpha) < 0.3
        return np.where(held & (SCHEDULE.rho[t] < 0.5), x / std, self.score.eps(x, t))


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_samples_held_by_a_false_mode_that_the_model_believes_in_stay(base):
    """Whoever is held there ends at a point that the model finds plausible: no test by the model
    can tell it from a mode. What Retry mends is what the model itself finds implausible."""
    x = run(Retry(base), n=200, model=Stuck()).x
    assert (np.abs(x[:, 0]) < 0.1).sum() > 0


@pytest.mark.parametrize("base", [DDIM(12), DDIM(12, eta=1.0), DDPM()], ids=str)
def test_samples_between_the_modes_are_sent_back_and_end_in_one(base):
    """Started between the modes with hardly any noise left; some nodes above lead out again."""
    schedule = NoiseSchedule.linear()
    x = np.tile([1e-3, 0.0], (40, 1))
    grid = base.grid(schedule)
    start = int(grid.times[np.argmax(schedule.rho[grid.times] <= 0.5)])
    middle = np.sqrt(schedule.alpha_bar[start]) * x
    alone = mixdyn.sample(PAIR, schedule, base, x=middle, start=start, rng=0).x
    tested = mixdyn.sample(PAIR, schedule, Retry(base), x=middle, start=start, rng=0).x
    wrong = [(mixdyn.classify(PAIR, y) != 0).sum() for y in (alone, tested)]
    assert wrong[1] == 0
    if base == DDIM(12):
        assert wrong[0] == 40


def test_what_is_no_sampler_is_refused():
    with pytest.raises(InputError, match="Retry"):
        Retry(3)


@pytest.mark.parametrize("base", [mixdyn.ExactReverse(), mixdyn.ProbabilityFlow()], ids=str)
def test_a_sampler_that_cannot_go_on_from_any_node_is_refused(base):
    with pytest.raises(InputError, match="Retry"):
        mixdyn.sample(PAIR, NoiseSchedule.linear(), Retry(base), n=4, rng=0)


@pytest.mark.parametrize(
    "wrong", [{"level": 0.0}, {"level": 1.0}, {"checks": -1}, {"rounds": 32}], ids=str
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(InputError):
        Retry(DDIM(), **wrong)


def test_an_option_that_retry_does_not_have_is_answered_with_those_it_has():
    with pytest.raises(InputError, match="Retry takes the options base, level, checks, rounds"):
        Retry(DDIM(), times=3)

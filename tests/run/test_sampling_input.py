"""Everything a user can get wrong in a run."""

import pickle

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    ExactReverse,
    NoiseSchedule,
    TimeGrid,
    as_model,
    presets,
    sample,
)
from mixdyn.support.errors import InputError, MemoryLimitError

SCHEDULE = NoiseSchedule.linear(10)
MIXTURE = presets.two_modes(d=2)
ONE = {"n": 1, "rng": 0}
X = np.zeros((1, 2))


ANCESTRAL = DDPM()


def run(model=MIXTURE, schedule=SCHEDULE, sampler=ANCESTRAL, **options):
    return sample(model, schedule, sampler, **{**ONE, **options})


BAD = {
    "neither n nor x": (lambda: run(n=None), "exactly one of n and x"),
    "both n and x": (lambda: run(x=X), "exactly one of n and x"),
    "another d": (lambda: run(d=3), "d must be that of the model, 2; received 3"),
    "d zero": (lambda: run(d=0), "d must be an integer >= 1"),
    "d other than x's": (lambda: run(as_model(np.sin), n=None, x=X, d=3), r"shape \(n, 3\)"),
    "n zero": (lambda: run(n=0), "n must be an integer >= 1"),
    "n negative": (lambda: run(n=-1), "n must be an integer >= 1"),
    "n beyond what prints": (lambda: run(n=-(10**5000)), "too long to print"),
    "seed beyond what prints": (lambda: run(rng=10**5000), "too long to print"),
    "steps beyond what prints": (lambda: run(sampler=DDIM(10**5000)), "too long to print"),
    "n a boolean": (lambda: run(n=True), "n must be an integer >= 1"),
    "n a float": (lambda: run(n=10.0), "n must be an integer >= 1"),
    "x of another dimension": (lambda: run(n=None, x=[[0.0]]), r"shape \(n, 2\)"),
    "x with one axis": (lambda: run(n=None, x=[0.0, 0.0]), "2 axes"),
    "x empty": (lambda: run(n=None, x=np.empty((0, 2))), "n >= 1"),
    "x NaN": (lambda: run(n=None, x=[[np.nan, 0.0]]), "x must be finite"),
    "x huge": (lambda: run(n=None, x=[[1e200, 0.0]]), "at most 1e\\+75"),
    "x ragged": (lambda: run(n=None, x=[[1.0], [1.0, 2.0]]), "rectangular"),
    "x ragged, dimension unknown": (
        lambda: run(as_model(lambda x, t: x), n=None, x=[[1.0], [1.0, 2.0]]),
        "rectangular",
    ),
    "x without columns, dimension unknown": (
        lambda: run(as_model(lambda x, t: x), n=None, x=np.empty((3, 0))),
        "n >= 1",
    ),
    "dimension unknown": (lambda: run(as_model(lambda x, t: x)), "needs the dimension"),
    "model no model": (lambda: run("net"), "GaussianMixture or an object with eps"),
    "schedule and sampler swapped": (lambda: run(schedule=DDPM(), sampler=SCHEDULE), "this order"),
    "keep misspelt": (
        lambda: run(keep="last"),
        "keep must be one of 'final', 'none', 'trajectory'",
    ),
    "noise misspelt": (lambda: run(noise="bridge"), "noise must be one of 'step', 'path'"),
    "seed negative": (lambda: run(rng=-1), "seed must be an integer in 0"),
    "seed beyond 64 bits": (lambda: run(rng=2**64), "seed must be an integer in 0"),
    "seed a float": (lambda: run(rng=0.0), "rng must be an int"),
    "first negative": (lambda: run(first=-1), "first must be an integer in 0"),
    "first beyond the counter": (lambda: run(first=2**63), "first must be an integer in 0"),
    "start off the grid": (lambda: run(sampler=DDIM(2, "uniform"), start=3), "time of the grid"),
    "start zero": (lambda: run(start=0), "start must be an integer >= 1"),
    "start beyond T": (lambda: run(start=11), "start must be a time of the grid"),
    "start a float": (lambda: run(start=5.0), "start must be an integer >= 1"),
    "more steps than T": (lambda: run(sampler=DDIM(11)), "must not exceed T = 10"),
    "grid beyond T": (lambda: run(sampler=DDIM(spacing=TimeGrid([20, 0]))), "within the schedule"),
    "exact draws beyond T": (lambda: run(sampler=ExactReverse((20, 0))), "within the schedule"),
    "eta above its cap": (lambda: run(sampler=DDIM(3, "uniform", eta=1.5)), "eta must not exceed"),
    "exact draws from a network": (
        lambda: run(as_model(lambda x, t: x), n=None, x=X, sampler=ExactReverse()),
        "needs the mixture itself",
    ),
    "exact draws with path noise": (
        lambda: run(sampler=ExactReverse(), noise="path"),
        "step noise only",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_run_is_refused_with_rule_value_and_remedy(name):
    call, rule = BAD[name]
    with pytest.raises(InputError, match=rule) as caught:
        call()
    error = caught.value
    assert error.rule
    assert len(str(error)) < 400
    again = pickle.loads(pickle.dumps(error))  # as a worker process hands it back
    assert (type(again), str(again)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("output", "named"),
    [
        (lambda x, t: np.where(t == 7, np.nan, 1.0) * x, "at t = 7 with 2 non-finite"),
        (lambda x, t: np.full_like(x, np.inf) if t == 3 else x, "at t = 3 with 2 non-finite"),
    ],
)
def test_a_model_that_returns_nan_or_infinity_is_named_with_the_time(output, named):
    with pytest.raises(InputError, match=named):
        run(as_model(output), n=None, x=np.ones((1, 2)))


@pytest.mark.parametrize("shape", [(1,), (2, 2), (1, 2, 1), (2, 1), ()])
def test_a_model_that_returns_another_shape_is_refused(shape):
    class Misshapen:
        d = 2

        def eps(self, x, t):
            return np.zeros(shape)

    with pytest.raises(InputError, match=r"finite and of shape \(1, 2\)"):
        run(Misshapen())


def test_a_trajectory_beyond_the_memory_limit_is_refused_before_anything_runs():
    class Untouched:
        d = 2

        def eps(self, x, t):
            raise AssertionError("must not be called")

    size = 11 * 1000 * 2 * 8  # nodes, samples, coordinates, bytes
    with pytest.raises(MemoryLimitError, match=r"1\.76e\+05 bytes for shape \(11, 1000, 2\)"):
        run(Untouched(), n=1000, keep="trajectory", memory_limit=size - 1)
    assert run(n=1, keep="trajectory", memory_limit=11 * 2 * 8).trajectory.nbytes == 11 * 2 * 8
    with pytest.raises(MemoryLimitError):
        run(Untouched(), n=10**15)


def test_streaming_without_keeping_has_no_limit_on_memory():
    assert run(n=3, keep="none", memory_limit=1).x is None


@pytest.mark.parametrize("limit", [float("nan"), 0.0, -1.0, True, "2e9", None])
@pytest.mark.parametrize("keep", ["final", "trajectory", "none"])
def test_a_memory_limit_that_limits_nothing_is_refused_not_ignored(limit, keep):
    with pytest.raises(InputError, match="memory_limit must be"):
        run(n=2, keep=keep, memory_limit=limit)
    assert run(n=2, memory_limit=float("inf")).x.shape == (2, 2)

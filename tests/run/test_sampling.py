"""A run is the sampler's recursion on the stated noise, whatever is kept or watched."""

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    ExactReverse,
    ExactScore,
    GaussianMixture,
    Hybrid,
    NoiseSchedule,
    TimeGrid,
    as_model,
    kernels,
    sample,
)
from mixdyn.problem.noise import Stream, standard_normals
from mixdyn.run import sampling
from mixdyn.run.observers import ClassCounts

SCHEDULE = NoiseSchedule.linear(12, 0.01, 0.3)
MIXTURE = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], [0.1, 0.2, 0.3], [0.2, 0.3, 0.5])
GRID = TimeGrid([11, 7, 4, 1, 0])
SAMPLERS = {
    "DDIM": DDIM(spacing=GRID),
    "DDIM, eta 0.5": DDIM(spacing=GRID, eta=0.5),
    "DDPM": DDPM(),
    "DDPM, beta": DDPM("beta"),
    "hybrid": Hybrid(2, DDIM(spacing=GRID)),
    "exact": ExactReverse(GRID),
}


class Recorder:
    """A model that keeps what it was asked."""

    def __init__(self):
        self.model, self.calls, self.d = ExactScore(MIXTURE, SCHEDULE), [], 2

    def eps(self, x, t):
        self.calls.append((t, x.copy()))
        return self.model.eps(x, t)


def by_hand(eta, n, seed, first):
    """DDIM as in arXiv 2010.02502, equation 12, in NumPy."""
    abar = np.cumprod(1 - SCHEDULE.beta)
    model = ExactScore(MIXTURE, SCHEDULE)
    x = standard_normals(seed, n, 2, 11, stream=Stream.START, first=first)
    for t, s in GRID.pairs:
        eps = model.eps(x, t)
        x0 = (x - np.sqrt(1 - abar[t]) * eps) / np.sqrt(abar[t])
        sigma = eta * np.sqrt((1 - abar[s]) / (1 - abar[t]) * (1 - abar[t] / abar[s]))
        xi = standard_normals(seed, n, 2, t, stream=Stream.STEP, first=first)
        x = np.sqrt(abar[s]) * x0 + np.sqrt(1 - abar[s] - sigma**2) * eps + sigma * xi
    return x


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_run_is_the_papers_recursion_on_the_noise_of_its_seed(eta):
    result = sample(MIXTURE, SCHEDULE, DDIM(spacing=GRID, eta=eta), n=6, rng=9, first=40)
    assert np.allclose(result.x, by_hand(eta, 6, 9, 40), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_is_kept_does_not_change_the_samples(name):
    sampler = SAMPLERS[name]
    final = sample(MIXTURE, SCHEDULE, sampler, n=5, rng=1)
    path = sample(MIXTURE, SCHEDULE, sampler, n=5, rng=1, keep="trajectory")
    none = sample(
        MIXTURE, SCHEDULE, sampler, n=5, rng=1, keep="none", observers=[ClassCounts(MIXTURE)]
    )
    assert np.allclose(path.x, final.x, rtol=0, atol=1e-13)
    assert path.trajectory.shape == (len(path.times), 5, 2)
    assert (path.trajectory[-1] == path.x).all()
    start = standard_normals(1, 5, 2, int(path.times[0]), stream=Stream.START)
    assert (path.trajectory[0] == start).all()
    assert none.x is None
    assert none.trajectory is final.trajectory is None
    assert none.observations[0].sum() == 5
    assert (final.times == sampler.grid(SCHEDULE).times).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_shards_join_to_the_whole_run(name):
    run = [
        sample(MIXTURE, SCHEDULE, SAMPLERS[name], n=n, rng=3, first=first).x
        for n, first in ((7, 0), (3, 0), (4, 3))
    ]
    assert np.vstack(run[1:]).tobytes() == run[0].tobytes()


@pytest.mark.parametrize("name", SAMPLERS)
def test_blocks_within_a_run_leave_no_trace(name, monkeypatch):
    whole = sample(MIXTURE, SCHEDULE, SAMPLERS[name], n=140, rng=3, start=None).x
    monkeypatch.setattr(sampling, "_BLOCK_DOUBLES", 1)  # blocks of 128
    done = []
    parts = sample(
        MIXTURE, SCHEDULE, SAMPLERS[name], n=140, rng=3, progress=lambda a, b: done.append((a, b))
    )
    assert parts.x.tobytes() == whole.tobytes()
    assert done == [(128, 140), (140, 140)]


def test_given_states_start_the_run_and_are_left_alone():
    x = np.random.default_rng(0).normal(size=(4, 2))
    before = x.copy()
    path = sample(MIXTURE, SCHEDULE, DDPM(), x=x, rng=0, start=5, keep="trajectory")
    sample(MIXTURE, SCHEDULE, DDPM(), x=x, rng=0, start=5)
    assert (x == before).all()
    assert (path.trajectory[0] == x).all()
    assert path.times.tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("name", ["DDIM", "DDPM", "hybrid"])
def test_a_model_is_asked_once_a_step_at_integer_times_with_the_state(name):
    model = Recorder()
    result = sample(model, SCHEDULE, SAMPLERS[name], n=3, rng=2, keep="trajectory")
    assert [t for t, _ in model.calls] == result.times[:-1].tolist()
    assert all(type(t) is int for t, _ in model.calls)
    assert result.n_eval == len(model.calls)
    for (_, x), state in zip(model.calls, result.trajectory, strict=False):
        assert x.dtype == np.float64
        assert (x == state).all()


@pytest.mark.parametrize("name", ["DDIM", "DDIM, eta 0.5", "DDPM", "DDPM, beta", "hybrid"])
def test_a_model_object_walks_the_path_of_the_exact_score_it_wraps(name):
    generic = sample(Recorder(), SCHEDULE, SAMPLERS[name], n=6, rng=4).x
    fused = sample(MIXTURE, SCHEDULE, SAMPLERS[name], n=6, rng=4).x
    assert np.allclose(generic, fused, rtol=0, atol=1e-13)  # bit for bit with the compiler


def test_a_subclass_that_changes_the_prediction_is_obeyed():
    class Damped(ExactScore):
        def eps(self, x, t):
            return 0.5 * super().eps(x, t)

    damped = Damped(MIXTURE, SCHEDULE)
    plain = as_model(lambda x, t: 0.5 * ExactScore(MIXTURE, SCHEDULE).eps(x, t))
    x = np.ones((2, 2))
    a, b = (sample(m, SCHEDULE, SAMPLERS["DDIM"], x=x, rng=0).x for m in (damped, plain))
    assert (a == b).all()


def test_a_run_reports_a_seed_that_repeats_it():
    first = sample(MIXTURE, SCHEDULE, SAMPLERS["DDPM"], n=3)
    again = sample(MIXTURE, SCHEDULE, SAMPLERS["DDPM"], n=3, rng=first.seed)
    assert (first.x == again.x).all()
    assert sample(MIXTURE, SCHEDULE, SAMPLERS["DDPM"], n=3).seed != first.seed
    assert sample(MIXTURE, SCHEDULE, SAMPLERS["DDPM"], n=3, rng=77).seed == 77


def test_samplers_with_one_seed_run_on_common_noise():
    """At eta = 1 the posterior and beta variances differ by a known factor on the same normals."""
    x = np.zeros((2, 2))
    at = {"start": 9, "keep": "trajectory"}
    quiet = sample(MIXTURE, SCHEDULE, DDIM(spacing="full"), x=x, rng=5, **at).trajectory[1]
    noisy = [sample(MIXTURE, SCHEDULE, DDPM(v), x=x, rng=5, **at) for v in ("posterior", "beta")]
    mean = sample(MIXTURE, SCHEDULE, DDPM(), x=x, rng=6, **at).trajectory[1]
    q = SCHEDULE.noise_var[8] / SCHEDULE.noise_var[9]
    first, second = (run.trajectory[1] for run in noisy)
    z = standard_normals(5, 2, 2, 9)
    std = np.sqrt(SCHEDULE.beta[9])
    assert np.allclose(second - first, std * (1 - np.sqrt(q)) * z, rtol=1e-11)
    assert (quiet != first).all()
    assert (mean != first).all()


def test_path_noise_gives_coarse_and_fine_grids_one_brownian_path():
    """With a clean prediction that never changes, every grid passes the same states."""
    target = np.array([0.3, -0.8])
    model = as_model(
        lambda x, t: np.broadcast_to(target, x.shape), predicts="x0", schedule=SCHEDULE
    )
    x = np.random.default_rng(1).normal(size=(4, 2))
    fine = sample(model, SCHEDULE, DDPM(), x=x, rng=8, keep="trajectory")
    coarse = sample(
        model,
        SCHEDULE,
        DDIM(spacing=TimeGrid([12, 9, 4, 1, 0]), eta=1.0),
        x=x,
        rng=8,
        keep="trajectory",
        noise="path",
    )
    shared = fine.trajectory[[0, 3, 8, 11, 12]]
    assert np.allclose(coarse.trajectory, shared, rtol=0, atol=1e-13)
    assert np.allclose(coarse.x, target, rtol=0, atol=1e-14)


def test_path_noise_on_the_full_grid_is_step_noise():
    runs = [
        sample(MIXTURE, SCHEDULE, DDPM(), n=4, rng=8, noise=kind).x for kind in ("step", "path")
    ]
    assert np.allclose(*runs, rtol=0, atol=1e-13)


def test_final_only_observers_leave_the_fused_rollout_in_place(monkeypatch):
    calls, run = [], kernels.rollout
    monkeypatch.setattr(kernels, "rollout", lambda *a: calls.append(1) or run(*a))
    sample(MIXTURE, SCHEDULE, SAMPLERS["DDIM"], n=3, rng=0, observers=[ClassCounts(MIXTURE)])
    assert calls == [1]
    sample(MIXTURE, SCHEDULE, SAMPLERS["DDIM"], n=3, rng=0, keep="trajectory")
    assert calls == [1]


class Log:
    """A user's observer: everything it was shown."""

    def init(self, grid, d):
        return [("init", grid.steps, d)]

    def step(self, state, rows, t, s, x, eps):
        return [*state, (rows, t, s, x.copy(), None if eps is None else eps.copy())]

    def merge(self, a, b):
        return a + b

    def result(self, state):
        return [entry for entry in state if entry[0] != "init"]


def test_an_observer_sees_every_node_with_its_rows_state_and_prediction():
    log, model = Log(), ExactScore(MIXTURE, SCHEDULE)
    run = sample(
        MIXTURE,
        SCHEDULE,
        SAMPLERS["DDIM"],
        n=3,
        rng=0,
        first=10,
        observers=[log],
        keep="trajectory",
    )
    seen = run.observations[0]
    assert [(t, s) for _, t, s, _, _ in seen] == [*GRID.pairs, (0, None)]
    assert all(rows == slice(10, 13) for rows, *_ in seen)
    for (_, t, _, x, eps), state in zip(seen, run.trajectory, strict=True):
        assert (x == state).all()
        assert (eps is None) == (t == 0)
        if t > 0:
            assert (eps == model.eps(x, t)).all()


def test_blocks_reach_an_observer_in_order_with_global_rows(monkeypatch):
    monkeypatch.setattr(sampling, "_BLOCK_DOUBLES", 1)
    seen = sample(MIXTURE, SCHEDULE, DDIM(1, "uniform"), n=130, rng=0, first=5, observers=[Log()])
    rows = [entry[0] for entry in seen.observations[0]]
    assert rows == [slice(5, 133)] * 2 + [slice(133, 135)] * 2


class Unsized:
    """A model as the README asks for: eps(x, t), and nothing else."""

    def eps(self, x, t):
        return 0.5 * x


def test_a_model_that_has_no_dimension_starts_from_noise_in_the_one_it_is_told():
    class Sized(Unsized):
        d = 3

    told = sample(Unsized(), SCHEDULE, DDIM(4), n=5, d=3, rng=1)
    assert told.x.tobytes() == sample(Sized(), SCHEDULE, DDIM(4), n=5, rng=1).x.tobytes()
    assert sample(Sized(), SCHEDULE, DDIM(4), n=5, d=3, rng=1).x.tobytes() == told.x.tobytes()

"""A sample depends on its seed and index alone: not on batch, order, threads or process."""

import hashlib
import itertools
import os
import subprocess
import sys

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
    presets,
    sample,
)
from mixdyn.solvers.integrators import EulerMaruyama, integrate_sde

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear(40, 1e-4, 0.3)
PER_MODE = GaussianMixture(np.random.default_rng(0).normal(size=(6, 3)), np.linspace(0.05, 0.4, 6))
SAMPLERS = {
    "DDIM": DDIM(8),
    "DDIM, eta 0.5": DDIM(8, eta=0.5),
    "DDPM": DDPM(),
    "hybrid": Hybrid(3, DDIM(8)),
    "exact": ExactReverse((40, 11, 3, 0)),
}

# What a fresh process computes, and this one.
PROGRAM = """
import hashlib
from mixdyn import DDIM, DDPM, ExactReverse, GaussianMixture, Hybrid, NoiseSchedule, presets, sample
from mixdyn.kernels import compiling
from mixdyn.problem.noise import standard_normals
compiling._WORTH = 1  # so that every call is shared among the threads, however small
schedule = NoiseSchedule.linear(40, 1e-4, 0.3)
h = hashlib.sha256()
per_mode = GaussianMixture([[0.0, 1.0, 0.2], [1.0, -0.5, 0.3]], [0.1, 0.4])
for mixture in (presets.grid(), presets.ring(7), per_mode):
    for sampler in (DDIM(8), DDIM(8, eta=0.5), DDPM(), Hybrid(3, DDIM(8)), ExactReverse()):
        h.update(sample(mixture, schedule, sampler, n=1000, rng=2).x.tobytes())
    x = standard_normals(1, 700, mixture.d, 3)
    for part in (mixture.score(x), mixture.log_density(x), mixture.score_jacobian(x)):
        h.update(part.tobytes())
"""


def digest_in_a_process(threads):
    code = PROGRAM + "print(len(compiling._pool()._threads) + 1, h.hexdigest())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    used, digest = done.stdout.split()
    assert int(used) == threads
    return digest


def test_one_two_and_three_threads_in_fresh_processes_give_the_bits_of_this_process():
    names = {}
    exec(PROGRAM, names)
    here = names["h"].hexdigest()
    assert [digest_in_a_process(threads) for threads in (1, 2, 3)] == [here] * 3


@pytest.mark.parametrize("mixture", [presets.grid(), PER_MODE], ids=["product", "per-mode sigma"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_any_split_into_shards_gives_the_same_bits(name, mixture):
    n = 700
    whole = sample(mixture, SCHEDULE, SAMPLERS[name], n=n, rng=6, first=2**32 - 350).x
    rng = np.random.default_rng(1)
    for pieces in (2, 5, 9):
        cuts = [0, *sorted(rng.choice(np.arange(1, n), pieces - 1, replace=False).tolist()), n]
        shards = [
            sample(mixture, SCHEDULE, SAMPLERS[name], n=b - a, rng=6, first=2**32 - 350 + a).x
            for a, b in itertools.pairwise(cuts)
        ]
        assert np.vstack(shards).tobytes() == whole.tobytes()


def test_a_run_over_several_blocks_is_its_blocks_joined():
    n = 70_000  # more than the 2^17 doubles of one block
    whole = sample(presets.grid(), SCHEDULE, DDIM(4, eta=0.5), n=n, rng=6).x
    parts = [
        sample(presets.grid(), SCHEDULE, DDIM(4, eta=0.5), n=n // 2, rng=6, first=first).x
        for first in (0, n // 2)
    ]
    assert hashlib.sha256(np.vstack(parts)).digest() == hashlib.sha256(whole).digest()


@pytest.mark.parametrize("mixture", [presets.grid(), PER_MODE], ids=["product", "per-mode sigma"])
def test_permuting_the_states_permutes_a_noiseless_run_and_the_fields(mixture):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(333, mixture.d))
    order = rng.permutation(len(x))
    start = int(SAMPLERS["DDIM"].grid(SCHEDULE).times[0])
    run = [sample(mixture, SCHEDULE, SAMPLERS["DDIM"], x=p, start=start).x for p in (x, x[order])]
    assert run[0][order].tobytes() == run[1].tobytes()
    for field in (
        mixture.score,
        mixture.log_density,
        mixture.responsibilities,
        mixture.score_jacobian,
    ):
        assert field(x)[order].tobytes() == field(x[order]).tobytes()


@pytest.mark.parametrize("mixture", [presets.grid(), PER_MODE], ids=["product", "per-mode sigma"])
@pytest.mark.parametrize(
    "kind", ["eps", "x0", "v", "score", "log_density", "responsibilities", "jacobian"]
)
def test_a_prediction_for_one_point_is_its_row_of_the_batch(kind, mixture):
    predict = getattr(ExactScore(mixture, SCHEDULE), kind)
    x = np.random.default_rng(4).normal(size=(150, mixture.d))
    whole = predict(x, 20)
    assert all(predict(x[i : i + 1], 20).tobytes() == whole[i].tobytes() for i in range(150))


def test_a_copied_mixture_and_schedule_give_the_same_bits():
    again = GaussianMixture(PER_MODE.means.tolist(), PER_MODE.sigmas.tolist())
    schedule = NoiseSchedule.from_betas(SCHEDULE.beta[1:])
    a = sample(PER_MODE, SCHEDULE, DDPM(), n=50, rng=1).x
    assert sample(again, schedule, DDPM(), n=50, rng=1).x.tobytes() == a.tobytes()


def test_shards_of_an_sde_solve_join_to_the_same_bits():
    v = np.geomspace(4.0, 0.1, 9)
    y = np.random.default_rng(3).normal(size=(300, 2))
    mixture = presets.ring(5)
    whole = integrate_sde(mixture, y, v, EulerMaruyama(), rng=4).y
    parts = [
        integrate_sde(mixture, y[rows], v, EulerMaruyama(), rng=4, first=rows.start).y
        for rows in (slice(0, 77), slice(77, 300))
    ]
    assert np.vstack(parts).tobytes() == whole.tobytes()

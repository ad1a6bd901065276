"""Bits: a sample depends on its seed and index alone, not on batch, order, threads or process; a
fused rollout is the generic loop, and the product path the general one to rounding.

An object that merely forwards to the exact score takes the generic loop, one score evaluation and
one step at a time, with the noise drawn apart.
"""

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
from tests.accuracy import assert_within_target

pytestmark = pytest.mark.compiled


# -- a sample depends on its seed and index alone --------------------------------------------------


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


IN_A_THREAD_THAT_OUTLIVES_THE_MAIN_ONE = """
import threading
import mixdyn.kernels.compiling  # nothing that makes threads may be imported later

def run():
    threading.main_thread().join()
    names = {}
    exec(PROGRAM, names)
    print(names["h"].hexdigest())

threading.Thread(target=run).start()
"""


def digest_in_a_process(threads):
    code = PROGRAM + "print(len(compiling._pool()._threads) + 1, h.hexdigest())"
    used, digest = printed_by(code, threads).split()
    assert int(used) == threads
    return digest


def printed_by(code, threads):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return done.stdout.strip()


def test_processes_of_one_two_and_three_threads_and_a_thread_left_alone_give_the_bits_of_this_one():
    names = {}
    exec(PROGRAM, names)
    here = names["h"].hexdigest()
    assert [digest_in_a_process(threads) for threads in (1, 2, 3)] == [here] * 3
    late = f"PROGRAM = {PROGRAM!r}" + IN_A_THREAD_THAT_OUTLIVES_THE_MAIN_ONE
    assert printed_by(late, 2) == here


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


# -- fused rollout = generic loop, bit for bit; product path = general path, to rounding -----------


SIXTY = NoiseSchedule.linear(60, 1e-4, 0.2)
N_SAMPLES = 300  # two whole tiles of 128 and a part of a third
FUSED = {
    "DDIM": DDIM(15),
    "DDIM, eta 0.5": DDIM(15, eta=0.5),
    "DDIM, eta 1": DDIM(15, eta=1.0),
    "DDPM": DDPM(),
    "DDPM, beta": DDPM("beta"),
    "hybrid": Hybrid(5, DDIM(12, "uniform")),
    "hybrid on a noisy base": Hybrid(3, DDIM(12, "uniform", eta=0.7)),
}


class Forward:
    """The same prediction, but nothing the fused kernel recognises."""

    def __init__(self, exact):
        self.exact, self.d = exact, exact.d

    def eps(self, x, t):
        return self.exact.eps(x, t)


def random_mixture(d, n_modes, per_mode, seed):
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.02, 0.5, n_modes) if per_mode else 0.05
    return GaussianMixture(rng.normal(size=(n_modes, d)), sigma, rng.uniform(0.1, 1, n_modes))


def random_product(sizes, seed):
    rng = np.random.default_rng(seed)
    axes = [np.sort(rng.normal(size=n)) for n in sizes]
    weights = [rng.uniform(0.1, 1, n) for n in sizes]
    means = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(sizes))
    w = np.stack(np.meshgrid(*weights, indexing="ij"), -1).reshape(-1, len(sizes)).prod(1)
    return GaussianMixture(means, 0.07, w / w.sum())


GENERAL = {
    f"d={d}, N={n}{', per mode' if per_mode else ''}": random_mixture(d, n, per_mode, d + n)
    for d, n, per_mode in [
        *[(d, n, per_mode) for d in (1, 2, 3, 7) for n in (2, 5, 30) for per_mode in (False, True)],
        *[(1, n, False) for n in (1, 3, 4)],
        (2, 17, True),
        (64, 3, False),
    ]
}
PRODUCT = {
    "5x5 grid": presets.grid(),
    "one mode": GaussianMixture([[0.3, -0.2]], 0.1),
    "3x2": random_product((3, 2), 0),
    "2x1x4": random_product((2, 1, 4), 1),
    "2^7": random_product((2,) * 7, 2),
    "line in 100-D": presets.two_modes(d=100),
}


def assert_same_bits(exact, sampler):
    fused = sample(exact, SIXTY, sampler, n=N_SAMPLES, rng=11, first=1000).x
    generic = sample(Forward(exact), SIXTY, sampler, n=N_SAMPLES, rng=11, first=1000).x
    traced = sample(exact, SIXTY, sampler, n=N_SAMPLES, rng=11, first=1000, keep="trajectory").x
    assert fused.tobytes() == generic.tobytes()
    assert fused.tobytes() == traced.tobytes()
    assert np.isfinite(fused).all()


@pytest.mark.parametrize("sampler", FUSED)
@pytest.mark.parametrize("mixture", GENERAL)
def test_general_rollout_is_the_generic_loop_bit_for_bit(mixture, sampler):
    exact = ExactScore(GENERAL[mixture], SIXTY, detect_product=False, detect_hull=False)
    assert not exact.product
    assert_same_bits(exact, FUSED[sampler])


@pytest.mark.parametrize("sampler", FUSED)
@pytest.mark.parametrize("mixture", PRODUCT)
def test_product_rollout_is_the_generic_loop_bit_for_bit(mixture, sampler):
    exact = ExactScore(PRODUCT[mixture], SIXTY)
    assert exact.product
    assert_same_bits(exact, FUSED[sampler])


def test_ddpm_is_ddim_with_eta_one_on_the_full_grid_bit_for_bit():
    runs = [
        sample(presets.grid(), SIXTY, sampler, n=N_SAMPLES, rng=5, start=60).x.tobytes()
        for sampler in (DDPM(), DDIM(spacing="full", eta=1.0), Hybrid(60, DDIM(5)))
    ]
    assert len(set(runs)) == 1


def test_path_noise_is_common_to_the_generic_loop_of_any_model():
    exact = ExactScore(presets.grid(), SIXTY)
    runs = [
        sample(model, SIXTY, DDIM(15, eta=1.0), n=N_SAMPLES, rng=5, noise="path").x.tobytes()
        for model in (exact, Forward(exact))
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("mixture", PRODUCT)
def test_product_and_general_score_agree_to_twice_the_accuracy_target(mixture):
    """Both must lie within 1e-12 (|x| + max|alpha mu|)/sigma_t^2 max(1, q/1e3) of the truth."""
    target = PRODUCT[mixture]
    product, general = (ExactScore(target, SIXTY, detect_product=p) for p in (True, False))
    rng = np.random.default_rng(0)
    for t in (1, 2, 20, 60):
        alpha, std = SIXTY.alpha[t], np.sqrt(product.variances(t)[0])
        k = rng.integers(target.N, size=(2, 40))
        middle = alpha * target.means[k].mean(0)
        x = np.vstack([middle + std * rng.standard_normal(middle.shape), middle, 3 * middle + 1])
        assert_within_target(product, general, x, t)


def test_product_and_general_rollout_end_together_where_the_noise_contracts():
    target = presets.grid()
    runs = [
        sample(ExactScore(target, SIXTY, detect_product=p), SIXTY, DDPM(), n=2000, rng=3).x
        for p in (True, False)
    ]
    assert np.abs(runs[0] - runs[1]).max() <= 1e-10

"""Means in a low-dimensional hull: the projected path equals the general one to rounding.

Runs with noise take the generic loop on the same normals, bit for bit; a noiseless run in one
piece, along the hull, is equal to the general run to tolerance.
"""

import numpy as np
import pytest

from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, Hybrid, NoiseSchedule, kernels, sample
from mixdyn.score.routes.low_rank import find_hull

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear(60, 1e-4, 0.2)


def in_a_plane(d, rank, n_modes=9, sigma=0.05, seed=0):
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((d, rank)))[0].T
    offsets = rng.normal(size=(n_modes, rank))
    weights = rng.uniform(0.1, 1, n_modes)
    return GaussianMixture(offsets @ directions + rng.normal(size=d), sigma, weights)


CASES = {
    "a line in 16-D": in_a_plane(16, 1, n_modes=3),
    "a plane in 19-D": in_a_plane(19, 2),
    "a plane in 300-D": in_a_plane(300, 2),
    "five dimensions in 40": in_a_plane(40, 5, n_modes=17),
    "one mode in 20-D": GaussianMixture(np.linspace(0, 1, 20)[None], 0.1),
}
RANKS = dict(zip(CASES, (1, 2, 2, 5, 1), strict=True))


def pair(mixture):
    return tuple(
        ExactScore(mixture, SCHEDULE, detect_product=False, detect_hull=hull)
        for hull in (True, False)
    )


@pytest.mark.parametrize("name", CASES)
def test_the_hull_is_found_with_its_dimension_and_holds_every_mean(name):
    mixture = CASES[name]
    found = find_hull(mixture)
    rank = RANKS[name]
    assert found.directions.shape == (rank, mixture.d)
    gram = found.directions @ found.directions.T
    assert np.abs(gram - np.eye(rank)).max() <= 1e-14
    back = found.centre + found.projected.means @ found.directions
    assert np.abs(back - mixture.means).max() <= 1e-14 * np.abs(mixture.means).max()


def test_a_hull_that_would_not_pay_or_of_several_sigmas_is_left_alone():
    assert find_hull(in_a_plane(19, 5)) is None
    assert find_hull(in_a_plane(15, 2)) is None
    several = GaussianMixture(CASES["a plane in 19-D"].means, np.linspace(0.1, 0.2, 9))
    assert find_hull(several) is None
    assert find_hull(GaussianMixture([[0.0, 0.0, 0.0]], 0.1)) is None


@pytest.mark.parametrize("t", [1, 5, 60])
@pytest.mark.parametrize("name", CASES)
def test_the_score_agrees_with_the_general_path_to_the_accuracy_target(name, t):
    mixture = CASES[name]
    hull, general = pair(mixture)
    rng = np.random.default_rng(t)
    alpha, std = SCHEDULE.alpha[t], float(np.sqrt(hull.variances(t)[0]))
    k, m = rng.integers(mixture.N, size=(2, 60))
    middle = 0.5 * alpha * (mixture.means[k] + mixture.means[m])
    x = np.vstack([middle + std * rng.standard_normal(middle.shape), middle, 3 * middle + 1])
    gap = np.linalg.norm(hull.eps(x, t) - general.eps(x, t), axis=1)
    q = (((x[:, None, :] - alpha * mixture.means) ** 2).sum(-1) / (2 * std**2)).min(1)
    size = np.linalg.norm(x, axis=1) + alpha * np.linalg.norm(mixture.means, axis=1).max()
    allowed = 2e-12 * size / std**2 * np.maximum(1, (q + 46) / 1e3)
    assert (gap / np.sqrt(SCHEDULE.noise_var[t]) <= allowed).all()


@pytest.mark.parametrize("name", CASES)
def test_a_noiseless_run_ends_where_the_general_one_does(name):
    hull, general = pair(CASES[name])
    runs = [sample(e, SCHEDULE, DDIM(15, "log_snr"), n=300, rng=1).x for e in (hull, general)]
    gap = np.linalg.norm(runs[0] - runs[1], axis=1)
    # Beside a separatrix rounding decides: all but a few samples must agree.
    assert np.quantile(gap, 0.99) <= 1e-10


@pytest.mark.parametrize(
    "sampler", [DDIM(15, "log_snr"), DDIM(15, eta=0.5), DDPM(), Hybrid(3, DDIM(12, "uniform"))]
)
def test_any_split_into_shards_gives_the_same_bits_along_a_hull(sampler):
    mixture = CASES["a plane in 19-D"]
    whole = sample(mixture, SCHEDULE, sampler, n=300, rng=6).x
    parts = [
        sample(mixture, SCHEDULE, sampler, n=size, rng=6, first=first).x
        for first, size in ((0, 77), (77, 223))
    ]
    assert np.vstack(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("sampler", [DDIM(15, eta=0.5), DDPM()])
def test_a_run_with_noise_follows_the_general_one_on_the_same_normals(sampler):
    hull, general = pair(CASES["a plane in 300-D"])
    runs = [sample(e, SCHEDULE, sampler, n=200, rng=2).x for e in (hull, general)]
    assert np.quantile(np.linalg.norm(runs[0] - runs[1], axis=1), 0.98) <= 1e-10


def test_a_noiseless_run_passes_over_the_data_twice_whatever_its_steps(monkeypatch):
    passes = []
    for name in ("project", "lift"):
        kernel = getattr(kernels, name)

        def counted(x, *arguments, kernel=kernel, name=name):
            passes.append((name, len(x)))
            return kernel(x, *arguments)

        monkeypatch.setattr(kernels, name, counted)
    for steps in (5, 50):
        passes.clear()
        sample(CASES["a plane in 300-D"], SCHEDULE, DDIM(steps, "log_snr"), n=300, rng=0)
        assert passes == [("project", 300), ("lift", 300)]

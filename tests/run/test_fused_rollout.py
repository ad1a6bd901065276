"""Fused rollout = generic loop, bit for bit; product path = general path, to rounding.

An object that merely forwards to the exact score takes the generic loop, one score evaluation and
one step at a time, with the noise drawn apart.
"""

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    ExactScore,
    GaussianMixture,
    Hybrid,
    NoiseSchedule,
    presets,
    sample,
)

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear(60, 1e-4, 0.2)
N_SAMPLES = 300  # two whole tiles of 128 and a part of a third

SAMPLERS = {
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
    fused = sample(exact, SCHEDULE, sampler, n=N_SAMPLES, rng=11, first=1000).x
    generic = sample(Forward(exact), SCHEDULE, sampler, n=N_SAMPLES, rng=11, first=1000).x
    traced = sample(exact, SCHEDULE, sampler, n=N_SAMPLES, rng=11, first=1000, keep="trajectory").x
    assert fused.tobytes() == generic.tobytes()
    assert fused.tobytes() == traced.tobytes()
    assert np.isfinite(fused).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("mixture", GENERAL)
def test_general_rollout_is_the_generic_loop_bit_for_bit(mixture, sampler):
    exact = ExactScore(GENERAL[mixture], SCHEDULE, detect_product=False, detect_hull=False)
    assert not exact.product
    assert_same_bits(exact, SAMPLERS[sampler])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("mixture", PRODUCT)
def test_product_rollout_is_the_generic_loop_bit_for_bit(mixture, sampler):
    exact = ExactScore(PRODUCT[mixture], SCHEDULE)
    assert exact.product
    assert_same_bits(exact, SAMPLERS[sampler])


def test_ddpm_is_ddim_with_eta_one_on_the_full_grid_bit_for_bit():
    runs = [
        sample(presets.grid(), SCHEDULE, sampler, n=N_SAMPLES, rng=5, start=60).x.tobytes()
        for sampler in (DDPM(), DDIM(spacing="full", eta=1.0), Hybrid(60, DDIM(5)))
    ]
    assert len(set(runs)) == 1


def test_path_noise_is_common_to_the_generic_loop_of_any_model():
    exact = ExactScore(presets.grid(), SCHEDULE)
    runs = [
        sample(model, SCHEDULE, DDIM(15, eta=1.0), n=N_SAMPLES, rng=5, noise="path").x.tobytes()
        for model in (exact, Forward(exact))
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("mixture", PRODUCT)
def test_product_and_general_score_agree_to_twice_the_accuracy_target(mixture):
    """Both must lie within 1e-12 (|x| + max|alpha mu|)/sigma_t^2 max(1, q/1e3) of the truth."""
    target = PRODUCT[mixture]
    product, general = (ExactScore(target, SCHEDULE, detect_product=p) for p in (True, False))
    rng = np.random.default_rng(0)
    for t in (1, 2, 20, 60):
        alpha, std = SCHEDULE.alpha[t], np.sqrt(product.variances(t)[0])
        k = rng.integers(target.N, size=(2, 40))
        middle = alpha * target.means[k].mean(0)
        x = np.vstack([middle + std * rng.standard_normal(middle.shape), middle, 3 * middle + 1])
        gap = np.linalg.norm(product.eps(x, t) - general.eps(x, t), axis=1)
        q = (((x[:, None, :] - alpha * target.means) ** 2).sum(-1) / (2 * std**2)).min(1)
        size = np.linalg.norm(x, axis=1) + alpha * np.linalg.norm(target.means, axis=1).max()
        # q here is the nearest mode's; modes that matter have at most 46 more.
        allowed = 2e-12 * size / std**2 * np.maximum(1, (q + 46) / 1e3)
        assert (gap / np.sqrt(SCHEDULE.noise_var[t]) <= allowed).all()


def test_product_and_general_rollout_end_together_where_the_noise_contracts():
    target = presets.grid()
    runs = [
        sample(ExactScore(target, SCHEDULE, detect_product=p), SCHEDULE, DDPM(), n=2000, rng=3).x
        for p in (True, False)
    ]
    assert np.abs(runs[0] - runs[1]).max() <= 1e-10

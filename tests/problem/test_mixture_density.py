"""Density, score and responsibilities against the textbook sums, and draws against the density."""

import numpy as np
import pytest
from numba import config
from scipy import stats

from mixdyn import GaussianMixture, presets
from mixdyn.support.errors import InputError

EPS = np.finfo(float).eps
PER_MODE = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], [0.3, 0.5, 0.9], [0.2, 0.3, 0.5])


def textbook(mixture, x):
    """(log density, responsibilities, score) from SciPy's normal densities."""
    logs = np.stack(
        [
            np.log(w) + stats.multivariate_normal(mu, s**2 * np.eye(mixture.d)).logpdf(x)
            for mu, s, w in zip(mixture.means, mixture.sigmas, mixture.weights, strict=True)
        ],
        axis=-1,
    ).reshape(len(x), mixture.N)
    density = np.logaddexp.reduce(logs, axis=1)
    gamma = np.exp(logs - density[:, None])
    pull = (mixture.means - x[:, None, :]) / mixture.sigmas[:, None] ** 2
    return density, gamma, np.einsum("nk,nkd->nd", gamma, pull)


@pytest.mark.parametrize(
    "mixture",
    [
        presets.line(3, sigma=0.4),
        presets.ring(5, sigma=0.5),
        PER_MODE,
        presets.line(4, d=3, sigma=1),
    ],
    ids=["1-D", "ring", "per-mode sigma", "3-D"],
)
def test_density_score_and_responsibilities_are_the_textbook_sums(mixture):
    x = np.random.default_rng(0).normal(size=(9, mixture.d)) * 2
    density, gamma, score = textbook(mixture, x)
    assert np.allclose(mixture.log_density(x), density, rtol=1e-13, atol=1e-13)
    assert np.allclose(mixture.responsibilities(x), gamma, rtol=1e-12, atol=0)
    assert np.allclose(mixture.score(x), score, rtol=1e-12, atol=1e-12 * np.abs(score).max())


def test_a_single_mode_has_a_linear_score_to_one_rounding():
    mixture = GaussianMixture([[1.0, -2.0]], 0.5)
    x = np.random.default_rng(1).normal(size=(7, 2))
    assert np.allclose(mixture.score(x), ([1.0, -2.0] - x) / 0.25, rtol=2 * EPS, atol=0)
    assert (mixture.responsibilities(x) == 1.0).all()
    assert np.allclose(mixture.score_jacobian(x), -4 * np.eye(2), rtol=2 * EPS, atol=0)


def test_the_score_vanishes_exactly_on_the_midpoint_of_two_equal_modes():
    assert presets.two_modes(2.0, 0.01, d=3).score(np.zeros((1, 3))).tolist() == [[0.0] * 3]


@pytest.mark.parametrize("n", [1, 3, 4, 5] if config.DISABLE_JIT else [1, 127, 128, 129, 300])
def test_a_row_does_not_depend_on_the_rows_around_it(n):
    x = np.random.default_rng(2).normal(size=(n, 2))
    for method in ("score", "log_density", "responsibilities", "score_jacobian"):
        whole = getattr(PER_MODE, method)(x)
        rows = range(n) if n < 10 else (0, 5, n // 2, n - 1)
        for i in rows:
            assert (getattr(PER_MODE, method)(x[i : i + 1])[0] == whole[i]).all(), (method, i)


def test_responsibilities_reach_down_to_zero_without_a_floor():
    mixture = presets.two_modes(2.0, 0.05)
    far, farther = mixture.responsibilities([[0.8], [2.0]])[:, 0]
    assert np.isclose(np.log(far), -2 * 0.8 / 0.05**2, rtol=1e-12)  # 1e-278, below exp(-600)
    assert farther == 0.0


def test_a_marginal_has_scaled_means_and_the_variance_of_the_forward_process():
    marginal = PER_MODE.diffused(0.3)
    assert np.allclose(marginal.means, np.sqrt(0.3) * PER_MODE.means, rtol=2 * EPS, atol=0)
    assert np.allclose(marginal.sigmas**2, 0.3 * PER_MODE.sigmas**2 + 0.7, rtol=4 * EPS, atol=0)
    assert (marginal.weights == PER_MODE.weights).all()
    assert PER_MODE.diffused(1.0) is PER_MODE


def test_a_marginal_takes_the_noise_variance_that_one_minus_alpha_bar_cannot_hold():
    mixture = GaussianMixture([[0.0], [1.0]], 1e-9)
    marginal = mixture.diffused(1.0 - 1e-16, noise_var=1.2345e-18)
    assert np.isclose(marginal.sigma**2, 1e-18 + 1.2345e-18, rtol=4 * EPS)


@pytest.mark.parametrize("factor", [1.0, 0.3])
@pytest.mark.parametrize("sigma", [0.2, np.array([0.1, 0.2, 0.3])])
def test_a_rescaled_mixture_is_the_one_built_anew(factor, sigma):
    means, weights = [[0.0, -0.0], [1.0, 0.5], [0.3, 2.0]], [1.0, 2.0, 4.0]
    found = GaussianMixture(means, 0.4, weights).rescaled(factor, sigma)
    anew = GaussianMixture(factor * np.array(means), sigma, weights)
    assert found == anew
    assert found.has_common_sigma == anew.has_common_sigma
    assert not found.means.flags.writeable
    with pytest.raises(InputError):
        found.rescaled(factor, 0.0)


def test_marginals_compose_as_the_forward_process_does():
    twice, once = PER_MODE.diffused(0.5).diffused(0.4), PER_MODE.diffused(0.2)
    assert np.allclose(twice.means, once.means, rtol=4 * EPS, atol=0)
    assert np.allclose(twice.sigmas, once.sigmas, rtol=4 * EPS, atol=0)


def test_scaling_down_may_merge_modes_without_an_error():
    assert GaussianMixture([[1.0], [np.nextafter(1.0, 2)]], 0.1).diffused(1e-12).N == 2


def test_draws_follow_weights_means_and_sigmas(plausible):
    n = 40_000
    x = PER_MODE.sample(n, rng=5)
    assert x.shape == (n, 2)
    mean = PER_MODE.weights @ PER_MODE.means
    second = (PER_MODE.weights[:, None] * (PER_MODE.means**2 + PER_MODE.sigmas[:, None] ** 2)).sum(
        0
    )
    z = np.sqrt(n) * (x.mean(0) - mean) / np.sqrt(second - mean**2)
    for value in z:
        plausible(2 * stats.norm.sf(abs(value)))

    def cdf(points):
        return sum(
            w * stats.norm.cdf((points - m) / s)
            for m, s, w in zip(PER_MODE.means[:, 1], PER_MODE.sigmas, PER_MODE.weights, strict=True)
        )

    plausible(stats.kstest(x[:, 1], cdf).pvalue)


def test_draws_repeat_with_their_seed_and_move_a_generator_on():
    assert (PER_MODE.sample(5, rng=3) == PER_MODE.sample(5, rng=3)).all()
    assert (PER_MODE.sample(5, rng=3) == PER_MODE.sample(5, rng=np.random.default_rng(3))).all()
    rng = np.random.default_rng(3)
    assert (PER_MODE.sample(5, rng=rng) != PER_MODE.sample(5, rng=rng)).any()
    assert (PER_MODE.sample(5) != PER_MODE.sample(5)).any()

"""The law of what AdaptiveNoise draws from the exact score: spread, recursion, mode weights.

Tens of thousands of samples: these need the compiler.
"""

import numpy as np
import pytest

import mixdyn
from mixdyn import AdaptiveNoise, GaussianMixture, NoiseSchedule, presets

pytestmark = pytest.mark.compiled

PAIR = presets.two_modes(separation=2.0, sigma=0.05, d=2)
ONE_MODE = (0.007, 0.02, 0.035, 0.05, 0.1, 0.2, 0.5)
PROBLEMS = {f"one mode of {sigma}": GaussianMixture([[0.3, -0.4]], sigma) for sigma in ONE_MODE} | {
    "ring of 8": presets.ring(8),
    "5 x 5 grid": presets.grid(),
    "two modes": PAIR,
    "64 dimensions": GaussianMixture([np.full(64, 0.1)], 0.05),
    "25 modes in 64 dimensions": presets.farthest_point(64, 25),
}


def squares(mixture, x):
    """Squared distances of samples from their nearest mode, over sigma^2, and how many normals."""
    nearest = np.square(x[:, None] - mixture.means).sum(axis=2).argmin(axis=1)
    away = (x - mixture.means[nearest]) / mixture.sigmas[nearest, None]
    return float(np.square(away).sum()), away.size


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_exact_score_comes_back_with_the_spread_of_the_data(name, plausible):
    """Sums of squares against the chi-square of the exact law, on both sides."""
    from scipy.stats import chi2

    mixture = PROBLEMS[name]
    n = 40_000 // mixture.d
    x = mixdyn.sample(mixture, NoiseSchedule.linear(), AdaptiveNoise(), n=n, rng=1).x
    square, count = squares(mixture, x)
    plausible(2.0 * min(chi2.cdf(square, count), chi2.sf(square, count)), what=name)


@pytest.mark.parametrize("sigma", ONE_MODE)
@pytest.mark.parametrize("parts", [(True, True), (False, True), (False, False)], ids=str)
def test_on_one_mode_every_node_has_the_variance_of_the_closed_recursion(sigma, parts, plausible):
    """Two routes: the engine on the exact score, and the oracle's own recursion, node by node from
    N(0, I), for each of the two parts that the posterior's variance has."""
    from scipy.stats import chi2

    schedule, n = NoiseSchedule.linear(), 10_000
    mixture = GaussianMixture([[0.0, 0.0]], sigma)
    how = AdaptiveNoise(steps=25, rounds=0, late_noise=parts[0], last_noise=parts[1])
    run = mixdyn.sample(mixture, schedule, how, n=n, rng=2, keep="trajectory")
    start = 1.0 / schedule.alpha[run.times[0]]
    std = mixdyn.oracles.late_noise_std(
        schedule.alpha_bar, run.times, how.late_rho, sigma, start_std=start, posterior=parts
    )
    for k in (10, 20, 24, 25):
        y = run.trajectory[k] / schedule.alpha[run.times[k]]
        square = float(np.square(y / std[k]).sum())
        p_value = 2.0 * min(chi2.cdf(square, 2 * n), chi2.sf(square, 2 * n))
        plausible(p_value, level=2e-10, what=f"node {k}")


def test_modes_get_their_weights_under_a_cosine_schedule(plausible):
    """Off centre: a start from N(0, I) at 0.8 T, where a tenth of the signal is left, gives the far
    mode too little."""
    from scipy.stats import binom

    mixture = GaussianMixture([[-2.0, 0.0], [0.0, 0.0]], 0.05, [0.25, 0.75])
    schedule, n = NoiseSchedule.cosine(1000), 4000
    x = mixdyn.sample(mixture, schedule, AdaptiveNoise(), n=n, rng=4).x
    far = int((x[:, 0] < -1.0).sum())
    plausible(2.0 * min(binom.cdf(far, n, 0.25), binom.sf(far - 1, n, 0.25)))
    y = mixdyn.sample(mixture, schedule, mixdyn.DDIM(50), n=n, rng=4).x
    assert (y[:, 0] < -1.0).mean() < 0.22

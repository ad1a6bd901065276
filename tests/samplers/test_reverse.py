"""ExactReverse draws from the closed-form law of the reversed diffusion, at any step size.

The law comes from `mixdyn.oracles`, whose arithmetic is its own.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from mixdyn import ExactReverse, ExactScore, GaussianMixture, NoiseSchedule, presets, sample
from mixdyn.oracles import reverse_mixture

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear()
N = 40_000
COMMON = GaussianMixture([[-1.0, 0.0], [1.0, 0.3], [0.2, 1.5]], 0.05, [0.2, 0.5, 0.3])
PER_MODE = GaussianMixture([[-1.0, 0.0], [1.0, 0.3], [0.2, 1.5]], [0.02, 0.1, 0.3], [0.2, 0.5, 0.3])
MIXTURES = {"common sigma": COMMON, "per-mode sigma": PER_MODE}
TAU = 350  # all three modes keep a share of the posterior at POINT
POINT = np.array([[0.1, 0.4]])
GRIDS = {
    "one step": (TAU, 0),
    "two steps": (TAU, 40, 0),
    "many steps": (*range(TAU, 0, -10), 7, 3, 1, 0),
}


def draw(mixture, times, n=N, seed=12):
    x = np.repeat(POINT, n, axis=0)
    return sample(mixture, SCHEDULE, ExactReverse(times), x=x, rng=seed).x


def law(mixture, x, t, s=0):
    return reverse_mixture(mixture, x, SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[s])


def projected_cdf(weights, means, variances, direction):
    """CDF of <x, direction> under one row of a law."""
    centre, std = means @ direction, np.sqrt(variances) * np.linalg.norm(direction)

    def cdf(values):
        return (weights * stats.norm.cdf((values[:, None] - centre) / std)).sum(1)

    return cdf


def test_the_point_is_contested_so_that_the_mode_draws_are_tested():
    for mixture in MIXTURES.values():
        assert (law(mixture, POINT, TAU).weights > 0.02).all()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", MIXTURES)
def test_mode_counts_follow_the_posterior_weights(name, grid, plausible):
    """A state belongs to its likeliest mode: the modes are so far apart that this is its own."""
    mixture = MIXTURES[name]
    x, exact = draw(mixture, GRIDS[grid]), law(mixture, POINT, TAU)
    square = ((x[:, None, :] - exact.means[0]) ** 2).sum(-1)
    mode = np.argmin(square / exact.variances + 2 * np.log(exact.variances), axis=1)
    counts = np.bincount(mode, minlength=3)
    plausible(stats.chisquare(counts, exact.weights[0] * N).pvalue, what="mode counts")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", MIXTURES)
def test_moments_are_those_of_the_closed_form(name, grid, plausible):
    mixture = MIXTURES[name]
    x = draw(mixture, GRIDS[grid], seed=13)
    mean, covariance = (part[0] for part in law(mixture, POINT, TAU).moments())
    # Hotelling: n (xbar - mean)' C^-1 (xbar - mean) is chi-square with 2 degrees of freedom.
    gap = x.mean(0) - mean
    plausible(stats.chi2.sf(N * gap @ np.linalg.solve(covariance, gap), 2), what="mean")
    product = (x - mean)[:, [0, 0, 1]] * (x - mean)[:, [0, 1, 1]]
    z = (product.mean(0) - covariance[[0, 0, 1], [0, 1, 1]]) / (product.std(0) / np.sqrt(N))
    for value in z:
        plausible(2 * stats.norm.sf(abs(value)), what="covariance")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", MIXTURES)
def test_projections_have_the_closed_form_distribution(name, grid, plausible):
    mixture = MIXTURES[name]
    x, exact = draw(mixture, GRIDS[grid], seed=14), law(mixture, POINT, TAU)
    for direction in ([1.0, 0.0], [0.6, 0.8], [-0.3, 1.0]):
        cdf = projected_cdf(exact.weights[0], exact.means[0], exact.variances, np.array(direction))
        plausible(stats.kstest(x @ direction, cdf).pvalue, what=f"projection {direction}")


@pytest.mark.parametrize("name", MIXTURES)
def test_intermediate_states_have_their_own_closed_form_law(name, plausible):
    mixture, s = MIXTURES[name], 40
    run = sample(
        mixture,
        SCHEDULE,
        ExactReverse((TAU, 200, s, 0)),
        x=np.repeat(POINT, N, axis=0),
        rng=15,
        keep="trajectory",
    )
    exact = law(mixture, POINT, TAU, s)
    for direction in (np.array([1.0, 0.0]), np.array([0.6, 0.8])):
        cdf = projected_cdf(exact.weights[0], exact.means[0], exact.variances, direction)
        plausible(stats.kstest(run.trajectory[2] @ direction, cdf).pvalue)


def test_successive_steps_are_conditionally_independent(plausible):
    """Each step's probability transform given the state before is uniform, independently."""
    mixture = GaussianMixture([[-1.0], [0.5], [1.0]], [0.1, 0.3, 0.05], [0.2, 0.5, 0.3])
    times = (400, 150, 30, 0)
    x = np.full((20_000, 1), 0.1)
    path = sample(mixture, SCHEDULE, ExactReverse(times), x=x, rng=16, keep="trajectory").trajectory
    uniform = []
    for k, (t, s) in enumerate(itertools.pairwise(times)):
        exact = law(mixture, path[k], t, s)
        z = (path[k + 1][:, None, :] - exact.means)[..., 0] / np.sqrt(exact.variances)
        uniform.append((exact.weights * stats.norm.cdf(z)).sum(1))
        plausible(stats.kstest(uniform[-1], "uniform").pvalue, what=f"step {t} -> {s}")
    for a, b in itertools.pairwise(uniform):
        cells = np.minimum((np.array([a, b]) * 8).astype(int), 7)
        table = np.bincount(cells[0] * 8 + cells[1], minlength=64)
        plausible(stats.chisquare(table).pvalue, what="neighbouring steps")


@pytest.mark.parametrize("name", MIXTURES)
def test_starting_from_the_exact_marginal_returns_the_data(name, plausible):
    mixture = MIXTURES[name]
    x = ExactScore(mixture, SCHEDULE).marginal(600).sample(N, rng=1)
    out = sample(mixture, SCHEDULE, ExactReverse((600, 100, 0)), x=x, rng=17).x
    for direction in (np.array([1.0, 0.0]), np.array([0.6, 0.8])):
        cdf = projected_cdf(mixture.weights, mixture.means, mixture.sigmas**2, direction)
        plausible(stats.kstest(out @ direction, cdf).pvalue)


def test_high_dimension_keeps_weights_and_radii(plausible):
    """64 dimensions: squared distances to the drawn mode are chi-square with 64 degrees."""
    mixture = presets.farthest_point(64, 5)
    t = 500
    x = np.repeat(ExactScore(mixture, SCHEDULE).marginal(t).sample(1, rng=3), 4000, axis=0)
    out = sample(mixture, SCHEDULE, ExactReverse((t, 0)), x=x, rng=18).x
    exact = law(mixture, x[:1], t)
    square = ((out[:, None, :] - exact.means[0]) ** 2).sum(-1) / exact.variances
    plausible(stats.kstest(square.min(1), stats.chi2(64).cdf).pvalue)
    expected = exact.weights[0] * len(x)
    counts = np.bincount(square.argmin(1), minlength=5)
    assert (counts[expected < 1e-12] == 0).all()


def test_the_normals_of_a_step_are_those_of_the_other_samplers():
    """One mode: x_s = alpha_s (mu + q (y - mu)) + spread xi with the step normal of time t."""
    from mixdyn.problem.noise import standard_normals

    mixture, t, s = GaussianMixture([[0.5, -0.2]], 0.3), 100, 40
    x = np.zeros((6, 2))
    path = sample(mixture, SCHEDULE, ExactReverse((t, s, 0)), x=x, rng=4, keep="trajectory")
    v_t, v_s = 0.09 + SCHEDULE.rho[[t, s]]
    q, alpha_s = v_s / v_t, SCHEDULE.alpha[s]
    mean = alpha_s * (mixture.means + q * (0 - mixture.means))
    expected = mean + alpha_s * np.sqrt(v_s * (1 - q)) * standard_normals(4, 6, 2, t)
    assert np.allclose(path.trajectory[1], expected, rtol=0, atol=1e-14)

"""Laws of samplers: where the dynamics are linear (across the hull, in an owned mode, in a step),
of hybrids (limits in which it must be O1 or O2, and its own draws), of AdaptiveNoise.
"""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

import mixdyn
from mixdyn import AdaptiveNoise, GaussianMixture, NoiseSchedule, TimeGrid, oracles, presets
from mixdyn.support.errors import InputError, NotApplicableError

pytestmark = pytest.mark.compiled


# -- linear dynamics -------------------------------------------------------------------------------


TILTED = GaussianMixture(
    np.outer([0.0, 1.0, 2.5], [1.0, -2.0, 2.0]) / 3 + [0.3, 0.1, -0.2], 0.1, [0.2, 0.5, 0.3]
)


def test_the_hull_of_means_on_a_line_is_that_line():
    hull = oracles.affine_hull(TILTED)
    assert hull.rank == 1
    assert np.abs(hull.basis[0] @ [1, -2, 2]) / 3 == pytest.approx(1.0, rel=1e-14)
    along, across = hull.split(TILTED.means)
    assert across == pytest.approx(np.zeros((3, 3)), abs=1e-15)
    assert np.abs(np.diff(along[:, 0])) == pytest.approx([1.0, 1.5], rel=1e-14)


@pytest.mark.parametrize(
    ("means", "rank"),
    [
        ([[1.0, 2, 3]], 0),
        ([[1.0, 0], [0, 1], [1, 1]], 2),
        ([[1e6 + 1, 0, 0], [1e6, 1, 0], [1e6, 0, 0]], 2),
        ([[0.1, 0.1, 0.1], [0.1, 0.1, 0.1 + 1e-9]], 1),
    ],
)
def test_the_rank_of_the_hull_counts_independent_differences(means, rank):
    hull = oracles.affine_hull(GaussianMixture(means, 0.5))
    assert hull.rank == rank
    assert hull.basis @ hull.basis.T == pytest.approx(np.eye(rank), abs=1e-14)


def test_the_flow_across_the_hull_is_the_orthogonal_part_of_the_full_flow():
    y = np.random.default_rng(0).standard_normal((20, 3))
    end = oracles.flow_map(TILTED, y, 2.0, 0.05)
    hull = oracles.affine_hull(TILTED)
    assert oracles.orthogonal_flow(TILTED, y, 2.0, 0.05) == pytest.approx(
        hull.split(end)[1], abs=1e-13
    )
    back = oracles.orthogonal_flow(TILTED, end, 0.05, 2.0)
    assert back == pytest.approx(hull.split(y)[1], abs=1e-13)


def test_the_reverse_law_across_the_hull_is_the_orthogonal_marginal_of_the_full_law():
    sigma2, rho_t, rho_s = 0.01, 1.5, 0.2
    abar_t, abar_s = 1 / (1 + rho_t), 1 / (1 + rho_s)
    y = np.random.default_rng(1).standard_normal((5, 3))
    mean, cov = oracles.reverse_moments(TILTED, y * math.sqrt(abar_t), abar_t, abar_s)
    projection = np.eye(3) - np.outer([1, -2, 2], [1, -2, 2]) / 9
    hull = oracles.affine_hull(TILTED)
    across, variance = oracles.orthogonal_reverse(TILTED, y, sigma2 + rho_t, sigma2 + rho_s)
    full = (mean / math.sqrt(abar_s) - hull.origin) @ projection
    assert across == pytest.approx(full, abs=1e-14)
    for row in cov / abar_s:
        assert projection @ row @ projection == pytest.approx(variance * projection, abs=1e-14)


def test_a_budget_too_small_ends_short_of_the_mode_by_the_closed_form(standard):
    # From 0.01 l off the midpoint with three raw steps left, the mode owning the point.
    q, variance = oracles.sde_contraction(standard.v[3], standard.v[0])
    assert 0.49 * q == pytest.approx(0.0598, abs=5e-5)
    assert variance == pytest.approx(standard.mixture.sigma**2 * (1 - q), rel=1e-14)
    assert oracles.ode_contraction(standard.v[3], standard.v[0]) == pytest.approx(
        math.sqrt(q), rel=1e-15
    )
    x = standard.midpoint.copy()
    x[0] += 0.49 * standard.length  # deep in a mode's basin: the full law, not the linear one
    mode = standard.mixture.means[standard.pair[0]]
    schedule = standard.schedule
    mean, _ = oracles.reverse_moments(
        standard.mixture,
        (x * schedule.alpha[3])[None],
        schedule.alpha_bar[3],
        noise_var_t=schedule.noise_var[3],
    )
    assert mean[0] - mode == pytest.approx(q * (x - mode), abs=1e-14)


@pytest.mark.parametrize(
    ("steps", "eta", "expected"), [(None, 1.0, 0.547), (50, 0.0, 0.563), (1000, 0.0, 0.565)]
)
def test_samplers_return_the_stated_share_of_the_spread(standard, steps, eta, expected):
    grid = TimeGrid.full(1000) if steps is None else TimeGrid.quadratic(1000, steps)
    std = oracles.linear_recursion_std(
        standard.schedule.alpha_bar,
        grid.times,
        eta,
        standard.mixture.sigma,
        noise_var=standard.schedule.noise_var,
    )
    assert len(std) == len(grid.times)
    assert std[-1] / standard.mixture.sigma == pytest.approx(expected, abs=5e-4)


def test_the_last_step_multiplies_the_spread_by_sigma_squared_over_v(standard):
    sigma, schedule = standard.mixture.sigma, standard.schedule
    std = oracles.linear_recursion_std(schedule.alpha_bar, [1, 0], 1.0, sigma, start_std=0.02)
    assert std == pytest.approx([0.02, 0.02 * sigma**2 / standard.v[1]], rel=1e-10)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_recursion_is_the_variance_of_simulated_textbook_steps(eta):
    # DDIM(eta) as written in arXiv 2010.02502, eq. 12 and 16, in x coordinates, on one mode.
    abar, sigma = np.array([1.0, 0.97, 0.8, 0.5]), 0.4
    coefficient, variances = 1.0, []
    variance = 2.0
    for t in (3, 2, 1):
        s = t - 1
        noise = eta * math.sqrt((1 - abar[s]) / (1 - abar[t]) * (1 - abar[t] / abar[s]))
        x0_per_x = math.sqrt(abar[t]) * sigma**2 / (abar[t] * sigma**2 + 1 - abar[t])
        eps_per_x = (1 - math.sqrt(abar[t]) * x0_per_x) / math.sqrt(1 - abar[t])
        coefficient = math.sqrt(abar[s]) * x0_per_x
        coefficient += math.sqrt(max(1 - abar[s] - noise**2, 0.0)) * eps_per_x
        variance = coefficient**2 * variance + noise**2
        variances.append(variance / abar[s])
    std = oracles.linear_recursion_std(
        abar, [3, 2, 1, 0], eta, sigma, start_std=math.sqrt(2.0 / abar[3])
    )
    assert std[1:] ** 2 == pytest.approx(variances, rel=1e-13)


def recursion_of_noise(noise_var):
    return oracles.linear_recursion_std([1, 1e-3], [1, 0], 0.0, 0.1, noise_var=noise_var)


def test_the_recursion_follows_noise_that_no_double_tells_from_one():
    schedule = NoiseSchedule.from_betas(np.full(60, 0.9))  # alpha_bar falls to 1e-60
    grid = [60, 40, 20, 0]
    std = oracles.linear_recursion_std(schedule.alpha_bar, grid, 0.0, 0.1)
    v = schedule.effective_variance(0.1)[grid]
    # Without noise a step multiplies by (sigma^2 + sqrt(rho_t rho_s))/v_t, here sqrt(v_s/v_t).
    assert std[:3] ** 2 == pytest.approx(v[:3], rel=1e-13)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: oracles.linear_recursion_std([1, 0.5], [1, 0], -1.0, 0.1), "eta must be >= 0"),
        (lambda: oracles.linear_recursion_std([1, 0.5], [2, 0], 0.0, 0.1), "fall strictly from 1"),
        (lambda: oracles.linear_recursion_std([1, 0.5], [1.5, 0], 0.0, 0.1), "fall strictly"),
        (lambda: oracles.linear_recursion_std([1, 0.5], [1], 0.0, 0.1), "fall strictly"),
        (lambda: oracles.linear_recursion_std([1, 1.0], [1, 0], 0.0, 0.1), "noise must fall"),
        (lambda: oracles.linear_recursion_std([0.9, 0.5], [1, 0], 0.0, 0.1), "to none at time 0"),
        (lambda: recursion_of_noise([0.0, -0.5]), "not negative"),
        (lambda: recursion_of_noise([0.0, 0.5, 0.7]), "of its shape"),
        (lambda: recursion_of_noise([0.0, 1e308]), "noise_var/alpha_bar must be finite"),
        (lambda: oracles.linear_recursion_std([1, 0.9, 0.1], [2, 1, 0], 3.0, 0.1), "eta\\^2"),
        (lambda: oracles.sde_contraction(0.1, 0.2), "v_from > v_to"),
        (lambda: oracles.ode_contraction(0.0, 0.2), "v_from must be > 0"),
    ],
)
def test_a_value_that_breaks_a_rule_of_a_linear_law_is_named(call, rule):
    with pytest.raises(InputError, match=rule):
        call()


def test_the_reduction_needs_one_sigma():
    mixture = GaussianMixture([[0.0], [1.0]], [0.1, 0.2])
    with pytest.raises(NotApplicableError):
        oracles.orthogonal_flow(mixture, [[0.0]], 1.0, 0.5)


# -- hybrids ---------------------------------------------------------------------------------------


LINE = GaussianMixture([[-1.0], [1.0], [2.0]], 0.1, [0.3, 0.5, 0.2])
GRID = GaussianMixture(
    [[a, b] for a in (-1.0, 1.0) for b in (0.0, 1.5)],
    0.1,
    np.multiply.outer([0.4, 0.6], [0.3, 0.7]).ravel(),
)
CLEAN = 0.1**2


def log_cdf(mixture, y, v_from, stages, limit):
    low = np.full(mixture.d, -np.inf)
    return oracles.hybrid_log_interval(mixture, y, v_from, stages, (low, np.full(mixture.d, limit)))


@pytest.mark.parametrize("mixture", [LINE, GRID])
def test_a_hybrid_of_noise_alone_is_the_reverse_law(mixture):
    y = np.linspace(-1.5, 1.5, 3 * mixture.d).reshape(3, mixture.d)
    rho_t, rho_s = 1.2, 0.3
    abar_t, abar_s = 1 / (1 + rho_t), 1 / (1 + rho_s)
    stages = [("sde", 0.7 + CLEAN), ("sde", rho_s + CLEAN)]  # two stretches are one
    value = np.exp(log_cdf(mixture, y, rho_t + CLEAN, stages, 0.4))
    weights, means, variances = oracles.reverse_law(mixture, y * math.sqrt(abar_t), abar_t, abar_s)
    z = (0.4 * math.sqrt(abar_s) - means) / np.sqrt(variances)[:, None]
    expected = np.einsum("nk,nkd->nd", weights, norm.cdf(z))
    assert value == pytest.approx(expected, rel=1e-12)


def test_a_hybrid_in_distribution_conserves_the_marginal_whatever_its_order():
    # Start from p_v: reverse SDE and ODE both keep the marginals, so the end is p_clean.
    v_from, nodes = 1.0, 61
    z, quad = np.polynomial.hermite_e.hermegauss(nodes)
    quad = quad / quad.sum()
    for stages in (
        [("sde", 0.3), ("ode", CLEAN)],
        [("ode", 0.3), ("sde", CLEAN)],
        [("ode", 0.6), ("sde", 0.3), ("ode", CLEAN)],
    ):
        total = 0.0
        for mean, weight in zip(LINE.means[:, 0], LINE.weights, strict=True):
            start = (mean + math.sqrt(v_from) * z)[:, None]
            total += weight * (quad @ np.exp(log_cdf(LINE, start, v_from, stages, 1.03)[:, 0]))
        truth = LINE.weights @ norm.cdf((1.03 - LINE.means[:, 0]) / 0.1)
        # Quadrature error of the smooth first stretch; the ODE-first cases are less smooth.
        assert total == pytest.approx(truth, abs=2e-3)


@pytest.mark.parametrize(
    "stages",
    [[("sde", 0.2), ("ode", CLEAN)], [("ode", 0.2), ("sde", CLEAN)]],
    ids=["noise first", "noise last"],
)
def test_draws_of_a_hybrid_follow_its_distribution_function(stages):
    n = 20_000
    y = np.tile([[0.1, 0.9]], (n, 1))
    draws = oracles.hybrid_sample(GRID, y, 0.8, stages, np.random.default_rng(2))
    for limit in (-0.95, 0.0, 0.05, 1.05, 1.45):
        p = np.exp(log_cdf(GRID, y[:1], 0.8, stages, limit))[0]
        for column, probability in zip(draws.T, p, strict=True):
            count = int((column <= limit).sum())
            # 20 comparisons in all: a false alarm once in 1e9.
            assert binomtest(count, n, min(probability, 1.0)).pvalue > 5e-11


def test_an_interval_deep_in_the_gap_is_known_far_below_the_doubles(standard):
    mixture = GaussianMixture(standard.mixture.means[[6, 11]][:, :1], standard.mixture.sigma)
    v, middle, half = standard.v, standard.midpoint[:1], 0.15 * standard.length
    box = (middle - half, middle + half)
    noisy = [("sde", v[0])]
    log_p = oracles.hybrid_log_interval(mixture, middle[None], v[22], noisy, box)[0, 0]
    assert log_p / math.log(10) == pytest.approx(-264.356, abs=1e-3)
    # Noise for a part of the way, then the ODE from v[13]: the interval's preimage is the trap,
    # narrower than 1e-100, so its probability is the kernel's density there times its width.
    mixed = [("sde", v[13]), ("ode", v[0])]
    log_mixed = oracles.hybrid_log_interval(mixture, middle[None], v[22], mixed, box)[0, 0]
    q, variance = oracles.sde_contraction(v[22], v[13])
    density = norm.logpdf(0.0, (1 - q) * standard.length / 2, math.sqrt(variance))
    trap = oracles.trap_radius(mixture, (0, 1), 0.15, v[13], v[0])
    assert trap.log10_radius < -100
    width = math.log(2 * standard.length) + trap.log10_radius * math.log(10)
    assert log_mixed == pytest.approx(density + width, rel=1e-11)


@pytest.mark.parametrize(
    ("stages", "error"),
    [
        ([], InputError),
        ([("ode", 0.2), ("ode", 0.3)], InputError),
        ([("euler", 0.2)], InputError),
        ([("sde", 0.001)], InputError),
        ([("ode", CLEAN)], NotApplicableError),
        ([("sde", 0.5), ("ode", 0.3), ("sde", CLEAN)], NotApplicableError),
    ],
)
def test_stages_without_a_law_are_refused(stages, error):
    with pytest.raises(error):
        log_cdf(LINE, [[0.0]], 0.8, stages, 0.0)


def test_hybrids_of_mixtures_without_product_form_are_refused():
    triangle = GaussianMixture([[0.0, 0], [1, 0], [0, 1]], 0.1)
    with pytest.raises(NotApplicableError):
        log_cdf(triangle, [[0.0, 0.0]], 0.8, [("sde", CLEAN)], 0.0)
    with pytest.raises(InputError, match="low < high"):
        oracles.hybrid_log_interval(LINE, [[0.0]], 0.8, [("sde", CLEAN)], ([1.0], [0.0]))


# -- AdaptiveNoise, by tens of thousands of samples: spread, recursion, mode weights ---------------


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

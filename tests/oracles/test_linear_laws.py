"""Laws where the dynamics are linear: across the hull, in an owned mode, in a sampler's step."""

import math

import numpy as np
import pytest

from mixdyn import GaussianMixture, NoiseSchedule, TimeGrid, oracles
from mixdyn.support.errors import InputError, NotApplicableError

pytestmark = pytest.mark.compiled

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

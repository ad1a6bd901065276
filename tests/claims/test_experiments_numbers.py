"""The experiments behind the figures reproduce the numbers that the papers' problem must give.

The seed is fixed, so what is sampled is the same numbers on every run; where a count decides, the
distance to the alternative is stated in standard deviations.
"""

from __future__ import annotations

import numpy as np
import pytest

from mixdyn.geometry import Region
from mixdyn.geometry.dynamics import mean_field
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.score import ExactScore, PerturbedScore
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.score_errors.blurred import BLUR, blurred_score, shortest_distance
from verify.report.figures import FIGURES

LOG_10 = np.log(10.0)


@pytest.fixture(scope="module")
def case(standard_case) -> Case:
    return standard_case


@pytest.fixture(scope="module")
def measured(case):
    """What a figure draws, measured once."""
    return lambda figure: FIGURES[figure].result(case)


def test_late_ddpm_runs_end_where_the_budget_of_noise_leaves_them(case, measured):
    result = measured("X4")
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    factor, radius = result.number("factor_sde"), result["radius"]
    assert result.number("late_start") == 3
    np.testing.assert_allclose(factor, v[0] / v[3], rtol=1e-13)
    np.testing.assert_allclose((0.5 - 0.01) * factor, 0.0598, atol=5e-5)
    ends = result["late_end"][result.labels("samplers").index("DDPM")]
    # The mean distance exceeds that of the mean by about s^2/(2 r), s = 0.55 sigma a coordinate.
    expected = np.hypot((0.5 - radius) * factor, 0.55 * 0.01)
    early = radius <= 0.3
    np.testing.assert_allclose(ends[early], expected[early], atol=6 * 0.0055 / np.sqrt(4000))


def test_late_ddim_runs_follow_the_product_of_their_own_steps_to_rounding(case, measured):
    result = measured("X4")
    rho, sigma2 = case.schedule.rho, float(case.mixture.sigma) ** 2
    product = np.prod(
        [(sigma2 + np.sqrt(rho[t] * rho[t - 1])) / (sigma2 + rho[t]) for t in (3, 2, 1)]
    )
    np.testing.assert_allclose(result.number("factor_ddim"), product, rtol=1e-12)
    ends = result["late_end"][result.labels("samplers").index("DDIM")]
    # Two modes own the points next to the midpoint: a logit of k z, k = l^2/v = 1220 at t = 3.
    owned = result["radius"] >= 0.04
    np.testing.assert_allclose(
        ends[owned], (0.5 - result["radius"][owned]) * product, rtol=0, atol=1e-12
    )


def test_hybrids_equal_ddpm_where_ddim_visits_every_time(measured):
    ends = measured("X4")["late_end"]
    for row in ends[1:-1]:
        np.testing.assert_array_equal(row, ends[-1])


def test_noise_frees_paths_from_a_midpoint_that_a_blurred_score_traps(measured):
    result = measured("X4")
    nearest = dict(zip(result.labels("samplers"), result["early_hits"][:, 0], strict=True))
    assert nearest["DDIM"] == result.count()
    order = ["DDIM", "hybrid z=2", "hybrid z=5", "hybrid z=8", "DDPM"]
    rates = np.array([nearest[name] for name in order]) / result.count()
    # Neighbours in this order differ by more than 10 standard deviations of their difference.
    spread = np.sqrt(
        np.sum([rates[k : 4 + k] * (1 - rates[k : 4 + k]) for k in (0, 1)], axis=0) / 4000
    )
    assert (rates[:-1] - rates[1:] > 10 * spread).all()


def test_the_published_midpoint_bound_is_vacuous_and_the_comparison_bound_is_the_truth(measured):
    result = measured("P5.1")
    assert int(result["tau"]) == 22
    np.testing.assert_allclose(result.number("k_sup_integral"), 6.44, atol=0.005)
    np.testing.assert_allclose(result.number("k_ratio_integral"), 1088, atol=0.5)
    at = int(np.argmin(np.abs(result["theta"] - 0.15)))
    np.testing.assert_allclose(result["theta"][at], 0.15, rtol=1e-12)
    paper, linear, sharp, exact = result["over_theta"][at]
    np.testing.assert_allclose(10**paper, 1.27, atol=0.005)
    np.testing.assert_allclose([sharp, exact], np.log10(4.4) - 265, atol=0.01)
    np.testing.assert_allclose(sharp, exact, rtol=1e-10)
    assert exact < linear < 0.0


def test_every_bound_of_the_midpoint_probability_lies_above_the_exact_law(measured):
    result = measured("P5.1")
    for table in (result["over_theta"], result["over_tau"]):
        assert (table[:, :3] >= table[:, 3:] - 1e-9 * np.abs(table[:, 3:])).all()


def test_the_basin_of_the_midpoint_has_the_exact_radii(measured):
    result = measured("X3")
    at = result["taus"].tolist().index(22)
    np.testing.assert_allclose(result["paper"][:, at], [-1041.7, -4013.6], atol=0.06)
    noisy = np.log10([5.6e-88, 3.1e-15, 0.16])
    clean = np.array([-264.83, -47.32, -3.43])
    np.testing.assert_allclose(result["truth"][0, :, at], noisy, atol=0.02)
    np.testing.assert_allclose(result["truth"][1, :, at], clean, atol=0.005)


def test_both_bounds_of_the_basin_lie_below_the_truth_and_the_sharp_one_above_the_published(
    measured,
):
    result = measured("X3")
    assert (result["sharp"] < result["truth"]).all()
    assert (result["paper"][:, None, :] < result["sharp"]).all()


def test_the_exact_score_interpolates_only_at_too_few_steps(measured):
    result = measured("M1")
    *ddim, ddpm = result["exact"][0, :, Region.INTERPOLATION].tolist()
    hits = dict(zip(result["steps"].tolist(), ddim, strict=True))
    assert hits[10] > 100
    assert all(count == 0 for steps, count in hits.items() if steps >= 50)
    assert ddpm == 0


def test_a_blurred_score_interpolates_under_ddim_at_any_step_count_and_hardly_under_ddpm(measured):
    result = measured("M1")
    *ddim, ddpm = result["counts"][0, :, Region.INTERPOLATION].tolist()
    # 300 of 20,000 against 14: 16 standard deviations apart.
    assert min(ddim) > 250
    assert ddpm < 50


def test_the_blurred_score_is_the_exact_one_plus_its_stated_error(case):
    mixture, schedule = case.mixture, case.schedule
    width = BLUR * shortest_distance(mixture)

    def error(x, t):
        alpha, abar = schedule.alpha[t], schedule.alpha_bar[t]
        var = abar * float(mixture.sigma) ** 2 + schedule.noise_var[t]
        m = [mean_field(mixture, x / alpha, var / abar + h2) for h2 in (width**2, 0.0)]
        return alpha * (m[0] - m[1]) / var

    stated = PerturbedScore(ExactScore(mixture, schedule), schedule, error)
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (200, 2))
    for t in (1, 22, 300, 1000):
        found, expected = blurred_score(mixture, schedule).eps(x, t), stated.eps(x, t)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_the_spread_within_a_mode_falls_onto_the_linear_recursion_as_noise_grows(measured):
    result = measured("X7")
    eta, spread, closed = result["eta"].tolist(), result["exact_spread"][0], result["recursion"]
    np.testing.assert_allclose(closed[eta.index(0.0)], 0.563, atol=5e-4)
    np.testing.assert_allclose(closed[eta.index(1.0)], 0.546, atol=5e-4)
    # 40,000 coordinates: a standard deviation is known to 0.35 %. Coarse steps before one mode
    # owns the point add to it at small eta.
    assert abs(spread[eta.index(1.25)] / closed[eta.index(1.25)] - 1) < 0.015
    assert spread[eta.index(0.0)] / closed[eta.index(0.0)] > 1.05


def test_saddles_of_the_full_mixture_are_those_of_two_modes_once_separated(measured):
    result = measured("P4.7 (1)")
    late = result["times"] <= result.number("tau_2")
    np.testing.assert_allclose(
        result["along"][:, late],
        np.tile(result["two_modes"][late], (len(result["along"]), 1)),
        rtol=1e-13,
    )
    np.testing.assert_allclose(result["lowest"][:, late], -1.0, rtol=1e-13)
    assert result["shift"][:, late].max() < 1e-13


def test_saddles_of_unequal_weights_are_the_closed_forms_and_lie_beyond_the_separatrix(measured):
    result = measured("B.1 (1)")
    np.testing.assert_allclose(result["engine"], result["exact"], rtol=0, atol=1e-12)
    exists = np.isfinite(result["saddle"])
    # The flow carries a point to the lighter side more than the field at one time would.
    assert (result["saddle"][exists] < result["separatrix"][exists]).all()


def test_a_dominating_diagonal_obeys_the_rectangle_bound_on_squares_alone(measured):
    result = measured("D.1")
    for name in ("square", "sheared"):
        excess = result[f"{name}_log_ratio"] - result[f"{name}_bound"]
        assert excess.max() <= 1e-9
        assert excess.max() > -0.5
    rectangle = -2.0 * result["sheared_kappa"]
    assert np.mean(result["sheared_log_ratio"] > rectangle) > 0.5


def test_interpolations_avoid_diagonals_unless_these_are_as_short_as_sides(measured):
    result = measured("D.1")
    share = result["counts"][:, 2] / result["counts"].sum(axis=1)
    by_name = dict(zip(result.labels("lattices"), share, strict=True))
    assert max(by_name[name] for name in ("square", "diamond", "rectangle 1:1.25")) < 0.02
    assert by_name["sheared by 0.5"] > 0.05


def test_separation_times_and_dominance_times_follow_kappa_and_dimension(measured):
    result = measured("A4.1")
    at, d2 = result["kappa"].tolist().index(7.0), result["d"].tolist().index(2)
    assert result["closest"][d2, at] == 25
    for name in ("first", "fixed", "own"):
        medians = result[name][:, :, 1]
        assert (np.diff(medians, axis=1) <= 0).all(), "a larger margin holds later"
        assert (np.diff(medians, axis=0) >= 0).all(), "more dimensions hold earlier"


def test_distances_follow_the_spread_of_the_marginal_once_two_modes_dominate(measured):
    result = measured("X2")
    tau = np.median(result["tau_1_fixed"])
    for name, tolerance in (("ddim", 0.03), ("ddpm", 0.12)):
        late = (result[f"{name}_times"] <= tau) & (result[f"{name}_times"] >= 1)
        median = result[f"{name}_quantiles"][2][late]
        spread = np.sqrt(result[f"{name}_v"][late])
        assert abs(median[-1] / median[0] / (spread[-1] / spread[0]) - 1) < tolerance


def test_all_segments_of_the_grid_carry_a_saddle_at_their_midpoint(measured):
    result = measured("T4.2")
    midpoints = result["means"][result["pairs"]].mean(axis=1)
    assert len(midpoints) == 40
    np.testing.assert_allclose(result["saddles"], midpoints, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "mixture",
    [GaussianMixture([[0.0]], 0.1), GaussianMixture([[0.0], [1.0]], [0.1, 0.2])],
    ids=["one mode", "a sigma per mode"],
)
def test_a_mixture_without_a_pair_of_one_sigma_is_refused_with_the_reason(case, mixture):
    other = Case("other", mixture, case.schedule)
    for figure in ("M1", "P5.1", "X3", "X4"):
        with pytest.raises(NotApplicableError, match="two modes of one sigma"):
            FIGURES[figure].result(other)

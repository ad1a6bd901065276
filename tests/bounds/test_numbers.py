"""The bounds reproduce known numbers, broadcast over levels, and refuse bad input in one line."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from mixdyn import GaussianMixture, NoiseSchedule, TimeGrid, bounds, presets
from mixdyn.support.errors import InputError, NotApplicableError

# -- the standard problem and hand calculations ----------------------------------------------------


SCHEDULE = NoiseSchedule.linear()
GRID = presets.grid()
L = float(np.linalg.norm(GRID.means[6] - GRID.means[11]))
V = SCHEDULE.effective_variance(GRID.sigma)
TAU = 22  # raw time of the last nine nodes of the 50-step quadratic grid


def digits(log_value: float) -> tuple[float, int]:
    """A natural logarithm as mantissa and decimal exponent."""
    log10 = float(log_value) / math.log(10)
    return 10 ** (log10 - math.floor(log10)), math.floor(log10)


def test_the_pair_of_the_standard_problem_is_a_hundred_sigma_apart():
    assert L / GRID.sigma == pytest.approx(100.0, rel=1e-12)
    assert pytest.approx(0.70709, abs=5e-6) == L


@pytest.mark.parametrize(("kappa", "nodes", "first"), [(7, 9, 22), (20, 7, None), (2, 13, None)])
def test_separation_holds_for_the_stated_last_nodes_of_the_standard_grid(kappa, nodes, first):
    v_max = bounds.separation_variance(L, kappa, GRID.d)
    times = TimeGrid.quadratic(1000, 50).times[:-1]
    held = times[V[times] <= v_max]
    assert len(held) == nodes
    assert (bounds.separation_length2(kappa, GRID.d, V[held]) <= L**2).all()
    if first is not None:
        assert held[0] == first
        assert V[25] <= v_max < V[26]


@pytest.mark.parametrize(("end", "radius", "exponent"), [(1, 1.6e-5, -1042), (0, 1.8e-6, -4014)])
def test_the_published_trap_of_the_standard_problem_is_vacuous_by_a_thousand_decades(
    end, radius, exponent
):
    trap = bounds.paper_trap(L, V[TAU], V[end])
    assert trap.radius == pytest.approx(radius, rel=0.01)
    assert round(trap.log_start / math.log(10)) == exponent
    # The exit time inverts the trap: from its edge, leaving takes exactly the time left.
    left = bounds.exit_time(math.log(trap.radius) - trap.log_start, trap.eigenvalue_end)
    assert left == pytest.approx(trap.u, rel=1e-13)


def test_the_published_trap_formula_is_recomputed_from_its_parts():
    trap = bounds.paper_trap(3.0, 1.0, 0.5)
    assert trap.eigenvalue_start == pytest.approx(1.25, rel=1e-15)
    assert trap.eigenvalue_end == pytest.approx(3.5, rel=1e-15)
    assert trap.u == pytest.approx(0.5 * math.log(2), rel=1e-15)
    assert trap.radius == pytest.approx(6 * math.sqrt(3) * 1.25 / 18**2, rel=1e-14)
    assert trap.log_start == pytest.approx(math.log(trap.radius) - 5.25 * trap.u, rel=1e-14)


def test_the_published_midpoint_bound_is_vacuous_where_the_truth_is_1e_minus_265():
    half_width, noise = 0.15 * L, -SCHEDULE.log_alpha_bar[TAU]
    confinement, _ = bounds.log_midpoint_terms(half_width, noise, 6.44, 1.0, 0.02)
    assert math.exp(confinement) == pytest.approx(1.27, abs=0.005)
    sharp = bounds.log_midpoint_probability(L, half_width, V[TAU], V[0])
    mantissa, exponent = digits(sharp)
    assert exponent == -265
    assert mantissa == pytest.approx(4.4, abs=0.05)
    mantissa, exponent = digits(bounds.log_midpoint_probability(0.9 * L, half_width, V[TAU], V[0]))
    assert exponent == -195
    assert mantissa == pytest.approx(3.4, abs=0.05)


def test_both_terms_of_the_published_midpoint_bound_match_their_formulas():
    confinement, returned = bounds.log_midpoint_terms(0.3, 2.0, 1.5, 4.0, 0.1)
    expected = math.log(4 / math.pi) - math.pi**2 * 2.0 / (32 * 0.09 * 3.5**2)
    assert confinement == pytest.approx(expected, rel=1e-14)
    assert returned == pytest.approx(-2 * 4.0 * 0.09 / 0.1, rel=1e-14)


def test_the_sharp_midpoint_bound_keeps_its_digits_down_to_1e_minus_3000():
    from flint import arb, ctx

    v_start, v_end, half_width = 0.5, 1e-4, 0.05
    for length in (0.05, 0.3, 0.99, 2.4, 20.0):
        with ctx.workprec(500):
            a, b = arb(v_start), arb(v_end)
            lost = (a - b) / a
            c, s = arb(length) * lost / 2, (2 * b * lost).sqrt()
            theta = arb(half_width)
            exact = (((c - theta) / s).erfc() - ((c + theta) / s).erfc()).log() - arb(2).log()
            truth = float(exact.mid())
        value = bounds.log_midpoint_probability(length, half_width, v_start, v_end)
        assert value == pytest.approx(truth, rel=2e-13, abs=2e-13)
    assert truth < -3000 * math.log(10)


def test_the_reference_drift_is_the_mean_field_of_two_point_masses():
    a, length, v = 0.37, 1.3, 0.21
    masses = np.array([-length / 2, length / 2])
    gamma = stats.norm.pdf(a, masses, math.sqrt(v))
    expected = (gamma @ masses / gamma.sum() - a) / v
    assert bounds.reference_drift(a, length, v) == pytest.approx(expected, rel=1e-13)


def test_linear_confinement_is_the_ornstein_uhlenbeck_probability():
    slope, time, beta, half_width = 1.7, 0.8, 0.3, 0.25
    noise = integrate.quad(lambda s: beta * math.exp(-2 * slope * s), 0, time)[0]
    std = math.sqrt(beta * (math.exp(2 * slope * time) - 1) / (2 * slope))
    truth = stats.norm.cdf(2 * half_width / std) - stats.norm.cdf(-2 * half_width / std)
    value = bounds.log_linear_confinement(half_width, slope * time, noise)
    assert math.exp(value) == pytest.approx(truth, rel=1e-13)
    # Far below the doubles: erf is linear there, so the exponent is the growth itself.
    steps = bounds.log_linear_confinement(half_width, np.array([5000.0, 6000.0]), noise)
    assert steps[0] - steps[1] == pytest.approx(1000.0, rel=1e-13)
    assert steps[0] == pytest.approx(
        math.log(2 / math.sqrt(math.pi)) + math.log(0.5) - 5000 - 0.5 * math.log(2 * noise),
        rel=1e-14,
    )


def test_brownian_confinement_is_the_leading_term_of_the_exact_series():
    radius, time = 0.7, 1.9
    k = np.arange(40)
    odd = 2 * k + 1
    series = (
        4
        / np.pi
        * np.sum((-1.0) ** k / odd * np.exp(-(odd**2) * np.pi**2 * time / (8 * radius**2)))
    )
    value = math.exp(bounds.log_brownian_confinement(radius, time))
    assert series <= value
    assert value == pytest.approx(series, rel=1e-12)  # the next term is e^-38 smaller


@pytest.mark.parametrize("d", [1, 2, 7, 64])
@pytest.mark.parametrize("delta", [0.5, 1e-2, 1e-9])
def test_the_chi_square_threshold_bounds_the_tail_and_is_its_formula(d, delta):
    threshold = bounds.laurent_massart_threshold(d, delta)
    assert stats.chi2.sf(threshold, d) <= delta
    log_inverse = math.log(1 / delta)
    assert threshold == pytest.approx(
        d + 2 * math.sqrt(d * log_inverse) + 2 * log_inverse, rel=1e-14
    )


def test_the_tube_bound_is_one_bound_in_u_in_v_and_in_x():
    levels = np.array([0.6, 0.99])  # alpha_bar at tau and at t
    v_start, v_end = 0.1**2 + (1 - levels) / levels
    u = 0.5 * math.log(v_start / v_end)
    by_u = bounds.tube_distance_u(0.4, u, 0.03)
    by_v = bounds.tube_distance(0.4, v_start, v_end, 0.03)
    assert by_u == pytest.approx(by_v, rel=1e-14)
    assert by_u == pytest.approx(math.exp(-u) * 0.4 + (1 - math.exp(-u)) * 0.03, rel=1e-14)
    alpha_start, alpha_end = np.sqrt(levels)
    sigma_start, sigma_end = alpha_start * math.sqrt(v_start), alpha_end * math.sqrt(v_end)
    without_pull = bounds.tube_distance_x(0.4 * alpha_start, sigma_start, sigma_end, alpha_end, 0)
    assert without_pull == pytest.approx(alpha_end * math.exp(-u) * 0.4, rel=1e-14)
    with_pull = bounds.tube_distance_x(0.4 * alpha_start, sigma_start, sigma_end, alpha_end, 0.03)
    assert with_pull - without_pull == pytest.approx(alpha_end * 0.03, rel=1e-12)


def test_the_high_probability_tube_adds_the_threshold_to_the_remainder():
    value = bounds.tube_distance_high_probability(3, 1e-6, 0.2, 0.9, 0.05)
    threshold = bounds.laurent_massart_threshold(3, 1e-6)
    assert value == pytest.approx(0.2 * math.sqrt(threshold) + 0.9 * 0.05, rel=1e-14)


def test_the_remainders_of_a_known_triangle_are_what_hand_calculation_gives():
    # i at (0, 0), j at (4, 0), a third mode at (7, 2): a = -3/4, line distance 2, segment root 13.
    mixture = GaussianMixture([[0.0, 0], [4, 0], [7, 2]], 0.1, [0.5, 0.2, 0.3])
    scale = math.exp(-3.0) * 0.3 / 0.2
    assert bounds.orthogonal_remainder(mixture, 0, 1, 3.0) == pytest.approx(2 * scale, rel=1e-14)
    assert bounds.parallel_excess(mixture, 0, 1, 3.0) == pytest.approx(0.75 * scale, rel=1e-14)
    assert bounds.segment_remainder(mixture, 0, 1, 3.0) == pytest.approx(
        math.sqrt(13) * scale, rel=1e-14
    )
    bound = bounds.responsibility_bound(mixture, 0, 1, np.array([3.0, 3.0]), np.array([0, 1]))
    assert bound == pytest.approx(
        np.array([[1, 1, math.exp(-3) * 0.6], [1, 1, math.exp(-3) * 1.5]]), rel=1e-14
    )
    worst = bounds.responsibility_bound(mixture, 0, 1, 3.0)
    assert worst == pytest.approx(bound[1], rel=1e-14)


def test_dominance_and_diagonal_exponents_match_their_formulas():
    assert bounds.dominance_gap(7.0, 0.02) == pytest.approx(0.28, rel=1e-15)
    value = bounds.diagonal_log_ratio(
        3.0, 0.5, far_to_near_weight=2.0, other_diagonal2=9.0, this_diagonal2=5.0
    )
    assert value == pytest.approx(math.log(2) - 6 + 2.0, rel=1e-14)


def test_growth_is_the_integral_of_the_saddle_eigenvalue_over_intrinsic_time():
    length, v_start, v_end = 1.3, 0.4, 0.05

    def rate(u: float) -> float:
        return float(bounds.midpoint_eigenvalues(length, v_start * math.exp(-2 * u))[0])

    u_end = 0.5 * math.log(v_start / v_end)
    integral = integrate.quad(rate, 0, u_end, epsabs=0, epsrel=1e-13)[0]
    assert bounds.growth_exponent(length, v_start, v_end) == pytest.approx(integral, rel=1e-12)
    log_start = bounds.log_safe_start(0.1, integral)
    assert log_start == pytest.approx(math.log(0.1) - integral, rel=1e-14)


def test_the_growth_exponent_of_a_mixture_uses_the_diameter_of_its_means():
    diameter = 4 * math.sqrt(2) * L
    assert bounds.mixture_growth_exponent(GRID, V[TAU], V[0]) == pytest.approx(
        float(bounds.growth_exponent(diameter, V[TAU], V[0])), rel=1e-12
    )


def test_the_midpoint_eigenvalues_are_those_of_the_two_mode_jacobian():
    along, across = bounds.midpoint_eigenvalues(2.0, 0.25)
    assert (along, across) == (3.0, -1.0)
    assert bounds.equilibrium_slope(16.0, 0.5) == pytest.approx(along, rel=1e-15)
    assert bounds.equilibrium_slope(16.0, 0.9) == pytest.approx(16 * 0.09 - 1, rel=1e-14)


def test_the_critical_weight_ratio_is_where_the_unequal_saddle_disappears():
    k = 12.0
    critical = float(bounds.critical_log_weight_ratio(k))
    z = np.linspace(-0.5, 0.5, 200001)

    def sign_changes(bias: float) -> int:
        drift = 1 / (1 + np.exp(-(k * z + bias))) - 0.5 - z
        return int((np.diff(np.sign(drift)) != 0).sum())

    assert sign_changes(critical * (1 - 1e-4)) == 3
    assert sign_changes(critical * (1 + 1e-4)) == 1
    assert bounds.critical_log_weight_ratio([3.0, 4.0]) == pytest.approx([0, 0], abs=0)
    # Just above k = 4 it opens as (4/3) s^3 with s = sqrt(1 - 4/k).
    s = math.sqrt(1 - 4 / 4.0001)
    assert bounds.critical_log_weight_ratio(4.0001) == pytest.approx(4 / 3 * s**3, rel=1e-3)


def test_budgets_are_the_variance_ratios_that_bring_a_point_home():
    assert bounds.ode_budget(0.6, 0.1) == pytest.approx(36.0, rel=1e-14)
    assert bounds.sde_budget(0.6, 0.1) == pytest.approx(6.0, rel=1e-14)


def test_the_tracking_rate_and_the_pull_match_a_hand_calculation():
    mixture = GaussianMixture([[0.0], [2.0], [-3.0]], 0.1, [0.5, 0.25, 0.25])
    r, v = 0.5, 0.3
    near, far = (0.5 * math.exp(-gap * (gap - 2 * r) / (2 * v)) for gap in (2.0, 3.0))
    assert bounds.ball_pull(mixture, 0, r, v) == pytest.approx(2 * near + 3 * far, rel=1e-14)
    rate = 1 - (4 * near + 9 * far) / v
    assert bounds.tracking_rate(mixture, 0, r, v) == pytest.approx(rate, rel=1e-13)


# -- bad input, and arrays of levels ---------------------------------------------------------------


THREE = GaussianMixture([[0.0, 0], [1, 0], [0, 1]], 0.1)
PER_MODE = GaussianMixture([[0.0, 0], [1, 0], [0, 1]], [0.1, 0.2, 0.1])
TWINS = GaussianMixture([[0.0], [0.0]], [0.1, 0.2])


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: bounds.dominance_gap(-1.0, 1.0), "kappa must be > 0"),
        (lambda: bounds.separation_length2(1.0, 0, 1.0), "d must be an integer >= 1"),
        (lambda: bounds.separation_length2(1.0, 2.0, 1.0), "d must be an integer >= 1"),
        (lambda: bounds.separation_variance(np.nan, 1.0, 2), "length must be finite"),
        (lambda: bounds.separation_variance([[1.0], [1, 2]], 1.0, 2), "rectangular array"),
        (lambda: bounds.laurent_massart_threshold(3, 0.0), "delta must be > 0"),
        (lambda: bounds.laurent_massart_threshold(3, 1.5), "delta must lie in"),
        (lambda: bounds.orthogonal_remainder(THREE, 0, 0, 1.0), "two modes with different means"),
        (lambda: bounds.orthogonal_remainder(TWINS, 0, 1, 1.0), "two modes with different means"),
        (lambda: bounds.orthogonal_remainder(THREE, 0, 3, 1.0), "j must be an integer in 0..2"),
        (lambda: bounds.segment_remainder(THREE, -1, 1, 1.0), "i must be an integer in 0..2"),
        (lambda: bounds.responsibility_bound(THREE, 0, 1, [1.0], [2]), "nearest must hold 0 or 1"),
        (lambda: bounds.responsibility_bound(THREE, 0, 1, [1.0], [0, 1]), "nearest must hold"),
        (lambda: bounds.tube_distance(1.0, 0.1, 0.2, 0.0), "v_start >= v_end"),
        (lambda: bounds.tube_distance(-1.0, 0.2, 0.1, 0.0), "distance must be >= 0"),
        (lambda: bounds.tube_distance_u(1.0, -0.1, 0.0), "u must be >= 0"),
        (lambda: bounds.convex_set_rate([0.0], [0.5, 0.5], [1.0, 1]), "shapes must be"),
        (lambda: bounds.growth_exponent(0.0, 0.2, 0.1), "diameter must be > 0"),
        (lambda: bounds.tracking_rate(THREE, 0, 0.5, 0.1), "half the distance"),
        (lambda: bounds.ball_pull(THREE, 0, 0.0, 0.1), "radius must be > 0"),
        (lambda: bounds.log_midpoint_probability(1.0, 0.1, 0.1, 0.1), "v_start - v_end"),
        (lambda: bounds.log_midpoint_terms(0.1, 1.0, -1.0, 1.0, 1.0), "drift_integral must be"),
        (lambda: bounds.exit_time(-1.0, 1.0), "log_radius_over_start must be >= 0"),
    ],
)
def test_a_value_that_breaks_a_rule_is_named_with_the_rule(call, rule):
    with pytest.raises(InputError, match=rule) as caught:
        call()
    assert caught.value.remedy


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounds.mixture_growth_exponent(PER_MODE, 0.2, 0.1),
        lambda: bounds.ball_pull(PER_MODE, 0, 0.1, 0.1),
        lambda: bounds.mixture_growth_exponent(GaussianMixture([[1.0]], 0.1), 0.2, 0.1),
        lambda: bounds.paper_trap(1.0, 0.25, 0.1),
    ],
)
def test_a_bound_outside_its_hypotheses_is_not_applicable(call):
    with pytest.raises(NotApplicableError):
        call()


def test_bounds_broadcast_over_arrays_of_levels_as_over_numbers():
    v = np.array([0.3, 0.2, 0.1])
    cases = [
        (lambda x: bounds.growth_exponent(1.0, 0.4, x), v),
        (lambda x: bounds.tube_distance(0.5, 0.4, x, 0.01), v),
        (lambda x: bounds.log_midpoint_probability(1.0, 0.1, 0.4, x), v),
        (lambda x: bounds.tracking_rate(THREE, 0, 0.2, x), v),
        (lambda x: bounds.orthogonal_remainder(THREE, 0, 1, x), v),
        (lambda x: bounds.critical_log_weight_ratio(x), 1.0 / v),
    ]
    for function, values in cases:
        assert function(values) == pytest.approx([float(function(x)) for x in values], rel=1e-15)


def test_a_pair_without_other_modes_has_no_remainder():
    pair = GaussianMixture([[0.0], [1.0]], 0.1)
    assert bounds.orthogonal_remainder(pair, 0, 1, 1.0) == 0.0
    assert bounds.segment_remainder(pair, 0, 1, 1.0) == 0.0
    assert bounds.parallel_excess(pair, 0, 1, 1.0) == 0.0

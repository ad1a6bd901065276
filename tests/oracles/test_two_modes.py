"""Two modes: the logistic drift, its equilibria, and the drift that the midpoint bound needs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixdyn import bounds, dynamics, geometry, oracles
from mixdyn.oracles import two_modes
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import NotApplicableError

pytestmark = pytest.mark.compiled


def plain_drift(z, k, weights):
    """a' = gamma_i - a from two normal densities."""
    density = [
        w * math.exp(-k * (z - c) ** 2 / 2) for w, c in zip(weights, (0.5, -0.5), strict=True)
    ]
    return density[0] / sum(density) - 0.5 - z


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.2, 0.8)])
@pytest.mark.parametrize("k", [0.5, 4.0, 30.0])
def test_the_drift_is_the_responsibility_minus_the_coordinate(k, weights):
    z = np.linspace(-0.8, 0.8, 33)
    bias = math.log(weights[0] / weights[1])
    expected = [plain_drift(c, k, weights) for c in z]
    assert oracles.two_mode_drift(z, k, bias) == pytest.approx(expected, abs=4e-16 * (1 + k))
    logit = oracles.two_mode_logit(z, k, bias)
    assert 1 / (1 + np.exp(-logit)) - 0.5 - z == pytest.approx(expected, abs=4e-16 * (1 + k))


def test_equal_modes_have_the_roots_of_the_hyperbolic_tangent_equation():
    for k in (4.1, 7.0, 60.0):
        low, saddle, high = oracles.two_mode_equilibria(k)
        assert saddle == pytest.approx(0.0, abs=1e-15)
        assert math.tanh(k * high / 2) == pytest.approx(2 * high, rel=1e-14)
        assert low == pytest.approx(-high, rel=1e-14)
        assert oracles.two_mode_slope(high, k) < 0 < oracles.two_mode_slope(0.0, k)
    for k in (0.5, 3.9, 4.0):
        assert oracles.two_mode_equilibria(k).tolist() == [0.0]


def root_to_50_digits(z, k, bias):
    import mpmath

    with mpmath.workdps(60):
        k, bias = mpmath.mpf(k), mpmath.mpf(bias)
        return mpmath.findroot(
            lambda y: mpmath.tanh((k * y + bias) / 2) / 2 - y, mpmath.mpf(z), tol=1e-80
        )


@pytest.mark.parametrize("k", [4.0 + 1e-15, 4.0000001, 4.0001, 4.1, 5.0, 8.0, 60.0])
def test_the_pitchfork_has_its_root_at_zero_and_its_branches_to_the_last_digit(k):
    low, saddle, high = oracles.two_mode_equilibria(k)
    assert saddle == 0.0
    assert low == -high
    assert high == pytest.approx(float(root_to_50_digits(high, k, 0)), rel=1e-15, abs=0.0)
    if k < 4.001:  # where it leaves zero
        assert high == pytest.approx(math.sqrt(3.0 * (k - 4.0)) / 4.0, rel=k - 4.0 + 1e-15)


@pytest.mark.parametrize(
    ("k", "bias"),
    [(4.0, 1e-20), (4.0, -1e-200), (4.0000001, 1e-15), (4.0000001, -1e-200), (5.0, 1e-12),
     (3.0, 1e-12), (1000.0, 1e-9)],
)  # fmt: skip
def test_unequal_weights_unfold_the_pitchfork_to_the_last_digits(k, bias):
    for z in oracles.two_mode_equilibria(k, bias):
        assert z == pytest.approx(
            float(root_to_50_digits(z, k, bias)), rel=1e-9 if abs(bias) < 1e-100 else 2e-15, abs=0.0
        )


@pytest.mark.parametrize("k", [1e-3, 3.0, 4.0 - 4.5e-16, 4.0, 4.0 + 9e-16, 4.0000001, 35.0, 1e9])
@pytest.mark.parametrize("size", [5e-324, 2.2e-309, 1e-200, 9e-61, 1.1e-60, 1e-30, 0.1, 5.0, 1e300])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_root_takes_few_evaluations_of_the_drift_for_every_bias(monkeypatch, k, size, sign):
    evaluated = []

    def counted(*args):
        evaluated.append(args)
        return two_mode_drift(*args)

    two_mode_drift = two_modes.two_mode_drift
    monkeypatch.setattr(two_modes, "two_mode_drift", counted)
    bias = sign * size
    roots = oracles.two_mode_equilibria(k, bias)
    assert len(evaluated) <= 60 * len(roots)
    assert len(roots) == (3 if size < float(bounds.critical_log_weight_ratio(k)) else 1)
    assert roots == pytest.approx(-oracles.two_mode_equilibria(k, -bias)[::-1], rel=1e-15, abs=0.0)
    # The root that is left below k = 4 lies on the heavier mode's side, a saddle on the lighter's.
    middle = roots[len(roots) // 2]
    assert math.copysign(1.0, middle) == (-sign if len(roots) == 3 else sign)


@pytest.mark.parametrize("k", [4.0 - 4.5e-16, 4.0, 4.0 + 9e-16, 5.0, 1e4])
def test_the_roots_of_a_faint_bias_join_those_that_are_searched(k):
    faint, searched = (oracles.two_mode_equilibria(k, b) for b in (1e-60, 1.0000001e-60))
    assert faint == pytest.approx(searched, rel=2e-7, abs=0.0)


def test_the_drift_keeps_its_digits_where_the_saddle_is_born():
    import mpmath

    for k in (4.0, 4.0000001, 4.01):
        for z in (1e-12, -1e-7, 1e-3, 0.2):
            with mpmath.workdps(60):
                exact = mpmath.tanh(mpmath.mpf(k) * mpmath.mpf(z) / 2) / 2 - mpmath.mpf(z)
            terms = 4e-16 * (abs((k - 4.0) * z) / 4.0 + abs(z) ** 3 * k**3 / 48.0)
            assert float(oracles.two_mode_drift(z, k)) == pytest.approx(float(exact), abs=terms)


def test_the_critical_weight_ratio_keeps_its_digits_where_the_saddle_is_born():
    import mpmath

    for k in (4.0 + 1e-15, 4.0000001, 4.01, 4.39, 4.4, 5.0, 100.0, 1e9):
        with mpmath.workdps(60):
            s = mpmath.sqrt(1 - 4 / mpmath.mpf(k))
            exact = mpmath.mpf(k) * s / 2 - 2 * mpmath.atanh(s)
        assert float(bounds.critical_log_weight_ratio(k)) == pytest.approx(
            float(exact), rel=2e-14, abs=0.0
        )


def test_the_engine_finds_saddles_up_to_the_critical_weight_ratio_where_they_are_born():
    k = 4.0000001
    critical = float(bounds.critical_log_weight_ratio(k))
    for share in (0.0, 0.5, 0.99, 1.01):
        ratio = share * critical
        weights = np.exp([ratio, 0.0]) / (1.0 + math.exp(ratio))
        mixture = GaussianMixture([[0.5], [-0.5]], 0.1, weights)
        modes = geometry.pair(mixture, 0, 1)
        log_ratio = math.log(mixture.weights[0]) - math.log(mixture.weights[1])
        if abs(log_ratio) >= critical:
            with pytest.raises(NotApplicableError):
                dynamics.saddle(mixture, modes, 1.0 / k)
            continue
        expected = oracles.two_mode_equilibria(k, log_ratio)[1]
        # The engine's field is rounded at 1e-16, its slope there is about 1e-8.
        assert dynamics.saddle(mixture, modes, 1.0 / k).point[0] == pytest.approx(
            expected, abs=1e-7
        )


def test_the_slope_is_the_derivative_of_the_drift_at_every_equilibrium():
    h = 1e-6
    for k, bias in [(6.0, 0.1), (20.0, -2.0), (3.0, 1.0)]:
        for z in oracles.two_mode_equilibria(k, bias):
            ends = oracles.two_mode_drift(np.array([z - h, z + h]), k, bias)
            assert np.diff(ends)[0] / (2 * h) == pytest.approx(
                float(oracles.two_mode_slope(z, k)), abs=1e-8
            )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(k=st.floats(0.1, 200), share=st.floats(-2, 2))
def test_a_saddle_exists_exactly_below_the_critical_weight_ratio(k, share):
    critical = float(bounds.critical_log_weight_ratio(k))
    bias = share * max(critical, 0.1)
    if abs(abs(bias) - critical) < 1e-3 * critical + 1e-6:
        return
    roots = oracles.two_mode_equilibria(k, bias)
    assert len(roots) == (3 if abs(bias) < critical else 1)
    assert (np.diff(roots) > 0).all()
    assert np.abs(oracles.two_mode_drift(roots, k, bias)).max() < 1e-14 * (1 + k)
    if len(roots) == 3:  # the saddle lies towards the lighter mode
        assert roots[1] * bias <= 1e-15


def test_equilibria_survive_where_the_pull_of_the_other_mode_underflows():
    roots = oracles.two_mode_equilibria(5000.0, 1.0)
    assert len(roots) == 3
    assert roots[[0, 2]] == pytest.approx([-0.5, 0.5], abs=1e-15)


def test_the_bisector_drift_is_that_of_the_reverse_sde_in_data_coordinates():
    length, alpha_bar, sigma, h = 1.4, 0.7, 0.2, 1e-5
    variance, alpha = alpha_bar * sigma**2 + 1 - alpha_bar, math.sqrt(alpha_bar)

    def log_density(a):
        return np.logaddexp(
            -((a - alpha * length / 2) ** 2) / (2 * variance),
            -((a + alpha * length / 2) ** 2) / (2 * variance),
        )

    a = np.linspace(-2, 2, 17)
    score = (log_density(a + h) - log_density(a - h)) / (2 * h)
    drift = oracles.reverse_bisector_drift(a, length, alpha_bar, sigma)
    assert drift == pytest.approx(a / 2 + score, abs=1e-8)


def test_the_drift_sums_of_the_standard_problem_are_6_4_and_9_4_and_1088(standard):
    schedule, length, sigma = standard.schedule, standard.length, standard.mixture.sigma
    half_width = 0.15 * length
    inner = np.linspace(1e-9, 2 * half_width, 4001)
    outer = inner[inner >= half_width]
    # Sums over the raw steps, as a discrete schedule reads int K dt. The integrals of the same
    # functions over int beta are 7.9, 11.5 and 2477: K rises steeply within the last step.
    sup, band, chord = 0.0, 0.0, 0.0
    for t in range(1, standard.tau + 1):
        beta = schedule.beta[t]
        args = (length, schedule.alpha_bar[t], sigma)
        noise = {"noise_var": schedule.noise_var[t]}
        drift = np.abs(oracles.reverse_bisector_drift(inner, *args, **noise))
        sup += beta * drift.max() / (2 * half_width)
        chord += beta * (drift / inner).max()
        band += beta * (np.abs(oracles.reverse_bisector_drift(outer, *args, **noise)) / outer).max()
    assert sup == pytest.approx(6.44, abs=0.01)
    assert band == pytest.approx(9.41, abs=0.01)
    assert chord == pytest.approx(1087.6, abs=0.5)
    confinement, _ = bounds.log_midpoint_terms(
        half_width, -schedule.log_alpha_bar[standard.tau], sup, 1.0, 1.0
    )
    assert math.exp(confinement) == pytest.approx(1.27, abs=0.005)

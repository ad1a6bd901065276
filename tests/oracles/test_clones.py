"""X15 and X16 in closed form, against direct quadrature at high precision and against draws."""

import math

import mpmath
import numpy as np
import pytest

from mixdyn import bounds, oracles
from mixdyn.support.errors import InputError


@pytest.mark.parametrize(
    ("k", "bias"),
    [(1e-6, 0.4), (0.3, 0.0), (4.0, 0.0), (4.0, 1.3), (8.0, -3.0), (200.0, 5.0), (3e4, 0.5)],
)
def test_two_modes_part_as_the_integral_over_the_logit_says(k, bias):
    with mpmath.workdps(40):
        k_, b = mpmath.mpf(k), mpmath.mpf(bias)
        weight = 1 / (1 + mpmath.exp(-b))

        def parting(logit):  # of mode i N(b + k/2, k), of mode j N(b - k/2, k)
            own = weight * mpmath.exp(-((logit - b - k_ / 2) ** 2) / (2 * k_))
            other = (1 - weight) * mpmath.exp(-((logit - b + k_ / 2) ** 2) / (2 * k_))
            both = own / (1 + mpmath.exp(logit)) + other / (1 + mpmath.exp(-logit))
            return both / mpmath.sqrt(2 * mpmath.pi * k_)

        far = mpmath.mpf(min(14.0 * math.sqrt(k), 90.0))
        want = mpmath.log(mpmath.quad(parting, mpmath.linspace(b - far - k_ / 1e4, b + far, 121)))
    got = float(oracles.log_two_mode_parting(k, bias))
    assert got == pytest.approx(float(want), rel=1e-11, abs=1e-12)


def test_equal_modes_agree_as_theory_lists():
    k = [0.5, 1.0, 2.0, 4.0, 8.0, 20.0]
    expected = [0.55594, 0.60203, 0.67506, 0.77520, 0.88449, 0.98077]
    np.testing.assert_allclose(oracles.two_mode_return(k), expected, atol=5e-6)
    log_bound = math.log(0.5) - np.array(k) / 8.0
    assert (oracles.log_two_mode_parting(k) < log_bound).all()


def test_gaussian_data_share_log_n_at_the_collapse():
    for n, d in ((64, 2), (20_000, 64), (3, 784)):
        at = oracles.information_rho(np.ones(d), math.log(n))
        assert at == pytest.approx(1.0 / math.expm1(2.0 * math.log(n) / d), rel=1e-12)
    spectrum = np.array([1e-9, 0.0, 4.0, 1e3])
    at = oracles.information_rho(spectrum, 2.5)
    assert 0.5 * np.log1p(spectrum / at).sum() == pytest.approx(2.5, rel=1e-12)
    assert 0.5 * math.log1p(1.0 / oracles.information_rho([1.0], 300.5)) == pytest.approx(300.5)


@pytest.mark.parametrize(("n", "d"), [(2, 1), (40, 1), (100, 3), (60, 20)])
def test_gaussian_data_return_as_often_as_drawn_data_sets_say(n, d):
    rng = np.random.default_rng(n + d)
    for share in (0.5, 2.0):
        rho = share * oracles.information_rho(np.ones(d), math.log(n))
        found = []
        for _ in range(400):
            x = rng.standard_normal((n, d))
            own = x[: min(n, 8)]
            y = own + math.sqrt(rho) * rng.standard_normal(own.shape)
            z = -np.square(y[:, None] - x).sum(axis=2) / (2.0 * rho)
            e = np.exp(z - z.max(axis=1, keepdims=True))
            found.append(np.mean(np.diagonal(e) / e.sum(axis=1)))
        error = np.std(found) / math.sqrt(len(found))
        assert abs(np.mean(found) - oracles.gaussian_return(n, d, rho)) < 5.5 * error


def test_two_points_return_as_their_chi_square_says():
    # n = 2: gamma_own is a logistic function of one normal variable given the points' distance.
    d, rho = 3, 0.8
    from scipy.integrate import quad
    from scipy.stats import chi2

    def given(square):  # |x - x'|^2 is 2 chi-square
        return float(oracles.two_mode_return(2.0 * square / rho)) * chi2.pdf(square, d)

    want = quad(given, 0.0, 80.0, epsabs=1e-12, limit=400)[0]
    assert oracles.gaussian_return(2, d, rho) == pytest.approx(want, rel=1e-6)


def test_both_sides_of_the_return_are_those_of_the_codes():
    i, n = np.array([-1.0, 0.0, 3.0, 800.0, -800.0]), 11
    low = [1 / (1 + 10 * math.e), 1 / 11, 1 / (1 + 10 * math.exp(-3)), 1.0, 0.0]
    np.testing.assert_allclose(bounds.return_at_least(i, n), low, atol=1e-300)
    high = bounds.return_at_most(np.array([2.0, 1.0]), 11, np.array(1.0))  # log 11 = 2.398
    np.testing.assert_allclose(high, [1.0 + math.exp(-1.0), math.exp(-1.0)])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: oracles.log_two_mode_parting(0.0), "k must be > 0"),
        (lambda: oracles.information_rho([0.0], 1.0), "one of them positive"),
        (lambda: oracles.information_rho([-1.0, 2.0], 1.0), "must be >= 0"),
        (lambda: oracles.gaussian_return(1, 2, 1.0), "n must be"),
        (lambda: oracles.gaussian_return(5, 2, 0.0), "rho must be"),
        (lambda: bounds.return_at_least([1.0], 1), "n must be"),
    ],
)
def test_bad_arguments_are_one_line(call, words):
    with pytest.raises(InputError, match=words):
        call()

"""The exact reverse kernel is Bayes' rule: p(x_s | x_t) = p_s(x_s) p(x_t | x_s) / p_t(x_t)."""

import math

import numpy as np
import pytest
from flint import arb, ctx

from mixdyn import GaussianMixture, oracles

pytestmark = pytest.mark.compiled

BITS = 300


def log_normal(offset2: arb, d: int, variance: arb) -> arb:
    return -offset2 / (2 * variance) - (2 * arb.pi() * variance).log() * d / 2


def log_marginal(mixture: GaussianMixture, x: list[arb], abar: arb, nu: arb) -> arb:
    alpha, total = abar.sqrt(), arb(0)
    for mu, sigma, weight in zip(mixture.means, mixture.sigmas, mixture.weights, strict=True):
        offset2 = sum(
            ((a - alpha * arb(float(m))) ** 2 for a, m in zip(x, mu, strict=True)), arb(0)
        )
        variance = abar * arb(float(sigma)) ** 2 + nu
        total += arb(float(weight)) * log_normal(offset2, mixture.d, variance).exp()
    return total.log()


def log_bayes(mixture, x_s, x_t, levels) -> float:
    """log p(x_s | x_t) in ball arithmetic from the forward process alone."""
    with ctx.workprec(BITS):
        abar_t, nu_t, abar_s, nu_s = (arb(float(a)) for a in levels)
        a, b = [arb(float(v)) for v in x_s], [arb(float(v)) for v in x_t]
        ratio = abar_t / abar_s
        step = nu_t - ratio * nu_s  # variance the forward process adds between s and t
        offset2 = sum(((q - ratio.sqrt() * p) ** 2 for p, q in zip(a, b, strict=True)), arb(0))
        value = (
            log_marginal(mixture, a, abar_s, nu_s)
            + log_normal(offset2, mixture.d, step)
            - log_marginal(mixture, b, abar_t, nu_t)
        )
        return float(value.mid())


def log_law(mixture, x_s, x_t, levels) -> np.ndarray:
    """log density at x_s of the law under test, (n,)."""
    abar_t, nu_t, abar_s, nu_s = levels
    law = oracles.reverse_mixture(mixture, x_t, abar_t, abar_s, noise_var_t=nu_t, noise_var_s=nu_s)
    offset2 = np.square(x_s[:, None, :] - law.means).sum(axis=2)
    var = law.variances
    terms = law.log_weights - offset2 / (2 * var) - 0.5 * mixture.d * np.log(2 * np.pi * var)
    return np.logaddexp.reduce(terms, axis=1)


CASES = {
    "common sigma": GaussianMixture([[-1.0], [0.5], [2]], 0.3, [0.2, 0.5, 0.3]),
    "sigma per mode": GaussianMixture(
        [[-1.0, 0], [1, 1], [0, -2]], [0.05, 0.3, 0.8], [0.6, 0.1, 0.3]
    ),
    "far apart": GaussianMixture([[-40.0, 0, 0], [35, 10, 0]], [0.02, 0.03]),
}
LEVELS = {
    "to clean": (0.7, 0.3, 1.0, 0.0),
    "between": (0.05, 0.95, 0.9, 0.1),
    "from pure noise": (1e-12, 1.0 - 1e-12, 0.5, 0.5),
    "noise that rounds to one at both ends": (1e-23, 1.0, 3e-23, 1.0),
    "one fine step near the data": (1.0 - 1e-12, 1e-12, 1.0, 1e-13),
}


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("mixture", CASES.values(), ids=CASES)
def test_the_reverse_density_equals_bayes_rule_in_ball_arithmetic(mixture, levels):
    rng = np.random.default_rng(5)
    mode = rng.integers(mixture.N, size=12)
    alpha_t, alpha_s = math.sqrt(levels[0]), math.sqrt(levels[2])
    x_t = (
        alpha_t * mixture.means[mode]
        + rng.standard_normal((12, mixture.d))
        * (np.sqrt(levels[0] * mixture.sigmas[mode] ** 2 + levels[1])[:, None])
    )
    step = levels[1] - levels[0] / levels[2] * levels[3]
    noise = math.sqrt(step) * alpha_s / alpha_t
    x_s = x_t * alpha_s / alpha_t + rng.standard_normal(x_t.shape) * noise
    value = log_law(mixture, x_s, x_t, levels)
    truth = np.array([log_bayes(mixture, a, b, levels) for a, b in zip(x_s, x_t, strict=True)])
    # One ulp of a point moves its log density by |x|/std times its distance from a mean in std.
    std = min(math.sqrt(step), math.sqrt(levels[0] * mixture.sigmas.min() ** 2 + levels[1]))
    size = np.abs(x_t).max(axis=1) + np.abs(alpha_t * mixture.means).max()
    ulps = (6 + np.sqrt(2 * np.abs(truth))) * size / std + np.abs(truth) + 10
    assert np.abs(value - truth) / (4 * np.finfo(float).eps * ulps) == pytest.approx(
        np.zeros(12), abs=1.0
    )


def test_moments_equal_quadrature_of_bayes_rule():
    mixture, levels = CASES["common sigma"], LEVELS["to clean"]
    x_t = np.array([[0.1], [-0.9], [1.4]])
    mean, cov = oracles.reverse_moments(mixture, x_t, levels[0])
    grid = np.linspace(-6, 7, 4001)[:, None]  # trapezoid rule on a smooth, decaying integrand
    for row, mu, var in zip(x_t, mean, cov, strict=True):
        density = np.exp(log_law(mixture, grid, np.tile(row, (len(grid), 1)), levels))
        check = [log_bayes(mixture, grid[k], row, levels) for k in (1200, 2000, 2700)]
        assert np.log(density[[1200, 2000, 2700]]) == pytest.approx(check, rel=1e-11)
        step = grid[1, 0] - grid[0, 0]
        x = grid[:, 0]
        assert density.sum() * step == pytest.approx(1.0, rel=1e-12)
        assert mu[0] == pytest.approx((density * x).sum() * step, rel=1e-11)
        second = (density * (x - mu[0]) ** 2).sum() * step
        assert var[0, 0] == pytest.approx(second, rel=1e-11)


def test_covariance_of_the_reverse_law_matches_its_components_in_two_dimensions():
    mixture = CASES["sigma per mode"]
    x_t = np.array([[0.2, 0.1], [0.6, -1.0]])
    weights, means, variances = oracles.reverse_law(mixture, x_t, 0.4, 0.8)
    mean, cov = oracles.reverse_moments(mixture, x_t, 0.4, 0.8)
    for n in range(2):
        second = sum(
            w * (np.outer(m, m) + v * np.eye(2))
            for w, m, v in zip(weights[n], means[n], variances, strict=True)
        )
        assert mean[n] == pytest.approx(weights[n] @ means[n], rel=1e-14)
        assert cov[n] == pytest.approx(second - np.outer(mean[n], mean[n]), abs=1e-14)


def test_the_midpoint_probability_of_the_standard_problem_is_4_4e_minus_265(standard):
    schedule, tau = standard.schedule, standard.tau
    x = (standard.midpoint * schedule.alpha[tau])[None]
    law = oracles.reverse_mixture(
        standard.mixture, x, schedule.alpha_bar[tau], noise_var_t=schedule.noise_var[tau]
    )
    direction = np.subtract(*standard.mixture.means[list(standard.pair)])
    log_p = law.log_slab_probability(direction, standard.midpoint, 0.15 * standard.length)[0]
    log10 = log_p / math.log(10)
    assert math.floor(log10) == -265
    assert 10 ** (log10 + 265) == pytest.approx(4.4, abs=0.05)
    with ctx.workprec(BITS):  # the same number from the normal tail of two point masses
        v_t, v_0 = (arb(float(v)) for v in (standard.v[tau], standard.v[0]))
        lost = (v_t - v_0) / v_t
        c, s = lost * arb(standard.length) / 2, (2 * v_0 * lost).sqrt()
        theta = arb(0.15 * standard.length)
        truth = (((c - theta) / s).erfc() - ((c + theta) / s).erfc()).log() - arb(2).log()
    assert log_p == pytest.approx(float(truth.mid()), rel=1e-12)


def test_slab_probabilities_add_up_and_agree_with_sampling():
    mixture = CASES["sigma per mode"]
    x = np.array([[0.3, -0.4]])
    law = oracles.reverse_mixture(mixture, x, 0.5, 0.9)
    direction, center = np.array([3.0, -4.0]), np.array([0.1, 0.2])
    wide = law.log_slab_probability(direction, center, 1e3)
    assert wide == pytest.approx([0.0], abs=1e-14)
    rng = np.random.default_rng(11)
    n = 200_000
    pick = rng.choice(mixture.N, size=n, p=law.weights[0])
    draw = law.means[0, pick] + np.sqrt(law.variances[pick])[:, None] * rng.standard_normal((n, 2))
    inside = np.abs((draw - math.sqrt(0.9) * center) @ direction / 5.0) <= 0.6
    p = math.exp(law.log_slab_probability(direction, center, 0.6)[0])
    # 5.8 standard deviations: a false alarm once in 1e8.
    assert abs(inside.mean() - p) <= 5.8 * math.sqrt(p * (1 - p) / n)
    assert 0.05 < p < 0.95

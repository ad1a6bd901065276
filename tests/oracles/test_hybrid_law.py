"""The exact law of hybrids: limits in which it must be O1 or O2, and its own draws."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from mixdyn import GaussianMixture, oracles
from mixdyn.support.errors import InputError, NotApplicableError

pytestmark = pytest.mark.compiled

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

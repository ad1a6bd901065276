"""What noise leaves of the data and tells of them: integrals against draws, both against I-MMSE."""

import numpy as np
import pytest

from mixdyn import oracles, presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.score.information import information, is_integral, second_moment, total_variance
from mixdyn.score.information_curve import Curve
from mixdyn.support.errors import InputError

LINE = GaussianMixture([[-1.0], [0.0], [0.3], [2.0]], [0.05, 0.4, 0.01, 0.1], [0.1, 0.5, 0.2, 0.2])
SLANTED = GaussianMixture([[0, 0, 0], [1, 1, 1], [3, 3, 3.0]], 0.2, [0.2, 0.3, 0.5])
INTEGRALS = {"grid": presets.grid(), "line of sigmas": LINE, "slanted line": SLANTED}
SPREAD = GaussianMixture(
    [[0.0, 0.0], [1.0, 0.5], [-0.6, 0.9]],
    covariance=[[[0.04, 0.01], [0.01, 0.02]], [[0.01, 0.0], [0.0, 0.09]], [[0.02, 0], [0, 0.02]]],
)
DIRACS = GaussianMixture.from_data(np.random.default_rng(0).standard_normal((7, 3)))
DRAWN = {
    "ring": presets.ring(n=5, sigma=0.1),
    "covariances": SPREAD,
    "points": DIRACS,
    "sigmas": GaussianMixture([[0.0, 0.0], [1.0, 0.3], [0.2, 1.1]], [0.1, 0.3, 0.02]),
}


@pytest.mark.parametrize("mixture", INTEGRALS.values(), ids=INTEGRALS)
def test_integrals_equal_those_of_fisher_information_and_entropy(mixture):
    assert is_integral(mixture)
    rho = np.geomspace(1e4, 1e-4, 40)
    found = information(mixture, rho)
    np.testing.assert_allclose(found.mmse, oracles.channel_mmse(mixture, rho), rtol=1e-9)
    np.testing.assert_allclose(found.nats, oracles.channel_nats(mixture, rho), atol=1e-12)
    assert not found.mmse_error.any()


@pytest.mark.parametrize("weight", [1e-2, 1e-7, 1e-12, 1e-40])
@pytest.mark.parametrize("between", [0.5, 1.0, 2.9])
def test_a_mode_of_hardly_any_weight_leaves_the_poles_of_its_neighbours(weight, between):
    """The posterior of the two others varies over their distance, not over that to the light one:
    nodes spaced by the latter are wrong in the tenth digit, and the price of a step in the eighth.
    """
    light = GaussianMixture([[0.0], [between], [3.0]], 0.05, [1.0, weight, 0.2])
    rho = np.geomspace(1.3, 0.15, 12)
    found = information(light, rho)
    np.testing.assert_allclose(found.mmse, oracles.channel_mmse(light, rho), rtol=1e-11)
    np.testing.assert_allclose(found.nats, oracles.channel_nats(light, rho), rtol=1e-11)


def test_modes_far_away_and_of_no_weight_cost_no_accuracy():
    far = GaussianMixture([[0.0], [1.0], [3.0], [40.0]], 0.05, [1.0, 1e-3, 0.2, 1e-100])
    rho = np.geomspace(1e3, 1e-3, 25)
    found = information(far, rho)
    np.testing.assert_allclose(found.mmse, oracles.channel_mmse(far, rho), rtol=1e-10)


@pytest.mark.compiled
@pytest.mark.parametrize("mixture", DRAWN.values(), ids=DRAWN)
def test_draws_obey_i_mmse(mixture):
    """dI/dg = mmse/2, of two means that share nothing but their draws."""
    assert not is_integral(mixture)
    rho = np.geomspace(30.0, 0.003, 4)
    curve = Curve.of(mixture, rho, n=8192)
    own = information(mixture, rho, n=8192, seed=1)
    error = np.hypot(own.nats_error[1:], own.nats_error[:-1]) + 1e-12
    off = np.abs(np.diff(own.nats) - curve.gained)
    each = [curve.error(np.zeros(4), np.eye(3)[k]) for k in range(3)]
    assert (off < 6.0 * (error + each)).all()
    assert (off < 0.06).all()


@pytest.mark.compiled
@pytest.mark.parametrize("mixture", [presets.grid(), SLANTED], ids=["grid", "slanted line"])
def test_draws_equal_integrals_within_their_errors(mixture):
    """The same modes with matrices, and as sigmas of their own, are drawn."""
    rho = np.geomspace(30.0, 0.01, 6)
    exact = information(mixture, rho)
    sigma2 = float(mixture.sigma) ** 2
    matrices = GaussianMixture(
        mixture.means, variances=np.full(mixture.d, sigma2), weights=mixture.weights
    )
    drawn = information(matrices, rho, n=8192)
    # Where modes hardly overlap few draws see it: they may miss what is below their count.
    unseen = 1e-4
    assert (np.abs(drawn.mmse - exact.mmse) < 6.0 * drawn.mmse_error + unseen).all()
    assert (np.abs(drawn.nats - exact.nats) < 6.0 * drawn.nats_error + unseen).all()
    assert (drawn.mmse_error < 0.01 * exact.mmse.max()).all()


def test_one_sigma_and_matrices_of_it_are_drawn_to_the_same_numbers():
    ring = presets.ring(n=5, sigma=0.1)
    same = GaussianMixture(ring.means, variances=np.full(2, 0.01), weights=ring.weights)
    a, b = (information(m, [3.0, 0.1, 0.01], n=600) for m in (ring, same))
    np.testing.assert_allclose(a.mmse, b.mmse, rtol=1e-9)
    np.testing.assert_allclose(a.nats, b.nats, rtol=1e-9)


def test_a_gaussian_has_closed_forms():
    one = GaussianMixture([[1.0, 2.0]], covariance=[[2.0, 0.5], [0.5, 1.0]])
    rho = np.array([10.0, 0.1])
    found = information(one, rho)
    lam = np.linalg.eigvalsh([[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(found.mmse, [(lam * r / (lam + r)).sum() for r in rho], rtol=1e-12)
    np.testing.assert_allclose(found.nats, [0.5 * np.log1p(lam / r).sum() for r in rho], rtol=1e-12)


def test_the_ends_are_known():
    for mixture in (LINE, SPREAD):
        found = information(mixture, [np.inf, 0.0])
        np.testing.assert_allclose(found.mmse, [total_variance(mixture), 0.0])
        assert found.nats[0] == 0.0
        assert found.nats[1] == np.inf
        mean = mixture.weights @ mixture.means
        assert second_moment(mixture) == pytest.approx(total_variance(mixture) + mean @ mean)


def test_points_tell_at_most_which_one_it_was():
    found = information(DIRACS, [1e-4], n=1000)
    assert found.nats[0] == pytest.approx(np.log(7), abs=1e-9)


def test_levels_are_noise_variances():
    for rho in ([-1.0], [np.nan]):
        with pytest.raises(InputError, match="noise variances"):
            information(LINE, rho)

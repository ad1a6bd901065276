"""Mixtures fitted by scikit-learn: its covariances are variances, sigma is a standard deviation."""

from types import SimpleNamespace

import numpy as np
import pytest

from mixdyn import GaussianMixture
from mixdyn.support.errors import InputError

MEANS = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 2.0]])
SIGMAS = np.array([0.1, 0.4, 0.2])
WEIGHTS = np.array([0.5, 0.3, 0.2])
EYE = np.eye(2)


def fitted(covariances, means=MEANS, weights=WEIGHTS):
    """What `fit` leaves behind, as scikit-learn shapes it."""
    return SimpleNamespace(
        means_=means, covariances_=np.asarray(covariances), weights_=weights, covariance_type="any"
    )


SHAPES = {
    "spherical": SIGMAS**2,
    "diag": SIGMAS[:, None] ** 2 * np.ones(2),
    "full": SIGMAS[:, None, None] ** 2 * EYE,
}


@pytest.mark.parametrize("kind", SHAPES)
def test_every_isotropic_covariance_becomes_its_standard_deviation(kind):
    expected = GaussianMixture(MEANS, SIGMAS, WEIGHTS)
    found = GaussianMixture.from_sklearn(fitted(SHAPES[kind]))
    assert np.allclose(found.sigmas, expected.sigmas, rtol=1e-15, atol=0)
    assert (found.means == expected.means).all()
    assert (found.weights == expected.weights).all()


def test_a_tied_covariance_is_one_sigma_for_all_modes():
    assert GaussianMixture.from_sklearn(fitted(0.25 * EYE)).sigma == 0.5


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1)])
def test_in_one_dimension_every_covariance_type_is_isotropic(shape):
    one = fitted((SIGMAS**2).reshape(shape), MEANS[:, :1])
    assert np.allclose(GaussianMixture.from_sklearn(one).sigmas, SIGMAS, rtol=1e-15, atol=0)
    tied = fitted([[0.04]], MEANS[:, :1])
    assert GaussianMixture.from_sklearn(tied).sigma == pytest.approx(0.2, rel=1e-15)


BAD = {
    "diag, uneven": (fitted([[0.01, 0.02]] * 3), "multiple of the identity.*spherical"),
    "full, correlated": (fitted([[[1.0, 1e-9], [1e-9, 1.0]]] * 3), "multiple of the identity"),
    "tied, uneven": (fitted(np.diag([1.0, 1.1])), "multiple of the identity"),
    "another shape": (fitted(np.ones((2, 3))), r"have shape \(N,\)"),
    "not fitted": (SimpleNamespace(covariance_type="full"), "fitted mixture.*Call its fit first"),
    "a class": (GaussianMixture, "fitted mixture"),
    "an array": (MEANS, "fitted mixture"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_taken_is_refused_with_the_remedy(name):
    given, message = BAD[name]
    with pytest.raises(InputError, match=message) as error:
        GaussianMixture.from_sklearn(given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(3, 1), (3, 1, 1), (1, 1), (3, 2), (3, 2, 2)])
def test_covariances_given_as_sigma_lead_to_the_square_root_and_to_from_sklearn(shape):
    with pytest.raises(InputError, match=r"from_sklearn.*np\.sqrt"):
        GaussianMixture(MEANS, np.full(shape, 0.01), WEIGHTS)


@pytest.mark.parametrize("arguments", [(fitted(SIGMAS**2), 0.1), (MEANS, fitted(SIGMAS**2))])
def test_the_fitted_object_itself_leads_to_from_sklearn(arguments):
    with pytest.raises(InputError, match="from_sklearn"):
        GaussianMixture(*arguments)


def test_a_real_fit_round_trips():
    mixture = pytest.importorskip("sklearn.mixture")
    data = GaussianMixture(MEANS, SIGMAS, WEIGHTS).sample(4000, rng=0)
    for kind in ("spherical", "diag", "full"):
        columns = data if kind == "spherical" else data[:, :1]
        model = mixture.GaussianMixture(3, covariance_type=kind, random_state=0).fit(columns)
        ours = GaussianMixture.from_sklearn(model)
        theirs = model.score_samples(columns[:100])
        assert np.allclose(ours.log_density(columns[:100]), theirs, rtol=0, atol=1e-9)

"""What mixtures are made from: bad input is one clear error; those fitted by scikit-learn."""

from types import SimpleNamespace

import numpy as np
import pytest

from mixdyn import GaussianMixture
from mixdyn.support.errors import InputError

# -- one clear error, no NaN, no bare traceback ----------------------------------------------------


TWO = [[0.0], [1.0]]
NAN, INF = float("nan"), float("inf")
BAD = {
    "NaN mean": ((([[NAN], [1.0]]), 0.1), "means must be finite"),
    "infinite mean": (([[INF], [1.0]], 0.1), "means must be finite"),
    "mean whose square overflows": (([[1e200], [0.0]], 0.1), "at most 1e\\+75"),
    "means without a column axis": (([0.0, 1.0], 0.1), "2 axes"),
    "no modes": ((np.empty((0, 2)), 0.1), "at least one mode"),
    "no coordinates": ((np.empty((2, 0)), 0.1), "at least one mode"),
    "ragged means": (([[0.0], [1.0, 2.0]], 0.1), "rectangular array"),
    "means of strings": (([["a"], ["b"]], 0.1), "real numbers"),
    "complex means": ((np.array([[1j], [0]]), 0.1), "real numbers"),
    "boolean means": (([[True], [False]], 0.1), "real numbers"),
    "object means": (([[None], [1.0]], 0.1), "real numbers"),
    "integer beyond a double": (([[10**400], [1]], 0.1), "real numbers"),
    "sigma negative": ((TWO, -0.1), "sigma must be 0, a point mass, or at least"),
    "sigma NaN": ((TWO, NAN), "sigma must be finite"),
    "sigma infinite": ((TWO, INF), "sigma must be finite"),
    "sigma whose square underflows": ((TWO, 1e-160), "sigma must be 0, a point mass, or at least"),
    "sigma whose square overflows": ((TWO, 1e200), "at most 1e\\+75"),
    "sigma boolean": ((TWO, True), "real numbers"),
    "sigma missing": ((TWO, None), "one of sigma, covariance"),
    "sigma of the wrong length": ((TWO, [0.1, 0.2, 0.3]), "one for each of the 2 modes"),
    "one sigma negative": ((TWO, [0.1, -0.2]), "sigma must be 0, a point mass"),
    "ragged sigma": ((TWO, [[0.1], [0.1, 0.2]]), "rectangular array"),
    "diagonal covariances": ((TWO, [[0.1], [0.2]]), "array of standard deviations"),
    "full covariances": ((TWO, np.ones((2, 1, 1))), "array of standard deviations"),
    "weight zero": ((TWO, 0.1, [1.0, 0.0]), "weights must be > 0"),
    "weight negative": ((TWO, 0.1, [1.5, -0.5]), "weights must be > 0"),
    "weights that sum to zero": ((TWO, 0.1, [0.0, 0.0]), "weights must be > 0"),
    "weight NaN": ((TWO, 0.1, [NAN, 1.0]), "weights must be finite"),
    "weight infinite": ((TWO, 0.1, [INF, 1.0]), "weights must be finite"),
    "weights whose sum overflows": ((TWO, 0.1, [1.7e308, 1.7e308]), "at most 1e\\+75"),
    "one subnormal weight": ((TWO, 0.1, [1e-320, 1.0]), "representable after normalisation"),
    "one subnormal weight before": ((TWO, 0.1, [1e-320, 2.0]), "representable after normalisation"),
    "a boolean among means": (([[0.0], [True]], 0.1), "real numbers"),
    "a boolean of NumPy": (([[0.0], [np.True_]], 0.1), "real numbers"),
    "a boolean row": (([[0.0], np.array([True])], 0.1), "real numbers"),
    "a boolean among sigmas": ((TWO, (0.1, True)), "real numbers"),
    "a boolean among weights": ((TWO, 0.1, [True, 2.0]), "real numbers"),
    "weights too unequal": ((TWO, 0.1, [1e-250, 1e75]), "representable after normalisation"),
    "weights of the wrong length": ((TWO, 0.1, [1.0]), "each of the 2 modes"),
    "weights with two axes": ((TWO, 0.1, [[0.5], [0.5]]), "1 axis"),
    "duplicate modes": (([[0.0], [1.0], [0.0]], 0.1), "modes must differ"),
    "duplicates up to the sign of zero": (([[0.0], [-0.0]], 0.1), "modes must differ"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_mixture_is_refused_with_rule_value_and_remedy(name):
    arguments, rule = BAD[name]
    with pytest.raises(InputError, match=rule) as caught:
        GaussianMixture(*arguments)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.rule
    assert error.remedy.endswith(".")
    assert str(error) == f"{error.rule}; received {error.received}. {error.remedy}"
    assert len(str(error)) < 300


def test_the_first_bad_entry_is_named_by_its_index():
    with pytest.raises(InputError, match=r"nan at index \(1, 0\)"):
        GaussianMixture([[0.0, 0.0], [NAN, NAN]], 0.1)
    with pytest.raises(InputError, match=r"0.0 at index \(1,\)"):
        GaussianMixture(TWO, 0.1, [1.0, 0.0])
    with pytest.raises(InputError, match=r"-0.2 at index \(1,\)"):
        GaussianMixture(TWO, [0.1, -0.2])


def test_no_data_are_refused_as_data():
    with pytest.raises(InputError, match=r"^data must hold .* shape \(0, 3\)"):
        GaussianMixture.from_data(np.empty((0, 3)))


def test_duplicate_modes_are_named_and_allowed_on_request():
    means = [[0.0], [1.0], [2.0], [1.0]]
    with pytest.raises(InputError, match="modes 1 and 3"):
        GaussianMixture(means, 0.1)
    assert GaussianMixture(means, 0.1, allow_duplicates=True).N == 4
    assert GaussianMixture(means, [0.1, 0.1, 0.1, 0.2]).N == 4  # differ in sigma


@pytest.mark.parametrize("alpha_bar", [0.0, -0.1, 1.0000001, NAN, INF, "x", None, True])
def test_a_signal_level_outside_its_range_is_refused(alpha_bar):
    with pytest.raises(InputError, match="alpha_bar"):
        GaussianMixture(TWO, 0.1).diffused(alpha_bar)


@pytest.mark.parametrize("noise_var", [-1e-30, NAN, "x"])
def test_a_negative_noise_variance_is_refused(noise_var):
    with pytest.raises(InputError, match="noise_var"):
        GaussianMixture(TWO, 0.1).diffused(0.5, noise_var=noise_var)


@pytest.mark.parametrize(
    "x",
    [[0.0], [[0.0, 1.0]], np.empty((0, 1)), [[NAN]], [[INF]], [[1e200]], [["a"]], 0.0, [[1j]]],
)
@pytest.mark.parametrize("method", ["score", "log_density", "responsibilities", "score_jacobian"])
def test_bad_points_are_refused(method, x):
    with pytest.raises(InputError):
        getattr(GaussianMixture(TWO, 0.1), method)(x)


@pytest.mark.parametrize(
    ("n", "rng"), [(0, 0), (-1, 0), (True, 0), (2.0, 0), (1, -1), (1, 2**64), (1, 1.5), (1, True)]
)
def test_a_bad_count_or_seed_of_a_sample_is_refused(n, rng):
    with pytest.raises(InputError):
        GaussianMixture(TWO, 0.1).sample(n, rng)


def test_the_largest_admitted_values_give_finite_scores():
    """Where the rule on size ends, nothing overflows yet."""
    mixture = GaussianMixture([[1e75, -1e75], [-1e75, 1e75]], 1e-75)
    x = np.array([[1e75, 1e75], [0.0, 1.0], [-1e75, 1e75]])
    with np.errstate(all="raise"):
        score, density = mixture.score(x), mixture.log_density(x)
    assert np.isfinite(score).all()
    assert np.isfinite(density).all()
    assert np.allclose(score[2], 0.0)
    assert np.isfinite(GaussianMixture([[0.0], [1.0]], 1e75).score([[3.0]])).all()


# -- its covariances are variances, sigma is a standard deviation ----------------------------------


MEANS = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 2.0]])
SIGMAS = np.array([0.1, 0.4, 0.2])
FITTED = np.array([0.5, 0.3, 0.2])
EYE = np.eye(2)


def fitted(covariances, means=MEANS, weights=FITTED):
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
    expected = GaussianMixture(MEANS, SIGMAS, FITTED)
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


UNFIT = {
    "another shape": (fitted(np.ones((2, 3))), r"have shape \(N,\)"),
    "not fitted": (SimpleNamespace(covariance_type="full"), "fitted mixture.*Call its fit first"),
    "a class": (GaussianMixture, "fitted mixture"),
    "an array": (MEANS, "fitted mixture"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_be_taken_is_refused_with_the_remedy(name):
    given, message = UNFIT[name]
    with pytest.raises(InputError, match=message) as error:
        GaussianMixture.from_sklearn(given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(3, 1), (3, 1, 1), (1, 1), (3, 2), (3, 2, 2)])
def test_covariances_given_as_sigma_lead_to_the_square_root_and_to_from_sklearn(shape):
    with pytest.raises(InputError, match=r"from_sklearn.*np\.sqrt"):
        GaussianMixture(MEANS, np.full(shape, 0.01), FITTED)


@pytest.mark.parametrize("arguments", [(fitted(SIGMAS**2), 0.1), (MEANS, fitted(SIGMAS**2))])
def test_the_fitted_object_itself_leads_to_from_sklearn(arguments):
    with pytest.raises(InputError, match="from_sklearn"):
        GaussianMixture(*arguments)


def test_a_real_fit_round_trips():
    mixture = pytest.importorskip("sklearn.mixture")
    data = GaussianMixture(MEANS, SIGMAS, FITTED).sample(4000, rng=0)
    for kind in ("spherical", "diag", "full", "tied"):
        model = mixture.GaussianMixture(3, covariance_type=kind, random_state=0).fit(data)
        ours = GaussianMixture.from_sklearn(model)
        theirs = model.score_samples(data[:100])
        assert np.allclose(ours.log_density(data[:100]), theirs, rtol=0, atol=1e-9)
        assert (ours.covariance is None) == (kind == "spherical")
        assert GaussianMixture.fit(data, 3, kind) == ours


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_fit_to_single_precision_is_taken_with_its_rounding(kind):
    mixture = pytest.importorskip("sklearn.mixture")
    rng = np.random.default_rng(0)
    data = (
        np.concatenate([rng.normal(size=(150, 8)), 3 + rng.normal(size=(150, 8))]) * 1e3
    ).astype(np.float32)
    for model in (mixture.GaussianMixture, mixture.BayesianGaussianMixture):
        fit = model(n_components=2, covariance_type=kind, random_state=0).fit(data)
        law = GaussianMixture.from_sklearn(fit)
        assert np.allclose(law.means, fit.means_)
        if model is mixture.GaussianMixture:
            theirs = fit.score_samples(data[:9])
            assert np.allclose(law.log_density(data[:9]), theirs, rtol=1e-4)


def test_one_point_has_no_fit():
    with pytest.raises(InputError, match=r"two or more points.*\(1, 3\)"):
        GaussianMixture.fit(np.ones((1, 3)), 1)

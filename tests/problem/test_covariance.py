"""Mixtures of any covariance as data: what is refused, what two are equal, files, point masses."""

import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mixdyn import (
    DDIM,
    ExactReverse,
    ExactScore,
    GaussianMixture,
    NoiseSchedule,
    ProbabilityFlow,
    TimeGrid,
    classify,
    integrate_ode,
    sample,
)
from mixdyn.geometry import Region, in_stds, within_modes
from mixdyn.oracles import reverse_moments
from mixdyn.solvers.field import MixtureField, v_grid
from mixdyn.support.errors import FileError, InputError, NotApplicableError
from verify.ledger.case import Case
from verify.ledger.needs import isotropic
from verify.report.document import build_document

SCHEDULE = NoiseSchedule.linear()
MEANS = np.array([[-1.0, 0.0], [1.0, 0.5], [0.0, 2.0]])
WEIGHTS = np.array([0.2, 0.5, 0.3])
FULL = np.array(
    [[[0.1, 0.05], [0.05, 0.2]], [[0.3, 0.0], [0.0, 0.01]], [[0.02, 0.01], [0.01, 0.02]]]
)
GIVEN = {
    "full": {"covariance": FULL},
    "shared": {"covariance": FULL[0]},
    "axes": {"variances": [[0.1, 0.2], [0.3, 0.01], [0.02, 0.5]]},
    "one axes": {"variances": [0.1, 0.2]},
    "factors": {"factors": FULL[:, :, :1], "sigma": [0.1, 0.2, 0.3]},
    "factors alone": {"factors": FULL[:, :, :1], "sigma": 0.0},
}


def build(form):
    return GaussianMixture(MEANS, weights=WEIGHTS, **GIVEN[form])


def with_(changes, base="full"):
    return {"means": MEANS} | GIVEN[base] | changes


def bent(at, value):
    matrices = FULL.copy()
    matrices[at] = value
    return {"covariance": matrices}


BAD = {
    "sigma and covariance": (with_({"sigma": 0.1}), "sigma and covariance"),
    "covariance and variances": (with_({"variances": [1.0, 1.0]}), "covariance and variances"),
    "factors without sigma": ({"means": MEANS, "factors": FULL}, "received factors"),
    "nothing": ({"means": MEANS}, "received none of them"),
    "asymmetric": (with_(bent((1, 0, 1), 0.1)), r"symmetric; received 0\.1 at \(1, 0, 1\)"),
    "indefinite": (with_(bent((2, 0, 0), -1.0)) , "symmetric|an eigenvalue -1.* of mode 2"),
    "shared, indefinite": (
        with_({"covariance": [[1.0, 2.0], [2.0, 1.0]]}), "an eigenvalue -1 beside 3",
    ),
    "one matrix too few": (with_({"covariance": FULL[:2]}), r"shape \(2, 2\) or \(3, 2, 2\)"),
    "a NaN": (with_(bent((0, 0, 0), np.nan)), r"finite; received nan at index \(0, 0, 0\)"),
    "text": (with_({"covariance": "full"}), "rectangular array of real numbers"),
    "a ragged one": (with_({"covariance": [[1.0], [1.0, 2.0]]}), "rectangular"),
    "variances of N modes": (with_({"variances": np.ones(3)}, "one axes"), r"\(2,\) or \(3, 2\)"),
    "a negative variance": (with_({"variances": [1.0, -1.0]}, "axes"), r"-1\.0 at index \(1,\)"),
    "too many factors": (with_({"factors": np.ones((3, 2, 3))}, "factors"), "1 to d = 2"),
    "factors of one mode": (with_({"factors": np.ones((2, 1))}, "factors"), r"\(3, 2, r\)"),
    "a negative sigma beside": (with_({"sigma": -0.1}, "factors"), "sigma beside factors"),
    "sigmas of two modes": (with_({"sigma": [0.1, 0.2]}, "factors"), "sigma beside factors"),
    "no sigma at all": (with_({"sigma": []}, "factors"), r"sigma beside factors.*shape \(0,\)"),
    "a sigma whose square vanishes": (
        with_({"sigma": [0.1, 0.0, 1e-150]}, "factors"), "0 or at least 1e-75; received 1e-150",
    ),
    "variances that vanish": (with_({"variances": [1.0, 1e-80]}, "axes"), "0 or at least 1e-75"),
    "matrices that vanish": (
        with_({"covariance": FULL * [[[1.0]], [[1.0]], [[1e-80]]]}), "largest one 3e-82 of mode 2",
    ),
    "a matrix that vanishes": ({"means": [[0.0]], "covariance": [[1e-80]]}, "largest one 1e-80"),
    "two equal modes": (
        {"means": MEANS[[0, 0, 1]], "covariance": FULL[0]}, "differ in mean or covariance",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_covariance_is_refused_in_one_line_that_names_it(name):
    given, message = BAD[name]
    with pytest.raises(InputError, match=message) as error:
        GaussianMixture(**given)
    assert "\n" not in str(error.value)


def test_rounding_is_neither_asymmetry_nor_a_negative_eigenvalue():
    one = np.array([1.0, 1 / 3])
    thin = np.outer(one, one)  # of rank one; its smaller eigenvalue is a rounding, of either sign
    thin[0, 1] = np.nextafter(thin[0, 1], 0)
    law = GaussianMixture(MEANS, covariance=thin)
    assert 0.0 <= law.smallest_var < 1e-15
    with pytest.raises(InputError, match="semidefinite"):  # just beyond: 16 times that
        GaussianMixture(MEANS, covariance=np.diag([1.0, -4e-15]))


def test_what_single_precision_computed_is_symmetric_and_semidefinite_to_its_rounding(tmp_path):
    draws = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    draws[:, 5] = draws[:, :5].sum(axis=1)  # of rank five
    matrix = draws.T @ draws / np.float32(400)
    matrix[0, 1] += 4 * np.spacing(matrix[0, 1])
    means = np.zeros((1, 6))
    found = GaussianMixture(means, covariance=matrix)
    assert 0.0 <= found.smallest_var < 1e-5 * found.std_range[1] ** 2
    with pytest.raises(InputError, match="symmetric"):  # the same numbers, said to be doubles
        GaussianMixture(means, covariance=matrix.astype(float))
    negative = np.eye(6, dtype=np.float32) + np.float32(0.5)
    negative[0, 0] = negative[1, 1] = negative[0, 1] = negative[1, 0] = 1.0
    negative[0, 1] = negative[1, 0] = np.nextafter(np.float32(1.0), np.float32(2.0))
    kept = GaussianMixture(means, covariance=negative)
    kept.save(tmp_path / "kept.npz")
    again = GaussianMixture.load(tmp_path / "kept.npz")
    assert again == kept
    assert (again.covariance.values == kept.covariance.values).all()
    assert np.allclose(kept.covariance.matrices(6)[0], negative, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="semidefinite"):
        GaussianMixture(means, covariance=negative.astype(float))
    matrix[0, 0] *= 0.5
    with pytest.raises(InputError, match="semidefinite"):
        GaussianMixture(means, covariance=matrix)
    matrix[0, 1] += 1e-4
    with pytest.raises(InputError, match="symmetric"):
        GaussianMixture(means, covariance=matrix)


def test_factors_of_lower_rank_than_their_columns_make_point_masses():
    twice = np.repeat([[[1.0], [0.3]]], 3, axis=0) * [1.0, 1 / 3]
    law = GaussianMixture(MEANS, factors=twice, sigma=0.0)
    assert law.smallest_var == 0.0
    same = GaussianMixture(MEANS, factors=twice[:, :, :1] * np.sqrt(10 / 9), sigma=0.0)
    x = law.sample(5, rng=0) + 0.1
    assert np.allclose(law.diffused(0.5).score(x), same.diffused(0.5).score(x), rtol=1e-12)


@pytest.mark.parametrize("form", GIVEN)
@pytest.mark.parametrize("ending", ["toml", "npz"])
def test_a_file_gives_back_the_same_mixture(form, ending, tmp_path):
    law, path = build(form), tmp_path / f"mixture.{ending}"
    law.save(path)
    again = GaussianMixture.load(path)
    assert again == law
    assert hash(again) == hash(law)
    assert (again.covariance.matrices(2) == law.covariance.matrices(2)).all()


def test_a_file_with_two_spreads_says_so(tmp_path):
    path = tmp_path / "mixture.toml"
    path.write_text("means = [[0.0, 1.0]]\nsigma = 1\nvariances = [1, 1]\n")
    with pytest.raises(FileError, match=r"sigma and variances in .*mixture\.toml"):
        GaussianMixture.load(path)


@pytest.mark.parametrize("form", GIVEN)
def test_mixtures_are_equal_by_what_was_given_and_survive_pickling(form):
    law = build(form)
    others = [build(other) for other in GIVEN if other != form]
    assert law not in [*others, GaussianMixture(MEANS, 0.1, WEIGHTS)]
    for one in (law, law.diffused(0.5)):
        again = pickle.loads(pickle.dumps(one))
        assert again == one
        assert not again.means.flags.writeable
        x = np.ones((1, 2))
        if one.smallest_var > 0.0:
            assert (again.score(x) == one.score(x)).all()
    assert form.split()[-1] in repr(law) or law.covariance.kind in repr(law)


@pytest.mark.parametrize("form", GIVEN)
def test_a_marginal_has_the_scaled_covariances_and_composes(form):
    law, eye = build(form), np.eye(2)
    marginal = law.diffused(0.25)
    expected = 0.25 * law.covariance.matrices(2) + 0.75 * eye
    assert np.allclose(marginal.covariance.matrices(2), expected, rtol=1e-15)
    assert np.allclose(marginal.means, 0.5 * law.means)
    twice = law.diffused(0.5).diffused(0.5).covariance.matrices(2)
    assert np.allclose(twice, expected, rtol=1e-15)
    built = GaussianMixture(marginal.means, weights=WEIGHTS, **marginal.covariance.data)
    x = law.sample(9, rng=0)
    assert np.allclose(built.score(x), marginal.score(x), rtol=1e-12)


def test_in_one_dimension_variances_are_sigmas():
    for given in ({"variances": [[0.04], [0.09]]}, {"covariance": [[[0.04]], [[0.09]]]}):
        assert GaussianMixture([[0.0], [1.0]], **given) == GaussianMixture(
            [[0.0], [1.0]], np.sqrt([0.04, 0.09])
        )


def test_what_needs_one_sigma_says_so_in_one_line():
    law = build("full")
    assert not law.has_common_sigma
    for ask in (
        lambda: law.sigma,
        lambda: law.sigmas,
        lambda: ExactScore(law, SCHEDULE).variances(3),
    ):
        with pytest.raises(NotApplicableError, match=r"needs isotropic modes.*0\.1 to 0\.5477"):
            ask()
    with pytest.raises(NotApplicableError, match="isotropic"):
        ExactScore(law, SCHEDULE, precision="single")
    assert "0.1 to 0.5477" in isotropic.obstacle(law)
    assert "point masses" in isotropic.obstacle(GaussianMixture(MEANS, 0.0))
    assert isotropic.obstacle(GaussianMixture(MEANS, 0.1)) is None


@pytest.mark.parametrize("law", [build("full"), GaussianMixture(MEANS, 0.0)])
def test_the_report_describes_the_mixture(law):
    header = build_document([], [Case("user", law, SCHEDULE)], [], {})["header"]
    assert header["mixture"]["user"]["sigma"] == list(law.std_range)


# -- point masses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "law",
    [
        GaussianMixture.from_data(MEANS),
        GaussianMixture(MEANS, variances=[0.0, 0.0]),
        GaussianMixture(MEANS, variances=[0.0, 0.4]),
        build("factors alone"),
    ],
    ids=["data", "no variance", "a line", "factors"],
)
def test_point_masses_have_a_density_where_there_is_noise(law):
    x = np.array([[0.3, 0.2]])
    for method in ("log_density", "score", "responsibilities", "score_jacobian"):
        with pytest.raises(NotApplicableError, match=r"variance 0.*level with noise"):
            getattr(law, method)(x)
    marginal = law.diffused(0.5)
    matrices = (
        np.broadcast_to(0.5 * np.eye(2), (3, 2, 2))
        if law.covariance is None
        else marginal.covariance.matrices(2)
    )
    terms = [
        w * multivariate_normal(m, c).pdf(x)
        for w, m, c in zip(law.weights, marginal.means, matrices, strict=True)
    ]
    assert np.allclose(marginal.log_density(x), np.log(sum(terms)), rtol=1e-12)


@pytest.mark.compiled
def test_data_are_point_masses_and_every_sampler_ends_on_them():
    data = np.random.default_rng(0).normal(size=(30, 2))
    law = GaussianMixture.from_data(np.concatenate([data, data[:1]]))  # one row twice
    assert law.N == 31
    for sampler in (DDIM(), ProbabilityFlow(), ExactReverse()):
        x = sample(law, SCHEDULE, sampler, n=50, rng=0).x
        nearest = np.linalg.norm(x[:, None] - data, axis=2).min(axis=1)
        assert np.quantile(nearest, 0.9) < 0.02  # the last noise is of standard deviation 0.01


def test_a_kernel_density_estimate_is_scikit_learns():
    neighbors = pytest.importorskip("sklearn.neighbors")
    data = np.random.default_rng(0).normal(size=(40, 3))
    x = np.random.default_rng(1).normal(size=(20, 3))
    theirs = neighbors.KernelDensity(bandwidth=0.3).fit(data).score_samples(x)
    law = GaussianMixture.from_data(data, 0.3)
    assert np.allclose(law.log_density(x), theirs, rtol=1e-12)


# -- the reverse process, classes ------------------------------------------------------------------


@pytest.mark.compiled
@pytest.mark.parametrize("form", GIVEN)
def test_exact_reverse_draws_have_the_moments_of_the_posterior(form):
    """Mean and covariance of x_s given x_t from Gaussian conditioning in the joint law."""
    law, n, t, s = build(form), 60_000, 350, 100
    point = np.array([[0.1, 0.4]])
    drawn = sample(
        law, SCHEDULE, ExactReverse((t, s, 0)), x=np.repeat(point, n, 0), rng=5, keep="trajectory"
    ).trajectory
    for states, end in ((drawn[1], s), (drawn[2], 0)):
        mean, cov = conditioned(law, point[0], t, end)
        closed = reverse_moments(law, point, SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[end])
        assert np.allclose(closed[0][0], mean, rtol=1e-12, atol=1e-14)
        assert np.allclose(closed[1][0], cov, rtol=1e-11, atol=1e-13)
        error = 6.0 * np.sqrt(np.diag(cov) / n)
        assert (np.abs(states.mean(axis=0) - mean) <= error).all()
        assert np.allclose(np.cov(states.T), cov, rtol=0, atol=0.03 * np.diag(cov).max())


def conditioned(law, x_t, t, s):
    """Mean and covariance of x_s given x_t: each mode's joint normal law of (x_s, x_t)."""
    abar, nu = SCHEDULE.alpha_bar, SCHEDULE.noise_var
    ratio, eye = np.sqrt(abar[t] / abar[s]), np.eye(2)
    parts = []
    for w, mu, sigma in zip(law.weights, law.means, law.covariance.matrices(2), strict=True):
        c_s, c_t = abar[s] * sigma + nu[s] * eye, abar[t] * sigma + nu[t] * eye
        gain = ratio * c_s @ np.linalg.inv(c_t)
        weight = w * multivariate_normal(np.sqrt(abar[t]) * mu, c_t).pdf(x_t)
        mean = np.sqrt(abar[s]) * mu + gain @ (x_t - np.sqrt(abar[t]) * mu)
        parts.append((weight, mean, c_s - gain @ (ratio * c_s)))
    weights = np.array([p[0] for p in parts]) / sum(p[0] for p in parts)
    mean = sum(w * p[1] for w, p in zip(weights, parts, strict=True))
    within = sum(w * p[2] for w, p in zip(weights, parts, strict=True))
    apart = [p[1] - mean for p in parts]
    return mean, within + sum(w * np.outer(u, u) for w, u in zip(weights, apart, strict=True))


def test_classes_go_by_mahalanobis_distance():
    law = GaussianMixture([[-5.0, 0.0], [5.0, 0.0]], variances=[[0.01, 1.0], [0.01, 1.0]])
    x = np.array([[-5.0, 4.9], [-4.6, 0.0], [-4.4, 0.0], [0.0, 4.9], [0.0, 5.1], [5.0, -4.9]])
    expected = [
        Region.TRUE_MODE, Region.TRUE_MODE, Region.INTERPOLATION,
        Region.INTERPOLATION, Region.INVALID, Region.TRUE_MODE,
    ]  # fmt: skip
    assert classify(law, x).tolist() == expected
    codes, nearest, offset = within_modes(law, x)
    assert nearest.tolist() == [0, 0, 1]
    assert np.allclose(in_stds(law, nearest, offset), [[0.0, 4.9], [4.0, 0.0], [0.0, -4.9]])
    assert (codes == expected).all()


@pytest.mark.compiled
@pytest.mark.parametrize("form", ["factors alone", "a line", "rank one", "points"])
def test_modes_without_extent_hold_their_own_draws_and_nothing_beside_them(form):
    """As of sigma = 0: inside is what lies on the mode, here in its plane, to rounding."""
    given = {
        "factors alone": GIVEN["factors alone"],
        "a line": {"variances": [0.1, 0.0]},
        "rank one": {"covariance": [[0.5, 1.0], [1.0, 2.0]]},
        "points": {"covariance": np.zeros((2, 2))},
    }[form]
    law = GaussianMixture(MEANS, weights=WEIGHTS, **given)
    x = law.sample(200, rng=0)
    codes, nearest, offset = within_modes(law, x)
    assert (codes == Region.TRUE_MODE).all()
    lengths = np.square(in_stds(law, nearest, offset)).sum(axis=1)
    assert (lengths <= 25.0).all()
    assert form == "points" or 0.5 < lengths.mean() < 1.5  # chi-squared of one degree
    assert (classify(law, x + np.array([1e-6, -1e-6])) != Region.TRUE_MODE).all()
    same = GaussianMixture(MEANS, 0.0, WEIGHTS)
    assert (in_stds(same, nearest, np.zeros_like(x)) == 0.0).all()
    if form == "points":
        assert (classify(same, MEANS) == classify(law, MEANS)).all()


@pytest.mark.compiled
def test_isotropic_covariances_class_as_sigmas_do():
    plain = GaussianMixture(MEANS, [0.05, 0.1, 0.15])
    law = GaussianMixture(MEANS, covariance=np.square(plain.sigmas)[:, None, None] * np.eye(2))
    x = np.random.default_rng(0).normal(size=(4000, 2))
    x = np.concatenate([x, plain.sample(500, rng=1)])
    assert (classify(law, x) == classify(plain, x)).all()
    assert np.allclose(law.squared_distances(x), plain.squared_distances(x), rtol=1e-12)


@pytest.mark.compiled
def test_the_flow_of_one_mode_scales_each_of_its_axes():
    """In its eigenbasis one Gaussian mode flows as sqrt((lambda + rho_end)/(lambda + rho))."""
    law = GaussianMixture([[0.5, -0.5]], covariance=FULL[0])
    v = v_grid(SCHEDULE, TimeGrid.log_snr(SCHEDULE, 200), law)
    y = np.array([[1.5, 2.0], [0.0, 0.3]])
    values, rows = np.linalg.eigh(FULL[0])
    rho = v[[0, -1]] - values.min()
    shrink = np.sqrt((values + rho[1]) / (values + rho[0]))
    expected = law.means + ((y - law.means) @ rows * shrink) @ rows.T
    assert np.allclose(integrate_ode(law, y, v).y, expected, rtol=0, atol=1e-5)
    assert MixtureField(law).pull(y, float(v[0])).shape == y.shape

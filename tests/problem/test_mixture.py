"""Mixtures are values, with the densities and scores of the textbook; products are recognised."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from numba import config
from scipy import stats

from mixdyn import GaussianMixture, presets
from mixdyn.support.errors import InputError

# -- frozen, equal by content, picklable, never an alias of its input ------------------------------


MEANS = np.array([[0.0, 0.0], [1.0, 0.5], [0.3, 2.0]])
SIGMA = np.array([0.1, 0.2, 0.3])
WEIGHTS = np.array([0.2, 0.3, 0.5])


def build(means=MEANS, sigma=SIGMA, weights=WEIGHTS):
    return GaussianMixture(means, sigma, weights)


def up(array, index):
    out = np.array(array, dtype=float)
    out[index] = np.nextafter(out[index], np.inf)
    return out


@pytest.mark.parametrize(
    "other",
    [
        build(means=up(MEANS, (1, 1))),
        build(means=up(MEANS, (0, 0))),
        build(sigma=up(SIGMA, 2)),
        build(weights=up(WEIGHTS, 0)),
        build(means=MEANS[::-1]),
        build(means=MEANS[:, :1] + [[0.0], [0.5], [0.25]]),
    ],
    ids=["mean", "denormal mean", "sigma", "weight", "order", "shape"],
)
def test_one_ulp_anywhere_changes_the_digest(other):
    assert other.digest != build().digest
    assert other != build()


def test_equal_content_means_equal_digest_hash_and_object():
    a, b = build(), build(MEANS.tolist(), SIGMA.tolist(), WEIGHTS.tolist())
    assert a == b
    assert a.digest == b.digest
    assert len({a, b}) == 1
    assert a != "a mixture"


def test_the_digest_is_stable_across_versions_and_machines():
    assert GaussianMixture([[0.0], [1.0]], 0.5).digest[:16] == "4df5ff63fbe9d19f"


def test_negative_zero_is_zero():
    a, b = GaussianMixture([[-0.0], [1.0]], 1.0), GaussianMixture([[0.0], [1.0]], 1.0)
    assert a.digest == b.digest
    assert not np.signbit(a.means).any()


def test_equal_sigmas_collapse_to_the_scalar_form():
    a, b = GaussianMixture(MEANS, [0.1, 0.1, 0.1]), GaussianMixture(MEANS, 0.1)
    assert a == b
    assert a.has_common_sigma
    assert isinstance(a.sigma, float)
    assert not build().has_common_sigma


def test_weights_are_normalised_only_where_their_sum_is_more_than_four_ulp_from_one():
    near = np.array([0.5, 0.5 + 4 * 2.0**-53])
    assert (GaussianMixture([[0.0], [1.0]], 1.0, near).weights == near).all()
    far = np.array([0.5, 0.5 + 16 * 2.0**-53])
    assert (GaussianMixture([[0.0], [1.0]], 1.0, far).weights != far).any()
    assert GaussianMixture([[0.0], [1.0]], 1.0, [3, 1]).weights.tolist() == [0.75, 0.25]


def test_normalising_twice_changes_no_bit():
    weights = np.random.default_rng(0).uniform(1e-8, 1, 1000)
    means = np.arange(1000.0)[:, None]
    once = GaussianMixture(means, 1.0, weights).weights
    assert (GaussianMixture(means, 1.0, once).weights == once).all()


@pytest.mark.parametrize("name", ["means", "sigma", "weights", "digest", "N", "anything"])
def test_attributes_cannot_be_set_or_deleted(name):
    mixture = build()
    with pytest.raises(AttributeError, match="frozen"):
        setattr(mixture, name, 1)
    with pytest.raises(AttributeError, match="frozen"):
        delattr(mixture, name)


@pytest.mark.parametrize("name", ["means", "sigma", "sigmas", "weights"])
def test_arrays_are_read_only(name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(build(), name)[0] = 1.0


def test_changing_the_input_arrays_afterwards_changes_nothing():
    means, sigma, weights = MEANS.copy(), SIGMA.copy(), WEIGHTS.copy()
    mixture = build(means, sigma, weights)
    means[:], sigma[:], weights[:] = 9.0, 9.0, 9.0
    assert mixture == build()


@pytest.mark.parametrize(
    "remake", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy, copy.copy]
)
def test_a_copy_is_equal_frozen_and_remembers_that_duplicates_are_allowed(remake):
    mixture = GaussianMixture([[0.0], [0.0]], 0.5, [0.25, 0.75], allow_duplicates=True)
    assert remake(mixture) == mixture
    again = remake(build())
    assert again == build()
    assert not again.means.flags.writeable


def test_repr_names_size_and_digest():
    assert (
        repr(build()) == f"GaussianMixture(N=3, d=2, sigma=per mode, digest={build().digest[:12]})"
    )


# -- density, score and responsibilities, and draws against the density ----------------------------


EPS = np.finfo(float).eps
PER_MODE = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], [0.3, 0.5, 0.9], [0.2, 0.3, 0.5])


def textbook(mixture, x):
    """(log density, responsibilities, score) from SciPy's normal densities."""
    logs = np.stack(
        [
            np.log(w) + stats.multivariate_normal(mu, s**2 * np.eye(mixture.d)).logpdf(x)
            for mu, s, w in zip(mixture.means, mixture.sigmas, mixture.weights, strict=True)
        ],
        axis=-1,
    ).reshape(len(x), mixture.N)
    density = np.logaddexp.reduce(logs, axis=1)
    gamma = np.exp(logs - density[:, None])
    pull = (mixture.means - x[:, None, :]) / mixture.sigmas[:, None] ** 2
    return density, gamma, np.einsum("nk,nkd->nd", gamma, pull)


@pytest.mark.parametrize(
    "mixture",
    [
        presets.line(3, sigma=0.4),
        presets.ring(5, sigma=0.5),
        PER_MODE,
        presets.line(4, d=3, sigma=1),
    ],
    ids=["1-D", "ring", "per-mode sigma", "3-D"],
)
def test_density_score_and_responsibilities_are_the_textbook_sums(mixture):
    x = np.random.default_rng(0).normal(size=(9, mixture.d)) * 2
    density, gamma, score = textbook(mixture, x)
    assert np.allclose(mixture.log_density(x), density, rtol=1e-13, atol=1e-13)
    assert np.allclose(mixture.responsibilities(x), gamma, rtol=1e-12, atol=0)
    assert np.allclose(mixture.score(x), score, rtol=1e-12, atol=1e-12 * np.abs(score).max())


def test_a_single_mode_has_a_linear_score_to_one_rounding():
    mixture = GaussianMixture([[1.0, -2.0]], 0.5)
    x = np.random.default_rng(1).normal(size=(7, 2))
    assert np.allclose(mixture.score(x), ([1.0, -2.0] - x) / 0.25, rtol=2 * EPS, atol=0)
    assert (mixture.responsibilities(x) == 1.0).all()
    assert np.allclose(mixture.score_jacobian(x), -4 * np.eye(2), rtol=2 * EPS, atol=0)


def test_the_score_vanishes_exactly_on_the_midpoint_of_two_equal_modes():
    assert presets.two_modes(2.0, 0.01, d=3).score(np.zeros((1, 3))).tolist() == [[0.0] * 3]


@pytest.mark.parametrize("n", [1, 3, 4, 5] if config.DISABLE_JIT else [1, 127, 128, 129, 300])
def test_a_row_does_not_depend_on_the_rows_around_it(n):
    x = np.random.default_rng(2).normal(size=(n, 2))
    for method in ("score", "log_density", "responsibilities", "score_jacobian"):
        whole = getattr(PER_MODE, method)(x)
        rows = range(n) if n < 10 else (0, 5, n // 2, n - 1)
        for i in rows:
            assert (getattr(PER_MODE, method)(x[i : i + 1])[0] == whole[i]).all(), (method, i)


def test_responsibilities_reach_down_to_zero_without_a_floor():
    mixture = presets.two_modes(2.0, 0.05)
    far, farther = mixture.responsibilities([[0.8], [2.0]])[:, 0]
    assert np.isclose(np.log(far), -2 * 0.8 / 0.05**2, rtol=1e-12)  # 1e-278, below exp(-600)
    assert farther == 0.0


def test_a_marginal_has_scaled_means_and_the_variance_of_the_forward_process():
    marginal = PER_MODE.diffused(0.3)
    assert np.allclose(marginal.means, np.sqrt(0.3) * PER_MODE.means, rtol=2 * EPS, atol=0)
    assert np.allclose(marginal.sigmas**2, 0.3 * PER_MODE.sigmas**2 + 0.7, rtol=4 * EPS, atol=0)
    assert (marginal.weights == PER_MODE.weights).all()
    assert PER_MODE.diffused(1.0) is PER_MODE


def test_a_marginal_takes_the_noise_variance_that_one_minus_alpha_bar_cannot_hold():
    mixture = GaussianMixture([[0.0], [1.0]], 1e-9)
    marginal = mixture.diffused(1.0 - 1e-16, noise_var=1.2345e-18)
    assert np.isclose(marginal.sigma**2, 1e-18 + 1.2345e-18, rtol=4 * EPS)


@pytest.mark.parametrize("factor", [1.0, 0.3])
@pytest.mark.parametrize("sigma", [0.2, np.array([0.1, 0.2, 0.3])])
def test_a_rescaled_mixture_is_the_one_built_anew(factor, sigma):
    means, weights = [[0.0, -0.0], [1.0, 0.5], [0.3, 2.0]], [1.0, 2.0, 4.0]
    found = GaussianMixture(means, 0.4, weights).rescaled(factor, sigma)
    anew = GaussianMixture(factor * np.array(means), sigma, weights)
    assert found == anew
    assert found.has_common_sigma == anew.has_common_sigma
    assert not found.means.flags.writeable
    with pytest.raises(InputError):
        found.rescaled(factor, -0.1)


def test_marginals_compose_as_the_forward_process_does():
    twice, once = PER_MODE.diffused(0.5).diffused(0.4), PER_MODE.diffused(0.2)
    assert np.allclose(twice.means, once.means, rtol=4 * EPS, atol=0)
    assert np.allclose(twice.sigmas, once.sigmas, rtol=4 * EPS, atol=0)


def test_scaling_down_may_merge_modes_without_an_error():
    assert GaussianMixture([[1.0], [np.nextafter(1.0, 2)]], 0.1).diffused(1e-12).N == 2


def test_draws_follow_weights_means_and_sigmas(plausible):
    n = 40_000
    x = PER_MODE.sample(n, rng=5)
    assert x.shape == (n, 2)
    mean = PER_MODE.weights @ PER_MODE.means
    second = (PER_MODE.weights[:, None] * (PER_MODE.means**2 + PER_MODE.sigmas[:, None] ** 2)).sum(
        0
    )
    z = np.sqrt(n) * (x.mean(0) - mean) / np.sqrt(second - mean**2)
    for value in z:
        plausible(2 * stats.norm.sf(abs(value)))

    def cdf(points):
        return sum(
            w * stats.norm.cdf((points - m) / s)
            for m, s, w in zip(PER_MODE.means[:, 1], PER_MODE.sigmas, PER_MODE.weights, strict=True)
        )

    plausible(stats.kstest(x[:, 1], cdf).pvalue)


def test_draws_repeat_with_their_seed_and_move_a_generator_on():
    assert (PER_MODE.sample(5, rng=3) == PER_MODE.sample(5, rng=3)).all()
    assert (PER_MODE.sample(5, rng=3) == PER_MODE.sample(5, rng=np.random.default_rng(3))).all()
    rng = np.random.default_rng(3)
    assert (PER_MODE.sample(5, rng=rng) != PER_MODE.sample(5, rng=rng)).any()
    assert (PER_MODE.sample(5) != PER_MODE.sample(5)).any()


# -- recognised as a product of 1-D mixtures exactly when it is one --------------------------------


def product(axes, weights, rng=None):
    """Means on the full grid with product weights, in random order."""
    means = np.array(list(itertools.product(*axes)))
    w = np.array([np.prod(row) for row in itertools.product(*weights)])
    order = np.arange(len(means)) if rng is None else rng.permutation(len(means))
    return GaussianMixture(means[order], 0.1, w[order])


AXES = [[0.0, 1.0, 3.0], [-1.0, 2.0], [0.5]]
BY_AXIS = [[0.2, 0.3, 0.5], [0.6, 0.4], [1.0]]


def test_a_shuffled_product_is_recognised_with_its_axes_and_weights():
    axes = product(AXES, BY_AXIS, np.random.default_rng(0)).product_axes()
    assert [values.tolist() for values, _ in axes] == AXES
    for (_, found), expected in zip(axes, BY_AXIS, strict=True):
        assert np.allclose(found, expected, rtol=1e-15)


def test_the_standard_grid_is_a_product_and_the_diamond_is_not():
    axes = presets.grid().product_axes()
    assert [len(values) for values, _ in axes] == [5, 5]
    assert presets.grid(rotate=np.pi / 4).product_axes() is None


def test_a_missing_corner_a_moved_mode_and_unequal_sigmas_are_no_products():
    means = presets.grid(3).means.copy()
    assert GaussianMixture(means[:-1], 0.1).product_axes() is None
    moved = means.copy()
    moved[4, 0] += 1e-3
    assert GaussianMixture(moved, 0.1).product_axes() is None
    assert GaussianMixture(means, np.linspace(0.1, 0.2, 9)).product_axes() is None


def test_a_cell_taken_twice_for_another_left_empty_is_no_product():
    means = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    assert GaussianMixture(means, 0.1, allow_duplicates=True).product_axes() is None


@pytest.mark.parametrize(("ulps", "recognised"), [(2, True), (64, False)])
def test_weights_count_as_a_product_up_to_rounding_only(ulps, recognised):
    w = np.outer([0.25, 0.75], [0.5, 0.5]).ravel()
    w[0] += ulps * np.spacing(w[0])
    mixture = GaussianMixture([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 0.1, w)
    assert (mixture.product_axes() is not None) == recognised


@pytest.mark.parametrize(
    "mixture", [presets.two_modes(d=100), GaussianMixture(np.zeros((1, 200)), 1.0)]
)
def test_more_dimensions_than_a_numpy_array_has_axes_are_no_obstacle(mixture):
    axes = mixture.product_axes()
    assert len(axes) == mixture.d
    assert np.prod([len(values) for values, _ in axes]) == mixture.N
    assert all(abs(w.sum() - 1) < 1e-15 for _, w in axes)


def test_one_dimension_is_its_own_product():
    mixture = GaussianMixture([[2.0], [0.0]], 0.1, [0.25, 0.75])
    ((values, weights),) = mixture.product_axes()
    assert (values.tolist(), weights.tolist()) == ([0.0, 2.0], [0.75, 0.25])

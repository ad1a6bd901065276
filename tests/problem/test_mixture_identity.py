"""Mixtures are values: frozen, equal by content, picklable, and never alias their input."""

import copy
import pickle

import numpy as np
import pytest

from mixdyn import GaussianMixture

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

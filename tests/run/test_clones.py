"""Clones of random states: by tables of blocks of modes, and by the mixture's responsibilities."""

import math

import numpy as np
import pytest

from mixdyn import oracles
from mixdyn.problem import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.run import clones
from mixdyn.run.clones import clone_return, memorisation, speciation
from mixdyn.support.errors import InputError, MemoryLimitError, NotApplicableError

_ONE = GaussianMixture([[0.0]], 0.1)
RHO = np.geomspace(1e-3, 10.0, 7)


def _scattered(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.uniform(0.2, 1.0, n)


@pytest.mark.parametrize("labels", [None, np.arange(40) % 5])
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_blocks_of_modes_give_what_responsibilities_give(labels, sigma, monkeypatch):
    means, weights = _scattered()
    monkeypatch.setattr(clones, "_TABLE", 1 << 9)  # blocks of 64 and fewer
    mixture = GaussianMixture(means, sigma, weights)
    seen = clone_return(mixture, RHO, labels=labels, n=400, rng=3)
    drawn = clones._Clones(mixture, clones._classes(mixture, labels), 400, 3)
    for k, rho in enumerate(RHO.tolist()):
        y = drawn.means[drawn.own] + math.sqrt(sigma**2 + rho) * drawn.noise
        gamma = mixture.at_level(1.0, 1.0, rho).responsibilities(y)
        weight = mixture.weights
        if labels is not None:
            gamma = np.array([gamma[:, labels == c].sum(axis=1) for c in range(5)]).T
            weight = np.array([weight[labels == c].sum() for c in range(5)])
        squares = np.square(gamma).sum(axis=1)
        assert seen.probability[k] == pytest.approx(squares.mean(), rel=1e-9)
        known = (gamma * np.log(np.maximum(gamma, 1e-300) / weight)).sum(axis=1).mean()
        assert seen.information[k] == pytest.approx(known, rel=1e-7, abs=1e-9)
        assert seen.alive[k] == pytest.approx(np.median(1.0 / squares), rel=1e-9)


def test_many_small_blocks_change_nothing(monkeypatch):
    means, weights = _scattered(n=700)
    mixture = GaussianMixture(means, 0.1, weights)
    whole = clone_return(mixture, RHO, n=64)
    monkeypatch.setattr(clones, "_TABLE", 1)  # 64 columns
    monkeypatch.setattr(clones, "_ENTRIES", 1 << 15)  # a few rows at a time
    parts = clone_return(mixture, RHO, n=64)
    np.testing.assert_allclose(parts.probability, whole.probability, rtol=1e-12)
    np.testing.assert_allclose(parts.information, whole.information, rtol=1e-10, atol=1e-12)


def test_two_modes_agree_as_the_closed_form_whatever_the_covariance():
    means = np.array([[0.0, 0.0], [1.0, 0.0]])
    k = np.array([0.5, 2.0, 8.0])
    exact = oracles.two_mode_return(k, math.log(0.7 / 0.3))
    v = 1.0 / k
    round_modes = GaussianMixture(means, 0.2, [0.7, 0.3])
    seen = clone_return(round_modes, v - 0.04, n=40_000)
    assert (np.abs(seen.probability - exact) < 5.0 * seen.std_error).all()
    # Of one covariance k is Delta^T C^-1 Delta: what lies across the pair says nothing.
    flat = GaussianMixture(means, covariance=np.diag([0.04, 9.0]), weights=[0.7, 0.3])
    seen = clone_return(flat, v - 0.04, n=40_000)
    assert (np.abs(seen.probability - exact) < 5.0 * seen.std_error).all()


def test_equal_points_are_one_to_a_clone():
    means, _ = _scattered(20)
    once = GaussianMixture(means, 0.0, np.r_[2.0, np.ones(19)])
    twice = GaussianMixture.from_data(np.concatenate([means, means[:1]]))
    a, b = clone_return(once, RHO, n=300), clone_return(twice, RHO, n=300)
    assert a.chance == pytest.approx(b.chance) == pytest.approx((4 + 19) / 21**2)
    assert b.probability[0] == pytest.approx(1.0)
    np.testing.assert_allclose(a.probability, b.probability, rtol=1e-9)


def test_gaussian_data_are_memorised_where_the_closed_form_says():
    rng = np.random.default_rng(1)
    n, d = 500, 8
    found = memorisation(GaussianMixture.from_data(rng.standard_normal((n, d))), n=4096)
    exact = oracles.gaussian_return(n, d, found.rho)
    # One data set in place of the mean over all: its own return is off by a few hundredths.
    assert exact == pytest.approx(0.5 * (1.0 + 1.0 / n), abs=0.04)
    assert found.late < found.rho < found.early
    assert found.std_error < 0.05


def test_two_equal_modes_speciate_just_above_the_saddles_birth():
    mixture = presets.two_modes(separation=1.0, sigma=0.05)
    found = speciation(mixture, n=40_000)
    k = 1.0 / (found.rho + 0.05**2)
    assert float(oracles.two_mode_return(k)) == pytest.approx(0.75, abs=0.005)
    assert 3.4 < k < 3.8  # the saddle is born at 4


def test_labels_are_decided_before_points():
    rng = np.random.default_rng(2)
    centre = np.repeat([[-3.0] * 6, [3.0] * 6], 100, axis=0)
    data = GaussianMixture.from_data(centre + rng.standard_normal((200, 6)))
    labels = np.repeat([7, -2], 100)
    assert speciation(data, labels).late > 3.0 * memorisation(data).rho


def test_wide_kernels_never_come_back_and_say_so():
    rng = np.random.default_rng(3)
    found = memorisation(GaussianMixture.from_data(rng.standard_normal((200, 2)), 1.0))
    assert found.rho is None
    assert math.isnan(found.std_error)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: clone_return(m, [0.0, 1.0]), InputError, "rho must be > 0"),
        (lambda m: clone_return(m, [1.0], labels=[0, 1]), InputError, "one integer for each of"),
        (lambda m: clone_return(m, [1.0], labels=np.zeros(40)), InputError, "of type float64"),
        (lambda m: clone_return(m, [1.0], n=1), InputError, "n must be"),
        (lambda m: speciation(m, np.zeros(40, int)), NotApplicableError, "two classes or more"),
        (lambda m: memorisation(_ONE), NotApplicableError, "two classes or more"),
        (lambda m: memorisation("digits"), InputError, "mixture must be"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, error, words):
    means, _ = _scattered()
    with pytest.raises(error, match=words):
        call(GaussianMixture(means, 0.1))


def test_more_states_than_memory_holds_are_refused():
    data = GaussianMixture.from_data(np.eye(3), 0.0)
    for call in (memorisation, speciation):
        with pytest.raises(MemoryLimitError, match="Lower n"):
            call(data, n=10**12)
    for levels, n in ([1.0], 10**12), (np.ones(100_000), 10_000):
        with pytest.raises(MemoryLimitError, match="Lower n"):
            clone_return(data, levels, n=n)

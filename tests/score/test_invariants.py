"""The score under the symmetries of a mixture, and against its definition as a gradient.

Coordinates are multiples of 5/1024, so that the permutations, translations and rotations by
(3/5, 4/5) below are exact in doubles: both sides evaluate the same real function, and may differ
by twice the accuracy target of one evaluation,

    |s - s*| <= 1e-12 (|x| + max |mu|)/sigma_min^2 max(1, q/1e3),

q the largest |x - mu_k|^2/(2 sigma_k^2) among the modes that matter.
"""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixdyn import GaussianMixture

pytestmark = pytest.mark.compiled

DIGITS = 50


def sizes(mixture, x):
    """|x| + max |mu| at each row of x, (n,)."""
    return np.linalg.norm(x, axis=1) + np.linalg.norm(mixture.means, axis=1).max()


def exponent_loss(mixture, x):
    """max(1, q/1e3) at each row of x, (n,)."""
    square = ((x[:, None, :] - mixture.means) ** 2).sum(-1)
    q = square / (2 * mixture.sigmas**2)
    logit = np.log(mixture.weights) - mixture.d * np.log(mixture.sigmas) - q
    matters = logit > logit.max(1, keepdims=True) - 46  # a share above 1e-20
    return np.maximum(1.0, np.where(matters, q, 0).max(1) / 1e3)


def allowed(mixture, x):
    """The accuracy target at each row of x, (n,)."""
    return 1e-12 * sizes(mixture, x) / mixture.sigmas.min() ** 2 * exponent_loss(mixture, x)


def assert_equal_scores(score, other, tolerance):
    units = np.linalg.norm(score - other, axis=1) / np.maximum(tolerance, 1e-300)
    assert units.max() <= 1.0, units.max()


@st.composite
def scenes(draw, max_modes=5, max_d=4, n=6):
    """A mixture with dyadic means and points: anywhere, on modes, on midpoints, far outside."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_modes, d = draw(st.integers(1, max_modes)), draw(st.integers(1, max_d))
    means = np.unique(rng.integers(-400, 401, (n_modes, d)), axis=0) * 5 / 1024
    n_modes = len(means)
    log_sigma = rng.uniform(np.log(0.02), np.log(2.0), n_modes)
    sigma = np.exp(log_sigma) if draw(st.booleans()) else float(np.exp(log_sigma[0]))
    weights = np.exp(rng.uniform(-10, 0, n_modes))
    mixture = GaussianMixture(means, sigma, weights)
    anywhere = rng.integers(-600, 601, (n, d)) * 5 / 1024
    i, j = rng.integers(n_modes, size=(2, n))
    middle = (means[i] + means[j]) / 2
    far = rng.choice([-1.0, 1.0], (2, d)) * 5 * 64
    return mixture, np.vstack([anywhere, middle, means[i[:2]], far]), rng


@given(scenes())
def test_responsibilities_sum_to_one_and_lie_between_zero_and_one(scene):
    mixture, x, _ = scene
    gamma = mixture.responsibilities(x)
    assert ((gamma >= 0) & (gamma <= 1)).all()
    assert np.abs(gamma.sum(axis=1) - 1).max() <= 2 * mixture.N * np.finfo(float).eps


@given(scenes())
def test_permuting_the_modes_leaves_score_and_density_alone(scene):
    mixture, x, rng = scene
    order = rng.permutation(mixture.N)
    other = GaussianMixture(mixture.means[order], mixture.sigmas[order], mixture.weights[order])
    assert_equal_scores(other.score(x), mixture.score(x), 2 * allowed(mixture, x))
    gap = np.abs(other.log_density(x) - mixture.log_density(x))
    assert (gap <= 1e-13 * np.maximum(1.0, np.abs(mixture.log_density(x)))).all()
    assert np.allclose(
        other.responsibilities(x), mixture.responsibilities(x)[:, order], rtol=1e-11, atol=1e-300
    )


@given(scenes(), st.floats(0.01, 0.99))
def test_splitting_a_mode_in_two_leaves_score_and_density_alone(scene, share):
    mixture, x, rng = scene
    k = int(rng.integers(mixture.N))
    weights = np.append(mixture.weights, mixture.weights[k] * (1 - share))
    weights[k] *= share
    other = GaussianMixture(
        np.vstack([mixture.means, mixture.means[k]]),
        np.append(mixture.sigmas, mixture.sigmas[k]),
        weights,
        allow_duplicates=True,
    )
    assert_equal_scores(other.score(x), mixture.score(x), 2 * allowed(mixture, x))
    gap = np.abs(other.log_density(x) - mixture.log_density(x))
    assert (gap <= 1e-13 * np.maximum(1.0, np.abs(mixture.log_density(x)))).all()


@given(scenes())
def test_translating_mixture_and_points_leaves_score_alone(scene):
    mixture, x, rng = scene
    shift = rng.integers(-(2**20), 2**20, mixture.d) * 5 / 1024
    other = GaussianMixture(mixture.means + shift, mixture.sigma, mixture.weights)
    # The differences are the same doubles: not one bit may change.
    assert (other.score(x + shift) == mixture.score(x)).all()
    assert (other.log_density(x + shift) == mixture.log_density(x)).all()


@given(scenes(), st.booleans())
def test_rotating_mixture_and_points_rotates_the_score(scene, mirror):
    mixture, x, rng = scene
    if mixture.d == 1:
        rotation = np.array([[-1.0]])
    else:
        # Integer matrix 5 R, so that R applied to multiples of 5/1024 is exact.
        rotation = np.eye(mixture.d)
        i, j = rng.choice(mixture.d, 2, replace=False)
        rotation[[i, i, j, j], [i, j, i, j]] = [3 / 5, -4 / 5, 4 / 5, 3 / 5]
        rotation = rotation[rng.permutation(mixture.d)] * (-1 if mirror else 1)

    def turn(points):
        return np.rint(np.rint(5 * rotation) @ np.rint(points.T * 1024 / 5)).T / 1024

    half = np.rint(x * 1024 / 5) * 5 / 1024  # midpoints may be odd multiples of half a unit
    other = GaussianMixture(turn(mixture.means), mixture.sigma, mixture.weights)
    tolerance = 2 * allowed(mixture, half)
    assert_equal_scores(other.score(turn(half)), mixture.score(half) @ rotation.T, tolerance)


@given(scenes(), st.integers(-200, 200), st.integers(-200, 200))
def test_padding_a_dimension_adds_one_component_and_reweights_modes_of_unequal_sigma(
    scene, centre, point
):
    mixture, x, _ = scene
    c, z = centre / 1024, point / 1024
    padded = GaussianMixture(
        np.column_stack([mixture.means, np.full(mixture.N, c)]), mixture.sigma, mixture.weights
    )
    score = padded.score(np.column_stack([x, np.full(len(x), z)]))
    # A mode is as likely as its density along the new axis says.
    log_weights = np.log(mixture.weights) - (z - c) ** 2 / (2 * mixture.sigmas**2)
    log_weights -= np.log(mixture.sigmas)
    weights = np.exp(log_weights - log_weights.max())
    keep = weights > 1e-290
    sigma = mixture.sigma if mixture.has_common_sigma else mixture.sigmas[keep]
    marginal = GaussianMixture(mixture.means[keep], sigma, weights[keep])
    tolerance = 2 * allowed(padded, np.column_stack([x, np.full(len(x), z)]))
    assert_equal_scores(score[:, :-1], marginal.score(x), tolerance)
    along = (marginal.responsibilities(x) / marginal.sigmas**2).sum(1) * (c - z)
    assert_equal_scores(score[:, -1:], along[:, None], tolerance)


# -- derivatives ---------------------------------------------------------------------------------


def exact_logits(mixture, point):
    """log of each mode's share of the density at an mpmath (complex) point."""
    out = []
    for mean, sigma, weight in zip(mixture.means, mixture.sigmas, mixture.weights, strict=True):
        std = mpmath.mpf(float(sigma))
        square = sum(((c - float(m)) ** 2 for c, m in zip(point, mean, strict=True)), mpmath.mpf(0))
        norm = mixture.d * mpmath.log(2 * mpmath.pi * std**2) / 2
        out.append(mpmath.log(float(weight)) - square / (2 * std**2) - norm)
    return out


def exact_log_density(mixture, point):
    logits = exact_logits(mixture, point)
    top = max(logits, key=lambda z: mpmath.re(z))
    return top + mpmath.log(sum((mpmath.exp(z - top) for z in logits), mpmath.mpf(0)))


def exact_score(mixture, point):
    """The textbook sum, on a possibly complex point."""
    logits = exact_logits(mixture, point)
    top = max(logits, key=lambda z: mpmath.re(z))
    e = [mpmath.exp(z - top) for z in logits]
    pulls = [
        [(float(m) - c) / mpmath.mpf(float(s)) ** 2 for c, m in zip(point, mean, strict=True)]
        for mean, s in zip(mixture.means, mixture.sigmas, strict=True)
    ]
    total = sum(e, mpmath.mpf(0))
    return [
        sum((w * p[j] for w, p in zip(e, pulls, strict=True)), mpmath.mpf(0)) / total
        for j in range(mixture.d)
    ]


def complex_steps(x):
    """The point x moved by i h along each axis in turn, h far below the working precision."""
    h = mpmath.mpf(10) ** -30
    point = [mpmath.mpf(float(c)) for c in x]
    return [
        [c + mpmath.mpc(0, h) * (j == k) for k, c in enumerate(point)] for j in range(len(x))
    ], h


@given(scenes(max_modes=4, max_d=3, n=2))
def test_score_is_the_gradient_of_the_log_density(scene):
    mixture, x, _ = scene
    gradient, value = [], []
    with mpmath.workdps(DIGITS):
        for row in x:
            steps, h = complex_steps(row)
            gradient.append([float(exact_log_density(mixture, p).imag / h) for p in steps])
            point = [mpmath.mpf(float(c)) for c in row]
            value.append(float(exact_log_density(mixture, point)))
    assert_equal_scores(mixture.score(x), np.array(gradient), allowed(mixture, x))
    gap = np.abs(mixture.log_density(x) - value)
    assert (gap <= 1e-14 * np.maximum(10.0, np.abs(value))).all()


@given(scenes(max_modes=4, max_d=3, n=2))
def test_jacobian_is_symmetric_and_the_derivative_of_the_score(scene):
    mixture, x, _ = scene
    x = x[:-2]  # not the far points: see the test on dominated points for those
    jacobian = mixture.score_jacobian(x)
    assert (jacobian == jacobian.transpose(0, 2, 1)).all()
    truth = np.empty_like(jacobian)
    with mpmath.workdps(DIGITS):
        for i, row in enumerate(x):
            steps, h = complex_steps(row)
            for j, point in enumerate(steps):
                truth[i, :, j] = [float(c.imag / h) for c in exact_score(mixture, point)]
    # Each entry is a sum of terms of this size, the shares known to q ulp.
    var = mixture.sigmas.min() ** 2
    scale = 1e-12 * exponent_loss(mixture, x) * (1 + sizes(mixture, x) ** 2 / var) / var
    assert (np.abs(jacobian - truth).max(axis=(1, 2)) <= scale).all()


@given(scenes(max_modes=4, max_d=3, n=4), st.floats(0.01, 0.9999))
def test_jacobian_of_a_marginal_is_cov_over_v_minus_identity_in_static_coordinates(scene, abar):
    """D_y (m - y) = Cov_gamma(mu)/v - I. The pull m - y is v alpha s(alpha y), so the Jacobian of
    s is that matrix over v alpha^2 = sigma_t^2."""
    mixture, x, _ = scene
    mixture = GaussianMixture(mixture.means, float(mixture.sigmas[0]), mixture.weights)
    alpha, v = np.sqrt(abar), mixture.sigma**2 + (1 - abar) / abar
    y = x[:-2]
    square = ((y[:, None, :] - mixture.means) ** 2).sum(-1)
    gamma = np.exp(np.log(mixture.weights) - (square - square.min(1, keepdims=True)) / (2 * v))
    gamma /= gamma.sum(1, keepdims=True)
    offset = mixture.means - (gamma @ mixture.means)[:, None, :]
    cov = np.einsum("nk,nki,nkj->nij", gamma, offset, offset)
    expected = (cov / v - np.eye(mixture.d)) / (v * alpha**2)
    jacobian = mixture.diffused(abar).score_jacobian(alpha * y)
    spread = np.ptp(mixture.means, axis=0).max() ** 2 / v + 1
    q = square.max() / (2 * v)
    assert np.abs(jacobian - expected).max() <= 1e-14 * (10 + q) * spread / (v * alpha**2)


def test_jacobian_keeps_its_digits_where_one_mode_owns_the_point():
    """There it is -I/sigma^2: the textbook sum of s_k s_k^T minus s s^T would cancel."""
    mixture = GaussianMixture([[1e3, 2e3], [1e3 + 1, 2e3]], 1e-3)
    x = mixture.means[:1] + np.array([[3e-3, -2e-3]])
    gap = mixture.score_jacobian(x)[0] * 1e-6 + np.eye(2)
    assert np.abs(gap).max() <= 4 * np.finfo(float).eps

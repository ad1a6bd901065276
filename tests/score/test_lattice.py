"""Equally spaced modes: which form an axis takes, and that its moves are those of the modes.

Accuracy against ball arithmetic is in `test_score_accuracy`; here truth is the plain sum in
extended precision.
"""

import mpmath
import numpy as np
import pytest

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule, presets
from mixdyn.kernels import MODES
from mixdyn.score.routes.spaced_axes import common_spacing, lattice_rows

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear()
BITS = np.array([1e-6, 0.1, 5.0, 30.0, 63.0, 90.0, 400.0, 2000.0])  # h spacing^2 of each level


def line(count, weights=None):
    w = np.full(count, 1 / count) if weights is None else np.asarray(weights)
    return np.arange(float(count)), np.log2(w / w.sum())


def forms(axis, dtype=np.float64):
    return lattice_rows([axis], np.ones_like(BITS), BITS, dtype)[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("axis", "double", "single"),
    [
        (line(2), "11111111", "11111111"),
        (line(3), "11111112", "11112222"),
        (line(5), "11111122", "11102222"),
        (line(12), "11102222", "11002222"),
        (line(40), "11002222", "11002222"),
        (line(3, [1, 2, 3]), "11111110", "11110000"),
        ((np.array([0.0, 1.0, 2.5]), np.zeros(3)), "00000000", "00000000"),
        ((np.array([0.0, 1.0, 2.0 + 1e-12]), np.zeros(3)), "00000000", "00000000"),
    ],
)
def test_an_axis_takes_the_form_that_its_spacing_weights_and_width_allow(axis, double, single):
    for dtype, expected in ((np.float64, double), (np.float32, single)):
        assert "".join(f"{form:.0f}" for form in forms(axis, dtype)) == expected, dtype


def test_equal_spacing_is_recognised_to_rounding_and_no_further():
    rng = np.random.default_rng(0)
    for _ in range(200):
        start, spacing = (
            10.0 ** rng.uniform(-3, 3) * rng.choice([-1, 1]),
            10.0 ** rng.uniform(-3, 3),
        )
        values = start + spacing * np.arange(rng.integers(2, 30))
        assert common_spacing(values) == pytest.approx(spacing, rel=1e-9)
        if len(values) > 2:
            values[1] += 40 * np.spacing(np.abs(values).max())
            assert common_spacing(values) is None


def true_move(x, values, weights, var):
    """sum_k gamma_k (a_k - x) of one number x, in 200 bits."""
    with mpmath.workprec(200):
        x, var = mpmath.mpf(float(x)), mpmath.mpf(float(var))
        gaps = [mpmath.mpf(float(a)) - x for a in values]
        logs = [
            mpmath.log(mpmath.mpf(float(w))) - u * u / (2 * var)
            for w, u in zip(weights, gaps, strict=True)
        ]
        e = [mpmath.exp(one - max(logs)) for one in logs]
        return float(mpmath.fsum(p * u for p, u in zip(e, gaps, strict=True)) / mpmath.fsum(e))


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize(
    "mixture",
    [
        presets.line(2),
        presets.line(5),
        presets.line(8),
        presets.line(30),
        GaussianMixture(np.arange(4.0)[:, None], 0.05, [0.1, 0.2, 0.3, 0.4]),
    ],
    ids=["2", "5", "8", "30", "unequal weights"],
)
def test_moves_are_those_of_the_modes_beside_between_and_far_outside_them(mixture, precision):
    rng = np.random.default_rng(0)
    exact = ExactScore(mixture, SCHEDULE, precision=precision)
    eps = float(np.finfo(exact.dtype).eps)
    met = set()
    for t in (1, 40, 90, 130, 200, 600, 1000):
        alpha, var = SCHEDULE.alpha[t], float(exact.variances(t)[0])
        mu, std = alpha * mixture.means[:, 0], np.sqrt(var)
        middle = (mu[1:] + mu[:-1]) / 2
        near = (mu[:, None] + std * np.array([-3.0, -1e-6, 0.0, 1e-3, 1.0, 12.0])).ravel()
        odds = middle + var / (mu[1] - mu[0]) * rng.standard_normal(len(middle))
        x = np.concatenate([near, middle, odds, mu[0] - [0.3, 9.0], mu[-1] + [0.3, 9.0, 1e4]])
        x = x.astype(exact.dtype).astype(float)
        move = exact.eps(x[:, None], t)[:, 0] * var / -np.sqrt(SCHEDULE.noise_var[t])
        truth = np.array([true_move(one, mu, mixture.weights, var) for one in x])
        form, spacing = exact.route.rows(np.array([alpha]), np.array([var]))[0, 0, 0], mu[1] - mu[0]
        # A rounding of x moves the odds of two modes by spacing/var of it; the modes' own exponents
        # err by q roundings, which the two other forms never meet far outside.
        q = np.square(x[:, None] - mu).min(axis=1) / (2 * var) + 60
        q = q if form == MODES else np.minimum(q, spacing**2 / var + 120)
        size = (np.abs(x) + np.abs(mu).max()) * (1 + spacing**2 / (4 * var))
        allowed = (2 + np.sqrt(mixture.N)) * eps * (size + spacing * q)
        assert (np.abs(move - truth) <= allowed).all(), t
        met.add(float(form))
    assert met != {MODES}


@pytest.mark.parametrize("x", [1e30, -1e30, 1e75, -1e75])
def test_a_state_beyond_all_reach_is_drawn_to_the_edge(x):
    exact = ExactScore(presets.line(5), SCHEDULE)
    for t in (1, 40, 600):
        scale = np.sqrt(SCHEDULE.noise_var[t]) / exact.variances(t)[0]
        assert exact.eps([[x]], t)[0, 0] == pytest.approx(scale * x, rel=1e-12)


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("mixture", [presets.grid(), presets.ring(), presets.line(30)])
def test_a_far_state_changes_no_bit_of_those_beside_it(mixture, precision):
    """A tile that holds one is summed twice where modes are summed."""
    x = np.random.default_rng(3).standard_normal((600, mixture.d))
    alone_too = np.arange(0, 600, 7)
    far = x.copy()
    far[alone_too] *= 1e4
    for detect in (True, False):
        exact = ExactScore(mixture, SCHEDULE, detect_product=detect, precision=precision)
        for t in (1, 40, 1000):
            near, mixed = exact.eps(x, t), exact.eps(far, t)
            rest = np.delete(np.arange(600), alone_too)
            assert near[rest].tobytes() == mixed[rest].tobytes()
            for i in alone_too[:5]:
                assert exact.eps(far[i : i + 1], t).tobytes() == mixed[i : i + 1].tobytes()

"""Ends of DDIM on a line, enclosed, against 300-bit balls and against the engine."""

import itertools

import numpy as np
import pytest

from mixdyn import DDIM, NoiseSchedule, sample
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.proof.chain import ddim_ends, normal_probability

flint = pytest.importorskip("flint")
LINE = GaussianMixture([[-1.0], [0.2], [1.5]], 0.05, [0.5, 0.2, 0.3])
SCHEDULE = NoiseSchedule.linear(200, 0.001, 0.1)
TIMES = TimeGrid.quadratic(200, 20).times.tolist()
STARTS = np.linspace(-2.5, 2.5, 41)


def _exact(x: float):
    arb = flint.arb
    x, means = arb(x), [arb(float(m)) for m in LINE.means[:, 0]]
    own = arb(0.05) * arb(0.05)
    for t, s in itertools.pairwise(TIMES):
        (a, b), (c, d) = (
            (arb(float(SCHEDULE.alpha_bar[k])).sqrt(), arb(float(SCHEDULE.noise_var[k])).sqrt())
            for k in (t, s)
        )
        weights = [
            arb(float(w)) * (-((x - a * m) ** 2) / (2 * (a * a * own + b * b))).exp()
            for w, m in zip(LINE.weights, means, strict=True)
        ]
        eps = sum(w * b * (x - a * m) for w, m in zip(weights, means, strict=True))
        eps /= sum(weights) * (a * a * own + b * b)
        x = c * (x - b * eps) / a + d * eps
    return x


def test_ends_contain_those_of_the_exact_recursion_and_are_narrow():
    found = ddim_ends(LINE, SCHEDULE, TIMES, STARTS)
    with flint.ctx.workprec(300):
        for x, low, high in zip(STARTS.tolist(), found.lo.tolist(), found.hi.tolist(), strict=True):
            assert low <= _exact(x) <= high
    assert np.max(found.hi - found.lo) < 1e-9


def test_they_are_those_of_the_engine():
    ours = sample(LINE, SCHEDULE, DDIM(spacing=TimeGrid(TIMES, 200)), x=STARTS[:, None]).x[:, 0]
    found = ddim_ends(LINE, SCHEDULE, TIMES, STARTS)
    np.testing.assert_allclose(ours, found.mid(), atol=1e-9)


def test_normal_probabilities_of_disjoint_intervals_add_up():
    from scipy.stats import norm

    low, high = np.array([-1.0, 2.0, 5.0]), np.array([0.5, 2.5, 4.0])
    found = normal_probability(low, high)
    assert float(found) == pytest.approx(np.diff(norm.cdf([[-1, 0.5], [2, 2.5]])).sum(), rel=1e-14)

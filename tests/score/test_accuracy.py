"""The double-precision score against 200-bit ball arithmetic.

The target is |s - s*| <= 1e-12 (|x| + max |alpha mu|)/sigma_t^2 max(1, q/1e3), with q the largest
exponent |x - alpha mu_k|^2/(2 sigma_t^2) among the modes that matter: doubles lose about q ulp in
the exponent, whatever the algorithm. Truth is computed from the exact values of the stored doubles.
"""

from __future__ import annotations

import flint
import numpy as np
import pytest

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule, presets

pytestmark = pytest.mark.compiled

PRECISION = 200
LINEAR = NoiseSchedule.linear()


def ball_score(mixture, x, alpha_bar):
    """(score (n, d), q (n,)) of p_t at level alpha_bar, from ball arithmetic, as doubles."""
    old, flint.ctx.prec = flint.ctx.prec, PRECISION
    try:
        return _ball_score(mixture, x, flint.arb(alpha_bar))
    finally:
        flint.ctx.prec = old


def _ball_score(mixture, x, abar):
    alpha = abar.sqrt()
    means = [[alpha * flint.arb(float(c)) for c in row] for row in mixture.means]
    weights = [flint.arb(float(w)) for w in mixture.weights]
    var = [abar * flint.arb(float(s)) * flint.arb(float(s)) + 1 - abar for s in mixture.sigmas]
    scores, exponents = [], []
    for point in x:
        xs = [flint.arb(float(c)) for c in point]
        q, logs = [], []
        for k in range(mixture.N):
            square = flint.arb(0)
            for c, m in zip(xs, means[k], strict=True):
                square += (c - m) * (c - m)
            q.append(square / (2 * var[k]))
            logs.append(weights[k].log() - q[-1] - var[k].log() * mixture.d / 2)
        top = max(logs, key=lambda ball: float(ball.mid()))
        e = [(value - top).exp() for value in logs]
        total = sum(e, flint.arb(0))
        row = []
        for j in range(mixture.d):
            pull = sum(
                (e[k] * (means[k][j] - xs[j]) / var[k] for k in range(mixture.N)), flint.arb(0)
            )
            component = pull / total
            assert float(component.rad()) < 1e-30 * max(1.0, abs(float(pull.mid())))
            row.append(float(component.mid()))
        scores.append(row)
        # A mode matters if its share can move the score at the target's resolution.
        exponents.append(
            max(float(q[k].mid()) for k in range(mixture.N) if float((e[k] / total).mid()) > 1e-20)
        )
    return np.array(scores), np.array(exponents)


def units_of_target(score, truth, x, mixture, alpha_bar, exponent):
    """Error of the score in units of the target: <= 1 passes."""
    alpha, var = np.sqrt(alpha_bar), (alpha_bar * mixture.sigmas**2 + 1 - alpha_bar).min()
    size = np.linalg.norm(x, axis=1) + alpha * np.linalg.norm(mixture.means, axis=1).max()
    allowed = 1e-12 * size / var * np.maximum(1.0, exponent / 1e3)
    return np.linalg.norm(score - truth, axis=1) / np.maximum(allowed, 1e-300)


def adversarial_points(mixture, alpha_bar, rng):
    """Random states, exact midpoints, points beside them where both modes matter, modes, and
    points far outside."""
    std = np.sqrt(alpha_bar * mixture.sigmas.min() ** 2 + 1 - alpha_bar)
    mu = np.sqrt(alpha_bar) * mixture.means
    others = np.delete(mu, 0, axis=0)
    edge = others[np.argmin(np.linalg.norm(others - mu[0], axis=1))] - mu[0]
    # Moving by std^2/l along the edge changes the log-odds of its two modes by one.
    shift = rng.standard_normal((6, 1)) * edge * std**2 / (edge @ edge)
    middle = mu[0] + edge / 2
    beside = middle + shift + std * rng.standard_normal((6, mixture.d)) / np.sqrt(mixture.d)
    modes = mu[rng.integers(mixture.N, size=4)] + std * rng.standard_normal((4, mixture.d))
    far = np.array([50.0, -1e3])[:, None] * np.ones((2, mixture.d))
    states = rng.standard_normal((4, mixture.d))
    return np.vstack([middle[None], middle + shift, beside, mu[:1], modes, far, states])


MIXTURES = {
    "standard": presets.grid(),
    "diamond": presets.grid(rotate=np.pi / 4),
    "1-D line": presets.line(3),
    "unequal weights": GaussianMixture([[0.0], [1.0], [2.5]], 0.05, [1e-6, 0.3, 0.7]),
    "per-mode sigma": GaussianMixture([[0.0, 0.0], [1.0, 0.2], [0.4, 2.0]], [0.01, 0.1, 0.5]),
    "sigmas 18 decades apart": GaussianMixture([[0.0, 0.0], [1.0, 0.2]], [1e-4, 1e14]),
    "far from the origin": GaussianMixture([[1000.0, 3.0], [1000.5, 3.0]], 0.01),
    "64 dimensions": presets.farthest_point(64),
}
LEVELS = [1.0, 1 - 1e-15, 1 - 1e-8, 0.9999, 0.97, 0.5, 4e-5, 1e-12]


@pytest.mark.parametrize("name", MIXTURES)
def test_score_error_is_within_target_at_every_noise_level(name, record_property):
    mixture, worst, worst_relative = MIXTURES[name], 0.0, 0.0
    for i, alpha_bar in enumerate(LEVELS):
        x = adversarial_points(mixture, alpha_bar, np.random.default_rng(i))
        truth, exponent = ball_score(mixture, x, alpha_bar)
        score = mixture.diffused(alpha_bar).score(x)
        units = units_of_target(score, truth, x, mixture, alpha_bar, exponent)
        worst = max(worst, units.max())
        norm = np.linalg.norm(truth, axis=1)
        error = np.linalg.norm(score - truth, axis=1)
        worst_relative = max(worst_relative, (error[norm > 0] / norm[norm > 0]).max())
        assert units.max() <= 1.0, (alpha_bar, int(units.argmax()))
    record_property("worst error in units of the target", float(worst))
    record_property("worst plain relative error", float(worst_relative))


def test_the_target_would_reject_an_expanded_square():
    """|x|^2 - 2 x.mu + |mu|^2 cancels far from the origin: the measure must see it."""
    mixture, alpha_bar = MIXTURES["far from the origin"], 1.0
    x = adversarial_points(mixture, alpha_bar, np.random.default_rng(0))
    truth, exponent = ball_score(mixture, x, alpha_bar)
    var = mixture.sigma**2
    square = (x**2).sum(1)[:, None] - 2 * x @ mixture.means.T + (mixture.means**2).sum(1)
    logit = -square / (2 * var)
    gamma = np.exp(logit - logit.max(1, keepdims=True))
    gamma /= gamma.sum(1, keepdims=True)
    score = (gamma @ mixture.means - x) / var
    assert units_of_target(score, truth, x, mixture, alpha_bar, exponent).max() > 1.0


@pytest.mark.parametrize("t", [1, 22, 300, 1000])
@pytest.mark.parametrize("name", ["standard", "1-D line", "unequal weights", "per-mode sigma"])
def test_exact_score_at_schedule_times_is_within_target(name, t):
    mixture, schedule = MIXTURES[name], NoiseSchedule.linear()
    alpha_bar = schedule.alpha_bar[t]
    x = adversarial_points(mixture, alpha_bar, np.random.default_rng(t))
    truth, exponent = ball_score(mixture, x, float(alpha_bar))
    for detect in (True, False):
        model = ExactScore(mixture, schedule, detect_product=detect)
        score = -model.eps(x, t) / np.sqrt(schedule.noise_var[t])
        units = units_of_target(score, truth, x, mixture, alpha_bar, exponent)
        # alpha_bar itself is rounded once more here (exp of its logarithm): a few ulp of q.
        assert units.max() <= 1.0


def test_random_mixtures_are_within_target(record_property):
    rng = np.random.default_rng(2024)
    worst = 0.0
    for _ in range(40):
        d, n_modes = int(rng.integers(1, 6)), int(rng.integers(2, 9))
        sigma = np.exp(rng.uniform(-6, 1, n_modes if rng.random() < 0.5 else 1))
        mixture = GaussianMixture(
            rng.standard_normal((n_modes, d)) * np.exp(rng.uniform(-2, 3)),
            sigma if len(sigma) > 1 else float(sigma[0]),
            np.exp(rng.uniform(-8, 0, n_modes)),
        )
        alpha_bar = float(rng.choice(LEVELS))
        x = adversarial_points(mixture, alpha_bar, rng)
        truth, exponent = ball_score(mixture, x, alpha_bar)
        score = mixture.diffused(alpha_bar).score(x)
        worst = max(worst, units_of_target(score, truth, x, mixture, alpha_bar, exponent).max())
    record_property("worst error in units of the target", float(worst))
    assert worst <= 1.0


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 12])
@pytest.mark.parametrize("weights", ["equal", "unequal"])
def test_modes_on_a_lattice_are_within_a_tenth_of_the_target(count, weights, record_property):
    """One exponential for all of them costs no digit that the sum over modes had."""
    rng = np.random.default_rng(count)
    w = np.ones(count) if weights == "equal" else rng.uniform(0.01, 1, count)
    mixture, schedule, worst = GaussianMixture(np.arange(count)[:, None], 0.05, w), LINEAR, 0.0
    for t in (1, 22, 60, 100, 150, 250, 600, 1000):
        alpha_bar = float(schedule.alpha_bar[t])
        x = adversarial_points(mixture, alpha_bar, rng)
        truth, exponent = ball_score(mixture, x, alpha_bar)
        score = -ExactScore(mixture, schedule).eps(x, t) / np.sqrt(schedule.noise_var[t])
        units = units_of_target(score, truth, x, mixture, alpha_bar, exponent)
        worst = max(worst, float(units.max()))
    record_property("worst error in units of the target", worst)
    assert worst <= 0.1

"""A model of times only, asked between them."""

import math

import numpy as np
import pytest

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule
from mixdyn.score.between import BetweenTimes
from mixdyn.score.protocol import Level
from mixdyn.support.errors import NotApplicableError

MIXTURE = GaussianMixture([[-1.0, 0.0], [1.0, 0.5]], 0.1)
SCHEDULE = NoiseSchedule.linear(200, 1e-3, 0.08)
X = np.random.default_rng(0).standard_normal((50, 2))


class AtTimes:
    d = 2

    def __init__(self):
        self.asked = []
        self._exact = ExactScore(MIXTURE, SCHEDULE)

    def eps(self, x, t):
        self.asked.append(t)
        return self._exact.eps(x, t)


def at(rho, alpha=1.0):
    return Level(alpha, rho * alpha**2)


def error(rho, alpha=1.0):
    level = at(rho, alpha)
    y = alpha * (MIXTURE.means[0] + math.sqrt(rho) * X)
    exact = ExactScore(MIXTURE, SCHEDULE).eps(y, level)
    return np.abs(BetweenTimes(AtTimes(), SCHEDULE).eps(y, level) - exact).max()


def test_at_a_time_it_is_the_model_on_any_path_with_one_evaluation():
    for t in (1, 77, 200):
        model = AtTimes()
        rho = float(SCHEDULE.rho[t])
        found = BetweenTimes(model, SCHEDULE).eps(X, at(rho))
        assert model.asked == [t]
        exact = ExactScore(MIXTURE, SCHEDULE).eps(X, at(rho))
        assert found == pytest.approx(exact, abs=1e-9)


def test_between_two_times_its_error_is_of_second_order():
    model = AtTimes()
    middle = math.sqrt(float(SCHEDULE.rho[60] * SCHEDULE.rho[61]))
    BetweenTimes(model, SCHEDULE).eps(X, at(middle))
    assert model.asked == [60, 61]
    for alpha in (1.0, 0.3):
        assert 0.0 < error(middle, alpha) < 1e-3


def test_below_the_first_time_the_score_and_above_the_last_the_prediction_stay():
    low, high = float(SCHEDULE.rho[1]), float(SCHEDULE.rho[-1])
    assert error(0.04 * low) < 0.05
    assert error(9.0 * high) < 0.05


@pytest.mark.parametrize("level", [Level(0.0, 1.0), Level(1.0, 0.0)])
def test_without_signal_or_noise_nothing_is_predicted(level):
    with pytest.raises(NotApplicableError, match="signal and noise"):
        BetweenTimes(AtTimes(), SCHEDULE).eps(X, level)

"""Routes are found in their folder; where one fits a mixture it evaluates it as the others do."""

import sys

import numpy as np
import pytest

from mixdyn import DDIM, ExactScore, GaussianMixture, NoiseSchedule, presets, sample
from mixdyn.score import Level, level, routes
from mixdyn.score.routes.general import General
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(40, 1e-3, 0.2)
MIXTURES = {
    "product": presets.grid(3, sigma=0.2),
    "hull": GaussianMixture(np.outer([0.0, 1.0, 2.5], np.linspace(-1, 1, 20)), 0.2, [1, 2, 3]),
    "per-mode sigma": GaussianMixture([[0.0, 1.0], [1.0, -1.0]], [0.2, 0.7], [0.3, 0.7]),
}
TAKEN = {"product": "spaced_axes", "hull": "low_rank", "per-mode sigma": "general"}


@pytest.mark.parametrize("name", MIXTURES)
def test_the_first_route_that_fits_is_taken(name):
    assert ExactScore(MIXTURES[name], SCHEDULE).route.name == TAKEN[name]


@pytest.mark.parametrize("route", routes.routes(), ids=lambda route: route.name)
def test_a_route_pulls_as_the_general_one_where_it_fits(route):
    fitted = [(m, found) for m in MIXTURES.values() if (found := route.fits(m, np.float64))]
    assert fitted
    for mixture, found in fitted:
        x = np.random.default_rng(1).normal(size=(30, mixture.d))
        general = General(mixture, np.float64)
        for at in (level(SCHEDULE, 1), level(SCHEDULE, 40), Level(1.0, 0.3)):
            pulls = [one.pull(x, at, 0.7) for one in (found, general)]
            assert np.allclose(*pulls, rtol=1e-11, atol=1e-11)


FILE = '''
import numpy as np


class OneMode:
    """A single mode: its pull is linear."""

    name = "one_mode"
    order = 1

    def __init__(self, mean):
        self.mean = mean

    @classmethod
    def fits(cls, mixture, dtype):
        return cls(mixture.means[0]) if mixture.N == 1 else None

    def pull(self, x, at, scale):
        return scale * (at.alpha * self.mean - x)

    def rollout(self, steps):
        return None
'''


def test_a_route_is_one_file_in_the_folder(tmp_path, monkeypatch):
    (tmp_path / "one_mode.py").write_text(FILE)
    monkeypatch.setattr(routes, "__path__", [*routes.__path__, str(tmp_path)])
    one, several = GaussianMixture([[0.3, -0.2]], 0.1), MIXTURES["product"]
    try:
        scores = [ExactScore(one, SCHEDULE), ExactScore(several, SCHEDULE)]
        assert [score.route.name for score in scores] == ["one_mode", "spaced_axes"]
        x = sample(scores[0], SCHEDULE, DDIM(8), n=40, rng=0).x
    finally:
        sys.modules.pop("mixdyn.score.routes.one_mode", None)
    monkeypatch.undo()
    assert np.allclose(x, sample(one, SCHEDULE, DDIM(8), n=40, rng=0).x, rtol=0, atol=1e-12)


def test_a_mixture_that_no_route_fits_is_refused(monkeypatch):
    monkeypatch.setattr(routes, "__path__", [])
    with pytest.raises(InputError, match="needs a route that fits it"):
        ExactScore(MIXTURES["product"], SCHEDULE)

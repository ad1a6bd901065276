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


@pytest.mark.parametrize("route", routes.routes(), ids=lambda route: route.name)
@pytest.mark.parametrize("sampler", [DDIM(8, "log_snr"), DDIM(8, eta=0.7)], ids=["ode", "noisy"])
def test_a_named_route_runs_as_one_step_after_the_other(route, sampler):
    fitted = [m for m in MIXTURES.values() if route.fits(m, np.float64)]
    for mixture in fitted:
        exact = ExactScore(mixture, SCHEDULE, route=route.name)
        assert exact.route.name == route.name
        fused, traced = (
            sample(exact, SCHEDULE, sampler, n=50, rng=3, keep=keep).x
            for keep in ("final", "trajectory")
        )
        assert np.quantile(np.abs(fused - traced).max(axis=1), 0.9) <= 1e-10


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


@pytest.mark.parametrize("name", ["spaced_axes", "diagonals", 3])
def test_a_route_that_does_not_fit_or_is_not_there_is_refused(name):
    with pytest.raises(InputError, match=r"a route of spaced_axes, .* must fit the mixture"):
        ExactScore(MIXTURES["per-mode sigma"], SCHEDULE, route=name)

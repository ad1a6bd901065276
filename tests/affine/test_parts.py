"""Errors of plans in three parts, on samplers of which one part is known to be at fault."""

import itertools

import numpy as np
import pytest

from mixdyn import DDIM, transcribe
from mixdyn.affine.gaussian import end_law
from mixdyn.affine.parts import error_parts

MEAN, STD = 0.7, 0.2
ASKS = {"level": "sigma", "predicts": "x0"}


def walked(model, x, rng, steps=50, last=0.0, late=1.0, second=False, eta=0.0):
    """Euler or Heun from sigma = 150 down to 0.01 and then `last`; asked at late sigma below 1."""

    def asked(x, sigma):
        return model(x, sigma * (late if sigma < 1.0 else 1.0))

    sigmas = np.append(np.geomspace(150.0, 0.01, steps), [last] * (last < 0.01))
    sigmas[sigmas < last] = last
    for now, then in itertools.pairwise(np.unique(sigmas)[::-1]):
        slope = (x - asked(x, now)) / now
        down = then * (1.0 - eta) ** 0.5
        ahead = x + slope * (down - now)
        if second and then:
            slope = 0.5 * (slope + (ahead - asked(ahead, then)) / then)
            ahead = x + slope * (down - now)
        x = ahead
        if eta:
            x = x + (then**2 - down**2) ** 0.5 * rng.standard_normal(x.shape)
    return x


def parts_of(steps=50, **settings):
    return error_parts(transcribe(walked, steps, **ASKS, **settings), MEAN, STD)


def test_an_end_that_keeps_noise_is_an_error_of_the_grid():
    found = parts_of(400, last=0.1, second=True)
    # The flow ends at N(m, std^2 + 0.1^2); the start lacks the mean of its law.
    start = MEAN * np.hypot(STD, 0.1) / np.hypot(STD, 150.0)
    spread = np.hypot(STD, 0.1) / np.hypot(STD, 150.0) * 150.0 - STD
    assert found.grid == pytest.approx(np.hypot(start, spread) / STD, rel=1e-9)
    assert found.pairing < 1e-9
    assert found.solver < 1e-3
    assert parts_of(400, second=True).grid < 0.01


def test_a_late_question_is_an_error_of_pairing():
    found, right = parts_of(200, late=1.2, second=True), parts_of(200, second=True)
    assert right.pairing < 1e-9
    assert found.pairing > 20.0 * max(found.solver, found.grid)


def test_long_steps_are_an_error_of_the_solver_that_falls_by_its_order():
    few, many = parts_of(100), parts_of(200)
    assert few.pairing < 1e-9
    assert few.solver > 5.0 * few.grid
    assert few.solver / many.solver == pytest.approx(2.0, rel=0.05)
    few, many = (parts_of(n, second=True, last=0.01) for n in (100, 200))
    assert few.solver / many.solver == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("sampler", [DDIM(steps=40), DDIM(steps=40, eta=1.0)])
def test_consistent_steps_are_left_as_they_are(sampler):
    plan = transcribe(sampler)
    found = error_parts(plan, MEAN, STD)
    per_mean, std = end_law(plan, np.array([STD**2]), "true")
    assert found.pairing < 1e-9
    assert found.solver == pytest.approx(np.hypot(MEAN * (per_mean[0] - 1), std[0] - STD) / STD)


def test_noise_between_the_steps_is_no_error_of_pairing():
    found = parts_of(50, eta=0.5)
    assert found.pairing < 1e-9
    assert found.solver > parts_of(50).solver

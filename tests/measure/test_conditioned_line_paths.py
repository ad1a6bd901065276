"""Paths drawn given their end have the law of the paths of a plain run that end so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.score import ExactScore
from verify.measure.interpolation.line_law import NoisyLaw, noisy_law
from verify.measure.interpolation.line_paths import last_steps

STEPS = 8
CLOCK = NoiseSchedule.linear(60, 1e-3, 0.3)
WIDE = GaussianMixture([[-0.6], [0.7]], 0.2)


def between(x):
    """An event that a third of the paths meet: |x| below 0.5."""
    return np.abs(x[:, 0]) < 0.5


@pytest.fixture(scope="module")
def chain():
    return last_steps(ExactScore(WIDE, CLOCK), CLOCK, (-0.6, 0.7), STEPS, between)


@pytest.fixture(scope="module")
def plain():
    """(n, STEPS) states at the times 8..1 of plain runs from noise, and whether they end so."""
    out = sample(WIDE, CLOCK, DDPM(), n=40_000, rng=3, keep="trajectory")
    return out.trajectory[-STEPS - 1 : -1, :, 0].T, between(out.x)


def test_the_event_has_the_probability_of_a_plain_run(chain, plain, plausible):
    _, ends = plain
    plausible(stats.binomtest(int(ends.sum()), len(ends), chain.probability()).pvalue)
    assert chain.start.sum() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("event", [True, False])
def test_conditioned_paths_have_the_law_of_those_plain_paths(chain, plain, plausible, event):
    states, ends = plain
    seen = states[ends == event]
    drawn = chain.places[chain.draw(len(seen), np.random.default_rng(0), event=event)]
    last = chain.draw(50, np.random.default_rng(1), event=event)[:, -1]
    assert (between(chain.moved[-1][last, None]) == event).all()
    for statistic in (lambda x: x[:, 0], lambda x: x[:, -1], lambda x: x.var(axis=1)):
        plausible(stats.ks_2samp(statistic(seen), statistic(drawn)).pvalue)


def test_the_law_after_some_steps_is_that_of_the_states_there(plain, plausible):
    sampler = DDPM()
    plan = sampler.plan(CLOCK, sampler.grid(CLOCK))
    law = noisy_law(ExactScore(WIDE, CLOCK), plan, CLOCK.T - STEPS)
    places = np.linspace(-3.0, 3.0, 4001)
    cumulative = np.cumsum(law.density(places)) * (places[1] - places[0])
    states = plain[0][:, 0]
    plausible(stats.ks_1samp(states, lambda x: np.interp(x, places, cumulative)).pvalue)
    two = NoisyLaw(np.array([-1.0, 1.0]), np.array([0.25, 0.75]), 0.5)
    expected = 0.25 * stats.norm(-1.0, 0.5).pdf(places) + 0.75 * stats.norm(1.0, 0.5).pdf(places)
    np.testing.assert_allclose(two.density(places), expected, atol=1e-14)

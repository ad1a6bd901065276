"""The law of a chain keeps its mass, or says what it lost: any weights, few steps."""

import importlib
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixdyn import oracles
from mixdyn.oracles.normal import log_interval, log_sum
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule

pytestmark = pytest.mark.compiled

# The package's name for it is the function.
module = importlib.import_module("mixdyn.oracles.chain_law")
TWO = ([-0.5, 0.5], [0.5, 0.5])


def law_of(mixture, schedule, times, eta=1.0, **how):
    return oracles.chain_law(
        mixture, schedule.alpha_bar, times, eta, noise_var=schedule.noise_var, **how
    )[0]


def line(values, weights, sigma):
    weights = np.array(weights)
    return GaussianMixture(np.array(values)[:, None], sigma, weights / weights.sum())


def total(law):
    return float(np.exp(log_sum(law.log_mass)))


def missing(law):
    return math.exp(law.log_missing)


@st.composite
def chains(draw, most=6):
    """A line of 1 to 5 modes, weights down to 1e-12, and 1 to `most` noisy steps of any length."""
    n = draw(st.integers(1, 5))
    places = draw(st.lists(st.integers(-100, 100), min_size=n, max_size=n, unique=True))
    weights = [10.0 ** -draw(st.floats(0.0, 12.0)) for _ in range(n)]
    sigma = 10.0 ** draw(st.floats(-3.0, -0.5))
    T = draw(st.integers(2, 1000))
    beta_end = draw(st.sampled_from([0.02, 0.2, 0.5]))
    few = min(T, most + 1)
    times = draw(st.lists(st.integers(1, T), min_size=2, max_size=few, unique=True))
    eta = draw(st.sampled_from([0.3, 0.7, 1.0]))
    schedule = NoiseSchedule.linear(T, 1e-4, beta_end)
    mixture = line(sorted(p / 100 for p in places), weights, sigma)
    return mixture, schedule, np.append(sorted(times, reverse=True), 0), eta


@settings(max_examples=60, deadline=None)
@given(chain=chains(), spacing=st.sampled_from([0.3, 0.5, 1.0, 2.0]))
@example(chain=(line(*TWO, 1e-3), NoiseSchedule.linear(2), np.array([2, 1, 0]), 1.0), spacing=0.5)
def test_mass_and_what_is_missing_make_one(chain, spacing):
    mixture, schedule, times, eta = chain
    law = law_of(mixture, schedule, times, eta, spacing=spacing)
    assert abs(total(law) - 1.0) <= missing(law) + 1e-8


@settings(max_examples=25, deadline=None)
@given(chain=chains(most=2), place=st.floats(-1.2, 1.2), width=st.floats(1e-3, 1.0))
@example(
    chain=(line(*TWO, 1e-3), NoiseSchedule.linear(2), np.array([2, 1, 0]), 1.0),
    place=0.4,
    width=0.2,
)
def test_no_interval_is_given_less_than_a_quadrature_ten_times_as_fine_gives_it(
    chain, place, width
):
    mixture, schedule, times, eta = chain
    law = law_of(mixture, schedule, times, eta)
    fine = law_of(mixture, schedule, times, eta, spacing=0.05)
    inside = log_sum(fine.log_mass + log_interval(*_limits(fine, place, place + width)))
    assert law.log_probability(place, place + width) >= float(inside) - 1e-7


def _limits(law, low, high):
    return (low - law.centers) / law.std, (high - law.centers) / law.std


@pytest.mark.parametrize(("sigma", "half"), [(1e-3, 0.5), (1e-2, 0.05), (1e-3, 3.0)])
def test_one_coarse_step_has_the_law_of_a_plain_integral(sigma, half):
    # y_1 = f(y_2) + std xi: an integral over y_2 alone, put on 400,000 equal cells.
    mixture, schedule = line([-half, half], [0.3, 0.7], sigma), NoiseSchedule.linear(2)
    law = law_of(mixture, schedule, [2, 1, 0])
    rho_t, rho_s = float(schedule.rho[2]), float(schedule.rho[1])
    q, v = rho_s / rho_t, sigma**2 + rho_t
    edges = np.linspace(-9.0, 9.0, 400_001) * float(schedule.alpha[2]) ** -1
    y = 0.5 * (edges[1:] + edges[:-1])
    cell = log_interval(edges[:-1] * schedule.alpha[2], edges[1:] * schedule.alpha[2])
    logit = np.clip(2.0 * half * y / v + math.log(0.7 / 0.3), -700.0, 700.0)
    mean = half * (2.0 / (1.0 + np.exp(-logit)) - 1.0)
    x0_hat = (sigma**2 * y + rho_t * mean) / v
    center, std = x0_hat + q * (y - x0_hat), math.sqrt(rho_s * (1.0 - q))
    for low, high in ((-half / 2, half / 2), (half - 0.02, half + 0.02), (-9.0, 0.0)):
        expected = log_sum(cell + log_interval((low - center) / std, (high - center) / std))
        assert float(law.log_probability(low, high)) == pytest.approx(float(expected), abs=1e-6)


def test_what_no_spacing_keeps_is_counted_as_missing(monkeypatch):
    chain = line(*TWO, 1e-3), NoiseSchedule.linear(2), [2, 1, 0]
    exact = law_of(*chain)
    monkeypatch.setattr(module, "_HALVINGS", 0)
    monkeypatch.setattr(module, "_STEEP", math.inf)
    coarse = law_of(*chain)
    assert total(coarse) < 0.97  # what two points a separatrix lose
    assert total(coarse) + missing(coarse) == pytest.approx(1.0, abs=1e-9)
    for low, high in ((-0.4, 0.4), (0.45, 0.55), (-9.0, 9.0)):
        assert coarse.log_probability(low, high) >= exact.log_probability(low, high)


def test_a_step_that_loses_mass_is_taken_again_finer(monkeypatch):
    monkeypatch.setattr(module, "_STEEP", math.inf)
    chain = line(*TWO, 0.05), NoiseSchedule.linear(10), [10, 2, 1, 0]
    monkeypatch.setattr(module, "_HALVINGS", 0)
    once = law_of(*chain, spacing=1.5)
    monkeypatch.setattr(module, "_HALVINGS", 3)
    again = law_of(*chain, spacing=1.5)
    assert missing(once) > 1e-6 > missing(again)
    assert len(again.centers) > 1.9 * len(once.centers)

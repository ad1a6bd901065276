"""The law of the discrete chain."""

import importlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixdyn import oracles, presets
from mixdyn.oracles.normal import log_interval, log_sum
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.samplers.plan import StepPlan
from mixdyn.support.errors import InputError, NotApplicableError
from mixdyn.support.statistics import clopper_pearson

pytestmark = pytest.mark.compiled


# -- other quadratures, closed forms, recorded numbers, the sampler --------------------------------


SCHEDULE = NoiseSchedule.linear()
QUADRATIC = TimeGrid.quadratic(1000, 50).times
TWO = GaussianMixture(np.array([[-1.0], [0.8]]), 0.15, np.array([0.3, 0.7]))
FEW = np.array([999, 700, 400, 150, 60, 20, 0])


def law_of(mixture, times, eta, **how):
    return oracles.chain_law(
        mixture, SCHEDULE.alpha_bar, times, eta, noise_var=SCHEDULE.noise_var, **how
    )


def capped(times, eta):
    rho = SCHEDULE.rho[times[:-1]]
    return np.minimum(eta, (1.0 - rho[1:] / rho[:-1]) ** -0.5)


def dense_law(mixture, times, eta, points=3000):
    """The density of y at the last noisy time on a uniform grid: plain sums, no logarithms."""
    sigma2, means, weights = float(mixture.sigma) ** 2, mixture.means[:, 0], mixture.weights
    rho = SCHEDULE.rho[times]
    y = np.linspace(-9.0, 9.0, points) / SCHEDULE.alpha[times[0]]
    density = np.exp(-0.5 * (y * SCHEDULE.alpha[times[0]]) ** 2)
    for rho_t, rho_s in itertools.pairwise(rho[:-1]):
        v = sigma2 + rho_t
        gamma = weights * np.exp(-0.5 * (y[:, None] - means) ** 2 / v)
        mean = (gamma @ means) / np.maximum(gamma.sum(axis=1), 1e-300)
        x0_hat = (sigma2 * y + rho_t * mean) / v
        noise_std = eta * math.sqrt(rho_s * (1.0 - rho_s / rho_t))
        kept = math.sqrt(rho_s - noise_std**2)
        center = x0_hat + kept * (y - x0_hat) / math.sqrt(rho_t)
        reach = 9.0 * math.sqrt(rho_s) + 2.0
        new = np.linspace(-reach, reach, points)
        kernel = np.exp(-0.5 * ((new[:, None] - center) / noise_std) ** 2)
        density = kernel @ density
        density, y = density / (density.sum() * (new[1] - new[0])), new
    return y, density


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_the_law_is_that_of_a_plain_dense_quadrature(eta):
    (law,) = law_of(TWO, FEW, eta)
    y, density = dense_law(TWO, FEW, eta)
    h = y[1] - y[0]
    for low, high in ((-0.5, 0.3), (-0.2, 0.1), (0.7, 0.9), (-3.0, 3.0)):
        inside = np.exp(law.log_probability(low, high))
        cell = np.clip(np.minimum(y + h / 2, high) - np.maximum(y - h / 2, low), 0.0, None)
        assert inside == pytest.approx(float(density @ cell), rel=2e-5)


@pytest.mark.parametrize("eta", [0.5, 1.0, 1.5])
def test_points_at_two_spacings_give_the_same_probability(eta):
    logs = [
        oracles.log_gap_probability(
            law_of(presets.grid(), QUADRATIC, capped(QUADRATIC, eta), spacing=h), 0.0353553
        )
        for h in (0.5, 0.3)
    ]
    assert logs[0] == pytest.approx(logs[1], abs=2e-3)


def test_one_mode_gives_the_normal_law_of_the_linear_recursion():
    single = GaussianMixture(np.zeros((1, 1)), 0.05)
    (law,) = law_of(single, QUADRATIC, 1.2)
    std = oracles.linear_recursion_std(
        SCHEDULE.alpha_bar,
        QUADRATIC,
        1.2,
        0.05,
        noise_var=SCHEDULE.noise_var,
        start_std=1.0 / SCHEDULE.alpha[QUADRATIC[0]],
    )[-2]
    for low, high in ((3.0, 4.0), (-1.0, 2.0), (8.0, 9.0)):
        expected = float(log_interval(low, high))
        assert law.log_probability(low * std, high * std) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("eta", "expected"), [(0.5, 14.8), (1.0, 22.8), (1.25, 30.0), (1.5, 37.7)])
def test_gaps_of_the_standard_problem_are_as_rare_as_recorded(eta, expected):
    mixture = presets.grid()
    laws = law_of(mixture, QUADRATIC, capped(QUADRATIC, eta))
    found = -oracles.log_gap_probability(laws, 5.0 * float(mixture.sigma))
    assert found == pytest.approx(expected, abs=0.05)


def test_ddpm_reaches_gaps_and_middles_as_rarely_as_recorded():
    mixture = presets.grid()
    laws = law_of(mixture, np.arange(1000, -1, -1), 1.0)
    gap = -oracles.log_gap_probability(laws, 5.0 * float(mixture.sigma))
    assert gap == pytest.approx(41.74, abs=0.01)
    assert -oracles.log_middle_probability(laws) == pytest.approx(52.24, abs=0.01)


def test_the_sampler_meets_a_gap_as_often_as_its_law_says():
    laws = law_of(TWO, FEW, 0.5)
    sampler = DDIM(spacing=TimeGrid.from_times(FEW), eta=0.5)
    n = 40_000
    run = sample(TWO, SCHEDULE, sampler, n=n, rng=3, keep="trajectory")
    y = run.trajectory[-2, :, 0] / SCHEDULE.alpha[20]
    for low, high in ((-0.75, 0.55), (-0.3, 0.2)):
        hits = int(np.count_nonzero((y >= low) & (y <= high)))
        least, most = clopper_pearson(hits, n, 1e-8)
        assert hits > 100
        assert least <= np.exp(laws[0].log_probability(low, high)) <= most


def test_the_last_noisy_state_is_in_a_gap_exactly_where_its_denoiser_is():
    (law,) = law_of(TWO, FEW, 1.0)
    edges = law.pull_back([-0.7, 0.5])
    assert law.x0_hat(edges) == pytest.approx([-0.7, 0.5], abs=1e-12)
    assert oracles.log_gap_probability([law], 0.3) == pytest.approx(
        float(law.log_probability(*edges)), abs=1e-12
    )
    assert oracles.log_gap_probability([law], 0.95) == -math.inf


def test_away_from_every_value_adds_gaps_and_both_ends():
    (law,) = law_of(TWO, FEW, 1.0)
    away = np.exp(oracles.log_away_probability([law], 0.3))
    near = np.exp(law.log_probability([-1.3, 0.5], [-0.7, 1.1])).sum()
    assert away == pytest.approx(1.0 - near, abs=1e-6)
    wide = np.exp(oracles.log_away_probability([law], 1.0))
    assert wide == pytest.approx(1.0 - np.exp(law.log_probability(-2.0, 1.8)), abs=1e-6)


def test_equal_axes_share_one_law_and_the_union_counts_both():
    first, second = law_of(presets.grid(side=2), FEW, 1.0)
    assert first is second
    both, one = (oracles.log_gap_probability(laws, 0.1) for laws in ([first, second], [first]))
    assert both - one == pytest.approx(math.log(2.0), abs=1e-12)


def test_ddpm_with_eta_one_per_step_is_a_hybrid_of_one_strength():
    times = np.arange(12, -1, -1)
    (each,), (one,) = law_of(TWO, times, np.ones(11)), law_of(TWO, times, 1.0)
    assert each.log_mass == pytest.approx(one.log_mass, abs=0.0)
    (other,) = law_of(TWO, times, np.r_[np.ones(5), np.full(6, 0.5)])
    assert other.std == pytest.approx(0.5 * one.std, rel=1e-12)


def test_all_of_the_noise_fresh_is_the_largest_strength():
    times = np.array([500, 100, 10, 0])
    cap = capped(times, 9.0)
    (law,) = law_of(TWO, times, cap)
    assert law.std == pytest.approx(math.sqrt(SCHEDULE.rho[10]), rel=1e-12)
    with pytest.raises(InputError, match="eta"):
        law_of(TWO, times, cap * 1.0001)


def test_a_mixture_off_the_grid_and_a_chain_without_noise_are_refused():
    diamond = presets.grid(rotate=math.pi / 4)
    with pytest.raises(NotApplicableError, match="product grid"):
        law_of(diamond, FEW, 1.0)
    with pytest.raises(InputError, match="eta > 0"):
        law_of(TWO, FEW, 0.0)
    with pytest.raises(InputError, match="noisy step"):
        law_of(TWO, [5, 0], 1.0)


def test_plan_and_law_take_the_same_noise():
    plan: StepPlan = DDIM(eta=0.7).plan(SCHEDULE, DDIM().grid(SCHEDULE))
    (law,) = law_of(TWO, QUADRATIC, 0.7)
    last = int(QUADRATIC[-2])
    assert law.std * SCHEDULE.alpha[last] == pytest.approx(float(plan.noise_std[-2]), rel=1e-12)


# -- its mass is kept, or what was lost is said: any weights, few steps ----------------------------


# The package's name for it is the function.
module = importlib.import_module("mixdyn.oracles.chain_law")
HALVES = ([-0.5, 0.5], [0.5, 0.5])


def law_under(mixture, schedule, times, eta=1.0, **how):
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
@example(
    chain=(line(*HALVES, 1e-3), NoiseSchedule.linear(2), np.array([2, 1, 0]), 1.0), spacing=0.5
)
def test_mass_and_what_is_missing_make_one(chain, spacing):
    mixture, schedule, times, eta = chain
    law = law_under(mixture, schedule, times, eta, spacing=spacing)
    assert abs(total(law) - 1.0) <= missing(law) + 1e-8


@settings(max_examples=25, deadline=None)
@given(chain=chains(most=2), place=st.floats(-1.2, 1.2), width=st.floats(1e-3, 1.0))
@example(
    chain=(line(*HALVES, 1e-3), NoiseSchedule.linear(2), np.array([2, 1, 0]), 1.0),
    place=0.4,
    width=0.2,
)
def test_no_interval_is_given_less_than_a_quadrature_ten_times_as_fine_gives_it(
    chain, place, width
):
    mixture, schedule, times, eta = chain
    law = law_under(mixture, schedule, times, eta)
    fine = law_under(mixture, schedule, times, eta, spacing=0.05)
    inside = log_sum(fine.log_mass + log_interval(*_limits(fine, place, place + width)))
    assert law.log_probability(place, place + width) >= float(inside) - 1e-7


def _limits(law, low, high):
    return (low - law.centers) / law.std, (high - law.centers) / law.std


@pytest.mark.parametrize(("sigma", "half"), [(1e-3, 0.5), (1e-2, 0.05), (1e-3, 3.0)])
def test_one_coarse_step_has_the_law_of_a_plain_integral(sigma, half):
    # y_1 = f(y_2) + std xi: an integral over y_2 alone, put on 400,000 equal cells.
    mixture, schedule = line([-half, half], [0.3, 0.7], sigma), NoiseSchedule.linear(2)
    law = law_under(mixture, schedule, [2, 1, 0])
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
    chain = line(*HALVES, 1e-3), NoiseSchedule.linear(2), [2, 1, 0]
    exact = law_under(*chain)
    monkeypatch.setattr(module, "_HALVINGS", 0)
    monkeypatch.setattr(module, "_STEEP", math.inf)
    coarse = law_under(*chain)
    assert total(coarse) < 0.97  # what two points a separatrix lose
    assert total(coarse) + missing(coarse) == pytest.approx(1.0, abs=1e-9)
    for low, high in ((-0.4, 0.4), (0.45, 0.55), (-9.0, 9.0)):
        assert coarse.log_probability(low, high) >= exact.log_probability(low, high)


def test_a_step_that_loses_mass_is_taken_again_finer(monkeypatch):
    monkeypatch.setattr(module, "_STEEP", math.inf)
    chain = line(*HALVES, 0.05), NoiseSchedule.linear(10), [10, 2, 1, 0]
    monkeypatch.setattr(module, "_HALVINGS", 0)
    once = law_under(*chain, spacing=1.5)
    monkeypatch.setattr(module, "_HALVINGS", 3)
    again = law_under(*chain, spacing=1.5)
    assert missing(once) > 1e-6 > missing(again)
    assert len(again.centers) > 1.9 * len(once.centers)

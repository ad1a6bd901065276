"""The price of a score error on a plan: our own chain's, and the KL of Gaussian path laws."""

import math

import numpy as np
import pytest
from scipy import stats

from mixdyn import (
    DDIM,
    DDPM,
    ExactScore,
    GaussianMixture,
    NoiseSchedule,
    PerturbedScore,
    as_model,
    presets,
    sample,
    transcribe,
)
from mixdyn.affine.gaussian import state_laws
from mixdyn.run.path_cost import PathDivergence
from mixdyn.support.errors import InputError, NotApplicableError

from . import functions

SCHEDULE = NoiseSchedule.linear(60, 1e-4, 0.2)
X0 = {"level": "sigma", "predicts": "x0"}
SNR = {"level": "log_snr", "predicts": "x0"}


@pytest.mark.parametrize("sampler", [DDIM(12, eta=1.0), DDIM(12, eta=0.4), DDPM("beta")])
def test_the_price_of_our_chains_is_their_divergence_path_by_path(sampler):
    exact = ExactScore(presets.grid(), SCHEDULE)
    learned = PerturbedScore(exact, SCHEDULE, lambda x, t: np.sin(3.0 * x))
    price = transcribe(sampler, schedule=SCHEDULE).price(learned, exact, SCHEDULE, n=200, rng=4)
    plan = sampler.plan(SCHEDULE, sampler.grid(SCHEDULE))
    watch = PathDivergence(exact, plan)
    run = sample(learned, SCHEDULE, sampler, n=200, d=2, rng=4, observers=[watch], keep="none")
    costs = run.observations[0]
    assert np.allclose(price.cost, costs.cost, rtol=1e-8)
    assert np.allclose(price.by_draw, costs.by_step, rtol=1e-8)
    assert price.nats == pytest.approx(costs.cost.mean(), rel=1e-10)
    assert price.last == plan.grid.steps - 1


@pytest.mark.parametrize(
    ("plan", "level"),
    [
        (lambda: transcribe(functions.second_order, 10, noisy=True, **SNR), 1e-9),
        (lambda: transcribe(functions.ancestral, 10, **X0), 1e-9),
        (lambda: transcribe(functions.remembered_noise, 10, **X0), 1e-9),
    ],
    ids=["SDE 2M", "ancestral", "remembered noise"],
)
def test_on_gaussians_it_is_the_divergence_of_the_path_laws(plan, level, plausible):
    """KL of the joint normals of all inputs after the start, from their covariances alone."""
    plan, stds, n = plan(), (0.6, 0.5), 20_000
    price = plan.price(*(GaussianMixture([[0.0]], std) for std in stds), SCHEDULE, n=n, rng=1)
    rows = slice(0, price.last + 1)
    laws = [state_laws(plan, std**2, "own").factors[rows] for std in stds]
    first, second = (law @ law.T for law in laws)
    ratio = np.linalg.solve(second, first)
    kl = 0.5 * (np.trace(ratio) - len(first) - np.linalg.slogdet(ratio)[1])
    z = (price.nats - kl) / price.error
    plausible(2 * stats.norm.sf(abs(z)), level=level)
    assert price.error < 0.03 * kl  # what the test could see
    assert price.by_draw.sum() == pytest.approx(price.nats, rel=1e-12)


def test_equal_models_cost_nothing():
    price = transcribe(DDPM(), schedule=SCHEDULE).price(presets.grid(), presets.grid(), SCHEDULE)
    assert (price.nats, price.error) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        (lambda: transcribe(DDIM(5), schedule=SCHEDULE), "needs noise in the steps"),
        (lambda: transcribe(functions.twice_noisy, 5, **X0), "two draws in input 1"),
        (lambda: transcribe(late_noise, **X0), "none before input 2"),
    ],
)
def test_paths_without_a_density_have_no_price(plan, rule):
    with pytest.raises(NotApplicableError, match=rule) as error:
        plan().price(presets.grid(), presets.grid(), SCHEDULE)
    assert "\n" not in str(error.value)


def late_noise(model, x, rng):
    x = 0.5 * (x + model(x, 2.0))
    x = model(x, 1.0) + 0.5 * rng.standard_normal(x.shape)
    return model(x, 0.5)


def test_paths_end_before_the_first_input_without_a_draw_of_its_own():
    def stops(model, x, rng):
        for sigma in (4.0, 2.0, 1.0):
            x = model(x, sigma) + 0.4 * sigma * rng.standard_normal(x.shape)
        return model(0.5 * (x + model(x, 0.5)), 0.2) + 0.1 * rng.standard_normal(x.shape)

    price = transcribe(stops, **X0).price(presets.grid(), presets.grid(), SCHEDULE, n=3)
    assert price.last == 3
    assert len(price.by_draw) == 3


def test_the_dimension_and_the_count_are_asked_for():
    plan, model = transcribe(DDPM(), schedule=SCHEDULE), as_model(lambda x, t: 0.1 * x)
    with pytest.raises(InputError, match="a price needs the dimension"):
        plan.price(model, model, SCHEDULE)
    with pytest.raises(InputError, match="n must be an integer >= 2"):
        plan.price(model, model, SCHEDULE, n=1, d=2)
    assert plan.price(model, model, SCHEDULE, n=2, d=2).nats == 0.0
    assert math.isnan(plan.price(model, model, SCHEDULE, n=2, d=2).error) is False

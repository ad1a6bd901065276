"""The streamed cost of a path is that of its definition, and ends with the noise."""

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    ExactScore,
    GaussianMixture,
    Hybrid,
    NoiseSchedule,
    PerturbedScore,
    TimeGrid,
    sample,
)
from mixdyn.run import sampling
from mixdyn.run.path_cost import PathDivergence
from mixdyn.support.errors import InputError, NotApplicableError

SCHEDULE = NoiseSchedule.linear(12, 0.01, 0.3)
MIXTURE = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], 0.1, [0.2, 0.3, 0.5])
OTHER = GaussianMixture([[0.1, 0.0], [1.0, 0.4], [0.3, -0.8]], 0.15)
GRID = TimeGrid([12, 8, 5, 4, 2, 1, 0])
SAMPLERS = {
    "DDIM": DDIM(spacing=GRID, eta=0.5),
    "DDPM": DDPM(),
    "beta": DDPM(variance="beta"),
    "hybrid": Hybrid(3, DDIM(spacing=GRID)),
}
N = 150


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    monkeypatch.setattr(sampling, "_BLOCK_DOUBLES", 1)  # 128 samples a block


def plan_of(sampler):
    return sampler.plan(SCHEDULE, sampler.grid(SCHEDULE))


def costs(sampler, model=OTHER, **options):
    observer = PathDivergence(MIXTURE, plan_of(sampler))
    run = sample(model, SCHEDULE, sampler, n=N, rng=5, observers=[observer], **options)
    return run, run.observations[0]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_cost_is_the_squared_distance_of_the_means_over_twice_the_noise_variance(name):
    run, found = costs(SAMPLERS[name], keep="trajectory")
    plan = plan_of(SAMPLERS[name])
    exact, used = ExactScore(MIXTURE, SCHEDULE), ExactScore(OTHER, SCHEDULE)
    total, means = np.zeros(N), []
    for k, (t, _) in enumerate(plan.grid.pairs):
        if plan.noise_std[k] == 0.0:
            break
        x = run.trajectory[k]
        shift = plan.denoise[k] * (used.x0(x, t) - exact.x0(x, t))
        means.append(np.square(shift).sum(1) / (2.0 * plan.noise_std[k] ** 2))
        total += means[-1]
    assert found.cost == pytest.approx(total, rel=1e-9)
    assert found.by_step == pytest.approx(np.mean(means, axis=1), rel=1e-9)
    assert found.t == plan.t[k]
    assert (found.x == run.trajectory[k]).all()


def test_a_hybrid_pays_for_its_noisy_steps_alone():
    _, found = costs(SAMPLERS["hybrid"])
    assert found.t == 9
    assert len(found.by_step) == 3


def test_a_constant_score_error_costs_the_same_on_every_path():
    eta, e = 0.5, np.array([0.3, -0.2])
    model = PerturbedScore(MIXTURE, SCHEDULE, lambda x, t: np.broadcast_to(e, x.shape))
    _, found = costs(SAMPLERS["DDIM"], model)
    rho, alpha = SCHEDULE.rho[GRID.times], SCHEDULE.alpha[GRID.times]
    q = rho[1:-1] / rho[:-2]
    r = np.sqrt(q * (1.0 - eta**2 * (1.0 - q)))
    shift = (1.0 - r) * rho[:-2] * alpha[:-2]
    expected = (shift**2 * (e @ e) / (2.0 * eta**2 * rho[1:-1] * (1.0 - q))).sum()
    assert found.cost == pytest.approx(np.full(N, expected), rel=1e-9)


def test_the_exact_score_costs_nothing():
    assert not costs(SAMPLERS["DDPM"], MIXTURE)[1].cost.any()


def test_paths_keep_their_order_over_blocks():
    run, found = costs(SAMPLERS["DDIM"], keep="final")
    again = sample(
        OTHER,
        SCHEDULE,
        SAMPLERS["DDIM"],
        n=20,
        rng=5,
        first=130,
        observers=[PathDivergence(MIXTURE, plan_of(SAMPLERS["DDIM"]))],
    )
    assert (again.observations[0].cost == found.cost[130:]).all()
    assert (again.x == run.x[130:]).all()


def test_a_deterministic_sampler_has_no_divergence():
    with pytest.raises(NotApplicableError, match="noise in the first step"):
        PathDivergence(MIXTURE, plan_of(DDIM(spacing=GRID)))


def test_a_plan_of_another_grid_is_refused():
    observer = PathDivergence(MIXTURE, plan_of(DDPM()))
    with pytest.raises(InputError, match="grid that runs"):
        sample(OTHER, SCHEDULE, SAMPLERS["DDIM"], n=3, rng=0, observers=[observer])

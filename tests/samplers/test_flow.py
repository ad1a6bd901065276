"""`ProbabilityFlow`: the solver's steps on a sampler's grid, one evaluation each."""

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    ExactScore,
    GaussianMixture,
    NoiseSchedule,
    ProbabilityFlow,
    TimeGrid,
    as_model,
    integrate_ode,
    presets,
    sample,
)
from mixdyn.oracles import flow_map
from mixdyn.run import sampling
from mixdyn.solvers.field import v_grid
from mixdyn.solvers.integrators import ExponentialMultistep
from mixdyn.solvers.multistep import chosen_weights
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(200, 1e-3, 0.1)
MIXTURE = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], 0.1, [0.2, 0.3, 0.5])
PER_MODE = GaussianMixture(MIXTURE.means, [0.1, 0.2, 0.3], MIXTURE.weights)
X = np.random.default_rng(0).standard_normal((40, 2))


class Counted:
    d = 2

    def __init__(self, mixture=MIXTURE, schedule=SCHEDULE):
        self.model, self.times = ExactScore(mixture, schedule), []

    def eps(self, x, t):
        self.times.append(t)
        return self.model.eps(x, t)


@pytest.mark.parametrize("mixture", [MIXTURE, PER_MODE], ids=["common sigma", "per-mode sigma"])
@pytest.mark.parametrize(("steps", "order"), [(10, 2), (16, 4), (30, 3)])
def test_a_run_is_the_solver_on_the_clock_of_its_grid(mixture, steps, order):
    sampler = ProbabilityFlow(steps, order)
    grid = sampler.grid(SCHEDULE)
    v = v_grid(SCHEDULE, grid, mixture)
    y = X / SCHEDULE.alpha[grid.times[0]]
    expected = integrate_ode(mixture, y, v, ExponentialMultistep(order)).y
    assert np.allclose(sample(mixture, SCHEDULE, sampler, x=X).x, expected, rtol=0, atol=1e-11)


def test_each_step_evaluates_the_model_once_at_its_time():
    model = Counted()
    run = sample(model, SCHEDULE, ProbabilityFlow(20), x=X)
    assert run.n_eval == 20
    assert model.times == run.times[:-1].tolist()


def test_without_a_data_std_a_model_ends_in_its_own_clean_prediction():
    model = Counted()
    run = sample(model, SCHEDULE, ProbabilityFlow(20), x=X, keep="trajectory")
    last = run.trajectory[-2]
    clean = (last - np.sqrt(SCHEDULE.noise_var[1]) * model.eps(last, 1)) / SCHEDULE.alpha[1]
    assert np.allclose(run.x, clean, rtol=0, atol=1e-12)


def test_a_model_that_is_told_its_sigma_runs_as_the_exact_score():
    exact = sample(MIXTURE, SCHEDULE, ProbabilityFlow(30), x=X).x
    told = sample(Counted(), SCHEDULE, ProbabilityFlow(30, data_std=0.1), x=X).x
    untold = sample(Counted(), SCHEDULE, ProbabilityFlow(30), x=X).x
    assert np.abs(told - exact).max() <= 1e-13
    assert np.abs(untold - exact).max() >= 1e-4


def test_fifty_evaluations_end_fifty_times_nearer_to_the_flow_than_those_of_ddim():
    mixture, schedule = presets.grid(), NoiseSchedule.linear()
    x = np.random.default_rng(1).standard_normal((150, 2))
    v = mixture.sigma**2 + schedule.rho
    errors = []
    for sampler in (ProbabilityFlow(50), DDIM(50, "log_snr")):
        run = sample(mixture, schedule, sampler, x=x)
        assert run.n_eval == 50
        end = flow_map(mixture, x / schedule.alpha[1000], v[1000], v[0])
        errors.append(np.median(np.linalg.norm(run.x - end, axis=1)))
    assert errors[0] <= errors[1] / 50
    assert errors[0] <= 0.01 * mixture.sigma


def test_the_default_order_falls_where_steps_lengthen_not_where_they_are_few():
    even = 0.1 * np.arange(4)
    assert [len(chosen_weights(h, -even)) for h in (0.1, 0.2, 0.3, 3.0)] == [4, 2, 1, 1]
    assert (
        len(chosen_weights(0.4, -4.0 * even)) == 2
    )  # a polynomial of degree 3 over 1.6 is no guess
    short_before = np.array([0.0, -0.01, -0.02, -0.03])
    assert len(chosen_weights(0.1, short_before)) == 1


def test_modes_far_from_the_origin_are_reached_as_well_as_near_it():
    """A cubic through late nodes would multiply the rounding of 1e-13 to a whole sigma."""
    schedule, sigma = NoiseSchedule.linear(), 1e-8
    y = np.random.default_rng(0).standard_normal((200, 1)) / schedule.alpha[1000]
    v = sigma**2 + schedule.rho
    end = flow_map(GaussianMixture([[-1.0], [1.0]], sigma), y, v[1000], v[0])
    for centre in (0.0, 1001.0):
        mixture = GaussianMixture([[centre - 1.0], [centre + 1.0]], sigma)
        x = schedule.alpha[1000] * (y + centre)
        run = sample(mixture, schedule, ProbabilityFlow(), x=x)
        error = np.abs(run.x - centre - end) / sigma
        assert np.quantile(error, 0.9) <= 0.01
        assert error.max() <= 0.2


def test_blocks_of_a_run_do_not_share_the_nodes_behind_them(monkeypatch):
    whole = sample(MIXTURE, SCHEDULE, ProbabilityFlow(20), n=300, rng=1).x
    monkeypatch.setattr(sampling, "_BLOCK_DOUBLES", 1)
    assert sample(MIXTURE, SCHEDULE, ProbabilityFlow(20), n=300, rng=1).x.tobytes() == (
        whole.tobytes()
    )


def test_a_start_cuts_the_grid():
    run = sample(
        MIXTURE, SCHEDULE, ProbabilityFlow(spacing=TimeGrid([90, 40, 7, 0])), x=X, start=40
    )
    assert run.times.tolist() == [40, 7, 0]


BAD = {
    "no steps": (lambda: ProbabilityFlow(0), "number of steps must be an integer >= 1"),
    "order 0": (lambda: ProbabilityFlow(order=0), r"order must be an integer in 1\.\.4"),
    "data_std negative": (lambda: ProbabilityFlow(data_std=-1.0), "data_std must be >= 0"),
    "spacing misspelt": (
        lambda: sample(MIXTURE, SCHEDULE, ProbabilityFlow(spacing="even"), x=X),
        "spacing must be",
    ),
    "grid beyond T": (
        lambda: sample(MIXTURE, SCHEDULE, ProbabilityFlow(spacing=TimeGrid([300, 0])), x=X),
        "within the schedule",
    ),
    "path noise": (
        lambda: sample(MIXTURE, SCHEDULE, ProbabilityFlow(5), x=X, noise="path"),
        "draws no noise",
    ),
    "a model of NaN": (
        lambda: sample(as_model(lambda x, t: x * np.nan), SCHEDULE, ProbabilityFlow(5), x=X),
        "finite and of shape",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_flow_is_refused_with_rule_value_and_remedy(case):
    call, rule = BAD[case]
    with pytest.raises(InputError, match=rule) as caught:
        call()
    assert caught.value.remedy


SCALED_LINEAR = NoiseSchedule.from_betas(np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
COARSE = {  # steps whose extrapolation to the fourth order leaves the modes
    "one to all of 20": (NoiseSchedule.linear(20, 0.005, 0.9), (10, 20)),
    "50 steep": (NoiseSchedule.linear(50, 0.005, 0.9), (10, 20, 50)),
    "Stable Diffusion's": (SCALED_LINEAR, (10, 20, 50)),
    "DDPM's": (NoiseSchedule.linear(), (10, 20, 50)),
}


@pytest.mark.compiled
@pytest.mark.parametrize("spacing", ["log_snr", "uniform", "leading", "quadratic"])
@pytest.mark.parametrize("name", COARSE)
def test_no_grid_makes_the_default_order_leave_more_outside_than_the_second(name, spacing):
    mixture = GaussianMixture([[-1.0], [1.0]], 0.05)
    schedule, counts = COARSE[name]

    def outside(steps, order):
        x = sample(mixture, schedule, ProbabilityFlow(steps, order, spacing), n=20_000, rng=0).x
        return np.count_nonzero(np.abs(np.abs(x) - 1.0) > 0.25)

    for steps in counts:
        assert outside(steps, None) <= outside(steps, 2), steps

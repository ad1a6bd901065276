"""Fields and solvers: what they evaluate, what they refuse."""

import numpy as np
import pytest

from mixdyn import (
    ExactScore,
    GaussianMixture,
    NoiseSchedule,
    TimeGrid,
    as_model,
    integrate_ode,
    integrate_sde,
    presets,
)
from mixdyn.solvers.field import MixtureField, ModelField, v_grid
from mixdyn.solvers.integrators import (
    DormandPrince,
    EulerMaruyama,
    ExponentialEuler,
    ExponentialMidpoint,
    ExponentialMultistep,
    ExponentialSde,
    euler,
    heun,
    rk4,
)
from mixdyn.support.errors import ConvergenceError, InputError, MemoryLimitError

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear(60, 1e-4, 0.2)
MIXTURE = presets.ring(5, sigma=0.2)
PER_MODE = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], [0.1, 0.2, 0.3], [0.2, 0.3, 0.5])
Y = np.random.default_rng(0).normal(size=(7, 2))
AT_NODES = [
    euler(),
    heun(),
    ExponentialEuler(),
    ExponentialMultistep(),
    ExponentialMultistep(4),
]
BETWEEN_NODES = [rk4(), ExponentialMidpoint(), DormandPrince()]


def name(method):
    return method.tableau.name if hasattr(method, "tableau") else type(method).__name__


def model_field(mixture):
    return ModelField(
        ExactScore(mixture, SCHEDULE), SCHEDULE, 2, data_var=float(mixture.sigmas.min() ** 2)
    )


@pytest.mark.parametrize("mixture", [MIXTURE, PER_MODE], ids=["common sigma", "per-mode sigma"])
def test_the_field_is_v_times_the_score_in_static_coordinates(mixture):
    exact, field = ExactScore(mixture, SCHEDULE), MixtureField(mixture)
    for t in (1, 30, 60):
        alpha, v = SCHEDULE.alpha[t], mixture.sigmas.min() ** 2 + SCHEDULE.rho[t]
        expected = v * alpha * exact.score(alpha * Y, t)
        assert np.allclose(field.pull(Y, v), expected, rtol=1e-11, atol=1e-12)


def test_the_field_of_one_sigma_is_the_mean_field_minus_the_point():
    v = 0.7
    square = ((Y[:, None, :] - MIXTURE.means) ** 2).sum(-1)
    gamma = MIXTURE.weights * np.exp(-square / (2 * v))
    gamma /= gamma.sum(1, keepdims=True)
    assert np.allclose(MixtureField(MIXTURE).pull(Y, v), gamma @ MIXTURE.means - Y, atol=1e-14)


@pytest.mark.parametrize("mixture", [MIXTURE, PER_MODE], ids=["common sigma", "per-mode sigma"])
def test_a_model_field_is_the_mixture_field_at_every_time_of_the_schedule(mixture):
    exact, model = MixtureField(mixture), model_field(mixture)
    for t in range(1, SCHEDULE.T + 1):
        v = float(mixture.sigmas.min() ** 2 + SCHEDULE.rho[t])
        assert np.allclose(model.pull(Y, v), exact.pull(Y, v), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("share", [1e-9, 0.3, 0.5])
def test_a_model_field_refuses_every_v_between_two_times(share):
    v = SCHEDULE.rho[30:32] + MIXTURE.sigma**2
    with pytest.raises(InputError, match="can only be evaluated there"):
        model_field(MIXTURE).pull(Y, float((1 - share) * v[0] + share * v[1]))


def test_a_model_field_refuses_time_zero_and_beyond_the_schedule():
    for v in (MIXTURE.sigma**2, MIXTURE.sigma**2 + 1.01 * SCHEDULE.rho[-1]):
        with pytest.raises(InputError, match="can only be evaluated there"):
            model_field(MIXTURE).pull(Y, float(v))


@pytest.mark.parametrize("method", AT_NODES, ids=name)
def test_methods_that_stay_on_nodes_run_on_a_model(method):
    v = (SCHEDULE.rho + MIXTURE.sigma**2)[[60, 45, 30, 10, 1]]
    exact, model = (integrate_ode(f, Y, v, method) for f in (MIXTURE, model_field(MIXTURE)))
    assert np.abs(exact.y - model.y).max() <= 1e-9
    assert exact.n_eval == model.n_eval


@pytest.mark.parametrize("method", BETWEEN_NODES, ids=name)
def test_methods_that_leave_the_nodes_are_refused_a_model(method):
    v = (SCHEDULE.rho + MIXTURE.sigma**2)[[60, 30]]
    with pytest.raises(InputError, match="can only be evaluated there"):
        integrate_ode(model_field(MIXTURE), Y, v, method)


def test_a_time_grid_becomes_the_decreasing_clock_down_to_clean_data():
    v = v_grid(SCHEDULE, TimeGrid([60, 20, 0]), PER_MODE)
    assert np.allclose(v, 0.01 + SCHEDULE.rho[[60, 20, 0]], rtol=1e-15)
    assert integrate_ode(PER_MODE, Y, v, rk4()).y.shape == Y.shape


def test_a_single_mode_is_solved_exactly_by_the_exponential_methods():
    """m is constant there: y contracts to the mean by sqrt(v_s/v_t)."""
    mixture = GaussianMixture([[0.5, -1.0]], 0.3)
    expected = [0.5, -1.0] + 0.3 / 2 * (Y - [0.5, -1.0])
    multistep = [ExponentialMultistep(order) for order in (1, 2, 3, 4)]
    for method in (ExponentialEuler(), ExponentialMidpoint(), *multistep):
        y = integrate_ode(mixture, Y, [4.0, 1.0, 0.09], method).y
        assert np.allclose(y, expected, rtol=1e-13, atol=1e-14)


def test_solving_does_not_touch_the_given_states():
    y = Y.copy()
    integrate_ode(MIXTURE, y, [1.0, 0.5], euler())
    integrate_sde(MIXTURE, y, [1.0, 0.5], rng=0)
    assert (y == Y).all()


def test_an_adaptive_solve_that_runs_out_of_steps_says_how_far_it_came():
    with pytest.raises(ConvergenceError, match=r"took 3 steps from v = 4 .* loosen rtol"):
        integrate_ode(MIXTURE, Y, [4.0, 0.04], DormandPrince(1e-12, 1e-14, max_steps=3))


NAN = float("nan")
V = [4.0, 1.0]
BAD = {
    "v increasing": (lambda: integrate_ode(MIXTURE, Y, [1.0, 4.0]), "strictly decreasing"),
    "v repeating": (lambda: integrate_ode(MIXTURE, Y, [4.0, 4.0]), "strictly decreasing"),
    "v of one value": (lambda: integrate_ode(MIXTURE, Y, [4.0]), "at least two positive"),
    "v zero": (lambda: integrate_ode(MIXTURE, Y, [4.0, 0.0]), "positive numbers"),
    "v NaN": (lambda: integrate_ode(MIXTURE, Y, [4.0, NAN]), "v must be finite"),
    "v a number": (lambda: integrate_ode(MIXTURE, Y, 4.0), "1 axis"),
    "v below clean data": (
        lambda: integrate_ode(MIXTURE, Y, [4.0, 0.01, 0.001], euler()),
        "must not fall below the variance",
    ),
    "y of another dimension": (lambda: integrate_ode(MIXTURE, Y[:, :1], V), r"shape \(n, 2\)"),
    "y NaN": (lambda: integrate_ode(MIXTURE, [[NAN, 0.0]], V), "y must be finite"),
    "keep misspelt": (lambda: integrate_ode(MIXTURE, Y, V, keep="all"), "'final' or 'trajectory'"),
    "no field": (lambda: integrate_ode("field", Y, V), "GaussianMixture or a field"),
    "no field, stochastic": (lambda: integrate_sde(None, Y, V), "GaussianMixture or a field"),
    "rtol negative": (lambda: DormandPrince(-1e-3), "rtol must be >= 0"),
    "order 5": (lambda: ExponentialMultistep(5), r"order must be an integer in 1\.\.4"),
    "atol zero": (lambda: DormandPrince(atol=0.0), "atol must be > 0"),
    "no steps": (lambda: DormandPrince(max_steps=0), "max_steps must be an integer >= 1"),
    "data_var negative": (
        lambda: ModelField(ExactScore(MIXTURE, SCHEDULE), SCHEDULE, 2, data_var=-1.0),
        "data_var must be >= 0",
    ),
    "seed negative": (lambda: integrate_sde(MIXTURE, Y, V, rng=-1), "seed must be an integer"),
    "first negative": (lambda: integrate_sde(MIXTURE, Y, V, first=-1), "first must be an integer"),
    "fine without the nodes": (
        lambda: integrate_sde(MIXTURE, Y, [4.0, 2.0, 1.0], fine=[4.0, 3.0, 1.0]),
        "fine must contain every node",
    ),
    "fine too short": (
        lambda: integrate_sde(MIXTURE, Y, [4.0, 1.0], fine=[4.0, 2.0]),
        "fine must contain every node",
    ),
    "fine increasing": (lambda: integrate_sde(MIXTURE, Y, V, fine=[1.0, 4.0]), "decreasing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_rule_value_and_remedy(case):
    call, rule = BAD[case]
    with pytest.raises(InputError, match=rule) as caught:
        call()
    assert caught.value.remedy


def test_a_model_that_returns_nan_is_refused_by_the_solvers():
    broken = ModelField(as_model(lambda x, t: x * np.nan), SCHEDULE, 2)
    v = SCHEDULE.rho[[60, 30]]
    with pytest.raises(InputError, match="finite and of shape"):
        integrate_ode(broken, Y, v, euler())
    with pytest.raises(InputError, match="finite and of shape"):
        integrate_sde(broken, Y, v, rng=0)


def test_a_trajectory_beyond_the_memory_limit_is_refused():
    size = 2 * Y.size * 8
    for solve in (integrate_ode, integrate_sde):
        with pytest.raises(MemoryLimitError, match="memory_limit"):
            solve(MIXTURE, Y, V, keep="trajectory", memory_limit=size - 1)
        assert solve(MIXTURE, Y, V, keep="trajectory", memory_limit=size).trajectory.nbytes == size
        with pytest.raises(InputError, match="memory_limit must be a finite real number"):
            solve(MIXTURE, Y, V, memory_limit=float("nan"))


@pytest.mark.parametrize("method", [EulerMaruyama(), ExponentialSde()], ids=name)
def test_a_stochastic_solve_evaluates_once_a_step_and_repeats_with_its_seed(method):
    v = [4.0, 2.0, 1.0, 0.5]
    a, b = (integrate_sde(MIXTURE, Y, v, method, rng=5, keep="trajectory") for _ in range(2))
    assert a.n_eval == 3
    assert (a.trajectory == b.trajectory).all()
    assert (a.trajectory[0] == Y).all()
    assert (a.trajectory[-1] == a.y).all()

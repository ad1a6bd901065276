"""X1: a run depends on its path through rho alone. States of one run on another path of the same
rho are the same in y = x/alpha, to rounding: for every sampler, from noise or from given states."""

import itertools
import warnings

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    AdaptiveNoise,
    ExactReverse,
    ExactScore,
    GaussianMixture,
    Hybrid,
    InputError,
    NoiseSchedule,
    ProbabilityFlow,
    Retry,
    as_model,
    presets,
    sample,
    transcribe,
)
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.observers import ClassCounts, SegmentDistance
from mixdyn.samplers.inversion import invert
from mixdyn.score.protocol import Level
from mixdyn.solvers.field import MixtureField, v_grid
from mixdyn.solvers.integrators import heun, integrate_ode
from mixdyn.support.errors import StartWarning

T = 40
ROOT = np.sqrt(NoiseSchedule.linear(T, 1e-4, 0.3).rho[1:])  # b/a
ANY = np.linspace(2.0, 0.1, T)
ALPHAS = {
    "variance-preserving": 1 / np.sqrt(1 + ROOT**2),
    "variance-exploding": np.ones(T),
    "flow": 1 / (1 + ROOT),
    "any": ANY,
}
PATHS = {name: NoiseSchedule.from_alphas_sigmas(a, a * ROOT) for name, a in ALPHAS.items()}
BLIND = {
    "variance-preserving": NoiseSchedule.from_alphas_cumprod([*(1 / (1 + ROOT[:-1] ** 2)), 0.0]),
    **{
        name: NoiseSchedule.from_alphas_sigmas([*a[:-1], 0.0], [*(a * ROOT)[:-1], b])
        for (name, a), b in zip(ALPHAS.items(), (1.0, 70.0, 1.0, 0.3), strict=True)
        if name != "variance-preserving"
    },
}
PER_MODE = GaussianMixture([[0.0, 1.0], [1.0, -0.5], [-1.0, 0.0]], [0.1, 0.2, 0.4])
TURNED = np.array([[[0.05, 0.03], [0.03, 0.04]], [[0.01, 0.0], [0.0, 0.2]]])
FULL = GaussianMixture([[0.0, 1.0], [1.0, -0.5]], covariance=TURNED)
MIXTURES = {"product": presets.grid(), "per-mode sigma": PER_MODE, "full": FULL}
SAMPLERS = {
    "DDIM": DDIM(8),
    "DDIM, eta 0.5": DDIM(8, "uniform", eta=0.5),
    "DDPM": DDPM(),
    "DDPM, beta": DDPM("beta"),
    "hybrid": Hybrid(3, DDIM(8)),
    "exact": ExactReverse((T, 11, 3, 0)),
    "flow": ProbabilityFlow(10),
    "adaptive": AdaptiveNoise(12),
    "retry": Retry(DDIM(8)),
}


def ends(mixture, schedule, sampler, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StartWarning)
        return sample(mixture, schedule, sampler, **{"n": 200, "rng": 3, **options})


def same(found, known):
    """Equal to rounding, up to what the field between modes makes of it on a path in 200."""
    error = np.abs(found - known).max(axis=tuple(range(1, found.ndim)))
    assert np.quantile(error, 0.95) < 1e-9
    assert np.quantile(error, 0.5) < 1e-11


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("name", list(PATHS)[1:])
def test_a_run_from_noise_depends_on_rho_alone(name, sampler, mixture):
    known = ends(mixture, NoiseSchedule.linear(T, 1e-4, 0.3), sampler)
    found = ends(mixture, PATHS[name], sampler)
    assert found.n_eval == pytest.approx(known.n_eval, rel=0.02)
    same(found.x, known.x)


@pytest.mark.parametrize("name", PATHS)
def test_every_node_of_a_run_is_the_same_in_static_coordinates(name):
    schedule, base = PATHS[name], NoiseSchedule.linear(T, 1e-4, 0.3)
    y = np.random.default_rng(0).normal(size=(50, 2)) * ROOT[-1]
    runs = [
        ends(PER_MODE, on, DDPM(), n=None, x=on.alpha[T] * y, keep="trajectory")
        for on in (base, schedule)
    ]
    known, found = (
        run.trajectory / on.alpha[run.times][:, None, None]
        for run, on in zip(runs, (base, schedule), strict=True)
    )
    same(np.moveaxis(found, 1, 0), np.moveaxis(known, 1, 0))


@pytest.mark.compiled
@pytest.mark.parametrize("mixture", [PER_MODE, FULL], ids=["per-mode sigma", "full"])
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("name", BLIND)
def test_a_first_level_without_signal_depends_on_rho_alone_and_starts_in_the_true_law(
    name, sampler, mixture
):
    if sampler in (DDIM(8), Hybrid(3, DDIM(8)), Retry(DDIM(8))):
        sampler = {DDIM: DDIM(8, "trailing"), Hybrid: Hybrid(3, DDIM(8, "trailing"))}.get(
            type(sampler), Retry(DDIM(8, "trailing"))
        )
    known = ends(mixture, BLIND["variance-preserving"], sampler)
    found = ends(mixture, BLIND[name], sampler)
    assert np.isfinite(found.x).all()
    same(found.x, known.x)
    path = ends(mixture, BLIND[name], sampler, keep="trajectory", n=4000, rng=1).trajectory
    noise = np.sqrt(BLIND[name].noise_var[T])
    assert path[0].std() == pytest.approx(noise, rel=0.05)


def test_the_limit_of_little_signal_is_none():
    """What a step from no signal does is what one from hardly any does."""
    little = NoiseSchedule.from_alphas_sigmas([*(1 / (1 + ROOT[:-1])), 1e-9],
                                              [*(ROOT / (1 + ROOT))[:-1], 1.0])  # fmt: skip
    for sampler in (DDIM(8, "trailing"), DDPM(), ProbabilityFlow(8, 1, "trailing"), ExactReverse()):
        x = ends(PER_MODE, little, sampler).x
        assert ends(PER_MODE, BLIND["flow"], sampler).x == pytest.approx(x, abs=1e-5)


@pytest.mark.parametrize("schedule", [PATHS["flow"], BLIND["flow"], BLIND["any"]], ids=repr)
@pytest.mark.parametrize("predicts", ["x0", "v", "velocity"])
def test_a_model_of_any_prediction_runs_on_every_path(predicts, schedule):
    exact = ExactScore(PER_MODE, schedule)

    def network(x, t):
        a, b = schedule.alpha[t], np.sqrt(schedule.noise_var[t])
        x0, eps = exact.x0(x, t), exact.eps(x, t)
        return {"x0": x0, "v": a * eps - b * x0, "velocity": eps - x0}[predicts]

    model = as_model(network, predicts=predicts, schedule=schedule)
    for sampler in (DDIM(8, "trailing", eta=0.5), ProbabilityFlow(8, data_std=0.1)):
        run = ends(model, schedule, sampler, d=2)
        known = ends(exact, schedule, sampler)
        same(run.x, known.x)
        assert run.n_eval == known.n_eval + (schedule.alpha[T] == 0.0)


def test_a_model_of_eps_is_refused_where_there_is_no_signal():
    for sampler in (DDIM(8, "trailing"), ProbabilityFlow(8), AdaptiveNoise(8)):
        with pytest.raises(InputError, match="alpha = 0"):
            ends(as_model(lambda x, t: x), BLIND["flow"], sampler, d=2)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_step_of_ddim_in_flow_matching_is_eulers(shift):
    """dx/du = eps_hat - x0_hat by Euler's method, from noise that knows nothing."""
    schedule = NoiseSchedule.flow_matching(T, shift=shift)
    exact = ExactScore(PER_MODE, schedule)
    run = ends(PER_MODE, schedule, DDIM(10, "trailing"), keep="trajectory")
    u, x = np.sqrt(schedule.noise_var), run.trajectory[0]
    for (t, s), after in zip(TimeGrid(run.times).pairs, run.trajectory[1:], strict=True):
        x = x + (u[s] - u[t]) * (exact.eps(x, t) - exact.x0(x, t))
        assert after == pytest.approx(x, abs=1e-9)


def test_integrators_see_rho_alone():
    y = np.random.default_rng(0).normal(size=(20, 2)) * ROOT[-1]
    field, grid = MixtureField(PER_MODE), TimeGrid.full(T)
    ends_at = [
        integrate_ode(field, y, v_grid(schedule, grid, PER_MODE), heun()).y
        for schedule in PATHS.values()
    ]
    for found in ends_at[1:]:
        assert found == pytest.approx(ends_at[0], abs=1e-9)
    with pytest.raises(InputError, match="y = x/alpha need signal"):
        v_grid(BLIND["flow"], grid, PER_MODE)


def test_inversion_finds_the_start_on_every_path():
    for schedule in PATHS.values():
        run = ends(PER_MODE, schedule, DDIM(20, "uniform"), keep="trajectory", n=20)
        back = invert(PER_MODE, schedule, DDIM(20, "uniform"), run.x)
        again = ends(PER_MODE, schedule, DDIM(20, "uniform"), x=back.x, n=None).x
        assert again == pytest.approx(run.x, abs=1e-7)
    with pytest.raises(InputError, match="alpha = 0"):
        invert(PER_MODE, BLIND["flow"], DDIM(20, "uniform"), run.x)


def test_levels_between_the_nodes_carry_the_law_of_the_path():
    """x = a x_0 + b eps has the density that the score of that level is of."""
    for schedule in (*PATHS.values(), *BLIND.values()):
        at, exact = Level.at(schedule, T - 0.5), ExactScore(PER_MODE, schedule)
        x = np.random.default_rng(0).normal(size=(5, 2)) * at.noise_std
        a, b, h = at.alpha, at.noise_std, 1e-6 * at.noise_std
        assert at.alpha * exact.x0(x, at) + b * exact.eps(x, at) == pytest.approx(x, rel=1e-12)
        moved = np.array([exact.log_density(x + sign * h * np.eye(2)[0], at) for sign in (1, -1)])
        slope = (moved[0] - moved[1]) / (2 * h)
        assert exact.score(x, at)[:, 0] == pytest.approx(slope, rel=1e-5, abs=1e-7 / b)
        assert a >= 0.0


def test_observers_of_nodes_say_that_they_need_signal():
    with pytest.raises(InputError, match="alpha = 0 at t = 40"):
        ends(PER_MODE, BLIND["flow"], DDPM(),
             observers=[SegmentDistance(PER_MODE, BLIND["flow"])])  # fmt: skip
    run = ends(PER_MODE, BLIND["flow"], DDPM(), observers=[ClassCounts(PER_MODE)])
    assert sum(run.observations[0]) == 200


def test_a_plan_of_another_library_walks_the_path_of_its_own_levels():
    """Euler's method in sigma, as k-diffusion writes it, is DDIM on the exploding path."""

    def euler(model, x, rng, steps):
        sigmas = [*np.geomspace(9.0, 0.02, steps), 0.0]
        for now, then in itertools.pairwise(sigmas):
            x = x + (x - model(x, now)) / now * (then - now)
        return x

    plan = transcribe(euler, 12, level="sigma", predicts="x0", start_std=9.0)
    schedule = NoiseSchedule.from_alphas_sigmas(1.0, np.geomspace(9.0, 0.02, 12))
    run = ends(PER_MODE, schedule, plan)
    assert run.times.tolist() == list(range(12, -1, -1))
    path = ends(PER_MODE, schedule, plan, keep="trajectory").trajectory
    assert path[0].std() == pytest.approx(9.0, rel=0.1)
    same(run.x, ends(PER_MODE, schedule, DDIM(spacing="full"), x=path[0], n=None).x)


@pytest.mark.parametrize("sampler", [DDIM(8, eta=0.5), DDPM("beta"), ProbabilityFlow(8)], ids=repr)
def test_a_sampler_of_ours_is_the_same_plan_on_every_path(sampler):
    plans = [transcribe(sampler, schedule=schedule) for schedule in PATHS.values()]
    responses = [plan.response([0.05, 1.0], mean=0.3) for plan in plans]
    for error, gain in responses[1:]:
        assert (error, gain) == (pytest.approx(responses[0][0], abs=1e-10),
                                 pytest.approx(responses[0][1], rel=1e-10))  # fmt: skip

"""Named paths are those of their papers, whatever the route to them."""

import math

import numpy as np
import pytest

from mixdyn import InputError, NoiseSchedule
from mixdyn.problem.schedule import TimeGrid
from mixdyn.score.protocol import Level

T = 40
R = np.arange(1, T + 1) / T
ABAR = np.exp(-(0.1 * R + 0.5 * 19.9 * R**2))

PATHS = {
    "sub_vp": (NoiseSchedule.sub_vp(T), np.sqrt(ABAR), 1 - ABAR),
    "ve": (NoiseSchedule.ve(T), 1 + 0 * R, 0.01 * 5000 ** (np.arange(T) / (T - 1))),
    "karras": (
        NoiseSchedule.karras(T),
        1 + 0 * R,
        # as its paper counts, from noise to data
        (80 ** (1 / 7) + np.arange(T) / (T - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7)))[::-1] ** 7,
    ),
    "flow": (NoiseSchedule.flow_matching(T), 1 - R, R),
    "shifted flow": (
        NoiseSchedule.flow_matching(T, shift=3.0),
        1 - 3 * R / (1 + 2 * R),
        3 * R / (1 + 2 * R),
    ),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_named_path_is_that_of_its_paper(name):
    schedule, a, b = PATHS[name]
    assert schedule.alpha[1:] == pytest.approx(a, rel=1e-13, abs=1e-15)
    assert np.sqrt(schedule.noise_var[1:]) == pytest.approx(b, rel=1e-13)
    assert (schedule.alpha[0], schedule.noise_var[0], schedule.rho[0]) == (1.0, 0.0, 0.0)
    assert (np.diff(schedule.rho[:-1]) > 0.0).all()
    assert not schedule.variance_preserving


@pytest.mark.parametrize("name", PATHS)
def test_the_variance_preserving_path_of_the_same_rho(name):
    schedule, twin = PATHS[name][0], PATHS[name][0].as_variance_preserving()
    assert twin.variance_preserving
    # A level's error is that of all the betas before it.
    assert twin.rho == pytest.approx(schedule.rho, rel=1e-13)
    assert (schedule.alpha / schedule.scale)[:-1] == pytest.approx(twin.alpha[:-1], rel=1e-13)
    assert (twin.alpha[-1] == 0.0) == (schedule.alpha[-1] == 0.0)
    assert twin.alpha_bar + twin.noise_var == pytest.approx(1.0, rel=1e-15)


def test_zero_terminal_snr_keeps_the_first_level_and_ends_in_none():
    plain = NoiseSchedule.scaled_linear()
    schedule = NoiseSchedule.scaled_linear(zero_terminal_snr=True)
    root = np.sqrt(np.cumprod(1 - plain.beta[1:]))  # algorithm 1 of arXiv 2305.08891
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    assert schedule.alpha[1:] == pytest.approx(root, rel=1e-11, abs=1e-15)
    assert (schedule.alpha[-1], schedule.noise_var[-1], schedule.rho[-1]) == (0.0, 1.0, math.inf)
    assert schedule.variance_preserving
    assert NoiseSchedule.cosine(50, max_beta=1.0).alpha[-1] == 0.0


def test_tables_of_diffusers_are_ours():
    diffusers = pytest.importorskip("diffusers")
    known = diffusers.DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=8.5e-4,
        beta_end=0.012,
        rescale_betas_zero_snr=True,
    )
    ours = NoiseSchedule.scaled_linear(zero_terminal_snr=True)
    # They compute in float32.
    assert ours.alpha_bar[1:] == pytest.approx(known.alphas_cumprod.numpy(), rel=3e-4, abs=1e-6)
    flow = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    shifted = NoiseSchedule.flow_matching(1000, shift=3.0)
    assert np.sqrt(shifted.noise_var[:0:-1]) == pytest.approx(flow.sigmas.numpy(), rel=1e-5)
    karras = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0)
    karras.set_timesteps(T)
    levels = np.sqrt(PATHS["karras"][0].noise_var[::-1])
    assert levels == pytest.approx(karras.sigmas.numpy(), rel=1e-5)


def test_a_table_may_run_backwards_and_end_clean():
    sigmas = np.geomspace(0.01, 9.0, 7)
    first = NoiseSchedule.from_alphas_sigmas(1.0, sigmas)
    assert first == NoiseSchedule.from_alphas_sigmas(np.ones(8), [*sigmas[::-1], 0.0])
    assert first.alpha.tolist() == [1.0] * 8
    assert np.sqrt(first.noise_var[1:]) == pytest.approx(sigmas, rel=1e-15)


SCHEDULES = [
    NoiseSchedule.linear(T, 0.01, 0.3),
    NoiseSchedule.linear(T, 0.01, 0.3, zero_terminal_snr=True),
    *(path[0] for path in PATHS.values()),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_levels_between_nodes_are_the_nodes_there_and_noisier_with_time(schedule):
    for t in (0, 1, 17, T):
        at = schedule.between(t)
        assert at == (schedule.alpha[t], np.sqrt(schedule.noise_var[t]))
    times = np.linspace(0.0, T, 10 * T + 1)
    a, b = np.array([schedule.between(t) for t in times]).T
    assert (b[1:] * a[:-1] > b[:-1] * a[1:]).all()
    if schedule.variance_preserving:
        assert a**2 + b**2 == pytest.approx(1.0, rel=1e-14)
    at = Level.at(schedule, 3.25)
    assert (at.alpha, at.noise_std) == pytest.approx(schedule.between(3.25), rel=1e-15)


def test_levels_between_nodes_are_exact_where_the_path_is_known():
    a, b = NoiseSchedule.flow_matching(T).between(6.5)
    assert (a, b) == pytest.approx((1 - 6.5 / T, 6.5 / T), rel=1e-14)
    # A constant beta in each step: the diffusion itself.
    schedule = NoiseSchedule.from_betas([0.3, 0.5])
    a, b = schedule.between(1.25)
    assert a == pytest.approx(math.sqrt(0.7 * 0.5**0.25), rel=1e-15)
    for bad in (-0.1, 2.5, math.nan):
        with pytest.raises(InputError):
            schedule.between(bad)


def test_a_grid_in_log_snr_takes_a_first_level_without_signal():
    schedule = NoiseSchedule.flow_matching(T)
    assert TimeGrid.log_snr(schedule, 1).times.tolist() == [T, 0]
    assert TimeGrid.log_snr(schedule, 2).times.tolist() == [T, T - 1, 0]
    assert TimeGrid.log_snr(schedule, T) == TimeGrid.full(T)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NoiseSchedule.from_alphas_sigmas([1, -1], [1, 2]), "alpha must be >= 0.*time 2"),
        (lambda: NoiseSchedule.from_alphas_sigmas([1, 1], [-1, 2]), "sigma must be > 0.*time 1"),
        (lambda: NoiseSchedule.from_alphas_sigmas(1, [1, math.nan]), "sigmas must be finite"),
        (lambda: NoiseSchedule.from_alphas_sigmas(1, [1, 3, 2]), "rise strictly.*time 3"),
        (lambda: NoiseSchedule.from_alphas_sigmas([0.5, 1], [1, 2]), "rise strictly.*time 2"),
        (lambda: NoiseSchedule.from_alphas_sigmas([1, 0, 0], [1, 2, 3]), "only the last.*time 2"),
        (lambda: NoiseSchedule.from_alphas_sigmas([1, 1, 1], [1, 2]), "one length.*3 and 2"),
        (lambda: NoiseSchedule.from_alphas_sigmas(1, []), "one length"),
        (lambda: NoiseSchedule.from_alphas_sigmas(1, [[2.0]]), "1 axis"),
        (
            lambda: NoiseSchedule.from_alphas_sigmas(1, [1e-170, 1]),
            "sigma must be at least 1e-150.*time 1",
        ),
        (
            lambda: NoiseSchedule.from_alphas_sigmas(1e160, [1e160, 1]),
            "alphas must be at most 1e.150",
        ),
        (lambda: NoiseSchedule.from_alphas_sigmas([1, 1e-160], [1, 1e-20]), "alpha but 0.*time 2"),
        (
            lambda: NoiseSchedule.from_sigmas([1e-170, 1]),
            "sigma must be > 0, at least 1e-150.*time 1",
        ),
        (lambda: NoiseSchedule.karras(sigma_min=90.0), "sigma_min must be below sigma_max"),
        (lambda: NoiseSchedule.ve(sigma_min=0.0), "sigma_min must be > 0"),
        (lambda: NoiseSchedule.flow_matching(shift=-1.0), "shift must be > 0"),
        (lambda: NoiseSchedule.linear(zero_terminal_snr=1), "zero_terminal_snr must be"),
        (lambda: NoiseSchedule.from_alphas_cumprod([0.5, 0.0, 0.0]), "time 2"),
        (lambda: NoiseSchedule.from_alphas_cumprod([0.0]), "time 1"),
    ],
)
def test_a_bad_path_is_refused_with_its_time(call, message):
    with pytest.raises(InputError, match=message):
        call()

"""Sampler coefficients against the formulas of the papers, written out in 50 digits.

The papers' alpha_bar_{t-1} is the level the step ends at, alpha_bar_s here.
"""

import itertools

import mpmath
import numpy as np
import pytest

from mixdyn import DDIM, DDPM, ExactReverse, Hybrid, NoiseSchedule, TimeGrid
from mixdyn.samplers.plan import StepPlan, bridge_plan
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear()
SHORT = NoiseSchedule.linear(12, 0.01, 0.3)


def exact_levels(schedule):
    levels = [mpmath.mpf(1)]
    for beta in schedule.beta[1:]:
        levels.append(levels[-1] * (1 - mpmath.mpf(float(beta))))
    return levels


def song_step(abar_t, abar_s, eta):
    """(factor on x_t, on eps, on noise) of DDIM, arXiv 2010.02502, equations 12 and 16."""
    sigma = eta * mpmath.sqrt((1 - abar_s) / (1 - abar_t)) * mpmath.sqrt(1 - abar_t / abar_s)
    on_x = mpmath.sqrt(abar_s) / mpmath.sqrt(abar_t)
    on_eps = -mpmath.sqrt(abar_s) * mpmath.sqrt(1 - abar_t) / mpmath.sqrt(abar_t)
    return on_x, on_eps + mpmath.sqrt(1 - abar_s - sigma**2), sigma


@pytest.mark.parametrize(
    ("spacing", "eta"),
    [
        *itertools.product(["quadratic", "uniform", "leading", "log_snr"], [0.0, 0.5, 1.0]),
        ("uniform", 1.1),
    ],
)
def test_ddim_has_the_coefficients_of_song_et_al(spacing, eta):
    sampler = DDIM(20, spacing, eta)
    plan = sampler.plan(SCHEDULE, sampler.grid(SCHEDULE))
    with mpmath.workdps(50):
        abar = exact_levels(SCHEDULE)
        rows = [song_step(abar[t], abar[s], mpmath.mpf(sampler.eta)) for t, s in plan.grid.pairs]
        truth = np.array([[float(c) for c in row] for row in rows[:-1]])
    c_x, c_eps, c_noise = plan.eps_form()
    for value, expected in zip((c_x, c_eps, c_noise), truth.T, strict=True):
        assert np.allclose(value[:-1], expected, rtol=1e-12, atol=0)


def test_small_steps_keep_the_digits_of_the_noise_coefficient():
    """c_eps is the difference of two numbers that agree to 1 part in 100 here."""
    plan = bridge_plan(SCHEDULE, TimeGrid.full(1000), 0.0)
    with mpmath.workdps(50):
        abar = exact_levels(SCHEDULE)
        exact = [float(song_step(abar[t], abar[s], 0)[1]) for t, s in plan.grid.pairs[:-1]]
    error = np.abs(plan.eps_form()[1][:-1] / exact - 1).max()
    # Each alpha_bar carries the rounding of its running logarithm, 2e-15 of a step of 0.01.
    assert error <= 2e-13


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_ddpm_has_the_mean_and_the_variances_of_ho_et_al(variance):
    """arXiv 2006.11239: mean of equation 11, the two variances of section 3.2."""
    plan = DDPM(variance).plan(SCHEDULE, TimeGrid.full(1000))
    c_x, c_eps, c_noise = plan.eps_form()
    with mpmath.workdps(50):
        abar = exact_levels(SCHEDULE)
        for k, (t, s) in enumerate(plan.grid.pairs[:-1]):
            beta = mpmath.mpf(float(SCHEDULE.beta[t]))
            on_x = 1 / mpmath.sqrt(1 - beta)
            on_eps = -on_x * beta / mpmath.sqrt(1 - abar[t])
            var = beta if variance == "beta" else (1 - abar[s]) / (1 - abar[t]) * beta
            for value, expected in ((c_x[k], on_x), (c_eps[k], on_eps), (c_noise[k] ** 2, var)):
                assert abs(value / expected - 1) <= 5e-13


def test_ddpm_is_ddim_with_eta_one_on_the_full_grid_bit_by_bit():
    ddpm, ddim = DDPM(), DDIM(spacing="full", eta=1.0)
    assert ddpm.grid(SCHEDULE) == ddim.grid(SCHEDULE) == TimeGrid.full(1000)
    plans = [sampler.plan(SCHEDULE, TimeGrid.full(1000)) for sampler in (ddpm, ddim)]
    for a, b in zip(plans[0].eps_form(), plans[1].eps_form(), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    "sampler",
    [DDIM(4, "uniform", eta=0.5), DDPM(), DDPM("beta"), Hybrid(2, DDIM(4, "uniform", eta=0.5))],
)
def test_the_last_step_returns_the_clean_prediction_without_noise(sampler):
    plan = sampler.plan(SHORT, sampler.grid(SHORT))
    c_x, c_eps, c_noise = (part[-1] for part in plan.eps_form())
    t = plan.t[-1]
    assert (plan.keep[-1], plan.denoise[-1], c_noise) == (0.0, 1.0, 0.0)
    assert np.isclose(c_x, 1 / SHORT.alpha[t], rtol=1e-15)
    assert np.isclose(c_eps, -np.sqrt(SHORT.noise_var[t]) / SHORT.alpha[t], rtol=1e-14)
    assert (plan.noise_std[:-1] > 0).all()


def test_the_beta_variance_keeps_the_posterior_mean_and_exceeds_the_posterior_variance():
    posterior, beta = (DDPM(v).plan(SHORT, TimeGrid.full(12)) for v in ("posterior", "beta"))
    assert (posterior.eps_form()[1] == beta.eps_form()[1]).all()
    assert (beta.noise_std[:-1] > posterior.noise_std[:-1]).all()
    assert (beta.noise_std[:-1] == np.sqrt(SHORT.beta[posterior.t[:-1]])).all()


# -- more noise than the state carries -----------------------------------------------------------


def test_eta_is_refused_above_the_cap_of_the_tightest_noisy_step_and_taken_at_it():
    grid = TimeGrid([12, 9, 3, 1, 0])
    caps = [(1 - SHORT.rho[s] / SHORT.rho[t]) ** -0.5 for t, s in grid.pairs[:-1]]
    cap, (t, s) = min(zip(caps, grid.pairs[:-1], strict=True))
    assert bridge_plan(SHORT, grid, cap).share.max() == 1.0
    assert bridge_plan(SHORT, grid, np.nextafter(cap, 0)).share.max() <= 1.0
    with pytest.raises(InputError, match=f"= {cap:.6g} on the step {t} -> {s}"):
        bridge_plan(SHORT, grid, cap * (1 + 1e-6))
    assert DDIM(eta=cap, spacing=grid).plan(SHORT, grid).keep[caps.index(cap)] == 0.0


def test_the_cap_leaves_the_noiseless_last_step_out():
    assert bridge_plan(SHORT, TimeGrid([5, 0]), 1e6).noise_std.tolist() == [0.0]


# -- hybrids -------------------------------------------------------------------------------------


def test_a_hybrid_takes_z_raw_steps_and_then_the_nodes_of_its_base_below():
    base = DDIM(spacing=TimeGrid([12, 8, 5, 2, 0]))
    assert Hybrid(3, base).grid(SHORT, 9).times.tolist() == [9, 8, 7, 6, 5, 2, 0]
    assert Hybrid(4, base).grid(SHORT, 9).times.tolist() == [9, 8, 7, 6, 5, 2, 0]
    assert Hybrid(2, base).grid(SHORT).times.tolist() == [12, 11, 10, 8, 5, 2, 0]
    assert Hybrid(0, base).grid(SHORT, 8).times.tolist() == [8, 5, 2, 0]
    assert Hybrid(12, base).grid(SHORT, 3).times.tolist() == [3, 2, 1, 0]
    assert Hybrid(2, base).grid(SHORT, 2).times.tolist() == [2, 1, 0]


@pytest.mark.parametrize("base", [DDIM(spacing=TimeGrid([12, 8, 5, 2, 0]), eta=0.5), DDPM("beta")])
def test_a_hybrid_has_ddpm_coefficients_first_and_those_of_its_base_after(base):
    hybrid = Hybrid(3, base)
    grid = hybrid.grid(SHORT, 11)
    parts = list(zip(*hybrid.plan(SHORT, grid).eps_form(), strict=True))
    ddpm = list(zip(*DDPM().plan(SHORT, grid.cut(11)).eps_form(), strict=True))
    tail = grid.cut(8)
    assert parts[:3] == ddpm[:3]
    assert parts[3:] == list(zip(*base.plan(SHORT, tail).eps_form(), strict=True))


def test_the_eta_of_the_base_is_not_held_against_the_raw_steps():
    """On 2 -> 1 eta may not exceed 1.35 here, but that step is DDPM's own."""
    base = DDIM(spacing=TimeGrid([20, 0]), eta=1.4)
    hybrid = Hybrid(2, base)
    plan = hybrid.plan(SCHEDULE, hybrid.grid(SCHEDULE, 3))
    assert plan.grid.times.tolist() == [3, 2, 1, 0]
    assert (plan.noise_std[:2] == DDPM().plan(SCHEDULE, TimeGrid.full(3)).noise_std[:2]).all()


# -- plans and grids as data ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "share", "noise_std", "rule"),
    [
        ([13, 1, 0], [0, 0], [0, 0], "within the schedule, T = 12"),
        ([5, 1, 0], [0], [0, 0], "one coefficient for each of 2 steps"),
        ([5, 1, 0], [0, 0], [0, 0, 0], "one coefficient for each of 2 steps"),
        ([5, 1, 0], [1.1, 0], [0, 0], r"share must lie in \[0, 1\]"),
        ([5, 1, 0], [-0.1, 0], [0, 0], r"share must lie in \[0, 1\]"),
        ([5, 1, 0], [np.nan, 0], [0, 0], r"share must lie in \[0, 1\]"),
        ([5, 1, 0], [0, 0], [-1, 0], "noise_std be >= 0"),
        ([5, 1, 0], [0, 0], [0, 0.1], "last step be noiseless"),
    ],
)
def test_a_plan_checks_its_own_coefficients(times, share, noise_std, rule):
    with pytest.raises(InputError, match=rule):
        StepPlan(TimeGrid(times), SHORT, np.array(share, float), np.array(noise_std, float))


def test_samplers_cut_their_grid_at_the_start():
    assert DDIM(spacing=TimeGrid([9, 4, 2, 0])).grid(SHORT, 4).times.tolist() == [4, 2, 0]
    assert DDPM().grid(SHORT, 3) == TimeGrid.full(3)
    assert ExactReverse().grid(SHORT).times.tolist() == [12, 0]
    assert ExactReverse().grid(SHORT, 5).times.tolist() == [5, 0]
    assert ExactReverse((9, 4, 0)).grid(SHORT, 4).times.tolist() == [4, 0]
    assert ExactReverse(TimeGrid([9, 4, 0])).grid(SHORT).times.tolist() == [9, 4, 0]


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ("full", TimeGrid.full(12)),
        ("uniform", TimeGrid.uniform(12, 5)),
        ("leading", TimeGrid.leading(12, 5)),
        ("quadratic", TimeGrid.quadratic(12, 5)),
        ("log_snr", TimeGrid.log_snr(SHORT, 5)),
    ],
)
def test_a_spacing_names_its_grid(spacing, expected):
    assert DDIM(5, spacing).grid(SHORT) == expected


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: DDIM(0), "number of steps must be an integer >= 1"),
        (lambda: DDIM(50.0), "number of steps must be an integer >= 1"),
        (lambda: DDIM(True), "number of steps must be an integer >= 1"),
        (lambda: DDIM(eta=-0.1), "eta must be >= 0"),
        (lambda: DDIM(eta=float("nan")), "eta must be a finite real number"),
        (lambda: DDIM(eta="0.5"), "eta must be a finite real number"),
        (lambda: DDIM(13).grid(SHORT), "must not exceed T = 12"),
        (lambda: DDIM(5, "cubic").grid(SHORT), "spacing must be full, uniform"),
        (lambda: DDIM(spacing=TimeGrid([9, 4, 0])).grid(SHORT, 5), "start must be a time"),
        (lambda: DDPM("learned"), "variance must be 'posterior' or 'beta'"),
        (lambda: DDPM().grid(SHORT, 13), "start must be a time"),
        (lambda: DDPM().grid(SHORT, 0), "start must be an integer >= 1"),
        (lambda: Hybrid(-1), "z must be an integer >= 0"),
        (lambda: Hybrid(1.0), "z must be an integer >= 0"),
        (lambda: Hybrid(13, DDIM(4)).grid(SHORT), r"z must be an integer in 0\.\.12"),
        (lambda: Hybrid(2, DDIM(4)).grid(SHORT, 13), r"start must be an integer in 1\.\.12"),
        (lambda: Hybrid(2, DDIM(4)).grid(SHORT, 0), r"start must be an integer in 1\.\.12"),
        (lambda: ExactReverse((5, 6, 0)), "must decrease strictly"),
        (lambda: ExactReverse((5, 1)), "end at 0"),
        (lambda: ExactReverse().grid(SHORT, 13), "must not exceed T = 12"),
        (lambda: ExactReverse().grid(SHORT, 0), "must decrease strictly"),
        (lambda: ExactReverse().grid(SHORT, 2.0), "every time must be an integer"),
    ],
)
def test_bad_samplers_and_starts_are_refused(build, rule):
    with pytest.raises(InputError, match=rule):
        build()


def test_a_capped_bridge_is_the_bridge_where_a_step_allows_it_and_all_fresh_noise_elsewhere():
    grid = TimeGrid.quadratic(1000, 50)
    schedule = NoiseSchedule.linear()
    rest = 1.0 - schedule.rho[grid.times[1:]] / schedule.rho[grid.times[:-1]]
    eta = 1.5
    beyond = eta**2 * rest > 1.0
    beyond[-1] = False
    assert 0 < beyond.sum() < grid.steps - 1
    with pytest.raises(InputError, match="eta must not exceed"):
        bridge_plan(schedule, grid, eta)
    capped = bridge_plan(schedule, grid, eta, capped=True)
    assert (capped.share[beyond] == 1.0).all()
    assert np.allclose(capped.share[~beyond][:-1], (eta**2 * rest)[~beyond][:-1], rtol=1e-14)
    allowed = bridge_plan(schedule, grid, 1.0)
    assert np.array_equal(bridge_plan(schedule, grid, 1.0, capped=True).share, allowed.share)

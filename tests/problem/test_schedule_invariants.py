"""What holds for every schedule, every grid and every admissible eta."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixdyn import NoiseSchedule, TimeGrid
from mixdyn.samplers.plan import bridge_plan

pytestmark = pytest.mark.compiled

EPS = np.finfo(float).eps
BETAS = st.lists(
    st.one_of(st.floats(1e-12, 0.9), st.floats(1e-5, 0.05)), min_size=1, max_size=30
)  # fmt: skip


@given(BETAS)
def test_signal_falls_and_noise_rises_and_they_sum_to_one(betas):
    schedule = NoiseSchedule.from_betas(betas)
    assert (np.diff(schedule.log_alpha_bar) < 0).all() or min(betas) < 4 * EPS * len(betas) / 0.1
    assert (np.diff(schedule.noise_var) >= 0).all()
    assert (np.diff(schedule.rho) >= 0).all()
    assert np.abs(schedule.alpha_bar + schedule.noise_var - 1).max() <= 2 * EPS
    assert np.allclose(schedule.rho, schedule.noise_var / schedule.alpha_bar, rtol=8 * EPS, atol=0)
    assert np.allclose(schedule.alpha**2, schedule.alpha_bar, rtol=8 * EPS, atol=0)


@given(st.integers(1, 400), st.data())
def test_named_grids_have_their_length_order_and_ends(T, data):
    S = data.draw(st.integers(1, T))
    schedule = NoiseSchedule.linear(T)
    uniform, leading = TimeGrid.uniform(T, S), TimeGrid.leading(T, S)
    quadratic, log_snr = TimeGrid.quadratic(T, S), TimeGrid.log_snr(schedule, S)
    for grid in (uniform, leading, quadratic, log_snr):
        assert grid.steps == S
        assert (np.diff(grid.times) < 0).all()
        assert grid.times[-1] == 0
        assert grid.times[0] <= T
        assert grid.pairs == list(zip(grid.times[:-1], grid.times[1:], strict=True))
    assert uniform.times[0] == log_snr.times[0] == T
    assert leading.times[-2] == 1
    assert np.abs(uniform.times - T * (1 - np.arange(S + 1) / S)).max() <= 0.5 + 1e-9
    if S > 1:
        assert quadratic.times[-2] == log_snr.times[-2] == 1


@given(BETAS, st.floats(0, 3), st.data())
def test_a_bridge_step_keeps_the_marginal_of_clean_and_of_noisy_data(betas, eta, data):
    """With the true x0 (x_t = alpha_t x0 + noise) the step must land on alpha_s x0 + noise."""
    schedule = NoiseSchedule.from_betas(betas)
    inner = data.draw(st.sets(st.integers(1, schedule.T), min_size=1))
    grid = TimeGrid([*sorted(inner, reverse=True), 0], schedule.T)
    rho, nu = schedule.rho, schedule.noise_var
    t, s = grid.times[:-1], grid.times[1:]
    assume(((eta**2 * (1 - rho[s] / rho[t]))[s > 0] <= 1 - 1e-12).all())
    plan = bridge_plan(schedule, grid, eta)
    mean = plan.keep * schedule.alpha[t] + plan.denoise
    variance = plan.keep**2 * nu[t] + plan.noise_std**2
    assert np.allclose(mean, schedule.alpha[s], rtol=8 * EPS, atol=0)
    assert np.allclose(variance, nu[s], rtol=1e-14, atol=0)
    assert np.allclose(
        plan.noise_std**2, np.where(s > 0, eta**2 * nu[s] * (1 - rho[s] / rho[t]), 0), rtol=1e-14
    )
    assert (plan.noise_std[-1], plan.keep[-1], plan.denoise[-1]) == (0.0, 0.0, 1.0)


@given(BETAS, st.floats(0, 1), st.data())
def test_the_two_forms_of_a_plan_are_the_same_step(betas, eta, data):
    """keep x + denoise x0_hat with x0_hat = (x - noise_std_t eps)/alpha_t is c_x x + c_eps eps."""
    schedule = NoiseSchedule.from_betas(betas)
    inner = data.draw(st.sets(st.integers(1, schedule.T), min_size=1))
    plan = bridge_plan(schedule, TimeGrid([*sorted(inner, reverse=True), 0]), eta)
    c_x, c_eps, c_noise = plan.eps_form()
    alpha_t, std_t = schedule.alpha[plan.t], np.sqrt(schedule.noise_var[plan.t])
    assert np.allclose(c_x, plan.keep + plan.denoise / alpha_t, rtol=1e-13, atol=0)
    # The sum on the right cancels for small steps: bound its rounding by the size of its terms.
    size = plan.denoise * std_t / alpha_t
    assert (np.abs(c_eps + size) <= 32 * EPS * (np.abs(size) + c_x * std_t)).all()
    assert (c_noise == plan.noise_std).all()

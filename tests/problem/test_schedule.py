"""Schedules and time grids: arrays are what their names say, grids are decreasing pairs that end at
0, and what a user can get wrong is said in one line.
"""

import copy
import itertools
import pickle

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixdyn import NoiseSchedule, TimeGrid
from mixdyn.problem.time_grid import MAX_T
from mixdyn.samplers.plan import bridge_plan
from mixdyn.support.errors import InputError

# -- a schedule's arrays, to full relative accuracy ------------------------------------------------


EPS = np.finfo(float).eps


def exact_alpha_bar(schedule):
    """alpha_bar as mpmath numbers, from the exact values of the stored betas."""
    out = [mpmath.mpf(1)]
    for beta in schedule.beta[1:]:
        out.append(out[-1] * (1 - mpmath.mpf(float(beta))))
    return out


def drawn(T):
    """Betas over sixteen orders of magnitude, in no order."""
    rng = np.random.default_rng(T)
    return np.minimum(10.0 ** rng.uniform(-16, 0, T), 60.0 / T) * rng.uniform(0.1, 0.9, T)


SCHEDULES = {
    "linear": NoiseSchedule.linear(),
    "steep": NoiseSchedule.linear(1000, 0.001, 0.2),
    "cosine": NoiseSchedule.cosine(200),
    "tiny first beta": NoiseSchedule.from_betas([1e-17, 1e-16, 0.3, 0.9]),
    "one step": NoiseSchedule.from_betas([0.7]),
    "nearly nothing left": NoiseSchedule.from_betas([1e-12, *np.full(640, 0.669)]),
    **{
        f"{name}, T = {T}": build(T)
        for T in (10, 33, 1000, 100_000)
        for name, build in {
            "linear": lambda T: NoiseSchedule.linear(T, 0.1 / T, min(20.0 / T, 0.99)),
            "cosine": NoiseSchedule.cosine,
            "scaled_linear": lambda T: NoiseSchedule.scaled_linear(T, 0.1 / T, min(20.0 / T, 0.99)),
            "sigmoid": lambda T: NoiseSchedule.sigmoid(T, 0.01 / T, min(20.0 / T, 0.99)),
            "betas": lambda T: NoiseSchedule.from_betas(drawn(T)),
        }.items()
    },
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_signal_noise_and_rho_are_those_of_the_betas_to_two_ulp_at_every_time(name):
    schedule = SCHEDULES[name]
    with mpmath.workprec(200):
        abar = exact_alpha_bar(schedule)
        truth = {
            "alpha_bar": [float(a) for a in abar],
            "alpha": [float(mpmath.sqrt(a)) for a in abar],
            "noise_var": [float(1 - a) for a in abar],
            "rho": [float((1 - a) / a) for a in abar],
        }
    for field, expected in truth.items():
        value, expected = getattr(schedule, field), np.array(expected)
        assert value.shape == (schedule.T + 1,)
        assert (np.abs(value - expected) <= 2 * np.spacing(expected)).all(), field


@pytest.mark.parametrize("T", [10, 1000, 100_000])
def test_betas_of_the_cosine_schedule_keep_their_digits_at_any_length(T):
    schedule = NoiseSchedule.cosine(T)
    with mpmath.workprec(200):
        unit = mpmath.pi / 2 / (mpmath.mpf("1.008") * T)
        for t in {1, 2, 7, T // 2, T - 1}:
            angle = unit * (t + mpmath.mpf("0.008") * T)
            before = unit * (t - 1 + mpmath.mpf("0.008") * T)
            exact = 1 - (mpmath.cos(angle) / mpmath.cos(before)) ** 2
            assert abs(schedule.beta[t] / exact - 1) <= 8 * EPS, t


def test_time_zero_is_clean_and_time_one_has_the_first_beta():
    schedule = NoiseSchedule.from_betas([0.25, 0.5])
    assert schedule.beta.tolist() == [0.0, 0.25, 0.5]
    assert schedule.alpha_bar[0] == schedule.alpha[0] == 1.0
    assert schedule.noise_var[0] == schedule.rho[0] == schedule.log_alpha_bar[0] == 0.0
    assert np.isclose(schedule.alpha_bar[1], 0.75, rtol=2 * EPS)
    assert np.isclose(schedule.alpha_bar[2], 0.375, rtol=2 * EPS)


def test_the_linear_schedule_is_that_of_ddpm():
    schedule = NoiseSchedule.linear()
    assert schedule.T == 1000
    assert schedule.beta[1] == 1e-4
    assert schedule.beta[-1] == 0.02
    assert np.allclose(np.diff(schedule.beta[1:]), 0.0199 / 999, rtol=1e-10)
    assert f"{schedule.alpha_bar[-1]:.3e}" == "4.036e-05"


def test_the_cosine_schedule_follows_its_curve_and_caps_beta():
    schedule = NoiseSchedule.cosine(1000)
    t = np.arange(1, 1000)
    curve = np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    start = np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert np.allclose(schedule.alpha_bar[1:-1], curve / start, rtol=1e-9)
    assert schedule.beta[-1] == 0.999
    assert NoiseSchedule.cosine(50, max_beta=0.3).beta.max() == 0.3


def test_effective_variance_adds_sigma_squared_to_rho():
    schedule = NoiseSchedule.linear(10)
    assert (schedule.effective_variance(0.5) == 0.25 + schedule.rho).all()


# -- identity -----------------------------------------------------------------------------------


def test_schedules_are_equal_by_their_betas_whatever_built_them():
    linear = NoiseSchedule.linear(20)
    same = NoiseSchedule.from_betas(linear.beta[1:])
    assert linear == same
    assert hash(linear) == hash(same)
    assert linear.digest == same.digest
    assert linear != NoiseSchedule.linear(21)
    assert linear != 3


def test_one_ulp_in_a_beta_changes_the_digest():
    betas = NoiseSchedule.linear(20).beta[1:].copy()
    betas[7] = np.nextafter(betas[7], 1)
    assert NoiseSchedule.from_betas(betas) != NoiseSchedule.linear(20)


@pytest.mark.parametrize(
    "schedule", [NoiseSchedule.linear(20), NoiseSchedule.from_betas([0.1, 0.2])]
)
@pytest.mark.parametrize(
    "remake", [lambda s: pickle.loads(pickle.dumps(s)), copy.copy, copy.deepcopy]
)
def test_a_copy_is_equal_and_read_only(schedule, remake):
    again = remake(schedule)
    assert again == schedule
    assert repr(again) == repr(schedule)
    assert not again.beta.flags.writeable


@pytest.mark.parametrize(
    "name", ["beta", "log_alpha_bar", "alpha_bar", "alpha", "noise_var", "rho"]
)
def test_arrays_are_read_only_and_attributes_frozen(name):
    schedule = NoiseSchedule.linear(5)
    with pytest.raises(ValueError, match="read-only"):
        getattr(schedule, name)[1] = 0.5
    with pytest.raises(AttributeError, match="frozen"):
        setattr(schedule, name, np.zeros(6))
    with pytest.raises(AttributeError, match="frozen"):
        delattr(schedule, name)


def test_changing_the_given_betas_afterwards_changes_nothing(tmp_path):
    betas = np.full(3, 0.1)
    schedule = NoiseSchedule.from_betas(betas)
    betas[0] = 0.5
    schedule.save(tmp_path / "schedule.npz")
    assert schedule == NoiseSchedule.from_betas([0.1, 0.1, 0.1])
    assert NoiseSchedule.load(tmp_path / "schedule.npz") == schedule


# -- time grids by their definitions ---------------------------------------------------------------


def test_full_takes_every_time():
    assert TimeGrid.full(4).times.tolist() == [4, 3, 2, 1, 0]
    assert TimeGrid.full(1).pairs == [(1, 0)]


def test_uniform_is_rounded_and_starts_at_t():
    assert TimeGrid.uniform(1000, 4).times.tolist() == [1000, 750, 500, 250, 0]
    assert TimeGrid.uniform(10, 3).times.tolist() == [10, 7, 3, 0]
    assert TimeGrid.uniform(7, 7) == TimeGrid.full(7)


def test_leading_is_the_common_off_by_one_grid():
    """range(0, T, T // S) + 1 reversed, then 0 (`leading` of diffusers, whose index is t - 1)."""
    assert TimeGrid.leading(1000, 50).times[:2].tolist() == [981, 961]
    assert TimeGrid.leading(1000, 50).times[-2:].tolist() == [1, 0]
    assert TimeGrid.leading(10, 3).times.tolist() == [7, 4, 1, 0]
    assert TimeGrid.leading(5, 5) == TimeGrid.full(5)


def test_quadratic_is_that_of_the_ddim_code():
    index = (np.linspace(0, np.sqrt(1000 * 0.8), 50) ** 2).round().astype(int)
    grid = TimeGrid.quadratic(1000, 50)
    assert grid.times[0] == 801
    assert grid.times[-2:].tolist() == [1, 0]
    # Above the range where rounding collides, index + 1 exactly.
    assert grid.times[: 50 - 12].tolist() == (index[12:] + 1)[::-1].tolist()
    assert (np.diff(grid.times) < 0).all()


def test_the_standard_quadratic_grid_has_nine_nodes_from_raw_time_22_on():
    times = TimeGrid.quadratic(1000, 50).times
    late = times[(times <= 25) & (times > 0)]
    assert len(late) == 9
    assert late[0] == 22


def test_log_snr_steps_are_even_in_log_snr_where_whole_times_allow():
    schedule = NoiseSchedule.linear()
    grid = TimeGrid.log_snr(schedule, 10)
    assert (grid.times[0], grid.times[-2], grid.times[-1]) == (1000, 1, 0)
    level = -np.log(schedule.rho[grid.times[:-1]])
    target = np.linspace(level[0], level[-1], 10)
    # Half a time step, in log-SNR at that time.
    slack = 0.5 * np.abs(np.gradient(np.log(schedule.rho[1:])))[grid.times[:-1] - 1]
    assert (np.abs(level - target) <= 1.3 * slack + 1e-12).all()


def test_from_times_takes_any_decreasing_list():
    assert TimeGrid.from_times([9, 4, 0]).pairs == [(9, 4), (4, 0)]
    assert TimeGrid.from_times(np.array([9, 4, 0])).steps == 2


def test_a_grid_is_cut_at_one_of_its_times():
    grid = TimeGrid.from_times([9, 4, 2, 0])
    assert grid.cut(4).times.tolist() == [4, 2, 0]
    assert grid.cut(9) == grid


def test_grids_are_frozen_comparable_and_picklable():
    grid = TimeGrid.uniform(10, 3)
    assert pickle.loads(pickle.dumps(grid)) == grid
    assert len({grid, TimeGrid.from_times([10, 7, 3, 0])}) == 1
    assert grid != TimeGrid.full(10)
    with pytest.raises(AttributeError, match="frozen"):
        grid.times = [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        grid.times[0] = 5
    assert repr(grid) == "TimeGrid(3 steps from 10 to 0)"


# -- what a user can get wrong ---------------------------------------------------------------------


NAN, INF = float("nan"), float("inf")
SHORT = NoiseSchedule.linear(10)
BAD = {
    "no beta": (lambda: NoiseSchedule.from_betas([]), "at least one beta"),
    "beta zero": (lambda: NoiseSchedule.from_betas([0.1, 0.0]), "strictly between 0 and 1"),
    "beta one": (lambda: NoiseSchedule.from_betas([1.0, 0.1]), "strictly between 0 and 1"),
    "beta negative": (lambda: NoiseSchedule.from_betas([-0.1]), "strictly between 0 and 1"),
    "beta above one": (lambda: NoiseSchedule.from_betas([1.1]), "strictly between 0 and 1"),
    "beta NaN": (lambda: NoiseSchedule.from_betas([NAN]), "beta must be finite"),
    "beta two axes": (lambda: NoiseSchedule.from_betas([[0.1]]), "1 axis"),
    "a boolean among betas": (lambda: NoiseSchedule.from_betas([0.1, True]), "real numbers"),
    "beta strings": (lambda: NoiseSchedule.from_betas(["a"]), "real numbers"),
    "alpha_bar underflows": (lambda: NoiseSchedule.from_betas([0.999] * 200), "representable"),
    "T zero": (lambda: NoiseSchedule.linear(0), "T must be an integer >= 1"),
    "T negative": (lambda: NoiseSchedule.cosine(-1), "T must be an integer >= 1"),
    "T a float": (lambda: NoiseSchedule.linear(10.0), "T must be an integer >= 1"),
    "T a boolean": (lambda: NoiseSchedule.linear(True), "T must be an integer >= 1"),
    "T too long": (lambda: NoiseSchedule.linear(MAX_T + 1), "T must not exceed"),
    "cosine too long": (lambda: NoiseSchedule.cosine(10**15), "T must not exceed"),
    "beta_start zero": (lambda: NoiseSchedule.linear(10, 0.0), "beta_start must be > 0"),
    "beta_start huge": (lambda: NoiseSchedule.linear(10, 10**400), "finite real number"),
    "beta_end above one": (lambda: NoiseSchedule.linear(10, 0.1, 1.1), "strictly between 0 and 1"),
    "beta_end NaN": (lambda: NoiseSchedule.linear(10, 0.1, NAN), "finite real number"),
    "beta_end text": (lambda: NoiseSchedule.linear(10, 0.1, "0.2"), "finite real number"),
    "max_beta zero": (lambda: NoiseSchedule.cosine(10, 0.0), "max_beta must be > 0"),
    "sigma zero": (lambda: SHORT.effective_variance(0.0), "sigma must be > 0"),
    "grid empty": (lambda: TimeGrid([]), "decrease strictly and end at 0"),
    "grid of one time": (lambda: TimeGrid([0]), "decrease strictly and end at 0"),
    "grid increasing": (lambda: TimeGrid([0, 5]), "decrease strictly and end at 0"),
    "grid repeating": (lambda: TimeGrid([5, 5, 0]), "decrease strictly and end at 0"),
    "grid not ending at 0": (lambda: TimeGrid([5, 1]), "decrease strictly and end at 0"),
    "grid of floats": (lambda: TimeGrid([5.0, 0.0]), "every time must be an integer"),
    "grid of whole floats": (lambda: TimeGrid(np.array([5.0, 0.0])), "every time must be"),
    "grid of booleans": (lambda: TimeGrid([True, False]), "every time must be an integer"),
    "grid negative": (lambda: TimeGrid([5, -1]), "every time must be an integer"),
    "grid beyond int64": (lambda: TimeGrid([2**70, 0]), "every time must be an integer"),
    "grid beyond T": (lambda: TimeGrid([11, 0], 10), "must not exceed T = 10"),
    "grid no list": (lambda: TimeGrid(5), "list of integers"),
    "grid of text": (lambda: TimeGrid("50"), "every time must be an integer"),
    "grid of rows": (lambda: TimeGrid([[5, 0]]), "every time must be an integer"),
    "more steps than T": (lambda: TimeGrid.uniform(10, 11), "must not exceed T = 10"),
    "leading too many": (lambda: TimeGrid.leading(10, 11), "must not exceed T = 10"),
    "quadratic too many": (lambda: TimeGrid.quadratic(10, 11), "must not exceed T = 10"),
    "log_snr too many": (lambda: TimeGrid.log_snr(SHORT, 11), "must not exceed T = 10"),
    "no steps": (lambda: TimeGrid.uniform(10, 0), "number of steps must be an integer >= 1"),
    "steps a float": (lambda: TimeGrid.uniform(10, 2.0), "number of steps must be an integer"),
    "cut off the grid": (lambda: TimeGrid([9, 4, 0]).cut(5), "start must be a time of the grid"),
    "cut at 0": (lambda: TimeGrid([9, 4, 0]).cut(0), "start must be an integer >= 1"),
    "cut at a float": (lambda: TimeGrid([9, 4, 0]).cut(4.0), "start must be an integer >= 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_schedule_or_grid_is_refused_with_rule_value_and_remedy(name):
    build, rule = BAD[name]
    with pytest.raises(InputError, match=rule) as caught:
        build()
    assert str(caught.value).startswith(caught.value.rule)
    assert len(str(caught.value)) < 300


def test_a_bad_beta_is_named_by_its_time():
    with pytest.raises(InputError, match=r"beta_2 = 1\.5"):
        NoiseSchedule.from_betas([0.1, 1.5])


def test_a_start_off_the_grid_names_its_neighbours():
    with pytest.raises(InputError, match=r"nearest are \[4, 9\]"):
        TimeGrid([9, 4, 1, 0]).cut(6)


def test_the_smallest_legal_inputs_work():
    one = NoiseSchedule.from_betas([5e-324])
    assert one.rho[1] == one.noise_var[1] == 5e-324
    for build in (
        TimeGrid.full,
        lambda T: TimeGrid.uniform(T, 1),
        lambda T: TimeGrid.leading(T, 1),
    ):
        assert build(1).times.tolist() == [1, 0]
    assert TimeGrid.quadratic(1, 1).times.tolist() == [1, 0]
    assert TimeGrid.log_snr(NoiseSchedule.linear(1), 1).times.tolist() == [1, 0]


def test_one_quadratic_step_starts_near_four_fifths_of_t():
    assert TimeGrid.quadratic(1000, 1).times.tolist() == [801, 0]


def test_every_named_grid_is_valid_for_every_number_of_steps():
    for T, S in itertools.combinations_with_replacement(range(1, 12), 2):
        T, S = max(T, S), min(T, S)
        schedule = NoiseSchedule.linear(T)
        for grid in (
            TimeGrid.uniform(T, S),
            TimeGrid.leading(T, S),
            TimeGrid.quadratic(T, S),
            TimeGrid.log_snr(schedule, S),
        ):
            assert grid.steps == S
            assert grid.times[0] <= T


# -- any schedule, grid and admissible eta ---------------------------------------------------------


BETAS = st.lists(
    st.one_of(st.floats(1e-12, 0.9), st.floats(1e-5, 0.05)), min_size=1, max_size=30
)  # fmt: skip


@pytest.mark.compiled
@given(BETAS)
def test_signal_falls_and_noise_rises_and_they_sum_to_one(betas):
    schedule = NoiseSchedule.from_betas(betas)
    assert (np.diff(schedule.log_alpha_bar) < 0).all() or min(betas) < 4 * EPS * len(betas) / 0.1
    assert (np.diff(schedule.noise_var) >= 0).all()
    assert (np.diff(schedule.rho) >= 0).all()
    assert np.abs(schedule.alpha_bar + schedule.noise_var - 1).max() <= 2 * EPS
    assert np.allclose(schedule.rho, schedule.noise_var / schedule.alpha_bar, rtol=8 * EPS, atol=0)
    assert np.allclose(schedule.alpha**2, schedule.alpha_bar, rtol=8 * EPS, atol=0)


@pytest.mark.compiled
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


@pytest.mark.compiled
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


@pytest.mark.compiled
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


def test_the_times_nearest_to_levels_of_noise_are_those_by_ratio():
    for schedule in (NoiseSchedule.linear(), NoiseSchedule.flow_matching(50)):
        rho = schedule.rho[1:]
        inside = rho[np.isfinite(rho)]
        assert schedule.nearest_times(1.001 * inside).tolist() == list(range(1, len(inside) + 1))
        low, high = inside[3], inside[4]
        assert schedule.nearest_times([np.sqrt(low * high) * 1.001]).tolist() == [5]
        assert schedule.nearest_times([np.sqrt(low * high) * 0.999, 1e-30]).tolist() == [4, 1]
    with pytest.raises(InputError, match="> 0"):
        schedule.nearest_times([1.0, 0.0])

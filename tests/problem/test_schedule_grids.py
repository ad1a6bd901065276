"""Time grids by their definitions, and as explicit decreasing pairs that end at 0."""

import pickle

import numpy as np
import pytest

from mixdyn import NoiseSchedule, TimeGrid


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

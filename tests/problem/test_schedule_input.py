"""Everything a user can get wrong in a schedule or a time grid."""

import itertools

import numpy as np
import pytest

from mixdyn import NoiseSchedule, TimeGrid
from mixdyn.problem.schedule import MAX_T
from mixdyn.support.errors import InputError

NAN, INF = float("nan"), float("inf")
SHORT = NoiseSchedule.linear(10)

BAD = {
    "no beta": (lambda: NoiseSchedule.from_betas([]), "at least one beta"),
    "beta zero": (lambda: NoiseSchedule.from_betas([0.1, 0.0]), "strictly between 0 and 1"),
    "beta one": (lambda: NoiseSchedule.from_betas([0.1, 1.0]), "strictly between 0 and 1"),
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
    "beta_end one": (lambda: NoiseSchedule.linear(10, 0.1, 1.0), "strictly between 0 and 1"),
    "beta_end NaN": (lambda: NoiseSchedule.linear(10, 0.1, NAN), "finite real number"),
    "beta_end text": (lambda: NoiseSchedule.linear(10, 0.1, "0.2"), "finite real number"),
    "max_beta one": (lambda: NoiseSchedule.cosine(10, 1.0), "strictly between 0 and 1"),
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

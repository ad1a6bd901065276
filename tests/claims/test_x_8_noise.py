"""X8: the variance that a reverse step should have, on mixtures where two routes give it."""

import numpy as np
import pytest

from mixdyn import GaussianMixture, NoiseSchedule, presets
from verify.claim import Case
from verify.claims import x_8_noise
from verify.relations import Outcome
from verify.trained import adaptive_rows

PROBLEMS = {
    "standard": presets.grid(),
    "one mode": GaussianMixture([[0.5, -0.2]], 0.3),
    "sigma per mode": GaussianMixture([[0.0], [1.0], [3.0]], [0.05, 0.2, 0.1], [0.1, 0.3, 0.6]),
    "five dimensions": presets.farthest_point(5, 7),
}


def case_of(name, schedule=None):
    # Random problems have no learned rows: this file is about the identity and the judging.
    return Case(name, PROBLEMS[name], schedule or NoiseSchedule.linear(), random=True)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_identity_holds_and_its_mutants_do_not(name):
    case = case_of(name)
    (row,) = x_8_noise.check(case)
    assert row.verdict is Outcome.HOLDS, row
    for mutant in x_8_noise.mutants(case).values():
        assert mutant.verdict is Outcome.FAILS


def test_a_schedule_of_one_step_is_judged_too():
    (row,) = x_8_noise.check(case_of("one mode", NoiseSchedule.from_betas([0.3])))
    assert row.verdict is Outcome.HOLDS


def test_a_midpoint_asks_for_more_noise_than_a_step_allows_and_a_mode_does_not():
    """Up to 26 at a midpoint (independent scripts), 1 at an owned point as sigma -> 0."""
    (row,) = x_8_noise.check(case_of("standard"))
    table = row.tables[0]
    needed = np.array([r[2] for r in table.rows if 9 <= r[0] <= 60])
    at_mode = np.array([r[3] for r in table.rows if 9 <= r[0] <= 60])
    allowed = np.array([r[4] for r in table.rows if 9 <= r[0] <= 60])
    assert (needed > 2.0).all()
    assert (needed < 27.0).all()
    assert (needed > allowed).all()
    assert (at_mode < 1.05).all()


def ends(interpolations, n, chi_square=24.0, spread=1.1, n_eval=46.0):
    return adaptive_rows.Ends(
        np.array([n - interpolations, interpolations, 0]), np.array([n]), chi_square, spread, n_eval
    )


def outcomes(**changed):
    """How a trial is judged in which the adaptive sampler does well but for what is changed."""
    good = {"interpolations": 3, "n": 20_000}
    adaptive = ends(**(good | changed))
    few, every = ends(170, 8000, 30.0, 0.78, 50), ends(2, 3000, 30.0, 0.68, 1000)
    trial = adaptive_rows.Trial("made up", 25, adaptive, few, every, adaptive)
    return [c.outcome for c in adaptive_rows._compare(trial)]


def test_a_trial_in_which_all_is_well_holds():
    assert set(outcomes()) == {Outcome.HOLDS}


@pytest.mark.parametrize(
    ("changed", "which"),
    [
        ({"n_eval": 50.5}, 1),
        ({"interpolations": 400}, 2),
        ({"chi_square": 300.0}, 3),
        ({"spread": 1.4}, 4),
    ],
    ids=["too many evaluations", "rate above DDPM's", "wrong weights", "wrong spread"],
)
def test_each_promise_can_be_broken_alone(changed, which):
    found = outcomes(**changed)
    assert found[which] is Outcome.FAILS


def test_final_samples_are_sorted_into_modes_and_measured_in_their_sigma():
    mixture = GaussianMixture([[0.0, 0.0], [2.0, 0.0]], [0.1, 0.2], [0.25, 0.75])
    x = np.array([[0.1, 0.0], [2.0, 0.2], [2.0, -0.2], [2.2, 0.0], [0.8, 0.0], [1.0, 9.0]])
    found = adaptive_rows.ends_of(mixture, x, 7.0)
    assert found.counts.tolist() == [4, 1, 1]
    assert found.modes.tolist() == [1, 3]
    assert found.chi_square == pytest.approx(0.0, abs=1e-12)
    assert found.spread == pytest.approx(np.sqrt(0.5))
    assert found.n_eval == 7.0

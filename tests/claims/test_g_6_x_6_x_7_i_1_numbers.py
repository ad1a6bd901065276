"""Confinement, hybrids, spread and decomposition: numbers found independently of this code."""

import dataclasses
import math

import numpy as np
import pytest

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis
from verify.measure import paths
from verify.measure.networks import visits
from verify.papers.ddim_hallucinates_2605_06831.claims import g_6_confinement as g6
from verify.papers.own.claims import x_6_hybrid_law as x6
from verify.papers.own.claims import x_7_last_step as x7

SIGMAS = 6.3  # standard deviations that a fixed seed may stray: 3e-10


@pytest.fixture(scope="module")
def case(drawn_case):
    return drawn_case


@pytest.fixture(scope="module")
def row(ledger):
    return lambda case, claim_id: ledger.rows(claim_id, case)


# -- G.6 -----------------------------------------------------------------------------------------


def test_both_series_give_the_textbook_probability_at_one():
    one = np.ones(1)
    assert math.exp(g6.log_by_eigenfunctions(one)[0]) == pytest.approx(0.370777, abs=5e-7)
    assert math.exp(g6.log_by_reflections(one)[0]) == pytest.approx(0.370777, abs=5e-7)


def test_a_random_walk_is_confined_as_often_as_the_series_say():
    rng, n, steps = np.random.default_rng(0), 20_000, 1000
    path = np.zeros(n)
    inside = np.ones(n, dtype=bool)
    for _ in range(steps):
        path += rng.choice([-1.0, 1.0], n)
        inside &= np.abs(path) < 32  # absorbed on a lattice site: no overshoot
    exact = math.exp(g6.log_by_reflections(np.array([steps / 32.0**2]))[0])
    assert inside.mean() == pytest.approx(exact, abs=SIGMAS * math.sqrt(exact / n))


def test_the_bound_says_nothing_in_the_papers_regime_whatever_the_drift(row, case):
    numbers = row(case, "G.6")[Basis.EXACT].numbers
    least = numbers["t/r² below which the bound exceeds 1"]
    assert least == pytest.approx(0.19580, abs=5e-6)
    assert numbers["t/r² for the noise of Proposition 5.1 and r = 2θ"] < least


# -- X6 ------------------------------------------------------------------------------------------


def test_exact_hybrids_almost_never_end_where_they_start(row, case):
    numbers = row(case, "X6")[Basis.SAMPLED].numbers
    for z in (2, 5, 8):
        name = f"P(ends within 0.15 l of the midpoint), raw time 22, z = {z}"
        assert numbers[name].exponent == pytest.approx(-263.7, abs=0.3)


def test_the_law_of_a_hybrid_without_a_flow_is_the_reverse_law(case):
    run = next(r for r in x6.runs_of(case) if (r.t, r.z) == (22, 5))
    points = run.exact[:, ::500]
    hybrid, noise = x6.noise_then_flow(case, run, points), x6.noise_alone(case, run, points)
    assert np.abs(hybrid - noise).max() > 0.01
    to_the_end = dataclasses.replace(run, z=run.t)
    assert x6.noise_then_flow(case, to_the_end, points) == pytest.approx(noise, abs=1e-9)


def test_coarse_steps_send_fewer_hybrids_to_the_far_mode_than_the_exact_law(row, case):
    table = row(case, "X6")[Basis.SAMPLED].tables[0]
    line = next(r for r in table.rows if r[:3] == (22, 5, 0.05))
    exact, drawn, low, high = line[3], line[4], line[6], line[7]
    assert exact == pytest.approx(0.0256, abs=2e-4)
    assert drawn == pytest.approx(exact, abs=SIGMAS * math.sqrt(exact / 4000))
    assert not low <= exact <= high


# -- X7 ------------------------------------------------------------------------------------------


def test_modes_too_close_to_be_told_apart_are_not_said_to_reach_into_each_other(row):
    # Three modes 28 sigma apart in 64 dimensions: the sufficient condition asks for 31.
    mixture = GaussianMixture(np.eye(3, 64), 0.05)
    found = row(Case("user", mixture, NoiseSchedule.linear()), "X7")[Basis.SAMPLED]
    assert found.verdict is Outcome.NOT_APPLICABLE
    assert "far enough apart, by 3.27 standard deviations at time 1," in found.note


@pytest.fixture(scope="module")
def spreads(row, case):
    """Recursion, whole runs and their 95 % limits by sampler."""
    table = row(case, "X7")[Basis.SAMPLED].tables[0]
    return {line[0]: line[2:6] for line in table.rows}


@pytest.mark.parametrize(
    ("sampler", "recursion"), [("DDPM", 0.547), ("DDIM-50", 0.563), ("DDIM-1000", 0.565)]
)
def test_the_recursion_gives_the_spreads_found_independently(spreads, sampler, recursion):
    assert spreads[sampler][0] == pytest.approx(recursion, abs=6e-4)


def test_whole_runs_of_ddpm_return_the_spread_of_the_recursion(spreads):
    recursion, measured, low, high = spreads["DDPM"]
    assert measured == pytest.approx(recursion, abs=SIGMAS / 3.92 * (high - low))


def test_coarse_ddim_steps_add_to_the_spread_and_fine_ones_hardly(spreads):
    recursion, measured, low, _ = spreads["DDIM-50"]
    assert 0.62 < measured < 0.645
    assert low > recursion + 0.05
    _, fine, low, high = spreads["DDIM-1000"]
    assert fine == pytest.approx(0.572, abs=SIGMAS / 3.92 * (high - low))


def test_the_last_step_shrinks_a_third_where_the_flow_would_shrink_to_058(row, case):
    numbers = row(case, "X7")[Basis.SAMPLED].numbers
    assert numbers["σ²/v_1"] == pytest.approx(1 / 3, abs=1e-4)
    assert numbers["σ/√v_1"] == pytest.approx(0.577, abs=5e-4)


def test_a_mode_owns_its_states_only_late(case):
    t, slack = x7.owned_from(case)
    assert 5 <= t <= 10
    assert slack > 0.0


# -- I.1 -----------------------------------------------------------------------------------------


def test_eleven_ddim_steps_are_left_at_raw_time_34(case):
    assert visits.window_time(case) == 34


def test_the_observer_marks_the_runs_that_a_stored_trajectory_shows_near_a_midpoint(case):
    grid = paths.ddim_grid(case)
    observer = visits.MidpointVisits(case.mixture, case.schedule, [34])
    out = sample(
        case.mixture,
        case.schedule,
        DDIM(spacing=grid),
        n=300,
        rng=5,
        observers=[observer],
        keep="trajectory",
    )
    seen = out.observations[0]
    means, length = case.mixture.means, 0.70709
    i, j = np.triu_indices(25, k=1)
    adjacent = np.linalg.norm(means[i] - means[j], axis=1) < 1.01 * length
    middle = 0.5 * (means[i] + means[j])[adjacent]
    near = np.zeros(300, dtype=bool)
    for k, t in enumerate(out.times):
        if 1 <= t <= 34:
            y = out.trajectory[k] / case.schedule.alpha[t]
            gap = np.linalg.norm(y[:, None] - middle, axis=2).min(axis=1)
            near |= gap <= 0.35 * length
    assert (seen.visited() == near).all()
    assert 0.3 < near.mean() < 0.7
    at_34 = out.trajectory[list(out.times).index(34)] / case.schedule.alpha[34]
    assert (
        seen.nearest[:, 0] == np.linalg.norm(at_34[:, None] - means, axis=2).argmin(axis=1)
    ).all()
    assert (seen.end == out.x).all()


def test_only_runs_that_passed_a_midpoint_change_their_mode(row, case):
    table = row(case, "I.1")[Basis.SAMPLED].tables[0]
    lines = {line[:2]: line for line in table.rows}
    for sampler in ("DDIM-50", "DDPM-1000"):
        changed = lines[sampler, "nearest mode changed"]
        assert changed[6] == 0.0  # P(H | not M)
        assert lines[sampler, "interpolation"][9] == 0.0
    assert lines["DDPM-1000", "nearest mode changed"][3] > 0.0
    outer = lines["DDIM-50", "outer half of its mode"]
    assert outer[3] > 3.0 * outer[6]


def test_events_that_never_happen_confirm_no_decomposition_and_one_run_too_few_is_seen(row, case):
    found = row(case, "I.1")[Basis.SAMPLED]
    assert found.nonvacuous_share == pytest.approx(3 / 6)
    control = next(m for m in found.mutants if m.name == "a run with H forgotten")
    assert control.narrow
    assert control.excess == 2.0

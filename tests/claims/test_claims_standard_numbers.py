"""Numbers of the standard problem that were found independently of this code."""

import math

import numpy as np
import pytest

from mixdyn import oracles
from mixdyn.geometry.dominance_times import steps_left, tau_2
from verify.ledger.verdict import Basis
from verify.measure import paths


@pytest.fixture
def case(drawn_case):
    return drawn_case


def test_the_standard_problem_has_its_length_and_sigma(case):
    assert case.mixture.sigma == pytest.approx(0.0070709, abs=5e-8)
    gaps = np.diff(np.unique(case.mixture.means[:, 0]))
    assert gaps == pytest.approx(np.full(4, 0.70709), abs=5e-6)
    assert gaps[0] / case.mixture.sigma == pytest.approx(100.0, rel=1e-12)


@pytest.mark.parametrize(("kappa", "steps"), [(2.0, 13), (7.0, 9), (20.0, 7)])
def test_separation_leaves_the_papers_number_of_ddim_steps(case, kappa, steps):
    times = paths.ddim_grid(case).times
    closest = int(tau_2(case.mixture, case.schedule, kappa)[0, 1])
    assert steps_left(times, closest) == steps


def test_separation_with_margin_7_begins_at_raw_time_25_and_node_22(ledger, case):
    verdict = ledger.row("A4.4", case, Basis.EXACT)
    assert verdict.measured == 25
    table = verdict.tables[0]
    (line,) = [line for line in table.rows if line[0] == 7.0]
    assert line == (7.0, 25, 22, 9)
    assert paths.node_of_tau_2(case, 7.0) == 50 - 9


def test_the_flow_of_the_engine_meets_the_closed_form_far_below_its_tolerance(case):
    flow = paths.flow_paths(case)
    for node in (20, 41, 49, 50):
        exact = oracles.flow_map(case.mixture, flow.y[0], flow.v[0], flow.v[node])
        assert np.abs(flow.y[node] - exact).max() <= 0.1 * paths.flow_tolerance(case)


def test_the_saddle_eigenvalue_at_clean_data_is_a_quarter_of_k_minus_one(ledger, case):
    verdict = ledger.row("P4.7 (1)", case, Basis.EXACT)
    assert verdict.numbers["λ at clean data"] == pytest.approx(100.0**2 / 4 - 1, rel=1e-9)


def test_coarse_ddim_steps_alone_put_mass_between_modes_and_all_steps_do_not(ledger, case):
    verdict = ledger.row("M1", case, Basis.EXACT)
    tail = math.exp(-12.5)  # P(chi^2_2 > 25)
    assert verdict.bound == pytest.approx(tail, rel=1e-12)
    assert verdict.measured < 1e-4 * tail
    outside = {(line[0], line[1]): line[2] for line in verdict.tables[0].rows}
    assert 0.015 < outside["uniform", 50] < 0.02
    assert 1e-6 < outside["quadratic", 50] < tail
    assert outside["uniform", 50] > outside["uniform", 100] > outside["uniform", 250]


def test_the_closed_form_of_the_sampler_agrees_with_a_count(case):
    from mixdyn.problem.schedule import TimeGrid
    from mixdyn.run.sampling import sample
    from mixdyn.samplers import DDIM
    from mixdyn.support.statistics import clopper_pearson
    from verify.measure.outside_modes import after_ddim

    n, grid = 20_000, TimeGrid.uniform(case.schedule.T, 50)
    x = sample(case.mixture, case.schedule, DDIM(spacing=grid), n=n, rng=3).x
    nearest = np.sqrt(np.square(x[:, None] - case.mixture.means).sum(axis=2)).min(axis=1)
    low, high = clopper_pearson(int((nearest > 5 * case.mixture.sigma).sum()), n, miss=1e-8)
    least, most = after_ddim(case, case.mixture, grid)
    assert low <= most
    assert least <= high
    assert least < most < 1.02 * least  # distances are rounded by at most 2/64 of r^2

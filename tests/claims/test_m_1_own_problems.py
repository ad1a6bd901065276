"""M1 on the paper's own lines: what a thousand steps leave there, and the counterexample."""

import itertools
import math

import numpy as np
import pytest

from mixdyn import oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.samplers import DDPM
from mixdyn.score import model_for
from verify.ledger.relations import Outcome
from verify.measure.interpolation.line_law import line_law


@pytest.fixture
def row(ledger, standard_case):
    return ledger.row("M1 (2)", standard_case)


def test_the_papers_own_lines_refute_the_statement_in_a_row_of_their_own(row):
    assert row.verdict is Outcome.FAILS
    assert row.n_held == 0
    table = {line[0]: line[1:] for line in row.tables[0].rows}
    for places, share in (("1-2-3", 8.80e-9), ("1-2-4", 4.41e-9), ("1-2", 6.63e-9)):
        assert table[f"modes at {places}"][0] == pytest.approx(share, rel=2e-3)
    assert row.numbers["P(|z| > 6)"] == pytest.approx(1.973e-9, rel=1e-3)


def test_the_stored_counterexample_reproduces_the_number_by_two_quadratures(row):
    found = row.witness
    modes, sigma = np.array(found["modes"]), found["sigma"]
    mixture = GaussianMixture(modes[:, None], sigma)
    clock = NoiseSchedule.linear(found["steps"], 0.001, 0.2)
    grid = TimeGrid.full(clock.T)
    (law,) = oracles.chain_law(
        mixture, clock.alpha_bar, grid.times, 1.0, noise_var=clock.noise_var, spacing=0.6
    )
    edge = found["radius over sigma"] * sigma
    low, high = law.pull_back(modes[:-1] + edge), law.pull_back(modes[1:] - edge)
    measured = 10.0**row.measured.exponent
    assert np.exp(law.log_probability(low, high)).sum() == pytest.approx(measured, rel=1e-4)
    other = line_law(model_for(mixture, clock), DDPM().plan(clock, grid), spacing=0.5)
    between = sum(other.probability(a + edge, b - edge) for a, b in itertools.pairwise(modes))
    assert between == pytest.approx(measured, rel=5e-3)
    assert measured > 4.0 * math.erfc(6.0 / math.sqrt(2.0))


def test_the_statement_holds_in_continuous_time_and_with_twice_the_steps(row):
    kinds = {c.name: c for c in row.comparisons}
    flow = kinds["outside every mode, flow in continuous time"]
    assert flow.outcome is Outcome.HOLDS
    assert abs(flow.excess) < 0.01  # it leaves the tail itself
    finer = kinds["outside every mode, DDPM of twice the steps"]
    assert finer.outcome is Outcome.HOLDS
    assert finer.tightness < 0.1


def test_its_control_is_a_tail_just_too_small(row):
    (control,) = row.mutants
    assert control.narrow

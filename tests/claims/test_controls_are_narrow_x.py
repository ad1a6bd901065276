"""Rows X4, X6, X7, X9 to X11, G.5 and G.6: what they could have seen, and controls that they
reject by little."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import binom, chi2, t

from mixdyn import oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.statistics import Proportion
from verify.ledger import runner
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.rows import row_of
from verify.ledger.verdict import Basis
from verify.measure.insurance import errors as insured_errors
from verify.measure.insurance.chains import find_chains
from verify.measure.interpolation.causes import Cells
from verify.papers.own.claims import x_4_budget as x4
from verify.papers.own.claims import x_6_hybrid_law as x6
from verify.papers.own.claims import x_7_last_step as x7
from verify.papers.own.claims import x_9_orders as x9
from verify.papers.own.claims import x_10_causes as x10
from verify.papers.own.claims import x_11_insurance

# The control that fails most narrowly on the standard problem, and by how many tolerances.
NARROW = {
    "G.5": ("exact quantile of δ (1 + 2e-8)", 20.0, 0.01),
    "G.6": ("(4/π)(1 - 2e-10)", 20.0, 0.1),
    "X4": ("DDPM's mean contracts by 1.05 v_end/v_start", 7.1, 0.3),
    "X6": ("one raw step of noise more", 3.0, 0.6),
    "X7": ("η in place of η² in the noise's variance", 5.0, 1.0),
    "X9": ("DDIM: one order higher", 2.5, 0.1),
}


@pytest.fixture(scope="module")
def case(drawn_case):
    return drawn_case


@pytest.fixture(scope="module")
def rows(ledger, case):
    return lambda claim_id: ledger.row(claim_id, case)


@pytest.mark.parametrize("claim_id", NARROW)
def test_a_control_of_the_standard_problem_fails_by_a_few_tolerances(rows, claim_id):
    name, excess, spread = NARROW[claim_id]
    row = rows(claim_id)
    assert row.verdict is Outcome.HOLDS
    assert row.controls.startswith("Fails narrowly")
    control = next(m for m in row.mutants if m.name == name)
    assert control.narrow
    assert control.excess == pytest.approx(excess, abs=spread)
    assert all(m.caught for m in row.mutants)


# -- X4 ------------------------------------------------------------------------------------------


def test_places_at_which_a_mean_tells_nothing_are_counted(rows):
    row = rows("X4")
    assert row.nonvacuous_share == pytest.approx(48 / 68)
    assert "within 0.72 % at the most telling place" in row.note
    assert "at 20 of 68 places to more than 20 %" in row.note


def test_means_too_noisy_to_tell_a_contraction_decide_nothing(case):
    starts = x4.starts_of(case)
    noisy = {**starts, "reach": 300.0 * starts["reach"]}
    row = row_of(x4.CLAIM, case, x4.contractions, noisy)
    assert row.verdict is Outcome.INCONCLUSIVE
    assert row.quantity == "distance of DDPM's mean end over l"
    assert row.comparisons[0].excess < 1.0


def test_few_draws_in_many_dimensions_widen_the_reach_of_a_mean_by_students_law():
    means = np.zeros((2, 1024))
    means[1, 0] = 1.0
    many = Case("wide", GaussianMixture(means, 0.01), NoiseSchedule.linear(60, 1e-3, 0.25))
    found = x4.starts_of(many)
    assert (found["t"][0, 0], len(found["pair"])) == (3, 3)
    steps = np.arange(3, -1, -1)
    law = oracles.linear_recursion_std(many.schedule.alpha_bar, steps, 1.0, 0.01, start_std=1e-12)
    deviations = found["reach"][0] / (law[-1] / math.sqrt(64))
    # A normal mean's would be 6.5; where one mode owns the start the estimates average out.
    assert t.isf(0.5e-10, 63) == pytest.approx(7.744, abs=1e-3)
    assert 7.0 < deviations[found["others"][0] < 1e-4].mean() < 8.5


# -- X6 ------------------------------------------------------------------------------------------


def test_the_distance_to_a_law_is_compared_with_none_and_the_row_says_what_it_sees(rows):
    row = rows("X6")
    allowed = math.sqrt(math.log(2e8) / 8000)
    assert row.bound == 0.0
    assert row.resolution == pytest.approx(allowed, rel=1e-12)
    assert row.measured < allowed


def test_a_law_off_by_what_the_row_says_it_sees_fails(case, rows):
    seen = rows("X6").resolution + 1.2816 * 0.5 / math.sqrt(4000)

    def shifted(case, run, points):
        right = x6.noise_then_flow(case, run, points)
        return np.where(right < 0.5, right + seen, right - seen)

    assert row_of(x6.CLAIM, case, x6.ends, law=shifted).verdict is Outcome.FAILS


# -- X7 ------------------------------------------------------------------------------------------


def test_the_spreads_row_says_which_spread_it_would_have_seen(case, rows):
    row = rows("X7")
    for comparison, run in zip(row.comparisons[::3], case.workspace["X7 runs"], strict=True):
        relative = comparison.resolution / comparison.bound
        expected = math.sqrt(chi2.isf(5e-9, run.end.size) / run.end.size) - 1.0
        assert relative == pytest.approx(expected, rel=1e-9)
        assert relative < 0.03


def test_a_spread_of_a_large_problem_is_still_told_from_one_a_quarter_larger():
    places = np.arange(150.0)[:, None]
    large = Case("large", GaussianMixture(places, 0.01), NoiseSchedule.linear(400, 1e-4, 0.05))
    time, _ = x7.owned_from(large)
    runs = x7.runs_from(large, time)
    for run in runs:
        wider = dataclasses.replace(run, end=1.25 * run.end)
        found = [next(x7.sides(large, each)).comparison.outcome for each in (run, wider)]
        assert found == [Outcome.HOLDS, Outcome.FAILS]


# -- X9 ------------------------------------------------------------------------------------------


def test_a_problem_that_is_changed_before_its_orders_are_measured_is_said_to_be():
    overlapping = GaussianMixture([[0.0], [1.0], [2.0]], 0.8, [1e-4, 0.5, 0.4999])
    _, words = x9.stand_in(Case("wide", overlapping, NoiseSchedule.linear()))
    assert words == "Flow: modes narrowed to σ = 0.1, weights made equal."
    apart = GaussianMixture([[0.0], [1.0]], 0.05)
    assert x9.stand_in(Case("apart", apart, NoiseSchedule.linear()))[1] == ""


# -- X10 -----------------------------------------------------------------------------------------


def test_a_computed_probability_is_not_above_a_count_too_small_to_tell():
    cells = Cells("made up", "none", {"computed": 1e-3, "few": Proportion(0, 100)})
    assert x10.above(cells, "computed", "few").comparison.outcome is Outcome.INCONCLUSIVE
    many = Cells("made up", "none", {"computed": 1e-3, "many": Proportion(10, 100_000)})
    found = x10.above(many, "computed", "many").comparison
    assert found.outcome is Outcome.HOLDS
    assert found.resolution > 0.0


# -- X11 -----------------------------------------------------------------------------------------

GRID = GaussianMixture([[x, y] for x in (-1.0, 0.2, 1.0) for y in (-0.7, 0.7)], 0.05)


@pytest.fixture(scope="module")
def insured():
    return Case("small", GRID, NoiseSchedule.linear(60, 1e-3, 0.25), seed=1, random=True)


def test_the_law_of_a_chain_is_known_to_an_eighth_however_rarely_it_leaves_a_mode(insured):
    for chain in find_chains(insured):
        found = insured_errors.stray(insured, chain)
        share, wider = (
            insured_errors.share_in_gap(insured, chain, k * found.radius) for k in (1.0, 2.0)
        )
        assert share >= 0.05
        assert found.radius == 0.05 or wider < 0.05
        n = found.hits.trials
        reach = insured_errors.reach(share, n)
        assert 0.1 < reach / share < 0.13
        inside = np.arange(math.ceil((share - reach) * n), math.floor((share + reach) * n) + 1)
        missed = binom.cdf(inside[0] - 1, n, share) + binom.sf(inside[-1], n, share)
        assert missed <= 2e-9


def test_the_law_of_another_eta_fails_narrowly(ledger, insured, monkeypatch):
    monkeypatch.setattr(insured_errors, "_WORK", 100_000)
    (row,) = runner.run_claim(ledger.entries["X11"], insured)
    control = next(m for m in row.mutants if m.name == "law of another η")
    assert control.narrow
    assert 1.5 < control.excess < 20.0
    assert row.basis is Basis.SAMPLED
    assert x_11_insurance.CLAIM.no_narrow_control == {}

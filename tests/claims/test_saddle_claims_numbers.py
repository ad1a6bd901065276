"""Numbers of the standard problem around its saddles that were found independently of this code."""

import dataclasses
import math

import numpy as np
import pytest

from mixdyn import bounds
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.numbers import Log10, read_number
from verify.ledger.relations import Outcome
from verify.ledger.rows import row_of
from verify.ledger.verdict import Basis
from verify.measure import paths
from verify.measure.midpoint.traps import neighbour_pairs
from verify.papers.ddim_hallucinates_2605_06831.claims import b_1_2_exact_dynamics as b12
from verify.papers.ddim_hallucinates_2605_06831.claims import p_4_7_2_trapping as p472
from verify.papers.own.claims import x_3_growth as x3


@pytest.fixture(scope="module")
def case(drawn_case):
    return drawn_case


def power(number):
    """The exponent of ten of a Log10, or of a float."""
    return number.exponent if isinstance(number, Log10) else math.log10(number)


def test_the_published_trap_is_vacuous_from_raw_time_22(ledger, case):
    verdict = ledger.row("P4.7 (2)", case, Basis.EXACT)
    assert verdict.verdict is Outcome.VACUOUS
    assert verdict.nonvacuous_share == 0.0
    assert verdict.numbers["raw time of the start"] == 22
    assert verdict.numbers["r over l"] == pytest.approx(1.6e-5, rel=0.01)
    to_noisy, to_clean = verdict.tables[0].rows
    assert math.floor(power(to_noisy[2])) == -1042
    assert math.floor(power(to_clean[2])) == -4014
    assert power(verdict.bound) == pytest.approx(power(to_noisy[2]), abs=1e-9)


def test_the_exact_trap_of_that_radius_is_hundreds_of_powers_of_ten_wider(ledger, case):
    verdict = ledger.row("P4.7 (2)", case, Basis.EXACT)
    assert power(verdict.measured) == pytest.approx(-180.954, abs=5e-3)
    assert power(verdict.truth) == pytest.approx(power(verdict.measured), abs=1e-6)
    # At so small a radius the sharp exponent is exact to the last digit shown.
    assert power(verdict.sharper_bound) == pytest.approx(power(verdict.truth), abs=1e-4)
    assert power(verdict.tables[0].rows[1][4]) == pytest.approx(-543.600, abs=5e-3)


def test_a_start_at_the_midpoint_of_the_full_mixture_leaves_the_published_trap(ledger, case):
    row = ledger.row("P4.7 (2)", case, Basis.EXACT).tables[0].rows[0]
    offset, end = row[6], row[7]
    assert math.log10(offset) == pytest.approx(-33.92, abs=0.01)
    assert end == pytest.approx(0.278, abs=1e-3)


def test_the_trap_row_survives_as_strict_json(ledger, case):
    verdict = ledger.row("P4.7 (2)", case, Basis.EXACT)
    row = verdict.as_row()
    assert row["bound"] == 0.0
    assert read_number(row, "bound").exponent == pytest.approx(-1041.705, abs=1e-3)


@pytest.mark.parametrize(
    ("to", "fraction", "radius"),
    [
        ("last noisy time", 0.15, 1e-87),
        ("last noisy time", 0.35, 3e-15),
        ("last noisy time", 0.45, 0.16),
        ("clean data", 0.15, 1e-265),
        ("clean data", 0.35, 5e-48),
        ("clean data", 0.45, 4e-4),
    ],
)
def test_the_exact_traps_from_raw_time_22(ledger, case, to, fraction, radius):
    table = ledger.row("X3", case, Basis.EXACT).tables[0]
    (row,) = [row for row in table.rows if row[:2] == (to, fraction)]
    _, _, safe, two, full = row
    # The reference is known to one digit: within a factor of two.
    assert abs(power(two) - math.log10(radius)) < 0.31
    assert power(full) == pytest.approx(power(two), abs=1e-4)
    assert power(safe) < power(two)


def test_the_sharp_bound_is_vacuous_in_that_regime_and_not_before(ledger, case):
    verdict = ledger.row("X3", case, Basis.EXACT)
    assert verdict.verdict is Outcome.HOLDS
    assert 0.2 < verdict.nonvacuous_share < 0.9
    assert all(power(row[2]) < -30 for row in verdict.tables[0].rows)


def test_ddpm_from_3_steps_ends_as_far_from_the_mode_as_its_budget_says(ledger, case):
    """Start 0.01 l off the midpoint with tau_3 = 3: mean end distance 0.0599 l."""
    grid = paths.ddim_grid(case).times
    assert grid[-4] == 3
    pair = neighbour_pairs(case.mixture, 1)[0]
    y = pair.midpoint + 0.01 * pair.length * pair.direction
    x = np.tile(case.schedule.alpha[3] * y, (20_000, 1))
    ends = sample(case.mixture, case.schedule, DDPM(), x=x, start=3, rng=11).x
    away = np.linalg.norm(ends - pair.mu_i, axis=1) / pair.length
    # Its spread is 0.0042 over 20,000 draws: three standard errors are 0.0001.
    assert away.mean() == pytest.approx(0.0599, abs=1e-4)
    verdict = ledger.row("X4", case, Basis.SAMPLED)
    closed = verdict.numbers["its closed form, of the mean end"]
    assert closed == pytest.approx(0.0598, abs=5e-5)
    assert verdict.numbers["DDPM's mean end distance from it over l"] == pytest.approx(
        0.0599, abs=3e-4
    )


def test_neither_sampler_has_the_budget_from_the_midpoint_with_3_steps(ledger, case):
    verdict = ledger.row("X4", case, Basis.SAMPLED)
    first = dict(zip(verdict.tables[0].columns, verdict.tables[0].rows[0], strict=True))
    assert first["v_start/v_end"] == pytest.approx(8.197, abs=1e-3)
    assert first["needed by the flow"] == pytest.approx(9.8**2, rel=1e-9)
    assert first["needed by the SDE's mean"] == pytest.approx(9.8, rel=1e-9)
    # DDIM's coarse last step takes it further than the flow it approximates.
    assert first["DDIM ends at"] == pytest.approx(0.0970, abs=1e-4)
    assert first["flow ends at"] == pytest.approx(0.1711, abs=1e-4)


def test_no_step_towards_a_convex_set_violates_its_rate(ledger, case):
    verdict = ledger.row("X2'", case, Basis.SAMPLED)
    assert all(c.n_held == c.n for c in verdict.comparisons)
    assert sum(c.n for c in verdict.comparisons if "step" in c.name) >= 300


def test_the_separatrix_of_unequal_weights_is_twice_as_near_as_the_moving_saddle(ledger, case):
    table = ledger.row("B.1 (2)", case, Basis.EXACT).tables[0]
    equal, double, tenfold = table.rows
    assert equal[1:3] == pytest.approx((0.0, 0.0), abs=1e-12)
    assert double[1:4] == pytest.approx((-0.0871, -0.0468, -0.0468), abs=1e-4)
    assert tenfold[1:4] == pytest.approx((-0.3160, -0.1552, -0.1552), abs=1e-4)


def test_a_published_start_that_is_too_wide_fails_with_a_witness(case, monkeypatch):
    published = bounds.paper_trap

    def wider(*args):
        trap = published(*args)
        return dataclasses.replace(trap, log_start=trap.log_start / 10.0)

    monkeypatch.setattr(bounds, "paper_trap", wider)
    fresh = dataclasses.replace(case, workspace={})
    verdict = row_of(p472.CLAIM, fresh, p472.trap)
    assert verdict.verdict is Outcome.FAILS
    assert verdict.witness["pair"]


def test_a_growth_exponent_that_is_too_small_by_a_thousandth_fails(case, monkeypatch):
    growth = bounds.growth_exponent
    monkeypatch.setattr(bounds, "growth_exponent", lambda *args: 0.999 * growth(*args))
    fresh = dataclasses.replace(case, workspace={})
    assert row_of(x3.CLAIM, fresh, x3.midpoint).verdict is Outcome.FAILS


def test_a_displacement_bound_without_the_other_modes_fails(case, monkeypatch):
    monkeypatch.setattr(
        bounds, "responsibility_bound", lambda mixture, *args: np.full(mixture.N, 1e-30)
    )
    fresh = dataclasses.replace(case, workspace={})
    assert row_of(b12.CLAIM, fresh, b12.displacement).verdict is Outcome.FAILS

"""Six schemes on Gaussian data and a published table of their errors: the recursions by hand and
against their derivation, the spectrum that gives the table, and what the rows could have seen."""

import mpmath
import numpy as np
import pytest

from tests.derivations.comparing import formula
from verify.ledger import cases
from verify.ledger.relations import Outcome
from verify.measure import gaussian_schemes as schemes
from verify.measure.gaussian_schemes import AS_FOUND, AS_STATED, COSTS, NOISY, SCHEMES, entries

LAM = np.array([0.02, 1.0, 40.0])
H, F = Outcome.HOLDS, Outcome.FAILS


@pytest.fixture(scope="module")
def case(ledger):
    return ledger.shared(cases.standard())


@pytest.fixture(scope="module")
def fit(case):
    return schemes.table_fit(case, AS_FOUND)


def test_one_step_of_euler_is_what_a_pencil_gives():
    # beta = 10 at t = 1, and (I + h beta (I - 1/variance))^2 times the start's variance.
    last = schemes.variance(LAM, 1.0)
    factor = 1.0 + (1.0 - 1e-3) * 10.0 * (1.0 - 1.0 / last)
    found = schemes.end_variance("Euler", 2, 1e-3, LAM)
    np.testing.assert_allclose(found, np.square(factor) * np.stack([last, np.ones(3)]), rtol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ever_finer_steps_end_where_the_process_does(scheme):
    exact = schemes.continuous_variance(scheme in NOISY, 0.05, LAM)
    off = [
        np.abs(schemes.end_variance(scheme, points, 0.05, LAM) / exact - 1.0).max()
        for points in (201, 401)
    ]
    order = {"Heun": 2, "RK4": 4}.get(scheme, 1)
    assert np.log2(off[0] / off[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("noisy", [True, False])
def test_the_continuous_variances_are_the_derived_ones(noisy):
    exact = formula("gaussian_start", "sde" if noisy else "flow")
    t = 0.3
    b, last = (mpmath.mpf(float(schemes.integral(at))) for at in (t, 1.0))
    found = schemes.continuous_variance(noisy, t, LAM)[1]
    for value, lam in zip(found, LAM, strict=True):
        assert value == pytest.approx(float(exact(lam, b, mpmath.exp(-2 * last))), rel=1e-12)


def test_a_printed_number_is_read_with_half_a_unit_of_its_last_digit():
    found = {(e.scheme, e.truncation, e.cost, e.start): (e.value, e.half) for e in entries()}
    assert found["EM", 0.0, 0, "N(0, I)"] == (6.7e-4, pytest.approx(5e-6))
    assert found["Heun", 1e-5, 50, "p_T"] == (23.42, pytest.approx(0.005))
    assert ("Heun", 0.0, 50, "p_T") not in found  # infinite
    assert ("EM", 0.0, 0, "p_T") not in found  # zero
    assert len(found) == 218


def test_one_spectrum_gives_every_printed_number(fit):
    printed = [*entries()]
    assert fit["counts"].sum() == pytest.approx(schemes.DIMENSION)
    for entry, value in zip(printed, fit["value"], strict=True):
        assert abs(value - entry.value) <= 1.0001 * entry.half, entry


def test_none_does_with_heun_at_the_evaluations_stated(case, fit):
    stated = schemes.table_fit(case, AS_STATED)
    assert stated["least"] == pytest.approx(np.abs(stated["miss"]).max(), rel=1e-3)
    assert stated["least"] > 3000.0
    # The bound is one for any spectrum: that of the other reading is not below it.
    unit = schemes.table_errors(AS_STATED, fit["eigenvalues"])
    printed = [*entries()]
    low, high = (np.square([e.value + s * e.half for e in printed]) for s in (-1, 1))
    miss = np.abs(unit @ fit["counts"] - 0.5 * (low + high)) / (0.5 * (high - low))
    assert miss.max() >= stated["least"]
    assert printed[int(miss.argmax())].scheme == "Heun"


def test_a_made_up_table_of_another_spectrum_is_told_from_the_printed_one(case, fit):
    lam = np.geomspace(1e-3, 10.0, schemes.DIMENSION)
    value = np.sqrt(schemes.table_errors(AS_FOUND, lam).sum(axis=1))
    off = [abs(v - e.value) / e.half for v, e in zip(value, entries(), strict=True)]
    assert max(off) > 100.0


EXPECTED = {"W1": (H,), "W2": (H, H), "W3": (F,), "W3'": (H,), "W4": (H,)}


@pytest.mark.parametrize("claim_id", EXPECTED)
def test_each_claim_has_its_verdict_and_a_control_that_fails_narrowly(ledger, case, claim_id):
    rows = ledger.rows(claim_id, case).values()
    assert tuple(row.verdict for row in rows) == EXPECTED[claim_id]
    for row in rows:
        assert row.witness
        assert all(control.caught for control in row.mutants)
        assert row.controls.startswith("Fails narrowly") or row.basis == "sampled"


def test_the_own_problems_have_no_row_elsewhere(ledger):
    drawn = cases.random(1)
    assert not ledger.rows("W3", drawn)
    assert [row.verdict for row in ledger.rows("W1", drawn).values()] == [H]


def test_the_failing_row_names_the_entry_that_shows_it(ledger, case):
    (row,) = ledger.rows("W3", case).values()
    assert row.witness["scheme"] == "Heun"
    assert row.witness["evaluations"] in COSTS

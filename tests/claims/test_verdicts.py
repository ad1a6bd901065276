"""Every claim without networks on the standard problem, random ones and mixtures that users bring:
its verdict, and controls that it rejects.

All problems count as drawn, so that no row is on trained models; those have tests of their own.
"""

import dataclasses

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.numbers import dump_json
from verify.ledger import cases, recorded
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis

FIRST = (
    *("A4.1", "A4.4", "T4.2", "C4.3", "P4.7 (1)", "D.1", "G.1", "G.2", "G.3", "G.5"),
    *("X1", "X2", "M1", "M1'", "W1"),
)
SADDLES = ("G.4", "X2'", "P4.5", "C4.6", "P4.7 (2)", "X3", "X4", "B.1 (1)", "B.1 (2)", "X9")
MIDPOINT = ("G.6", "P5.1", "X5", "X6", "X7", "I.1", "C.2", "C.3", "C.4", "C.5", "C.6")
PAIRS = ("P5.1", "X6", "C.2", "C.3", "C.5", "C.6")
H, V, N, I = Outcome.HOLDS, Outcome.VACUOUS, Outcome.NOT_APPLICABLE, Outcome.INCONCLUSIVE


def user(mixture, schedule=None):
    return Case("user", mixture, schedule or NoiseSchedule.linear(), random=True)


def three_modes(sigma):
    return user(GaussianMixture([[-1.0, 0.0], [0.2, 1.0], [1.5, 0.3]], sigma))


STANDARD = dataclasses.replace(cases.standard(), random=True)
DRAWN = {f"random-{k}": cases.random(k) for k in (1, 2, 3)}
ALL = {
    "standard": STANDARD,
    **DRAWN,
    "25 modes in 64-D": user(presets.farthest_point(64)),
    "one mode": user(GaussianMixture([[0.3, 0.1]], 0.1)),
}
UNEVEN = user(GaussianMixture([[-1.0], [0.2], [1.5]], 0.04, [0.5, 0.2, 0.3]))
TWO = user(GaussianMixture([[0.3, 0.1], [1.3, 0.5]], 0.05, [0.3, 0.7]))
BESIDES_FIRST = {
    "three uneven modes in 1-D": UNEVEN,
    "a sigma for each mode": three_modes([0.04, 0.08, 0.05]),
    "two modes": TWO,
}
BESIDES_SADDLES = {
    "three uneven modes in a row": user(
        GaussianMixture([[1.0], [2.0], [3.5]], 0.05, [0.2, 0.5, 0.3])
    ),
    "a light mode in 3-D": user(presets.two_modes(d=3, weights=[0.9, 0.1])),
    "wide modes": user(GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 1.2]], 1.5)),
    "one step": user(presets.ring(), NoiseSchedule.linear(1, 0.3, 0.3)),
    "a sigma for each mode": three_modes([0.04, 0.08, 0.05]),
    "coinciding modes": user(GaussianMixture([[0.0], [0.0], [1.0]], 0.05, allow_duplicates=True)),
}
BESIDES_MIDPOINT = {
    "three uneven modes in 1-D": UNEVEN,
    "a small sigma for each mode": three_modes([0.01, 0.02, 0.015]),
    "two modes": TWO,
    "modes too wide to separate": user(GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], 0.4)),
    "a short cosine schedule": user(
        GaussianMixture([[-1.0], [1.0]], 0.05), NoiseSchedule.cosine(40)
    ),
}

# Verdicts that differ from `holds`; of a claim with several rows, one for each of them in order.
# The published trap is vacuous wherever a pair is well apart, the published midpoint bound too.
FAR_APART = {"P4.7 (2)": (V,), "P5.1": (V,), "C.6": (V,)}
NO_PAIR = {
    **dict.fromkeys(
        (*("A4.1", "A4.4", "T4.2", "C4.3", "D.1", "G.3", "X2"), *SADDLES, *PAIRS), (N,)
    ),
    **dict.fromkeys(("X3", "X5", "C.4"), (N, N)),
    "P4.7 (1)": (N, N, N),
}
EXPECTED = {
    "standard": FAR_APART,
    "random-1": {
        **FAR_APART,
        "P4.7 (1)": (H, N, N),
        "D.1": (N,),
        "M1'": (N, H),
        "X5": (H, N),
    },
    "random-2": {**FAR_APART, "P4.7 (1)": (H, N, N)},
    "random-3": {
        **FAR_APART,
        "D.1": (N,),
        "M1'": (N, H),
        "X5": (H, N),
    },
    # The drift off the line points back at every state looked at: `outward` never held.
    "25 modes in 64-D": {
        "D.1": (N,),
        "M1": (I,),
        "M1'": (N, H),
        "P4.7 (2)": (V,),
        "P5.1": (N,),
        "C.6": (N,),
        "X5": (H, N),
        "X6": (N,),
    },
    "three uneven modes in 1-D": {
        **FAR_APART,
        "P4.7 (1)": (H, N, N),
        "D.1": (N,),
        "T4.2": (V,),
        "X2": (V,),
        "M1": (H, I),
        "C.3": (V,),
    },
    "a sigma for each mode": {
        **NO_PAIR,
        **dict.fromkeys(("A4.1", "A4.4", "X1", "X2'"), (H,)),
        "G.2": (N,),
        "X3": (N, H),
        "M1": (N, I),
        "M1'": (N, H),
    },
    "a small sigma for each mode": NO_PAIR,
    "one mode": {**NO_PAIR, "I.1": (N,), "M1": (N, N), "M1'": (N, N)},
    "two modes": {
        **FAR_APART,
        **dict.fromkeys(("A4.1", "D.1", "G.3"), (N,)),
        "P4.7 (1)": (H, N, N),
        "M1": (I,),
        "M1'": (N, H),
    },
    "three uneven modes in a row": FAR_APART,
    "a light mode in 3-D": FAR_APART,
    "wide modes": dict.fromkeys(("P4.5", "P4.7 (2)", "C4.6", "X4"), (N,)),
    "one step": {"P4.7 (2)": (N,), "C4.6": (N,), "X4": (N,), "X3": (H, V)},
    "coinciding modes": NO_PAIR,
    "modes too wide to separate": {
        **dict.fromkeys(("P5.1", "X7", "C.2", "C.3", "C.6"), (N,)),
        "X5": (H, N),
        "C.4": (H, N),
    },
    "a short cosine schedule": {**FAR_APART, "C.3": (V,)},
}

SLOW = ("standard", *DRAWN, "25 modes in 64-D")


def trial(claim_id, name, case):
    marks = [pytest.mark.slow] if name in SLOW else []
    return pytest.param(claim_id, name, case, id=f"{claim_id}@{name}", marks=marks)


TRIALS = [
    trial(claim_id, name, case)
    for claims, besides in (
        (FIRST, BESIDES_FIRST),
        (SADDLES, BESIDES_SADDLES),
        (MIDPOINT, BESIDES_MIDPOINT),
    )
    for name, case in {**ALL, **besides}.items()
    for claim_id in claims
]


def _expected(claim_id, name, rows):
    """What does not apply does so on every row; a proof that is not listed holds."""
    expected = EXPECTED[name].get(claim_id, (H,) * len(rows))
    if set(expected) == {N}:
        return (N,) * len(rows)
    if len(expected) == len(rows) - 1:
        at = [row.basis for row in rows].index(Basis.CERTIFIED)
        return (*expected[:at], H, *expected[at:])
    return expected


@pytest.mark.parametrize(("claim_id", "name", "case"), TRIALS)
def test_each_claim_has_its_verdict_and_rejects_its_controls(ledger, claim_id, name, case):
    rows = tuple(ledger.rows(claim_id, case).values())
    expected = _expected(claim_id, name, rows)
    assert tuple(row.verdict for row in rows) == expected, [row.note for row in rows]
    for row in rows:
        dump_json({"row": row.as_row()})
        if row.verdict is N:
            assert row.note
            continue
        assert np.isfinite(row.applicable_share)
        assert row.witness
        if claim_id == "C.3" and case.mixture.d == 1:
            # There is no distance from the pair's line that a fault could change.
            assert row.controls == "No control fails."
            continue
        if row.verdict is H or claim_id in MIDPOINT:
            assert any(control.caught for control in row.mutants), row.controls
        if row.verdict is H and (claim_id in SADDLES or name == "standard"):
            assert not [c.name for c in row.mutants if c.verdict is H]
        if row.verdict is H and name == "standard":
            reason = ledger.entries[claim_id].claim.no_narrow_control.get(row.basis)
            assert reason or any(control.narrow for control in row.mutants), row.controls


@pytest.mark.parametrize("claim_id", [*FIRST, *SADDLES, *MIDPOINT])
def test_the_verdicts_of_the_standard_problem_do_not_depend_on_the_seed(
    ledger, drawn_case, claim_id
):
    other = dataclasses.replace(drawn_case, seed=12345, workspace={})
    found = ledger.rows(claim_id, other, controls=False)
    expected = ledger.rows(claim_id, drawn_case)
    assert [row.verdict for row in found.values()] == [row.verdict for row in expected.values()]


@pytest.mark.parametrize("claim_id", SADDLES)
@pytest.mark.parametrize(
    ("name", "case"),
    [("standard", STANDARD), ("1-D", BESIDES_SADDLES["three uneven modes in a row"])],
)
@pytest.mark.slow
def test_a_failing_control_names_what_reproduces_it(ledger, name, case, claim_id):
    mutants = ledger.mutants(claim_id, case)
    assert mutants
    for label, row in mutants.items():
        assert row.verdict is Outcome.FAILS, label
        dump_json({"witness": row.witness})
        assert row.witness["quantity" if claim_id != "X9" else "method"]


@pytest.mark.parametrize("claim_id", ["P5.1", "X5", "C.4", "C.5"])
def test_a_witness_names_a_place_in_this_problem(ledger, drawn_case, claim_id):
    for row in ledger.rows(claim_id, drawn_case).values():
        values = [value for value in row.witness.values() if not isinstance(value, str)]
        assert all(np.isfinite(value).all() for value in values)


@pytest.mark.parametrize("case", [STANDARD, *DRAWN.values()], ids=lambda case: case.name)
def test_the_default_problems_have_recorded_verdicts(case):
    rows = [{"id": "G.5", "basis": "exact", "verdict": "holds"}]
    assert recorded.find_drift(case, rows) == [], "record them with python -m verify --record"

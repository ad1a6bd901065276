"""Claims about modes, saddles, traps and orders, on built-in problems and on users' mixtures."""

import dataclasses

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.numbers import dump_json
from verify.ledger import cases, registry, runner
from verify.ledger.case import Case, Profile
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis

IDS = ("G.4", "X2'", "P4.5", "C4.6", "P4.7 (2)", "X3", "X4", "B.1 (1)", "B.1 (2)", "X9")
H, V, N = Outcome.HOLDS, Outcome.VACUOUS, Outcome.NOT_APPLICABLE
NOWHERE = dict.fromkeys(IDS, (N,)) | {"X3": (N, N)}


def user(mixture, schedule=None):
    return Case("user", mixture, schedule or NoiseSchedule.linear())


PROBLEMS = {
    "standard": lambda: cases.standard(0, Profile.QUICK),
    "random-1": lambda: cases.random(1, 0, Profile.QUICK),
    "random-2": lambda: cases.random(2, 0, Profile.QUICK),
    "random-3": lambda: cases.random(3, 0, Profile.QUICK),
    "three uneven modes in 1-D": lambda: user(
        GaussianMixture([[1.0], [2.0], [3.5]], 0.05, [0.2, 0.5, 0.3])
    ),
    "25 modes in 64-D": lambda: user(presets.farthest_point(64)),
    "two modes": lambda: user(presets.two_modes(d=3, weights=[0.9, 0.1])),
    "wide modes": lambda: user(GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 1.2]], 1.5)),
    "one step": lambda: user(presets.ring(), NoiseSchedule.linear(1, 0.3, 0.3)),
    "a sigma for each mode": lambda: user(
        GaussianMixture([[-1.0, 0.0], [0.2, 1.0], [1.5, 0.3]], [0.04, 0.08, 0.05])
    ),
    "one mode": lambda: user(GaussianMixture([[0.3, 0.1]], 0.1)),
    "coinciding modes": lambda: user(
        GaussianMixture([[0.0], [0.0], [1.0]], 0.05, allow_duplicates=True)
    ),
}

# Verdicts that differ from `holds`. The published trap is vacuous wherever a pair is well apart.
EXPECTED = {
    **{name: {"P4.7 (2)": (V,)} for name in ("standard", "random-1", "random-2", "random-3")},
    "three uneven modes in 1-D": {"P4.7 (2)": (V,)},
    "25 modes in 64-D": {"P4.7 (2)": (V,)},
    "two modes": {"P4.7 (2)": (V,)},
    "wide modes": {"P4.5": (N,), "P4.7 (2)": (N,), "C4.6": (N,), "X4": (N,)},
    "one step": {"P4.7 (2)": (N,), "C4.6": (N,), "X4": (N,), "X3": (H, V)},
    "a sigma for each mode": NOWHERE,
    "one mode": NOWHERE,
    "coinciding modes": NOWHERE,
}

ENTRIES = {entry.claim.id: entry for entry in registry.load_claims()}


@pytest.fixture(scope="module")
def problem():
    built = {}
    return lambda name: built.setdefault(name, PROBLEMS[name]())


@pytest.mark.parametrize("claim_id", IDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_each_claim_has_its_verdict_and_rejects_every_mutant(problem, name, claim_id):
    rows = runner.run_claim(ENTRIES[claim_id], problem(name))
    verdicts = [row for row in rows if row.basis is not Basis.LEARNED]
    expected = EXPECTED[name].get(claim_id, (H,) * len(verdicts))
    assert tuple(v.verdict for v in verdicts) == expected, [v.note for v in verdicts]
    for verdict in verdicts:
        if verdict.verdict is N:
            assert verdict.note
            continue
        assert verdict.witness
        assert np.isfinite(verdict.applicable_share)
        if verdict.verdict is H:
            assert verdict.mutants
            assert not [m.name for m in verdict.mutants if m.verdict is H]
            if name == "standard":
                reason = ENTRIES[claim_id].claim.no_narrow_control.get(verdict.basis)
                assert reason or any(m.narrow for m in verdict.mutants), verdict.controls
        dump_json({"row": verdict.as_row()})


@pytest.mark.parametrize("claim_id", IDS)
@pytest.mark.parametrize("name", ["standard", "three uneven modes in 1-D"])
def test_a_failing_mutant_names_what_reproduces_it(problem, name, claim_id):
    mutants = ENTRIES[claim_id].mutants(problem(name))
    assert mutants
    for label, verdict in mutants.items():
        assert verdict.verdict is Outcome.FAILS, label
        dump_json({"witness": verdict.witness})
        assert verdict.witness["quantity" if claim_id != "X9" else "method"]


@pytest.mark.parametrize("claim_id", IDS)
def test_the_verdicts_of_the_standard_problem_do_not_depend_on_the_seed(problem, claim_id):
    case = dataclasses.replace(problem("standard"), seed=12345, workspace={})
    expected = [v.verdict for v in runner.run_claim(ENTRIES[claim_id], problem("standard"))]
    assert [v.verdict for v in runner.run_claim(ENTRIES[claim_id], case)] == expected

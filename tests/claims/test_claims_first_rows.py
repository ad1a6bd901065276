"""The first claims on the standard problem, random ones, and mixtures that users bring."""

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from verify.ledger import cases, recorded, registry, runner
from verify.ledger.case import Case, Profile
from verify.ledger.relations import Outcome

IDS = (
    *("A4.1", "A4.4", "T4.2", "C4.3", "P4.7 (1)", "D.1", "G.1", "G.2", "G.3", "G.5"),
    *("X1", "X2", "M1", "M1'"),
)
H, V, N, I = (
    Outcome.HOLDS,
    Outcome.VACUOUS,
    Outcome.NOT_APPLICABLE,
    Outcome.INCONCLUSIVE,
)


def user(mixture):
    return Case("user", mixture, NoiseSchedule.linear())


PROBLEMS = {
    "standard": lambda: cases.standard(0, Profile.QUICK),
    "random-1": lambda: cases.random(1, 0, Profile.QUICK),
    "random-2": lambda: cases.random(2, 0, Profile.QUICK),
    "random-3": lambda: cases.random(3, 0, Profile.QUICK),
    "three uneven modes in 1-D": lambda: user(
        GaussianMixture([[-1.0], [0.2], [1.5]], 0.04, [0.5, 0.2, 0.3])
    ),
    "25 modes in 64-D": lambda: user(presets.farthest_point(64)),
    "a sigma for each mode": lambda: user(
        GaussianMixture([[-1.0, 0.0], [0.2, 1.0], [1.5, 0.3]], [0.04, 0.08, 0.05])
    ),
    "one mode": lambda: user(GaussianMixture([[0.3, 0.1]], 0.1)),
    "two modes": lambda: user(GaussianMixture([[0.3, 0.1], [1.3, 0.5]], 0.05, [0.3, 0.7])),
}

# Verdicts that differ from `holds`; of a claim with two rows, one for each basis in order.
EXPECTED = {
    "standard": {"M1": (H, I)},
    "random-1": {"P4.7 (1)": (H, N, N), "D.1": (N,), "M1": (N, H), "M1'": (N, H)},
    "random-2": {"P4.7 (1)": (H, N, N)},
    "random-3": {"D.1": (N,), "M1": (N, H), "M1'": (N, H)},
    "three uneven modes in 1-D": {
        "P4.7 (1)": (H, N, N),
        "D.1": (N,),
        "T4.2": (V,),
        "X2": (V,),
        "M1": (H, I),
    },
    "25 modes in 64-D": {"D.1": (N,), "M1": (N, I), "M1'": (N, H)},
    "a sigma for each mode": {
        **dict.fromkeys(("A4.1", "A4.4", "T4.2", "C4.3", "D.1", "G.2", "G.3", "X1", "X2"), (N,)),
        "P4.7 (1)": (N, N, N),
        "M1": (N, I),
        "M1'": (N, H),
    },
    "one mode": {
        **dict.fromkeys(("A4.1", "A4.4", "T4.2", "C4.3", "D.1", "G.3", "X2"), (N,)),
        "P4.7 (1)": (N, N, N),
        "M1": (N, N),
        "M1'": (N, N),
    },
    "two modes": {
        **dict.fromkeys(("A4.1", "D.1", "G.3"), (N,)),
        "P4.7 (1)": (H, N, N),
        "M1": (N, I),
        "M1'": (N, H),
    },
}

ENTRIES = {entry.claim.id: entry for entry in registry.load_claims()}


@pytest.fixture(scope="module")
def problem():
    built = {}
    return lambda name: built.setdefault(name, PROBLEMS[name]())


@pytest.mark.parametrize("claim_id", IDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_each_claim_has_its_verdict_and_rejects_a_mutant(problem, name, claim_id):
    case = problem(name)
    verdicts = runner.run_claim(ENTRIES[claim_id], case)
    expected = EXPECTED[name].get(claim_id, (H,) * len(verdicts))
    found = tuple(v.verdict for v in verdicts)
    assert found == expected, [v.note for v in verdicts]
    for verdict in verdicts:
        if verdict.verdict is Outcome.HOLDS:
            caught = [m.caught for m in verdict.mutants]
            assert all(caught) if name == "standard" else any(caught)
            if name == "standard":
                reason = ENTRIES[claim_id].claim.no_narrow_control.get(verdict.basis)
                assert reason or any(m.narrow for m in verdict.mutants), verdict.controls
        if verdict.verdict is Outcome.NOT_APPLICABLE:
            assert verdict.note
        else:
            assert np.isfinite(verdict.applicable_share)
            assert verdict.witness


@pytest.mark.parametrize("name", ["standard", "random-1", "random-2", "random-3"])
def test_the_default_problems_have_recorded_verdicts(problem, name):
    case = problem(name)
    rows = [{"id": "G.5", "basis": "exact", "verdict": "holds"}]
    assert recorded.find_drift(case, rows) == [], "record them with python -m verify --record"

"""G.6, P5.1, X5, X6, X7, I.1 and C.2 to C.6 on standard, random and users' problems.

The rows on trained models have tests of their own: a case counts as drawn here, so it has none.
"""

import dataclasses

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from verify.ledger import cases, registry, runner
from verify.ledger.case import Case, Profile
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis

IDS = ("G.6", "P5.1", "X5", "X6", "X7", "I.1", "C.2", "C.3", "C.4", "C.5", "C.6")
H, V, N = Outcome.HOLDS, Outcome.VACUOUS, Outcome.NOT_APPLICABLE
PAIRS = ("P5.1", "X6", "C.2", "C.3", "C.5", "C.6")


def standard(seed):
    return dataclasses.replace(cases.standard(seed, Profile.QUICK), random=True)


def user(means, sigma, weights=None, schedule=None):
    mixture = GaussianMixture(means, sigma, weights)
    return Case("user", mixture, schedule or NoiseSchedule.linear(), random=True)


PROBLEMS = {
    "standard": lambda: standard(0),
    "random-1": lambda: cases.random(1, 0, Profile.QUICK),
    "random-2": lambda: cases.random(2, 0, Profile.QUICK),
    "random-3": lambda: cases.random(3, 0, Profile.QUICK),
    "three uneven modes in 1-D": lambda: user([[-1.0], [0.2], [1.5]], 0.04, [0.5, 0.2, 0.3]),
    "25 modes in 64-D": lambda: Case(
        "user", presets.farthest_point(64), NoiseSchedule.linear(), random=True
    ),
    "a sigma for each mode": lambda: user(
        [[-1.0, 0.0], [0.2, 1.0], [1.5, 0.3]], [0.01, 0.02, 0.015]
    ),
    "one mode": lambda: user([[0.3, 0.1]], 0.1),
    "two modes": lambda: user([[0.3, 0.1], [1.3, 0.5]], 0.05, [0.3, 0.7]),
    "modes too wide to separate": lambda: user([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], 0.4),
    "a short cosine schedule": lambda: user(
        [[-1.0], [1.0]], 0.05, schedule=NoiseSchedule.cosine(40)
    ),
}

# Verdicts that differ from `holds`; of a claim with two rows, one for each basis in order.
MIDPOINT = {"P5.1": (V,), "C.6": (V,)}
EXPECTED = {
    "standard": MIDPOINT,
    "random-1": {**MIDPOINT, "X5": (H, N), "X6": (N,)},
    "random-2": MIDPOINT,
    "random-3": {**MIDPOINT, "X5": (H, N), "X6": (N,)},
    "three uneven modes in 1-D": {**MIDPOINT, "C.3": (V,)},
    # The drift off the line points back at every state looked at: `outward` never held.
    "25 modes in 64-D": {"P5.1": (N,), "C.6": (N,), "X5": (H, N), "X6": (N,)},
    "a sigma for each mode": {
        **dict.fromkeys(PAIRS, (N,)),
        **dict.fromkeys(("X5", "C.4"), (N, N)),
    },
    "one mode": {
        **dict.fromkeys((*PAIRS, "I.1"), (N,)),
        **dict.fromkeys(("X5", "C.4"), (N, N)),
    },
    "two modes": {**MIDPOINT, "X6": (N,)},
    "modes too wide to separate": {
        **dict.fromkeys(("P5.1", "X6", "X7", "C.2", "C.3", "C.6"), (N,)),
        "X5": (H, N),
        "C.4": (H, N),
    },
    "a short cosine schedule": {**MIDPOINT, "C.3": (V,)},
}
ENTRIES = {entry.claim.id: entry for entry in registry.load_claims()}


def bases(claim_id):
    """The kinds of evidence of a claim's rows without trained models."""
    return [basis for basis in ENTRIES[claim_id].claim.basis if basis is not Basis.LEARNED]


@pytest.fixture(scope="module")
def problem():
    """A problem by name, whose measurements the claims share."""
    built: dict[str, Case] = {}
    return lambda name: built.setdefault(name, PROBLEMS[name]())


@pytest.mark.parametrize("claim_id", IDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_each_claim_has_its_verdict_and_a_mutant_is_rejected(problem, name, claim_id):
    verdicts = runner.run_claim(ENTRIES[claim_id], problem(name))
    expected = EXPECTED[name].get(claim_id, (H,) * len(bases(claim_id)))
    found = [v for v in verdicts if v.basis in bases(claim_id)]
    assert tuple(v.verdict for v in found) == expected, [v.note for v in found]
    for verdict in found:
        if verdict.measured is not None:
            # In one dimension there is no distance from the pair's line that a fault could change.
            flat = claim_id == "C.3" and problem(name).mixture.d == 1
            assert any(m.caught for m in verdict.mutants) is not flat
            if flat:
                assert "every state lies on the line" in verdict.note
                assert verdict.controls == "No control fails."
            if verdict.verdict is H and name == "standard":
                reason = ENTRIES[claim_id].claim.no_narrow_control.get(verdict.basis)
                assert reason or any(m.narrow for m in verdict.mutants), verdict.controls
        else:
            assert verdict.note


@pytest.mark.parametrize("claim_id", IDS)
def test_another_seed_gives_the_same_verdict(claim_id):
    expected = EXPECTED["standard"].get(claim_id)
    verdicts = runner.run_claim(ENTRIES[claim_id], standard(1))
    found = tuple(v.verdict for v in verdicts if v.basis in bases(claim_id))
    assert found == (expected or (H,) * len(found))


@pytest.mark.parametrize("claim_id", ["P5.1", "X5", "C.4", "C.5"])
def test_a_witness_names_a_place_in_this_problem(problem, claim_id):
    for verdict in runner.run_claim(ENTRIES[claim_id], problem("standard")):
        if verdict.basis in bases(claim_id):
            assert verdict.witness
            values = [v for v in verdict.witness.values() if not isinstance(v, str)]
            assert all(np.isfinite(v).all() for v in values)

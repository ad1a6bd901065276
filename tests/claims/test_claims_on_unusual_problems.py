"""Claims on problems far from the papers' own, which adversaries found.

Neither lost digits nor a shortcut of a check's own may pass for a violation, or for a proof.
"""

import numpy as np
import pytest

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis

H, F = Outcome.HOLDS, Outcome.FAILS
N, I = Outcome.NOT_APPLICABLE, Outcome.INCONCLUSIVE


def user(means, sigma, weights=None, schedule=None):
    return Case("user", GaussianMixture(means, sigma, weights), schedule or NoiseSchedule.linear())


def close_pair(gap, ratio):
    """Two modes that nearly coincide far from the origin, a third one elsewhere, little noise."""
    means = [[3.1, 2.7, 1.0], [3.1 + gap, 2.7, 1.0], [0.0, 0.0, 0.0]]
    return user(means, gap / ratio, schedule=NoiseSchedule.linear(100, 1e-14, 1e-10))


PROBLEMS = {
    "two modes 1e-5 apart": lambda: close_pair(1e-5, 1000.0),
    "two modes 1e-6 apart": lambda: user(
        [[1.0, 2.0], [-2.0, 1.0], [1.000001, 2.0]], 1e-8, schedule=NoiseSchedule.linear(100)
    ),
    "noise that rounds to one": lambda: user(
        [[-1.0, 0.0], [1.0, 0.5]], 0.1, schedule=NoiseSchedule.from_betas([0.95] * 30)
    ),
    "noise 1e-8 of sigma": lambda: user(
        [[-1.0, 0.0], [1.0, 0.5]], 1.0, schedule=NoiseSchedule.linear(20, 1e-10, 1e-9)
    ),
    "all noise far above a close pair": lambda: user(
        [[3.1, 2.7], [3.10001, 2.7], [0.0, 0.0]],
        1e-6,
        schedule=NoiseSchedule.from_betas([0.96] * 3),
    ),
    "one narrow mode": lambda: user([[0.0] * 4], 1e-5, schedule=NoiseSchedule.linear(250)),
    "one noisy time": lambda: user(
        [[-1.0, 0.0], [1.0, 0.5], [0.0, 2.0]], 0.1, schedule=NoiseSchedule.linear(1, 0.3, 0.3)
    ),
    "modes with sigma^2 above 2": lambda: user(
        [[0.0, 0.0], [400.0, 0.0], [0.0, 900.0]], 4.0, schedule=NoiseSchedule.linear(100)
    ),
    "eight uneven modes": lambda: user(
        [[8.0], [13.0], [18.0], [24.0], [31.0], [33.0], [37.0], [38.0]],
        0.01,
        np.array([1.0, 2.0, 10.0, 50.0, 20.0, 10.0, 10.0, 5.0]) / 108.0,
    ),
    "modes too wide to part": lambda: user([[0.0, 0.0], [1.0, 0.0], [0.0, 1.2]], 1.5),
    "a close pair and a distant mode": lambda: user([[-1.0], [1.0], [1.1]], 0.1),
    "two modes at one place": lambda: Case(
        "user",
        GaussianMixture([[0.0], [0.0], [1.0]], 0.05, allow_duplicates=True),
        NoiseSchedule.linear(),
    ),
}

# A claim, a problem, and the verdict of the row with that basis.
ROWS = [
    ("G.1", "two modes 1e-5 apart", Basis.SAMPLED, H),
    ("G.2", "noise that rounds to one", Basis.SAMPLED, H),
    ("G.2", "noise 1e-8 of sigma", Basis.SAMPLED, H),
    ("G.3", "two modes 1e-6 apart", Basis.SAMPLED, H),
    ("P4.7 (1)", "two modes 1e-5 apart", Basis.EXACT, H),
    ("X3", "all noise far above a close pair", Basis.SAMPLED, H),
    ("X1", "one narrow mode", Basis.SAMPLED, H),
    ("X1", "one noisy time", Basis.SAMPLED, H),
    ("C.2", "modes with sigma^2 above 2", Basis.SAMPLED, H),
    ("C.3", "modes with sigma^2 above 2", Basis.SAMPLED, H),
    ("X9", "eight uneven modes", Basis.SAMPLED, I),
    ("B.1 (2)", "two modes 1e-5 apart", Basis.EXACT, H),
    ("A4.1", "modes too wide to part", Basis.SAMPLED, N),
    ("A4.4", "modes too wide to part", Basis.EXACT, N),
    ("A4.4", "a close pair and a distant mode", Basis.EXACT, F),
    ("A4.4", "two modes at one place", Basis.EXACT, N),
]


@pytest.mark.parametrize(("claim_id", "name", "basis", "expected"), ROWS)
def test_the_check_gives_the_claims_verdict_and_lets_no_mutant_pass(
    ledger, claim_id, name, basis, expected
):
    row = ledger.row(claim_id, PROBLEMS[name](), basis)
    assert row.verdict is expected, (row.note, row.measured, row.bound)
    if expected is H:
        assert row.mutants
        assert not [m.name for m in row.mutants if m.verdict is H]

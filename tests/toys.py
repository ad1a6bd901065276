"""Made-up claims and a small case, for tests of what judges, keeps, searches and shows rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mixdyn import presets
from mixdyn.problem.schedule import NoiseSchedule
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.registry import Entry
from verify.ledger.relations import Upper, compare
from verify.ledger.sources import ROOT
from verify.ledger.verdict import Basis, Finding, Verdict

PARTS = {
    "Statement": "one is at most two.",
    "Hypotheses": "\n    - small: it is small.\n    - round_one: it is round.",
    "Measured": "one.",
    "Predicted": "two.",
    "Evidence": "exact.",
    "Source": "arXiv 2605.06831 v1, Lemma G.1",
}


def doc(title: str = "A toy.", **parts: str) -> str:
    """The docstring of a claim file."""
    told = (f"{name}: {text}\n" for name, text in (PARTS | parts).items())
    return f"{title}\n\n{''.join(told)}"


def claim(claim_id: str = "G.9", text: str | None = None, **header: Any) -> Claim:
    header = {"basis": (Basis.EXACT,), "does_not_show": "all"} | header
    return Claim.from_docstring(text or doc(), id=claim_id, **header)


def case() -> Case:
    return Case("toy", presets.two_modes(), NoiseSchedule.linear(T=50))


def judged(of: Claim, case: Case, value: float) -> Verdict:
    """The row that compares a value with 2, to within 1e-9."""
    sides = [compare("x", Upper(atol=1e-9), value, 2.0)]
    return of.judge(case, Finding(sides, witness=lambda comparison: {"x": 1}))


def entry(
    of: Claim,
    check: Callable[[Case], Verdict | list[Verdict]],
    mutants: Callable[[Case], dict[str, Verdict]] = lambda case: {},
) -> Entry:
    return Entry(of, check, mutants, ROOT / "verify/ledger/claim.py")

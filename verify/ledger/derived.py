"""Rows of basis `derived`: what a stored SymPy derivation settles while its sources match."""

from __future__ import annotations

from pathlib import Path

from derivations import stored

from .case import Case
from .claim import Claim
from .relations import Outcome
from .verdict import Basis, Verdict


def derived_row(claim: Claim, case: Case) -> Verdict | None:
    """The row of a claim whose stored derivation closed, else None.

    An outcome counts only for the derivation's present sources and the installed SymPy.
    """
    if claim.derivation is None:
        return None
    outcome = stored.lookup(Path(claim.derivation).stem)
    if outcome is None or not outcome.closed:
        return None
    for need in claim.proof_needs:
        if (why := need.obstacle(case.mixture)) is not None:
            return claim.not_applicable(case, why, Basis.DERIVED)
    note = f"Reach of the proof: {outcome.general}. Wrong variants rejected: {outcome.rejected}."
    if outcome.citations:
        note += f" Rests on {'; '.join(outcome.citations)}."
    return claim.row(
        case,
        Outcome.HOLDS,
        Basis.DERIVED,
        n=outcome.links,
        n_held=outcome.links,
        unit="steps",
        quantity=f"{outcome.title}, SymPy {outcome.sympy}",
        applicable_share=1.0,
        note=note,
    )

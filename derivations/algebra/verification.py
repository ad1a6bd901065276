"""Verify a derivation: every link closes, every wrong variant is rejected."""

from __future__ import annotations

from .. import catalogue, stored
from .derivation import Derivation


def rejected(derivation: Derivation) -> int:
    """How many of its wrong variants do not close."""
    return sum(variant.chain.residual() != 0 for variant in derivation.proof.wrong)


def verify(name: str) -> stored.Outcome:
    """Compute the outcome of one derivation."""
    derivation = catalogue.load(name)
    residual = derivation.residual()
    all_rejected = rejected(derivation)
    return stored.Outcome(
        id=derivation.id,
        title=derivation.title,
        closed=bool(residual == 0) and all_rejected == len(derivation.proof.wrong) > 0,
        residual=str(residual),
        links=derivation.steps,
        rejected=all_rejected,
        general=derivation.general,
        citations=derivation.citations,
        digest=stored.digest(name),
        sympy=stored.sympy_version(),
    )

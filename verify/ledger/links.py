"""Which result rests on which, and why: what the claims' headers say, and the closed forms."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from .registry import load_claims


@dataclass(frozen=True)
class Link:
    """A result as the graph shows it: a few words for its box, what it rests on and what it
    sharpens, each with a word why."""

    short: str
    rests_on: Mapping[str, str]
    sharpens: Mapping[str, str] = field(default_factory=dict)


# Of `mixdyn.oracles`: they carry no verdict.
CLOSED_FORMS = {
    "O1": Link("reverse SDE: exact law", {"G.1": "time reversal of the forward process"}),
    "O2": Link("PF ODE: exact map", {"G.2": "the flow conserves the distribution function"}),
    "O3": Link("linear off the hull", {"G.2": "m stays in the hull of the means"}),
    "O4": Link("two-mode field", {"G.2": "the field of two modes"}),
}
UNKNOWN = Link("", {})


@functools.cache
def all_links() -> Mapping[str, Link]:
    """Every claim of the ledger and every closed form, by id."""
    claims = (entry.claim for entry in load_claims())
    return {c.id: Link(c.short, c.rests_on, c.sharpens) for c in claims} | CLOSED_FORMS


def link(name: str) -> Link:
    """Of one result; empty for one that is not known."""
    return all_links().get(name, UNKNOWN)


def ancestors(claim_id: str) -> set[str]:
    """Everything that a claim rests on, directly or not."""
    found: set[str] = set()
    waiting = list(link(claim_id).rests_on)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(link(name).rests_on)
    return found

"""Proofs over a continuum: enclosures of functions over boxes, and what they settle.

Doubles in, proofs out: every number handed over counts as exact, every operation rounds outward.
Nothing of the engine is used, only a mixture's data; no claim may rest on both by one arithmetic.

interval    vectorised intervals of doubles    search   boxes cut up until a statement is settled
statement   what can be said, as data          law      a mixture over boxes of places and noise
forms       values and slopes over boxes, through chains of matrices    network   a residual MLP
tubes       where a deterministic sampler takes intervals    zeros   of a network
stationary  where a mixture's field vanishes    krawczyk  the test that proves it, and of networks
quadrature  integrals between bounds           chain    where DDIM on a line ends, start by start
"""

from .interval import Interval, dot
from .law import Law, basis
from .search import Budget, Decision, Outcome, Watch, decide, leaves
from .statement import Statement, Term, certificate

__all__ = [
    "Budget",
    "Decision",
    "Interval",
    "Law",
    "Outcome",
    "Statement",
    "Term",
    "Watch",
    "basis",
    "certificate",
    "decide",
    "dot",
    "leaves",
]

"""Proofs over a continuum: enclosures of functions over boxes, and what they settle.

Doubles in, proofs out: every number handed over counts as exact, every operation rounds outward.
Nothing of the engine is used, only a mixture's data; no claim may rest on both by one arithmetic.

interval   vectorised intervals of doubles      search   boxes cut up until a statement is settled
"""

from .interval import Interval, dot
from .search import Budget, Decision, Outcome, Watch, decide, leaves

__all__ = ["Budget", "Decision", "Interval", "Outcome", "Watch", "decide", "dot", "leaves"]

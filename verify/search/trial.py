"""One drawn problem put to a claim's check, and what of it an adversary is after."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..ledger import slack
from ..ledger.case import Profile
from ..ledger.registry import Entry
from ..ledger.relations import Outcome
from ..ledger.runner import run_claim
from .draws import Problem

Row = dict[str, Any]


class Kind(StrEnum):
    """What a problem can show, the most telling first."""

    VIOLATION = "violation"
    CRASH = "crash"
    SLOW = "too slow"
    UNDECIDED = "undecided"
    CLOSEST = "closest call"


@dataclass(frozen=True)
class Call:
    """One comparison of one problem, or a broken check (without a comparison).

    excess: in units of the tolerance, above 1 where violated; infinite for a crash and for an
    undecided comparison, which have no size. label: tells comparisons of a claim apart.
    """

    kind: Kind
    problem: Problem
    row: Row
    label: str
    excess: float
    comparison: Row | None = None

    @property
    def score(self) -> float:
        """A monotone function of the excess that a hill climber can compare at any magnitude."""
        size = min(math.log10(1.0 + min(abs(self.excess), 1e300)), 300.0)
        return math.copysign(size, self.excess)

    @property
    def relative_slack(self) -> float | None:
        """The room of an inequality over its larger side."""
        return None if self.comparison is None else slack.relative_slack(self.comparison)

    def as_bad_as(self, other: Call) -> bool:
        """Whether this shows the same thing as another call, about as clearly or more so.

        A violation keeps half its decades above the tolerance, a closest call nine tenths of what
        brought it there.
        """
        if (self.kind, self.label) != (other.kind, other.label):
            return False
        if self.kind is Kind.VIOLATION:
            return self.score >= 0.5 * other.score
        return self.kind is not Kind.CLOSEST or (
            self.excess >= other.excess - 0.1 * abs(other.excess)
        )


@dataclass(frozen=True)
class Trial:
    """The rows of a claim on a problem, without negative controls, and the time they took.

    stopped: the check was broken off for want of time; its row has the verdict `error`.
    """

    problem: Problem
    rows: list[Row]
    seconds: float
    stopped: bool = False

    @property
    def verdicts(self) -> list[str]:
        """One a row."""
        return [str(row["verdict"]) for row in self.rows]

    @property
    def applicable_share(self) -> float:
        """The largest share, over the rows, of points at which the hypotheses held."""
        return max(float(row["applicable_share"] or 0.0) for row in self.rows)

    def calls(self) -> Iterator[Call]:
        """Everything worth knowing about; nothing where the claim is vacuous or does not apply."""
        for row in self.rows:
            outcome = Outcome(row["verdict"])
            if outcome is Outcome.ERROR:
                kind = Kind.SLOW if self.stopped else Kind.CRASH
                yield Call(kind, self.problem, row, slack.family(row["note"]), math.inf)
            elif outcome not in (Outcome.VACUOUS, Outcome.NOT_APPLICABLE):
                yield from self._comparisons(row)

    def _comparisons(self, row: Row) -> Iterator[Call]:
        for comparison in row["comparisons"]:
            label = f"{row['basis']}: {slack.family(comparison['name'])}"
            excess = slack.excess(comparison)
            kind = Kind.CLOSEST
            if comparison["outcome"] == Outcome.FAILS:
                kind, excess = Kind.VIOLATION, math.inf if excess is None else excess
            elif slack.is_undecided(comparison):
                kind, excess = Kind.UNDECIDED, math.inf
            if excess is not None:
                yield Call(kind, self.problem, row, label, excess, comparison)


def try_problem(entry: Entry, problem: Problem, seconds: float = math.inf) -> Trial:
    """Run the check, for at most `seconds` where the platform can break it off.

    A check that breaks gives a row with the verdict `error`, and so does one that is broken off.
    """
    bare = dataclasses.replace(entry, mutants=lambda case: {})
    case = problem.case(Profile.QUICK)
    start = time.perf_counter()
    try:
        with _at_most(seconds):
            rows = [verdict.as_row() for verdict in run_claim(bare, case)]
    except _OutOfTime:
        rows = [entry.claim.broken(case, f"still running after {seconds:.3g} s").as_row()]
        return Trial(problem, rows, time.perf_counter() - start, stopped=True)
    return Trial(problem, rows, time.perf_counter() - start)


class _OutOfTime(BaseException):
    """Raised by the alarm. No Exception, so that no check takes it for a fault of its own."""


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise _OutOfTime in the block after that time; only a main thread with alarms can do so."""
    main = threading.current_thread() is threading.main_thread()
    if math.isinf(seconds) or not main or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise _OutOfTime

    start, before = time.perf_counter(), signal.signal(signal.SIGALRM, ring)
    others, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if others:  # an alarm was set before this one: let it ring when it would have
            left = max(others - (time.perf_counter() - start), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left)

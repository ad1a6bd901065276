"""The adversary: look for the problem on which a claim fails, or comes closest to failing.

Hypothesis draws whole problems and climbs towards larger violations; the worst one is then shrunk.
Both run the same sequence of draws: the shrinking run repeats the exploring one from memory until
it meets what that one found, so nothing is checked twice and no database is needed.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..ledger.case import Profile
from ..ledger.registry import Entry
from ..ledger.relations import Outcome
from . import witness
from .draws import Problem, problems
from .trial import Call, Kind, Trial, try_problem


@dataclass(frozen=True)
class Limits:
    """How far a search goes: problems drawn, seconds for exploring, for shrinking and for a check.

    A check is broken off after check_seconds, so a search ends at most that much late.
    """

    problems: int
    explore_seconds: float
    shrink_seconds: float
    check_seconds: float = 60.0


LIMITS = {
    Profile.QUICK: Limits(120, 60.0, 30.0, 30.0),
    Profile.FULL: Limits(1500, 900.0, 300.0, 120.0),
}


@dataclass
class Tally:
    """What a search has seen so far."""

    limits: Limits
    verdicts: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    applied: int = 0
    slowest: Trial | None = None
    shrinking: Kind | None = None
    worst: dict[tuple[Kind, str], Call] = field(default_factory=dict)

    def count(self, trial: Trial) -> None:
        """Add a trial and keep the worst call of each kind and comparison."""
        self.tried += 1
        self.applied += any(v != Outcome.NOT_APPLICABLE for v in trial.verdicts)
        self.verdicts.update(trial.verdicts)
        if self.slowest is None or trial.seconds > self.slowest.seconds:
            self.slowest = trial
        for call in trial.calls():
            best = self.worst.get((call.kind, call.label))
            if best is None or call.score > best.score:
                self.worst[call.kind, call.label] = call

    def worst_of(self, kind: Kind) -> Call | None:
        """The worst call of a kind over all comparisons."""
        found = [call for (k, _), call in self.worst.items() if k is kind]
        return max(found, key=lambda call: call.score, default=None)


Progress = Callable[[Tally], None]


@dataclass(frozen=True)
class SearchResult:
    """What a search found. tally counts drawn problems only, not the steps of shrinking.

    witnesses: the shrunk worst of each kind, violations first; a closest call only where nothing
    was violated. out_of_time: the budget of seconds ended the search, not that of problems.
    """

    claim_id: str
    seed: int
    tally: Tally
    witnesses: tuple[witness.Witness, ...]
    seconds: float
    out_of_time: bool

    def found(self, kind: Kind) -> witness.Witness | None:
        """The witness of a kind."""
        return next((w for w in self.witnesses if w.call.kind is kind), None)

    def as_data(self) -> dict[str, Any]:
        """The result for a JSON document."""
        return {
            "claim": self.claim_id,
            "seed": self.seed,
            "tried": self.tally.tried,
            "applied": self.tally.applied,
            "verdicts": dict(self.tally.verdicts),
            "seconds": self.seconds,
            "slowest_seconds": self.tally.slowest and self.tally.slowest.seconds,
            "out_of_time": self.out_of_time,
            "worst": [
                {"label": call.label} | witness.describe(call) for call in self.tally.worst.values()
            ],
            "witnesses": [
                {"command": w.command, "reproduced": w.confirmed} | witness.describe(w.call)
                for w in self.witnesses
            ],
        }


class _AsBad(Exception):  # noqa: N818 -- tells Hypothesis to shrink; never leaves this module
    """A problem that shows what is being shrunk."""


class _Explorer:
    """The check behind a memory and a clock."""

    def __init__(self, entry: Entry, tally: Tally, progress: Progress) -> None:
        self._entry, self._progress = entry, progress
        self._known: dict[str, Trial] = {}
        self._deadline = time.perf_counter() + tally.limits.explore_seconds
        self.tally = tally
        self.out_of_time = False

    def allow(self, seconds: float) -> None:
        """Restart the clock."""
        self._deadline = time.perf_counter() + seconds

    def trial(self, problem: Problem) -> Trial | None:
        """The trial of a problem; None for a new one after the deadline."""
        known = self._known.get(problem.digest)
        if known is not None:
            return known
        if time.perf_counter() > self._deadline:
            self.out_of_time |= self.tally.shrinking is None
            return None
        trial = self._known[problem.digest] = try_problem(
            self._entry, problem, self.tally.limits.check_seconds
        )
        if self.tally.shrinking is None:
            self.tally.count(trial)
        self._progress(self.tally)
        return trial

    def run(self, seed: int, wanted: Call | None = None) -> Call | None:
        """Draw problems; with `wanted`, stop at the first that is as bad and shrink it.

        Returns the last problem found as bad. That is the smallest, which Hypothesis replays last.
        """
        import hypothesis

        found: Call | None = None
        needs = self._entry.claim.needs
        least, one_sigma = max((n.least for n in needs), default=1), any(n.one_sigma for n in needs)

        @hypothesis.seed(seed)
        @_settings(self.tally.limits.problems, shrink=wanted is not None)
        @hypothesis.given(problems(least, one_sigma))
        def probe(problem: Problem) -> None:
            nonlocal found
            trial = self.trial(problem)
            if trial is None:
                return
            calls = list(trial.calls())
            if wanted is not None and (hit := _hit(calls, wanted)) is not None:
                found = hit
                raise _AsBad
            _aim(trial, calls)

        with _notes_elsewhere(), contextlib.suppress(_AsBad):
            probe()
        return found


@contextlib.contextmanager
def _notes_elsewhere() -> Iterator[None]:
    """Hypothesis keeps a folder of notes where it runs, even without a database: not here."""
    from hypothesis.configuration import set_hypothesis_home_dir

    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)


def _settings(max_examples: int, shrink: bool) -> Any:
    """Hypothesis without a database, deadlines and output; it never stops at a first finding."""
    from hypothesis import HealthCheck, Phase, Verbosity, settings

    return settings(
        max_examples=max_examples,
        phases=(Phase.generate, Phase.target) + ((Phase.shrink,) if shrink else ()),
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )


def _hit(calls: list[Call], wanted: Call) -> Call | None:
    return next((call for call in calls if call.as_bad_as(wanted)), None)


def _aim(trial: Trial, calls: list[Call]) -> None:
    """Tell Hypothesis where to climb: towards problems to which the claim applies, and up."""
    from hypothesis import target

    if not calls:  # only then: Hypothesis shares its climbing out equally among the labels
        target(trial.applicable_share, label="applicable share")
    best: dict[str, float] = {}
    for call in calls:
        best[call.label] = max(call.score, best.get(call.label, call.score))
    for label, score in best.items():
        target(score, label=label)


def search(
    entry: Entry,
    seed: int,
    profile: Profile | Limits,
    out_dir: Path,
    progress: Progress = lambda tally: None,
) -> SearchResult:
    """Search for a violation of a claim and save the shrunk witness of what was found.

    Checks run at the quick profile's sample sizes, so that the saved command reproduces them; the
    profile sets the number of problems and seconds. The draws depend on the seed alone, how many of
    them fit into the seconds on the machine. On an interrupt the worst call so far is saved
    unshrunk before KeyboardInterrupt goes on. Raises FileError for an unusable `out_dir`.
    """
    start = time.perf_counter()
    limits = profile if isinstance(profile, Limits) else LIMITS[profile]
    tally = Tally(limits)
    explorer = _Explorer(entry, tally, progress)
    shrunk: dict[Kind, Call] = {}
    try:
        explorer.run(seed)
        targets = [call for kind in Kind if (call := _target(tally, kind)) is not None]
        for call in targets:
            if call.kind is Kind.SLOW:
                continue  # what is slow is slow to shrink
            tally.shrinking = call.kind
            explorer.allow(limits.shrink_seconds / len(targets))
            shrunk[call.kind] = explorer.run(seed, wanted=call) or call
    except KeyboardInterrupt:
        _save_all(entry, tally, shrunk, out_dir)
        raise
    witnesses = _save_all(entry, tally, shrunk, out_dir)
    seconds = time.perf_counter() - start
    return SearchResult(entry.claim.id, seed, tally, witnesses, seconds, explorer.out_of_time)


def _target(tally: Tally, kind: Kind) -> Call | None:
    """What to shrink and save of a kind; a closest call says nothing beside a violation."""
    if kind is Kind.CLOSEST and tally.worst_of(Kind.VIOLATION) is not None:
        return None
    return tally.worst_of(kind)


def _save_all(
    entry: Entry, tally: Tally, shrunk: dict[Kind, Call], out_dir: Path
) -> tuple[witness.Witness, ...]:
    calls = [shrunk.get(kind) or _target(tally, kind) for kind in Kind]
    return tuple(witness.save(entry, call, out_dir) for call in calls if call is not None)

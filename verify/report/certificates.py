"""`--certify`: what is proved of claims on one problem, kept as certificates for the checker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mixdyn.proof import Budget, Decision, Outcome, Statement, certificate
from mixdyn.support.files import make_folder, write_text
from mixdyn.support.numbers import dump_json

from ..ledger.case import Case
from ..ledger.claim import Claim
from ..ledger.registry import Entry

_BOXES = 1_000_000  # of one statement
Say = Callable[[str], None]


def certify(
    entries: Sequence[Entry], case: Case, seconds: float, out: Path, say: Say, stage: Say
) -> Outcome:
    """Prove what the claims state on the case, at most so many seconds each, and keep it.

    say: a finished line; stage: what is looked at now. An interrupt keeps the claim's certificate
    as far as it came. The worst outcome is returned; a claim with nothing to prove here is left
    out.
    """
    worst, count = Outcome.PROVED, 0
    for entry in entries:
        for sampler, data in _bounds(entry.claim, case):
            count += 1
            stage(f"{entry.claim.id}, {sampler}")
            say(f"{entry.claim.id}, {sampler}: {len(data['proves'])} bounds proved")
            say(f"  {_write(entry.claim, case, data, out, sampler)}")
        for stated in _stated(entry.claim, case):
            count += 1
            found: list[Decision] = []
            begun = time.perf_counter()
            try:
                for one in _decided(entry.claim.id, stated, seconds, stage):
                    found.append(one)
            finally:
                file = _keep(entry.claim, case, stated[: len(found)], found, out)
            for line in _lines(entry.claim.id, stated, found, time.perf_counter() - begun):
                say(line)
            say(f"  {file}")
            outcomes = {one.outcome for one in found}
            if worst is not Outcome.REFUTED and Outcome.UNDECIDED in outcomes:
                worst = Outcome.UNDECIDED
            worst = Outcome.REFUTED if Outcome.REFUTED in outcomes else worst
    if not count:
        say("None of these claims has a statement that a proof could settle on this problem.")
    return worst


def _stated(claim: Claim, case: Case) -> Iterator[list[Statement]]:
    """Of each row of a claim that is proved."""
    if claim.obstacle(case.mixture) is None:
        for measurement in claim.measurements:
            build = getattr(measurement.measure, "build", None)
            stated = None if build is None else build(case)
            if stated:
                yield list(stated)


def _bounds(claim: Claim, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each row whose proof is numbers between bounds: certificates, by what they are of."""
    if claim.obstacle(case.mixture) is None:
        for measurement in claim.measurements:
            found = getattr(measurement.measure, "certificates", lambda case: None)(case)
            yield from (found or {}).items()


def _decided(
    claim_id: str, stated: Sequence[Statement], seconds: float, stage: Say
) -> Iterator[Decision]:
    end = time.perf_counter() + seconds
    for k, one in enumerate(stated, 1):
        text = f"{claim_id}, {k} of {len(stated)}, {one.name}"

        def watch(looked: int, waiting: int, text: str = text) -> None:
            stage(f"{text}: {looked} boxes, {waiting} waiting")

        yield one.decide(Budget(_BOXES, end - time.perf_counter()), watch)


def _lines(
    claim_id: str, stated: Sequence[Statement], found: Sequence[Decision], seconds: float
) -> Iterator[str]:
    proved, boxes = sum(map(bool, found)), sum(one.boxes for one in found)
    yield f"{claim_id}: {proved} of {len(stated)} proved, {boxes} boxes, {seconds:.1f} s"
    for one, decision in zip(stated, found, strict=True):
        if decision.outcome is Outcome.REFUTED:
            yield f"  refuted: {one.name}, at (z, v) = {decision.point}"
        elif decision.outcome is Outcome.UNDECIDED:
            yield f"  undecided: {one.name}, worst in {decision.worst.tolist()}"  # type: ignore[union-attr]


def _keep(
    claim: Claim, case: Case, stated: Sequence[Statement], found: Sequence[Decision], out: Path
) -> Path:
    """Write the certificate of what is proved; its file."""
    kept = [(one, decision) for one, decision in zip(stated, found, strict=True) if decision]
    data = certificate([one for one, _ in kept], [decision for _, decision in kept])
    return _write(claim, case, data, out)


def _write(claim: Claim, case: Case, data: dict[str, Any], out: Path, part: str = "") -> Path:
    """Keep a certificate, of a part of a claim where it is named."""
    folder = out / "certificates"
    make_folder(folder)
    words = [claim.id, *part.replace(",", "").split()]
    name = "-".join(word.replace(" ", "") for word in words)
    file = folder / f"{name}.{case.name}-{case.digest[:12]}.json"
    write_text(file, dump_json({"claim": claim.id, "problem": case.mixture.digest, **data}))
    return file

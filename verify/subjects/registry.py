"""The claims about a library: every fact of `facts` of every subject of its file."""

from __future__ import annotations

import functools
from pathlib import Path
from types import ModuleType

from mixdyn.audit.card import two_modes
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.checks import check_choice
from mixdyn.support.finding import modules_in

from ..ledger import rows
from ..ledger.case import Case, Profile
from ..ledger.claim import Claim
from ..ledger.registry import Entry
from .subject import Subject


def load_subjects(library: str, seed: int, profile: Profile) -> tuple[list[Entry], Case]:
    """The claims about its samplers, and the case of their rows, which is the library's version.

    Raises InputError for a library without a file here, MissingExtraError, which says what to
    install, for one that is not there.
    """
    files = {m.__name__.rpartition(".")[2]: m for m in modules_in(f"{__package__}.libraries")}
    chosen = files[check_choice(library, files, "--subjects", "Name one.")]
    subjects: list[Subject] = chosen.SUBJECTS
    version = str(subjects[0].driver().provenance["version"])
    found = (entry_of(fact, subject, version) for subject in subjects for fact in facts())
    name, origin = f"{library}-{version}", f"samplers of {library} {version}"
    case = Case(name, two_modes(), NoiseSchedule.linear(), seed, profile, origin)
    return [entry for entry in found if entry.claim.measurements], case


def facts() -> list[ModuleType]:
    """The files of `facts`, in the order of their rows."""
    return sorted(modules_in(f"{__package__}.facts"), key=lambda fact: fact.PLACE)


def entry_of(fact: ModuleType, subject: Subject, version: str) -> Entry:
    """The claim that a fact makes about a subject; without measurements where it says nothing."""
    claim = Claim.from_docstring(
        str(fact.__doc__).replace("{source}", subject.source(version)),
        id=f"{subject.name} {fact.NAME}",
        short=fact.NAME,
        does_not_show="Other settings, grids, versions, numbers of steps or standard deviations.",
    )
    fact.register(claim, subject)
    check, controls = functools.partial(rows.check, claim), functools.partial(rows.controls, claim)
    return Entry(claim, check, controls, Path(str(fact.__file__)))

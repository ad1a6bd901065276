"""One problem on which claims are checked, and what they share on it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.references import model_digest

from .sources import digest_of

Result = TypeVar("Result")


class Profile(StrEnum):
    """Sample sizes and numbers of cases; never what is checked."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True)
class Case:
    """One problem on which claims are checked.

    origin says in words where the problem comes from. random: drawn, not chosen by anyone. model: a
    score model of the user's, as `mixdyn.learned.loading` takes it, in place of the shipped ones;
    predicts, index_base: what it is told of a model, None for its defaults.
    workspace memoises what several claims measure on this case; folder keeps measurements from run
    to run (`verify.measure.measurement`), none if None; turn is entered to look there for one and
    else to make it, which one process of several does at a time; code says what a module's file
    depends on. None of them is part of the case's identity.
    """

    name: str
    mixture: GaussianMixture
    schedule: NoiseSchedule
    seed: int = 0
    profile: Profile = Profile.QUICK
    origin: str = ""
    random: bool = False
    model: str | None = None
    predicts: str | None = None
    index_base: int | None = None
    workspace: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    folder: Path | None = field(default=None, compare=False, repr=False)
    turn: Callable[[str], AbstractContextManager[Any]] = field(
        default=contextlib.nullcontext, compare=False, repr=False
    )
    code: Callable[[Path], str] = field(default=digest_of, compare=False, repr=False)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the mixture, the schedule and the user's model if there is one."""
        text = f"verify.case.1:{self.mixture.digest}:{self.schedule.digest}"
        if self.model is not None:
            text += f":{model_digest(self.model)}"
        told = (self.predicts, self.index_base)
        if told != (None, None):
            text += f":{told}"
        return hashlib.sha256(text.encode()).hexdigest()

    def pick(self, quick: int, full: int) -> int:
        """The profile's choice of a sample size."""
        return full if self.profile is Profile.FULL else quick

    def stream(self, label: str) -> int:
        """A 64-bit seed of its own for the use named `label`, whatever else runs."""
        entropy = np.random.SeedSequence([self.seed, zlib.crc32(label.encode())])
        return int(entropy.generate_state(1, np.uint64)[0])

    def rng(self, label: str) -> np.random.Generator:
        """A generator of its own for the use named `label`, whatever else runs."""
        return np.random.default_rng(self.stream(label))

    def memo(self, key: str, build: Callable[[], Result]) -> Result:
        """The value under `key` of the workspace, built on the first call."""
        if key not in self.workspace:
            self.workspace[key] = build()
        return self.workspace[key]

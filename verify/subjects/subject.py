"""What a fact is about: a sampler of a library, with its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixdyn.affine.drivers import driver_of
from mixdyn.affine.impulses import transcribe
from mixdyn.affine.plan import Plan
from mixdyn.audit.measuring import Guarded
from mixdyn.support.errors import NotAffineError

from ..ledger.case import Case
from ..ledger.sides import NotApplicable

STEPS, _BETWEEN, MORE_STEPS = 50, 100, 200
STD = 0.2  # of the Gaussian data on which errors are measured


@dataclass(frozen=True)
class Subject:
    """A sampler, named as its library names it.

    order : as its makers state it, None where they state none. settings : beside the defaults.
    usual : settings that every sampler of the library is given and its name does not say. levels :
    whether it names the level of a call itself.
    """

    library: str
    sampler: str
    order: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    levels: bool = True

    @property
    def all_settings(self) -> dict[str, Any]:
        """Those it runs with."""
        return {**self.usual, **self.settings}

    @property
    def name(self) -> str:
        """Sampler and settings, in few words."""
        return " ".join([self.sampler, *(f"{k}={v}" for k, v in self.settings.items())])

    @property
    def spec(self) -> str:
        """As `transcribe` and `mixdyn audit` take it."""
        return f"{self.library}:{self.sampler}"

    def source(self, version: str) -> str:
        """library==version:sampler(settings), in place of a paper and its number."""
        shown = ", ".join(f"{key}={value}" for key, value in self.all_settings.items())
        return f"{self.library}=={version}:{self.sampler}({shown})"

    def command(self, steps: int = STEPS) -> str:
        """What shows the fact to whoever has the library."""
        shown = (f" --set {k}={str(v).lower()}" for k, v in self.all_settings.items())
        return f"mixdyn audit {self.spec} --steps {steps}{''.join(shown)}"

    def driver(self, steps: int = STEPS) -> Guarded:
        """The sampler, run on any model. MissingExtraError: its library is not there."""
        return Guarded(driver_of(self.spec, steps, self.all_settings))

    def plan(self, case: Case, steps: int) -> Plan:
        """Its matrices, read off once."""
        return case.memo(f"{self.name}, {steps}", lambda: transcribe(self.driver(steps)))

    def plans(self, case: Case) -> list[Plan] | NotApplicable:
        """From STEPS to MORE_STEPS, or why it has none."""
        try:
            return [self.plan(case, steps) for steps in (STEPS, _BETWEEN, MORE_STEPS)]
        except NotAffineError as error:
            return NotApplicable(f"It is not affine ({error.received}): {self.command()} samples.")

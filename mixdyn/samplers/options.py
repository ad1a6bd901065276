"""What a sampler is, and how the samplers of this folder and their options are found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel
from ..support.checks import describe
from ..support.errors import InputError
from ..support.finding import classes_in
from .step import Stepper


class Sampler(Protocol):
    """What `sample` runs."""

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The steps taken on a schedule, from `start` where given."""
        ...

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """What carries a block of samples along that grid."""
        ...


class Offer(NamedTuple):
    """An option of the command line: its type, what it says in --help, and its default."""

    kind: Any
    help: str
    default: Any = None


def offer(kind: Any, text: str) -> dict[str, Offer]:
    """The metadata of a field that the command line offers too; one without is for the library."""
    return {"offer": Offer(kind, text)}


class Options(Sampler):
    """A sampler as a dataclass, found by its `name`.

    An option that it does not have is an InputError that lists those it has; `elsewhere` says what
    to take instead. `mixture_only`: why it runs the exact score alone. A field whose default is
    another sampler hands on what that one offers; the command line has the samplers all of whose
    fields have defaults.
    """

    name: ClassVar[str]
    elsewhere: ClassVar[Mapping[str, str]] = {}
    mixture_only: ClassVar[str | None] = None

    def __new__(cls, *values: Any, **options: Any) -> Self:
        """Refuse what the dataclass has no field for."""
        known = [field.name for field in _fields(cls)]
        foreign = [name for name in options if name not in known]
        if foreign or len(values) > len(known):
            name = foreign[0] if foreign else "too many options"
            raise InputError(
                f"{cls.__name__} takes the options {', '.join(known)}",
                f"{name} = {describe(options[name])}" if foreign else describe(values),
                cls.elsewhere.get(name, "Leave it out or take another sampler."),
            )
        return super().__new__(cls)

    def within(self, schedule: NoiseSchedule) -> Self:
        """The sampler with no more steps than the schedule has times, where it counts steps."""
        steps: int | None = getattr(self, "steps", None)
        if steps is None or steps <= schedule.T:
            return self
        return dataclasses.replace(self, steps=schedule.T)  # type: ignore[type-var]

    @classmethod
    def offers(cls) -> dict[str, Offer]:
        """What the command line offers of it, by option."""
        found = {
            field.name: field.metadata["offer"]._replace(default=field.default)
            for field in _fields(cls)
            if "offer" in field.metadata
        }
        for inner in _inner(cls).values():
            found |= inner.offers()
        return found

    @classmethod
    def chosen(cls, given: Mapping[str, Any], schedule: NoiseSchedule) -> Self:
        """The sampler with these options of those that it offers; a TimeGrid as the spacing."""
        own = {field.name for field in _fields(cls)}
        values = {name: value for name, value in given.items() if name in own}
        rest = {name: value for name, value in given.items() if name not in own}
        inner = {name: kind.chosen(rest, schedule) for name, kind in _inner(cls).items()}
        return cls(**values, **inner)


def samplers() -> dict[str, type[Options]]:
    """The samplers of this folder that need no argument, by name. InputError for a class that is
    none, and for two of one name."""
    found: dict[str, type[Options]] = {}
    for kind in classes_in(str(__package__), "name", "grid", "stepper"):
        if not (issubclass(kind, Options) and hasattr(kind, "__dataclass_fields__")):
            raise InputError(
                "a sampler of the folder is a dataclass on Options",
                _place(kind),
                "Write @dataclass above class NAME(Options), or begin its name with _.",
            )
        if (other := found.setdefault(kind.name, kind)) is not kind:
            raise InputError(
                f"one sampler has the name {kind.name!r}",
                f"{_place(other)} and {_place(kind)}",
                "Rename one of them.",
            )
    return {name: kind for name, kind in found.items() if all(map(_has_default, _fields(kind)))}


def _place(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _fields(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _inner(cls: type) -> dict[str, type[Options]]:
    """The fields of a sampler that hold another, with what they hold by default."""
    made: dict[str, Any] = {field.name: field.default_factory for field in _fields(cls)}
    return {k: v for k, v in made.items() if isinstance(v, type) and issubclass(v, Options)}

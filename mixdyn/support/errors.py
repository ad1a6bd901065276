"""Every error that mixdyn raises on purpose.

An input error says three things: the rule, the value that broke it, and the remedy.
"""

from __future__ import annotations

from typing import Any


def printable(value: object) -> str:
    """str(value), also for integers beyond Python's limit on decimal digits."""
    try:
        return str(value)
    except ValueError:
        return f"a value of type {type(value).__name__} too long to print"


def one_line(error: Exception) -> str:
    """What a command says of an error."""
    return f"error: {' '.join(str(error).split())}"


def shortened(error: BaseException) -> str:
    """What an error of other code says, on one line of 200 characters at most."""
    return " ".join(str(error).split())[:200]


class MixdynError(Exception):
    """Base class: catch it to catch everything mixdyn raises deliberately."""


class InputError(MixdynError, ValueError):
    """A value handed over by the user breaks a rule."""

    def __init__(self, rule: str, received: object, remedy: str) -> None:
        self.rule = rule
        self.received = received
        self.remedy = remedy
        super().__init__(f"{rule}; received {printable(received)}. {remedy}")

    def __reduce__(self) -> tuple[type, tuple[str, object, str]]:
        return type(self), (self.rule, self.received, self.remedy)


class FileError(InputError):
    """A file is missing, malformed, or holds something other than it should."""


class NotApplicableError(InputError):
    """A theorem or closed form does not apply to this (valid) input."""


class NotAffineError(InputError):
    """A sampler has no plan; `driver` (mixdyn.affine.drivers) still runs it on any model."""

    driver: Any = None


class MemoryLimitError(InputError):
    """A request would hold more memory than the stated limit."""


class ConvergenceError(MixdynError, RuntimeError):
    """An iteration stopped before it reached its tolerance."""


class StartWarning(UserWarning):
    """A run starts from N(0, I) at a time whose marginal is another law; see `mixdyn.run.start`."""


class MissingExtraError(MixdynError, ImportError):
    """An optional dependency is not installed."""

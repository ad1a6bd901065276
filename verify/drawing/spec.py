"""What a figure is: the claims it shows, the measurement that it needs, and a function of that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from verify.ledger.case import Case

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Result:
    """Named arrays that were measured of a case; "n" holds sample counts. own_problems: of problems
    that the measurement brings, the case giving seed, profile and schedule alone."""

    data: Mapping[str, ArrayLike]
    case: Case
    own_problems: bool = False

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.asarray(self.data[name])

    def number(self, name: str) -> float:
        """The single number stored under `name`."""
        return float(self[name].item())

    def count(self, name: str = "n") -> int:
        """The single count stored under `name`."""
        return int(self[name].item())

    def labels(self, name: str) -> list[str]:
        """The texts stored under `name`."""
        return [str(text) for text in self[name]]


@dataclass(frozen=True)
class FigureSpec:
    """One figure.

    claims: ids of the ledger that it shows; the first is the figure's own id, with `part` where
    that claim has another figure. source: what it redraws, with the paper, as in `Figure 3 of
    2605.06831`. title: what is plotted, whatever comes out; the drawing itself bears the message.
    caption: how to read it. measure: what `draw` is given the result of. own_problems: as in
    `Result`.
    """

    claims: tuple[str, ...]
    source: str
    title: str
    caption: str
    measure: Callable[[Case], Mapping[str, ArrayLike]]
    draw: Callable[[Result], Figure]
    part: str = ""
    own_problems: bool = False

    @property
    def id(self) -> str:
        """By which it is asked for."""
        return f"{self.claims[0]} {self.part}".strip()

    @property
    def stem(self) -> str:
        """The name of its files."""
        return "fig_" + re.sub(r"\W+", "_", self.id.replace("'", "_prime").lower()).strip("_")

    @property
    def name(self) -> str:
        """The ids by which it can be asked for, and whose figure it is."""
        return f"{', '.join((self.id, *self.claims[1:]))}: {self.source}"

    def result(self, case: Case) -> Result:
        """What it draws of a case. Raises NotApplicableError where the case does not allow it."""
        return Result(self.measure(case), case, self.own_problems)

    def answers_to(self, name: str) -> bool:
        """Whether `name` is one of its claims, its id, files or source, but for case, blanks,
        brackets and dashes."""
        return bare(name) in map(bare, (*self.claims, self.id, self.stem, self.source))


def bare(name: str) -> str:
    """A name but for case, blanks, brackets and dashes."""
    return re.sub(r"[\s()-]", "", name).upper()

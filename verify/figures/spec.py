"""What a figure is: an id, what it needs, what it illustrates, and a function of saved results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verify.experiments import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results = Mapping[str, Result]


@dataclass(frozen=True)
class FigureSpec:
    """One figure.

    id: the number of the paper's figure or section where there is one, with the initial of arXiv
    2406.09358 before its own. source: the same in words, with the paper, as in `Figure 3 of
    2605.06831`. stem: the name of its files. title: what is plotted, whatever comes out; the
    drawing itself bears the message. caption: how to read it. experiments: the results that `draw`
    takes, by name. claims: ids of the ledger that it illustrates. aliases: further numbers it
    answers to.
    """

    id: str
    source: str
    stem: str
    title: str
    caption: str
    experiments: tuple[str, ...]
    claims: tuple[str, ...]
    draw: Callable[[Results], Figure]
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Whose figure it is and, in brackets, the claims by which it can be asked for."""
        return f"{self.source} ({', '.join(self.claims)})" if self.claims else self.source

    def illustrates(self, name: str) -> bool:
        """Whether `name` is one of its claims; case, blanks, brackets and dashes do not matter."""
        return _bare(name) in map(_bare, self.claims)

    def answers_to(self, name: str) -> bool:
        """Whether `name` is its source, number or stem; case, blanks and dashes do not matter."""
        names = (self.id, self.stem, self.source, *self.aliases)
        return _bare(name) in map(_bare, names)


def _bare(name: str) -> str:
    return re.sub(r"[\s()-]", "", name).upper()

"""What a figure is: an id, what it needs, what it illustrates, and a function of saved results."""

from __future__ import annotations

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

    id: the number of the paper's figure or section where there is one (arXiv 2605.06831 v1).
    stem: the name of its files. title: what is plotted, whatever comes out; the drawing itself
    bears the message. caption: how to read it. experiments: the results `draw` takes, by name.
    claims: ids of the ledger that it illustrates. aliases: further numbers it answers to.
    """

    id: str
    stem: str
    title: str
    caption: str
    experiments: tuple[str, ...]
    claims: tuple[str, ...]
    draw: Callable[[Results], Figure]
    aliases: tuple[str, ...] = ()

    def answers_to(self, name: str) -> bool:
        """Whether `name` is this figure's id, alias or stem; case and blanks do not matter."""
        wanted = name.replace(" ", "").upper()
        return wanted in {text.upper() for text in (self.id, self.stem, *self.aliases)}

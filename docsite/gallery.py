"""The gallery: every figure that the papers' folders define, and the cards of public samplers.

A figure is shown where it was drawn, in docs/ or in an output folder (`mixdyn figures`); of one
that was not, the page has its title, its caption and the command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mixdyn.audit.gallery.keeping import FILE, read
from mixdyn.audit.gallery.page import cards as cards_page
from verify.ledger.registry import load_claims
from verify.report.figures import FIGURES

from .pages import ROOT

FOLDERS = (ROOT / "docs", ROOT / "docs" / "figures", ROOT / "report" / "figures")
_KINDS = (".svg", ".png")
_BLANK = re.compile(r"\W+")


def drawn(folders: Iterable[Path] = FOLDERS) -> dict[str, Path]:
    """The picture of each figure that has one, by the figure's id; the first folder's."""
    places = list(folders)
    found = {}
    for name, spec in FIGURES.items():
        paths = [folder / f"{spec.stem}{kind}" for folder in places for kind in _KINDS]
        there = next((path for path in paths if path.is_file()), None)
        if there is not None:
            found[name] = there
    return found


def figures(pictures: dict[str, Path]) -> tuple[str, dict[str, Path]]:
    """The page of figures, and the files that it shows by their address on the site."""
    titles = {entry.claim.id: entry.claim.doc["Title"] for entry in load_claims()}
    parts = [
        f"# Figures\n\nThe {len(FIGURES)} figures of the ledger, in the order of its claims, on "
        "the standard problem unless a figure brings its own. Each is drawn again, on any mixture, "
        "by the command below it; `mixdyn figures` draws all.\n"
    ]
    shown = {}
    for name, spec in FIGURES.items():
        parts.append(f"## {name}: {spec.title}\n")
        if name in pictures:
            address = f"figures/{pictures[name].name}"
            shown[address] = pictures[name]
            parts.append(f"[![{spec.title}]({address})]({address})\n")
        parts.append(f"{_plain(spec.caption)}\n")
        of = "; ".join(f"{claim}, {_plain(titles[claim])}" for claim in spec.claims)
        parts.append(f"*{spec.source}. Shows {of}.* `mixdyn figures {spec.claims[0]!r}`\n")
    return "\n".join(parts), shown


def _plain(text: str) -> str:
    """Without the signs of typeset mathematics, which the site does not typeset."""
    return text.replace("$", "").replace("\\", "").replace("|", r"\|")


def cards() -> str:
    """One HTML page, a card for each public sampler, from the rows that docs/ keeps."""
    return cards_page(read(ROOT / "docs" / FILE))

"""Figures in an output folder: which were drawn, of what, and their SVG for the report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixdyn.support.files import write_text
from mixdyn.support.numbers import dump_json

from ..ledger.case import Case

if TYPE_CHECKING:
    from .figures import Drawn

INDEX = "drawn.json"


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG, with whose figure it is, its title and how to read it."""

    id: str
    source: str
    title: str
    caption: str
    svg: str


def record_drawn(folder: Path, case: Case, drawn: Sequence[Drawn]) -> None:
    """Note in folder/figures what was drawn of which case, beside what stands there already."""
    from .figures import FIGURES

    known = _read_index(folder)
    for figure in drawn:
        if figure.paths:
            spec = FIGURES[figure.id]
            known[figure.id] = {
                "stem": spec.stem,
                "source": spec.source,
                "title": spec.title,
                "caption": spec.caption,
                "claims": list(spec.claims),
                "mixture": case.mixture.digest,
                "schedule": case.schedule.digest,
            }
    if known:
        write_text(folder / "figures" / INDEX, dump_json(known))


def find_pictures(folder: Path, document: Mapping[str, Any]) -> dict[str, Picture]:
    """Per claim id the figure drawn of one of the document's cases."""
    header = document["header"]
    present = {
        (header["mixture"][name]["digest"], header["schedule"][name]["digest"])
        for name in header["cases"]
    }
    found: dict[str, Picture] = {}
    for name, entry in sorted(_read_index(folder).items()):
        path = folder / "figures" / f"{entry['stem']}.svg"
        if (entry["mixture"], entry["schedule"]) in present and path.is_file():
            svg = _inline(path.read_text(encoding="utf-8"), entry["stem"])
            picture = Picture(name, entry.get("source", ""), entry["title"], entry["caption"], svg)
            for claim in entry["claims"]:
                found.setdefault(claim, picture)
    return found


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / "figures" / INDEX).read_text(encoding="utf-8")
        return dict(json.loads(text))
    except (OSError, ValueError, TypeError):
        return {}


def _inline(svg: str, stem: str) -> str:
    """The <svg> element alone, its ids made unique so that several can stand on one page."""
    body = svg[svg.index("<svg") :]
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{stem}-", body)

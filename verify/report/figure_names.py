"""Names of figures, held against the words of their files: one that fits none costs no import."""

from __future__ import annotations

from collections.abc import Iterable

from mixdyn.support.errors import InputError
from mixdyn.support.finding import files_in, modules_in

from ..drawing.spec import bare


def check(names: Iterable[str]) -> None:
    """Raises InputError for a name that no file of a figure speaks of. What passes may be refused
    still, by `figures.select`, which imports them all."""
    # A stem is made from an id, and an id from a claim and a part: the claim is in the file.
    asked = [name for name in names if not name.lower().startswith("fig_")]
    if not asked:
        return
    papers = [f"{paper.__name__}.figures" for paper in modules_in("verify.papers")]
    files = [path for paper in papers for path in files_in(paper).values()]
    written = [bare(path.read_text(encoding="utf-8", errors="replace")) for path in files]
    for name in asked:
        if not any(bare(name) in text or bare(name.partition(" ")[0]) in text for text in written):
            raise InputError(
                "a figure is named by a claim that it shows, as in X7, or by its source, as in "
                "Figure 3 of 2605.06831",
                repr(name),
                "Name one, or none for all.",
            )

"""The figures of all papers, found in their folders and drawn.

`python -m verify --figures [ID ...]` measures what
is missing, then draws SVG and PNG. A figure's title sentence is computed from its numbers, so it
stays true on any mixture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mixdyn.support.errors import InputError, MissingExtraError, NotApplicableError
from mixdyn.support.files import check_output, make_folder
from mixdyn.support.finding import modules_in
from verify.ledger.case import Case
from verify.ledger.registry import load_claims

from ..drawing import style
from ..drawing.spec import FigureSpec


def found() -> Iterator[FigureSpec]:
    """What the papers' folders define, in the order of the claims."""
    modules = [m for p in modules_in("verify.papers") for m in modules_in(f"{p.__name__}.figures")]
    specs = [v for m in modules for v in vars(m).values() if isinstance(v, FigureSpec)]
    place = {entry.claim.id: k for k, entry in enumerate(load_claims())}
    yield from sorted(specs, key=lambda spec: (place[spec.claims[0]], spec.part))


FIGURES: Mapping[str, FigureSpec] = MappingProxyType({spec.id: spec for spec in found()})


@dataclass(frozen=True)
class Drawn:
    """A figure's files; or, where the case does not allow it, none and the reason."""

    id: str
    paths: tuple[Path, ...]
    seconds: float
    reason: str = ""


def select(names: Iterable[str]) -> list[FigureSpec]:
    """The figures with these names, all of them for no name.

    A name is the id of a claim, for all figures that show it, or a figure's own id, file stem or
    source (`Figure 3 of 2605.06831`). Raises InputError for a name that fits none.
    """
    wanted, every = list(names), list(FIGURES.values())
    for name in wanted:
        if not any(spec.answers_to(name) for spec in every):
            raise InputError(
                "a figure is named by a claim that it shows: " + "; ".join(s.name for s in every),
                repr(name),
                "Name one of them, or none.",
            )
    return [s for s in every if not wanted or any(map(s.answers_to, wanted))]


def draw_figures(
    ids: Iterable[str],
    case: Case,
    out_dir: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[Drawn]:
    """Measure what is missing, draw the figures named by `ids` (all if empty), write SVG and PNG to
    out_dir/figures. progress is told, in words, what starts. Raises InputError for an unknown id,
    FileError, before anything is measured, where no figure can be written.
    """
    chosen, folder = select(ids), make_folder(Path(out_dir) / "figures")
    check_output(folder / "fig.svg")
    return [_draw(spec, case, folder, progress) for spec in chosen]


def _draw(spec: FigureSpec, case: Case, folder: Path, progress: Callable[[str], None]) -> Drawn:
    start = time.perf_counter()
    progress(f"{spec.name}: measuring")
    try:
        result = spec.result(case)
    except (MissingExtraError, NotApplicableError) as refusal:
        return Drawn(spec.id, (), time.perf_counter() - start, str(refusal))
    progress(f"{spec.name}: drawing")
    with style.settings():
        paths = style.save(spec.draw(result), folder, spec.stem, spec.title)
    return Drawn(spec.id, tuple(paths), time.perf_counter() - start)

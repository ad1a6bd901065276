"""`mixdyn audit --gallery`: the cards of every public sampler, and the pages of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixdyn.audit.adapters import Offer, offered
from mixdyn.audit.gallery.keeping import FILE, fill
from mixdyn.audit.gallery.page import cards, page
from mixdyn.audit.gallery.rows import COUNTS, Network, own
from mixdyn.support.files import make_folder, one_run_in, write_text
from mixdyn.support.references import current_folder_importable
from mixdyn.sweeps.running import executor_for

from .audit import read_settings

PAGE, CARDS = "samplers.md", "samplers.html"


@dataclass(frozen=True, kw_only=True)
class GalleryRequest:
    """One run of `mixdyn audit --gallery FOLDER`: of the SPEC[,key=value...] given, or of all that
    is offered; models are checkpoints."""

    folder: Path
    specs: list[str]
    models: list[str]
    jobs: int | None = None
    scheduler: str | None = None
    counts: tuple[int, ...] = COUNTS


def run_gallery(
    request: GalleryRequest, say: Callable[[str], None], count: Callable[[str], None]
) -> tuple[Path, ...]:
    """Measure what the folder's rows lack, and write its pages: the three files. `say` is told what
    is odd, `count` how far it is."""
    networks = [_network(path) for path in request.models]
    executor = executor_for(request.jobs, request.scheduler, say)
    folder = make_folder(request.folder)
    with current_folder_importable(), one_run_in(folder):
        rows = fill(
            folder / FILE,
            _offers(request, say),
            networks,
            lambda done, total, text: count(f"{done}/{total} {text}"),
            executor=executor,
            counts=request.counts,
        )
        write_text(folder / PAGE, page(rows))
        write_text(folder / CARDS, cards(rows))
    return folder / FILE, folder / PAGE, folder / CARDS


def _offers(request: GalleryRequest, say: Callable[[str], None]) -> list[Offer]:
    if request.specs:
        given = [text.split(",") for text in request.specs]
        return [(spec, read_settings(settings)) for spec, *settings in given]
    offers, missing = offered()
    for line in missing:
        say(line)
    return [*own(), *offers]


def _network(path: str) -> Network:
    from mixdyn.learned.adapter import LearnedScore
    from mixdyn.learned.checkpoints import load_checkpoint

    found = load_checkpoint(path)
    return Network(found.name, found.mixture, LearnedScore.of(found), found.schedule)

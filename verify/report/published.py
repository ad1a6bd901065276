"""Published figures beside ours in one table: `python -m verify.report.published` writes the page.

Ours come from what the repository stores; nothing is typed by hand but what was published.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixdyn.geometry.dominance_times import steps_left, tau_2
from mixdyn.samplers import DDIM
from mixdyn.support.files import write_text
from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import Proportion

from ..ledger.sources import ROOT
from ..ledger.standard import standard
from ..measure.images.counts import Drawn, drawn
from ..measure.images.generations import operating_levels, removed_at
from ..measure.interpolation.detector import LINE, LINE_WINDOW, PLANE, Detection, saved

PAGE = ROOT / "docs" / "published.md"
_PAPER, _OTHER = "2406.09358", "2605.06831"
_HEAD = f"""# Published figures beside ours

<!-- written by python -m verify.report.published -->

Shares that arXiv {_PAPER} states in numbers, beside what our networks do, and the steps that arXiv
{_OTHER} counts after its modes are separated; none is read off a plot. Our shares are of small
networks on two cores (`docs/networks.md`), with 95 % intervals over samples: what another network
would give they do not say. The claim named last has the verdict and the method.

| what | published | ours | ratio | 95 % interval | n | claim |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
"""
_KAPPA, _STEPS_LEFT = 7.0, 9  # tau_3 of arXiv 2605.06831 at this margin, in steps of DDIM-50
# About 5 % of images with a shape repeated; of these 95 % removed where 95 % of the rest are kept.
_REPEATED, _REMOVED, _KEPT = 0.05, 0.95, 0.95


@dataclass(frozen=True)
class Figure:
    """One published share and ours, None where it was not measured yet."""

    what: str
    published: float
    ours: Proportion | None
    claim: str

    def line(self) -> str:
        """A row of the table."""
        published = show_share(self.published, 2)
        if self.ours is None:
            return f"| {self.what} | {published} | not run |  |  |  | {self.claim} |"
        low, high = (show_share(end, 3) for end in self.ours.interval())
        ratio = f"{self.ours.rate / self.published:.3g}"
        cells = (published, show_share(self.ours.rate, 3), ratio, f"{low} to {high}")
        return f"| {self.what} | {' | '.join(cells)} | {self.ours.trials:,} | {self.claim} |"


@dataclass(frozen=True)
class Steps:
    """One published count of steps and ours, which follows from the problem alone."""

    what: str
    published: int
    ours: int
    claim: str

    def line(self) -> str:
        """A row of the table."""
        ratio = f"{self.ours / self.published:.3g}"
        return (
            f"| {self.what} | {self.published} | {self.ours} | {ratio} | exact |  | {self.claim} |"
        )


def figures() -> Iterator[Figure | Steps]:
    """All of them, in the papers' order."""
    yield _of_separation()
    for detection in saved()[0]:
        yield _of_modes(detection)
    yield from _of_shapes(drawn(standard(), "shapes"))


def _of_separation() -> Steps:
    case, sampler = standard(), DDIM(50)
    pairs = np.triu_indices(case.mixture.N, k=1)
    latest = int(tau_2(case.mixture, case.schedule, _KAPPA)[pairs].min())
    ours = steps_left(sampler.grid(case.schedule).times, latest)
    what = f"steps of DDIM-50 after all pairs are separated, κ = {_KAPPA:g}"
    return Steps(what, _STEPS_LEFT, ours, "A4.4")


def _of_modes(found: Detection) -> Figure:
    kept, removed = LINE if found.d == 1 else PLANE
    window = LINE_WINDOW if found.d == 1 else found.best_window(kept)
    what = f"hallucinations removed by Hal, {100 * kept:g} % of others kept, {found.name}"
    return Figure(what, removed, found.removed(window, found.level(window, kept)), "M5")


def _of_shapes(found: list[Drawn]) -> Iterator[Figure]:
    one = next((d for d in found if d.sampler == "ancestral-250"), None)
    repeated = None if one is None else one.rate
    yield Figure("images with a shape repeated", _REPEATED, repeated, "M8 (1)")
    removed = None
    if one is not None and one.rate.successes:
        level = operating_levels(one.hal[~one.wrong, 0], _KEPT)[0]
        removed = removed_at(one.hal[one.wrong, 0], level)
    what = f"such images removed by Hal, {100 * _KEPT:g} % of others kept"
    yield Figure(what, _REMOVED, removed, "M8 (1)")


def page() -> str:
    """The page as it should stand."""
    return _HEAD + "\n".join(figure.line() for figure in figures()) + "\n"


def main(target: Path = PAGE) -> int:
    """Write the page."""
    write_text(target, page())
    sys.stdout.write(f"wrote {target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

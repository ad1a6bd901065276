"""What samplers made of networks for images, as saved: counts by network and sampler.

A block is as good as its file says: the quick profile reads it and counts again the images whose
pixels are kept; the full profile draws every block again and puts what it finds in its place.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import FileError
from mixdyn.support.statistics import Proportion

from ...data.checkpoints.images import CHECKPOINTS
from ...data.saved import words_on_code
from ...data.saved.images import IMAGES
from ...ledger.case import Case, Profile
from .sampling import WAYS, Way, counted, draw, kind_of, path_of, read_saved, unpacked
from .watching import LEVELS

TRIANGLES = 3
OWN_PROBLEMS = "The images are a problem of their own: see standard."


@dataclass(frozen=True)
class Drawn:
    """The images of one network under one sampler.

    counts (n, kinds), odd (n,) : as counted. n_eval : evaluations an image. by_level, undecided
    (n, L) : of the predicted image at `LEVELS`, empty where the run was not watched. hal (n, W) :
    over the windows of `about`. labels (n,) : the class asked for, of networks that have some.
    pixels : of the first images. drawn_again : whether this run drew them.
    """

    network: str
    sampler: str
    about: dict[str, Any]
    counts: IntArray
    odd: NDArray[np.bool_]
    n_eval: float
    by_level: IntArray
    undecided: NDArray[np.bool_]
    hal: Array
    labels: IntArray
    pixels: NDArray[np.uint8]
    drawn_again: bool = False

    @property
    def n(self) -> int:
        """Images in all."""
        return len(self.labels) or len(self.counts)

    @property
    def steps(self) -> int:
        """Of the network's training."""
        return int(self.about["steps"])

    @property
    def seed(self) -> int:
        """Of the network's training."""
        return int(self.about["seed"])

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(n,) images that hold what no real one does: of triangles another number than three, of
        shapes one twice."""
        if kind_of(self.network) == "triangles":
            return np.asarray(self.counts.sum(axis=1) != TRIANGLES)
        return np.asarray(np.any(self.counts > 1, axis=1))

    @property
    def rate(self) -> Proportion:
        """The share of wrong images."""
        return Proportion(int(self.wrong.sum()), self.n)

    def first(self, n: int) -> Drawn:
        """The first n images alone."""
        parts = ("counts", "odd", "by_level", "undecided", "hal", "labels")
        return dataclasses.replace(self, **{name: getattr(self, name)[:n] for name in parts})

    def with_share(self, share: float) -> Drawn:
        """That share of the wrong images left wrong, the others made right: a negative control."""
        places = np.flatnonzero(self.wrong)
        mended = places[round(share * len(places)) :]
        counts = self.counts.copy()
        counts[mended] = 0
        counts[mended, 0] = TRIANGLES if kind_of(self.network) == "triangles" else 1
        return dataclasses.replace(self, counts=counts)


@functools.cache
def _read(path: Path) -> Drawn:
    held = read_saved(path)
    return _joined(path, held["about"], held["blocks"], drawn_again=False)


def _joined(
    path: Path, about: dict[str, Any], blocks: Sequence[dict[str, Any]], *, drawn_again: bool
) -> Drawn:
    network, _, sampler = path.stem.partition("--")
    side, levels = int(about["side"]), len(LEVELS)

    def every(key: str, kind: Any, width: int) -> Any:
        rows = [row for block in blocks for row in block.get(key, [])]
        return np.array(rows, kind) if rows else np.empty((0, width) if width else 0, kind)

    bits = every("undecided", np.int64, 0)
    pixels = [unpacked(block["pixels"], side) for block in blocks if block["pixels"]]
    labels = [np.full(block["n"], block["label"]) for block in blocks if "label" in block]
    found = Drawn(
        network,
        sampler,
        about,
        every("counts", np.int64, 1),
        every("odd", np.int64, 0) > 0,
        float(np.average([b["n_eval"] for b in blocks], weights=[b["n"] for b in blocks])),
        every("by_level", np.int64, levels),
        (bits[:, None] >> np.arange(levels)) % 2 > 0,
        every("hal", np.float64, 0),
        np.concatenate(labels) if labels else np.empty(0, np.int64),
        np.concatenate(pixels),
        drawn_again,
    )
    again = counted(found.pixels, side / 8, kind_of(network))["counts"]
    if not labels and not np.array_equal(again, found.counts[: len(again)]):
        raise FileError(
            "counts are those of the images kept beside them", path, "Make the file again."
        )
    return found


def _again(path: Path, way: Way) -> Drawn:
    """Every block of a file drawn once more, in hours."""
    held = read_saved(path)
    network = CHECKPOINTS / f"{held['about']['network']}.safetensors"
    blocks = [draw(network, way, number) for number in range(len(held["blocks"]))]
    return _joined(path, held["about"], blocks, drawn_again=True)


def drawn(case: Case, kind: str, folder: Path = IMAGES) -> list[Drawn]:
    """All images of the networks of one kind, by network and sampler."""
    ways = {way.name: way for way in WAYS[kind]}
    paths = sorted(folder.glob(f"{kind}-*--*.json"))
    names = [path for path in paths if path.stem.partition("--")[2] in ways]
    if case.profile is Profile.FULL:
        return [
            case.memo(f"images {p.stem}", functools.partial(_again, p, ways[_sampler(p)]))
            for p in names
        ]
    return [_read(path) for path in names]


def _sampler(path: Path) -> str:
    return path.stem.partition("--")[2]


def by_name(found: Iterable[Drawn]) -> dict[tuple[str, str], Drawn]:
    """By network and sampler."""
    return {(one.network, one.sampler): one for one in found}


def pooled(found: Sequence[Drawn]) -> Proportion:
    """The mean rate over networks, of equally many images of each."""
    n = min(one.n for one in found)
    return Proportion.pooled([one.first(n).rate for one in found])


def in_words(found: Sequence[Drawn]) -> str:
    """Where the images come from, in a sentence."""
    if found[0].drawn_again:
        return "Drawn again by this run."
    about = found[0].about
    return (
        f"Stored measurement of `{about['command']}`, {about['hardware']}, torch "
        f"{about['versions'].get('torch')}; the full profile draws it again. "
        f"{words_on_code(about)}"
    ).strip()


def planned(kind: str, names: Sequence[str]) -> float:
    """The share of the networks and samplers, by name, that have images."""
    wanted = [path_of(name, way.name) for name in names for way in WAYS[kind]]
    return float(np.mean([path.exists() for path in wanted]))

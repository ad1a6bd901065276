"""Recursions on images, as saved by `recursing`."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixdyn.retraining.generations import read_json
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import FileError
from mixdyn.support.statistics import (
    DISPLAY_STDS,
    POWER,
    VERDICT_MISS,
    VERDICT_STDS,
    Proportion,
)

from ...data.saved import words_on_code
from ...data.saved.images import IMAGES
from ...ledger.relations import Comparison, Outcome, Statistical
from ...ledger.sides import Facts, NotApplicable, Part
from ...ledger.verdict import Origin
from .quality import Quality, quality, rows_of
from .recursing import FORMAT
from .sampling import unpacked


@dataclass(frozen=True)
class Generation:
    """Samples of one generation, before its filter.

    counts (n, kinds) : of shapes; (n, 0) of digits. hal, kept (n,). labels (n,) : asked for.
    pixels : of the first images, of digits all.
    """

    counts: IntArray
    hal: Array
    kept: NDArray[np.bool_]
    labels: IntArray
    pixels: NDArray[np.uint8]

    @property
    def repeated(self) -> NDArray[np.bool_]:
        """(n,): a shape twice."""
        return np.asarray(np.any(self.counts > 1, axis=1))

    @property
    def rate(self) -> Proportion:
        """The share of images with a shape twice."""
        return Proportion(int(self.repeated.sum()), len(self.repeated))

    @functools.cached_property
    def quality(self) -> Quality:
        """Of digits."""
        return quality(rows_of(self.pixels), self.labels)


@dataclass(frozen=True)
class Run:
    """One recursion."""

    filter: str
    seed: int
    generations: tuple[Generation, ...]


@dataclass(frozen=True)
class Runs:
    """All recursions on one set of images. about : plan, hardware, command, code."""

    about: dict[str, Any]
    runs: tuple[Run, ...]

    def of(self, filter_: str) -> Run | None:
        """The recursion with a filter, of the first seed."""
        return next((run for run in self.runs if run.filter == filter_), None)

    @property
    def compared(self) -> list[Run]:
        """The recursions whose filters are compared: at random first, then by Hal."""
        return [run for name in ("random", "hal") if (run := self.of(name)) is not None]

    @property
    def shared(self) -> int:
        """How many generations both of these have; 0 where one is missing."""
        lengths = [len(run.generations) for run in self.compared]
        return min(lengths) if len(lengths) == 2 else 0

    def last(self) -> tuple[int, Generation, Generation]:
        """Number of the last generation that both have, and what it is under each."""
        random, hal = (run.generations[self.shared - 1] for run in self.compared)
        return self.shared, random, hal

    def swapped(self) -> Runs:
        """Hal's generations under the name of random filtering, and the other way round: a negative
        control."""
        names = {"hal": "random", "random": "hal"}
        runs = tuple(replace(run, filter=names.get(run.filter, run.filter)) for run in self.runs)
        return replace(self, runs=runs)

    def in_words(self) -> str:
        """Plan and origin in a sentence."""
        plan, about = self.about["plan"], self.about
        return (
            f"Stored measurement of `{about['command']}`: {plan['n']:,} images a generation, each "
            f"of {plan['evaluations']} ancestral steps, networks of {plan['channels']} channels "
            f"and {plan['steps']:,} steps of {plan['batch']}, a share of {plan['discard']:g} "
            f"dropped, {about['hardware']}. {words_on_code(about)}"
        ).strip()


@functools.cache
def saved_runs(name: str, folder: Path = IMAGES) -> Runs | None:
    """The recursions on `name`, None where none was run. Raises FileError for a damaged file."""
    path = folder / f"recursion-{name}.json"
    if not path.exists():
        return None
    held = read_json(path)
    if held.get("format") != FORMAT:
        raise FileError(
            "a file of recursions on images holds format, about and runs",
            path,
            f"Make it again with `python -m verify.measure.images.recursing {name}`.",
        )
    runs = [
        Run(run["filter"], run["seed"], tuple(_generation(g) for g in run["generations"]))
        for run in held["runs"]
    ]
    return Runs(held["about"], tuple(runs))


def under_both(name: str, takes: str) -> Runs | NotApplicable:
    """The saved recursions on `name`, with two generations at least under both filters: all train
    the first on real images. takes : how long they do, in words."""
    held = saved_runs(name)
    if held is None or held.shared < 2:
        return NotApplicable(
            f"Not run, or not yet under both filters: `python -m verify.measure.images.recursing "
            f"{name}` takes {takes} and goes on where it stopped."
        )
    return held


def told(found: Runs) -> Iterator[Part]:
    """Where the numbers of recursions come from, and what of three generations was not run."""
    yield Facts(
        model="three generations of U-Nets",
        witness=lambda _: {"command": found.about["command"]},
        seed=found.compared[-1].seed,
        origin=Origin.STORED,
    )
    yield found.in_words()
    if found.shared < 3:
        yield "Not run: the third generation."


def _generation(held: dict[str, Any]) -> Generation:
    n, labels = held["n"], np.array(held.get("labels", []), np.int64)
    return Generation(
        np.array(held["counts"]) if "counts" in held else np.empty((n, 0), np.int64),
        np.array(held["hal"]),
        np.array(held["kept"]) > 0,
        labels,
        unpacked(held["pixels"], held["side"]),
    )


@dataclass(frozen=True)
class MeanOrder(Statistical):
    """One mean is above another, of estimates with standard errors: holds or fails only where they
    lie five of them apart, which chance does with probability below 1e-6."""

    side: str = "lower"
    miss: float = VERDICT_MISS

    kind = "means"


def compare_values(name: str, larger: float, smaller: float, error: float, n: int) -> Comparison:
    """Whether one estimate is above another; error : standard error of their difference."""
    excess = (smaller - larger) / (VERDICT_STDS * error)
    outcome = Outcome.INCONCLUSIVE
    if abs(excess) >= 1.0:
        outcome = Outcome.FAILS if excess > 0.0 else Outcome.HOLDS
    return Comparison(
        name=name,
        relation=MeanOrder(),
        measured=larger,
        bound=smaller,
        outcome=outcome,
        n=n,
        n_held=n if larger > smaller else 0,
        excess=excess,
        tightness=smaller / larger if larger else None,
        interval=(larger - DISPLAY_STDS * error, larger + DISPLAY_STDS * error),
        resolution=VERDICT_STDS * error,
    )


def samples_needed(found: Comparison, error: float) -> str:
    """How many samples of each would show an undecided order with probability `POWER`, in words;
    empty where it is decided or the other way round. error : as for `compare_values`."""
    from scipy.special import ndtri

    gap = float(found.measured) - float(found.bound)  # type: ignore[arg-type]
    if found.outcome is not Outcome.INCONCLUSIVE or gap <= 0.0 or found.n is None:
        return ""
    n = found.n * ((VERDICT_STDS + float(ndtri(POWER))) * error / gap) ** 2
    return (
        f"About {float(f'{n:.2g}'):,.0f} of each would show a difference as large as the one that "
        f"was found with probability {POWER:g}."
    )


def operating_levels(right: Array, kept: float) -> tuple[float, float, float]:
    """Levels of Hal at or below which the share `kept` of the others lies: in these samples, and
    the lowest and the highest for which that share of all others may be it (1e-6)."""
    values, n = np.sort(right), len(right)
    possible = [
        k
        for k in range(1, n + 1)
        if (ends := Proportion(k, n).interval(VERDICT_MISS))[0] <= kept <= ends[1]
    ]
    at = max(round(kept * n), 1)
    return tuple(float(values[k - 1]) for k in (at, possible[0], possible[-1]))  # type: ignore[return-value]


def removed_at(wrong: Array, level: float) -> Proportion:
    """The share of the hallucinations whose Hal lies above a level."""
    return Proportion(int((wrong > level).sum()), len(wrong))

"""What the generations of a recursive training are: counts, mode weights, spread; and their files.

See `recursion`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Region, in_stds, within_modes
from ..problem.mixture import GaussianMixture
from ..support.checks import Array, IntArray
from ..support.errors import FileError
from ..support.files import write_text
from ..support.numbers import dump_json
from ..support.statistics import Proportion

SURVIVING_SHARE = 0.1  # of its weight in the mixture, below which a mode counts as lost


@dataclasses.dataclass(frozen=True)
class Generation:
    """What one generation's samples are.

    regions (3,), kept_regions (3,) : counts by `Region`, of all samples and of those the filter
    leaves. mode_counts (N,) : true-mode samples by nearest mode. spread : their standard deviation
    per coordinate in units of the mode's sigma, None without any. excess : of the network's loss
    over the exact score of the true mixture.
    """

    index: int
    trained_on: int
    regions: tuple[int, ...]
    kept_regions: tuple[int, ...]
    mode_counts: tuple[int, ...]
    spread: float | None
    excess: float

    @property
    def n(self) -> int:
        """Samples drawn."""
        return sum(self.regions)

    def share(self, region: Region) -> Proportion:
        """The share of all samples in a region."""
        return Proportion(self.regions[region], self.n)

    def divergence(self, weights: Array) -> float:
        """KL divergence of the modes' shares among true-mode samples from `weights` (N,), nats;
        infinite without any. Exact samples give about (N - 1)/(2 n)."""
        return mode_divergence(np.asarray(self.mode_counts), weights)

    def surviving(self, weights: Array) -> int:
        """Modes whose share of all samples is at least a tenth of their weight (N,)."""
        return int(np.sum(np.asarray(self.mode_counts) >= SURVIVING_SHARE * weights * self.n))


def mode_divergence(counts: IntArray, weights: Array) -> float:
    """KL(counts/n || weights) in nats, (N,) each; infinite where nothing was counted."""
    if counts.sum() == 0:
        return float("inf")
    share = counts / counts.sum()
    seen = share > 0
    return float(np.sum(share[seen] * np.log(share[seen] / weights[seen])))


def summarise(
    mixture: GaussianMixture,
    index: int,
    trained_on: int,
    drawn: tuple[Array, NDArray[np.bool_]],
    excess: float,
) -> Generation:
    """What the samples x (n, d), of which `kept` (n,) are left, are on the true mixture."""
    x, kept = drawn
    codes, nearest, offset = within_modes(mixture, x)
    away = in_stds(mixture, nearest, offset)

    def count(values: NDArray[Any], size: int) -> tuple[int, ...]:
        return tuple(int(k) for k in np.bincount(values, minlength=size))

    return Generation(
        index=index,
        trained_on=trained_on,
        regions=count(codes, len(Region)),
        kept_regions=count(codes[kept], len(Region)),
        mode_counts=count(nearest, mixture.N),
        spread=float(np.sqrt(np.square(away).mean())) if len(nearest) else None,
        excess=excess,
    )


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write strict JSON, whole or not at all."""
    write_text(path, dump_json(values))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; FileError for anything else."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise FileError(
            "a file of a recursion must be readable JSON", f"{path} ({error})", "Remove it."
        ) from None
    if not isinstance(held, dict):
        raise FileError("a file of a recursion must hold an object", str(path), "Remove it.")
    return held


def read_summary(path: Path) -> Generation:
    """A generation from the file that `write_json` made of it; FileError for a damaged one."""
    try:
        return generation_from(read_json(path))
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            "a generation's file must hold its counts",
            f"{path} ({type(error).__name__}: {error})",
            "Remove it to run that generation again.",
        ) from None


def generation_from(held: dict[str, Any]) -> Generation:
    """A generation from plain values; KeyError, TypeError or ValueError where they do not fit."""

    def counts(key: str) -> tuple[int, ...]:
        return tuple(int(k) for k in held[key])

    return Generation(
        index=int(held["index"]),
        trained_on=int(held["trained_on"]),
        regions=counts("regions"),
        kept_regions=counts("kept_regions"),
        mode_counts=counts("mode_counts"),
        spread=None if held["spread"] is None else float(held["spread"]),
        excess=float(held["excess"]),
    )

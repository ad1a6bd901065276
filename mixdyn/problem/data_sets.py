"""Files that hold data in place of modes: points, a bandwidth, and labels of the points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..support.checks import IntArray
from ..support.errors import FileError
from ..support.files import FORMATS, read_parameters

POINTS = ("data", "arr_0")  # numpy.savez calls an array without a name the second
DATA_KEYS = frozenset({*POINTS, "bandwidth", "labels"})


def split_data(values: Mapping[str, Any], path: object) -> tuple[Any, float] | None:
    """Points and bandwidth of a file with these values; None where it holds modes."""
    named = [key for key in POINTS if key in values]
    if not named:
        if "bandwidth" in values:
            raise FileError(
                "bandwidth goes with data", f"bandwidth without data in {path}", "Name modes sigma."
            )
        return None
    foreign = sorted(set(values) - {named[0], "bandwidth", "labels"})
    if foreign:
        raise FileError(
            "a data set is data (N, d), with a bandwidth and labels if any",
            f"{foreign} beside {named[0]} in {path}",
            "Save data, or the means of modes with what says their spread.",
        )
    return values[named[0]], values.get("bandwidth", 0.0)


def read_labels(path: str, n_modes: int, known: frozenset[str]) -> IntArray | None:
    """(N,) labels of the points or modes of a file; None of a preset or a file without."""
    if Path(path).suffix.lower() not in FORMATS:
        return None
    given = read_parameters(path, known, frozenset()).get("labels")
    if given is None:
        return None
    labels = np.asarray(given)
    if labels.shape != (n_modes,) or labels.dtype.kind not in "iub":
        raise FileError(
            f"labels are one integer for each of the {n_modes} points or modes",
            f"shape {labels.shape} of type {labels.dtype} in {path}",
            "Save an (N,) array of integers.",
        )
    return labels.astype(np.int64)

"""Hal of hallucinations and of the other samples, as saved (arXiv 2406.09358 v2, figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn.support.checks import IntArray
from verify.ledger.case import Case
from verify.measure.interpolation.detector import (
    EDGES,
    LINE,
    LINE_WINDOW,
    PLANE,
    WINDOWS,
    Detection,
    saved,
)
from verify.measure.measurement import Measurement

NETWORKS = ("modes-1-2-3-100k-0", "modes-grid-0")
_TOGETHER = 3  # bins drawn as one


@Measurement
def hal_populations(case: Case) -> dict[str, Any]:
    """n hallucinations of each network; names (M,), kept (M,) the share that the level keeps,
    window (M,), edges (B + 1,) of log10 Hal, wrong and right (M, B) counts, removed (M,) share;
    weakest: the network on a line of which the published window removes least, and how much;
    windows (W,), every (K,) names of all networks, area and error (K, W)."""
    every, _ = saved()
    by_name = {d.name: d for d in every}
    chosen = [by_name[name] for name in NETWORKS]
    kept = [LINE[0] if d.d == 1 else PLANE[0] for d in chosen]
    window = [
        LINE_WINDOW if d.d == 1 else d.best_window(k) for d, k in zip(chosen, kept, strict=True)
    ]
    removed = [d.removed(w, d.level(w, k)) for d, w, k in zip(chosen, window, kept, strict=True)]
    lines = {d.name: d.removed(*_published(d)).rate for d in every if d.d == 1}
    weakest = min(lines, key=lines.__getitem__)
    areas = np.array([[d.areas[f"Hal, {w} steps"] for w in WINDOWS] for d in every])
    return {
        "n": [p.trials for p in removed],
        "names": NETWORKS,
        "kept": kept,
        "window": window,
        "edges": EDGES[::_TOGETHER],
        "wrong": _histograms([d.wrong for d in chosen], window),
        "right": _histograms([d.right for d in chosen], window),
        "removed": [p.rate for p in removed],
        "weakest": weakest,
        "weakest removed": lines[weakest],
        "windows": WINDOWS,
        "every": [d.name for d in every],
        "area": areas[:, :, 0],
        "error": areas[:, :, 1],
    }


def _published(line: Detection) -> tuple[int, int]:
    """The window on lines, and the level that keeps the share stated for them."""
    return LINE_WINDOW, line.level(LINE_WINDOW, LINE[0])


def _histograms(counts: Sequence[IntArray], windows: Sequence[int]) -> IntArray:
    """(M, B) counts of each network in its window, both halves together."""
    found = [c[WINDOWS.index(w)].sum(axis=0) for c, w in zip(counts, windows, strict=True)]
    return np.array(found).reshape(len(found), -1, _TOGETHER).sum(axis=2)

"""Hal of hallucinations and of the other samples, as saved (arXiv 2406.09358 v2, figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn.validation import IntArray
from verify.claim import Case
from verify.trained.detector import EDGES, WINDOWS, saved

OWN_MIXTURE = True
NETWORKS = ("modes-1-2-3-100k-0", "modes-grid-0")
_TOGETHER = 3  # bins drawn as one


def run(case: Case) -> dict[str, Any]:
    """n hallucinations of each network; names (M,), kept (M,) the share that the level keeps,
    window (M,), edges (B + 1,) of log10 Hal, wrong and right (M, B) counts, removed (M,) share;
    windows (W,), every (K,) names of all networks, area and error (K, W)."""
    every, _ = saved()
    by_name = {d.name: d for d in every}
    chosen = [by_name[name] for name in NETWORKS]
    kept = [0.98 if d.d == 1 else 0.95 for d in chosen]
    window = [15 if d.d == 1 else d.best_window(k) for d, k in zip(chosen, kept, strict=True)]
    removed = [d.removed(w, d.level(w, k)) for d, w, k in zip(chosen, window, kept, strict=True)]
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
        "windows": WINDOWS,
        "every": [d.name for d in every],
        "area": areas[:, :, 0],
        "error": areas[:, :, 1],
    }


def _histograms(counts: Sequence[IntArray], windows: Sequence[int]) -> IntArray:
    """(M, B) counts of each network in its window, both halves together."""
    found = [c[WINDOWS.index(w)].sum(axis=0) for c, w in zip(counts, windows, strict=True)]
    return np.array(found).reshape(len(found), -1, _TOGETHER).sum(axis=2)

"""What figures show of images: rates by length of training, sheets of samples, Hal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn.support.errors import NotApplicableError

from ...ledger.case import Case
from ..measurement import Measurement
from .counts import Drawn, by_name, drawn, pooled
from .generations import Runs, saved_runs
from .sampling import WAYS

SHEET = 24  # images of a sheet


def _some(case: Case, kind: str) -> list[Drawn]:
    found = drawn(case, kind)
    if not found:
        raise NotApplicableError(
            f"this figure shows images of {kind}", "none were drawn yet", "Draw some first."
        )
    return found


@Measurement
def triangle_rates(case: Case) -> dict[str, Any]:
    """samplers (S,); steps (K,) of training; wrong, n_at (S, K) images over all seeds, of equally
    many of each, 0 where none were drawn; n images in all; n_eval (S,) evaluations an image."""
    found = _some(case, "triangles")
    names = [w.name for w in WAYS["triangles"] if any(d.sampler == w.name for d in found)]
    steps = sorted({d.steps for d in found})
    cells = [[_at(found, name, k) for k in steps] for name in names]
    evaluations = [np.mean([d.n_eval for d in found if d.sampler == name]) for name in names]
    return {
        "samplers": names,
        "steps": steps,
        "wrong": np.array([[c[0] for c in row] for row in cells]),
        "n_at": np.array([[c[1] for c in row] for row in cells]),
        "n_eval": np.array(evaluations),
        "n": sum(d.n for d in found),
    }


def _at(found: Sequence[Drawn], name: str, steps: int) -> tuple[int, int]:
    there = [d for d in found if (d.sampler, d.steps) == (name, steps)]
    if not there:
        return 0, 0
    rate = pooled(there)
    return rate.successes, rate.trials


@Measurement
def triangle_sheets(case: Case) -> dict[str, Any]:
    """titles (P,); pixels (P, SHEET, side, side); framed (P, SHEET); wrong, n (P,) counts of all
    images: DDIM-50 and DDPM after the shortest and the longest training that has both."""
    held = by_name(_some(case, "triangles"))
    both = [a for (name, way), a in held.items() if way == "ddim-50" and (name, "ddpm") in held]
    ends = sorted(both, key=lambda d: (d.steps, -d.seed))
    if not ends:
        raise NotApplicableError(
            "this figure shows images of DDIM and DDPM", "none of both", "Draw some first."
        )
    networks = dict.fromkeys([ends[0].network, ends[-1].network])
    shown = [held[name, way] for name in networks for way in ("ddim-50", "ddpm")]
    return _sheets(shown, [f"{d.sampler}, {d.steps:,} steps" for d in shown])


def _sheets(shown: Sequence[Drawn], titles: Sequence[str]) -> dict[str, Any]:
    return {
        "titles": titles,
        "pixels": np.array([d.pixels[:SHEET] for d in shown]),
        "framed": np.array([d.wrong[:SHEET] for d in shown]),
        "wrong": np.array([d.rate.successes for d in shown]),
        "n": np.array([d.n for d in shown]),
    }


@Measurement
def shapes_hal(case: Case) -> dict[str, Any]:
    """wrong, right (n,) Hal over the published window; level: that keeps 95 % of the others; n
    images; pixels, framed: a sheet, hallucinations, then others; repeated: how many images repeat a
    shape."""
    found = [d for d in _some(case, "shapes") if d.sampler == "ancestral-250"]
    if not found or not found[0].rate.successes:
        raise NotApplicableError(
            "this figure shows shapes that repeat", "none was drawn yet", "Draw more first."
        )
    one = found[0]
    hal, wrong = one.hal[:, 0], one.wrong
    shown = wrong[: len(one.pixels)]
    halves = [np.flatnonzero(mask)[: SHEET // 2] for mask in (shown, ~shown)]
    order = np.concatenate(halves)
    return {
        "hallucinations": hal[wrong],
        "others": hal[~wrong],
        "level": np.quantile(hal[~wrong], 0.95),
        "n": one.n,
        "pixels": one.pixels[order],
        "framed": wrong[order],
        "repeated": wrong.sum(),
    }


@Measurement
def digit_generations(case: Case) -> dict[str, Any]:
    """filters (R,); fid (R, G) with its 95 % ends fid_from, fid_to; pixels (R + 1, SHEET, 8, 8):
    of the first generation, then of each last one; framed: none; n digits of a generation."""
    held = _runs("digits")
    last = min(len(run.generations) for run in held.runs)
    qualities = [[g.quality for g in run.generations[:last]] for run in held.runs]
    sheets = [held.runs[0].generations[0], *(run.generations[last - 1] for run in held.runs)]
    return {
        "filters": [run.filter for run in held.runs],
        **{
            key: np.array([[getattr(q, key) for q in row] for row in qualities])
            for key in ("fid", "fid_from", "fid_to")
        },
        "pixels": np.array([_spread(g.pixels) for g in sheets]),
        "framed": np.zeros((len(sheets), SHEET), bool),
        "n": len(held.runs[0].generations[0].hal),
    }


def _spread(pixels: Any) -> Any:
    """SHEET images evenly from all classes."""
    return pixels[np.linspace(0, len(pixels) - 1, SHEET).astype(int)]


@Measurement
def shape_generations(case: Case) -> dict[str, Any]:
    """filters (R,); wrong, n_at (R, G) images that repeat a shape; pixels, framed (R, SHEET, ...):
    of each last generation; n images of a generation."""
    held = _runs("shapes")
    last = min(len(run.generations) for run in held.runs)
    rates = [[g.rate for g in run.generations[:last]] for run in held.runs]
    ends = [run.generations[last - 1] for run in held.runs]
    return {
        "filters": [run.filter for run in held.runs],
        "wrong": np.array([[p.successes for p in row] for row in rates]),
        "n_at": np.array([[p.trials for p in row] for row in rates]),
        "pixels": np.array([g.pixels[:SHEET] for g in ends]),
        "framed": np.array([g.repeated[:SHEET] for g in ends]),
        "n": len(ends[0].hal),
    }


def _runs(name: str) -> Runs:
    held = saved_runs(name)
    if held is None or not held.runs:
        raise NotApplicableError(
            f"this figure shows recursions on {name}", "none was run yet", "Run one first."
        )
    return held

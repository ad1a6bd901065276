"""The figures: one file each, a function of saved results that writes SVG and PNG.

`python -m verify --figures [ID ...]` measures what is missing (`verify.experiments`), then draws. A
figure's title sentence is computed from its numbers, so it stays true on any mixture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mixdyn.support.errors import InputError, NotApplicableError
from verify.experiments import EXPERIMENTS, obtain
from verify.ledger.claim import Case

from . import (
    fig_1_gap,
    fig_2_phase_portrait,
    fig_3_steps,
    fig_3l_learned_steps,
    fig_4_distance,
    fig_4l_learned_distance,
    fig_5_radius,
    fig_5l_learned_radius,
    fig_b1_weights,
    fig_c4_learned_drift,
    fig_d1_diagonals,
    fig_e6_dominance,
    fig_e11_tau_3,
    fig_e12_saddles,
    fig_e12l_learned_saddles,
    fig_e13_eta,
    fig_e13l_learned_eta,
    fig_e14_terminal,
    fig_e16_ablations,
    fig_e16l_learned_ablations,
    fig_m2_densities,
    fig_m3_planes,
    fig_m4_smoothing,
    fig_m5_paths,
    fig_m6_hal,
    fig_m7_recursion,
    fig_m8a_generations,
    fig_m9_lines,
    fig_x3_basin,
    fig_x8_elsewhere,
    fig_x8_frontier,
    fig_x10_causes,
    fig_x11_insurance,
    style,
)
from .spec import FigureSpec

_MODULES = (
    fig_1_gap,
    fig_2_phase_portrait,
    fig_3_steps,
    fig_3l_learned_steps,
    fig_4_distance,
    fig_4l_learned_distance,
    fig_5_radius,
    fig_5l_learned_radius,
    fig_e6_dominance,
    fig_e11_tau_3,
    fig_e12_saddles,
    fig_e12l_learned_saddles,
    fig_c4_learned_drift,
    fig_e13_eta,
    fig_e13l_learned_eta,
    fig_e14_terminal,
    fig_e16_ablations,
    fig_e16l_learned_ablations,
    fig_b1_weights,
    fig_d1_diagonals,
    fig_x3_basin,
    fig_x8_elsewhere,
    fig_x8_frontier,
    fig_x10_causes,
    fig_x11_insurance,
    fig_m2_densities,
    fig_m3_planes,
    fig_m4_smoothing,
    fig_m5_paths,
    fig_m6_hal,
    fig_m7_recursion,
    fig_m8a_generations,
    fig_m9_lines,
)

FIGURES: Mapping[str, FigureSpec] = MappingProxyType(
    {module.FIGURE.id: module.FIGURE for module in _MODULES}
)


@dataclass(frozen=True)
class Drawn:
    """A figure's files; or, where the case does not allow it, none and the reason."""

    id: str
    paths: tuple[Path, ...]
    seconds: float
    reason: str = ""


def select(names: Iterable[str]) -> list[FigureSpec]:
    """The figures with these names, all of them for no name.

    A name is the id of a claim that figures illustrate, else a figure's source (`Figure 3 of
    2605.06831`), number or file stem: where a paper's number reads like a claim's id, the claim is
    meant. Raises InputError for a name that fits none.
    """
    wanted = list(names)
    if not wanted:
        return list(FIGURES.values())
    chosen = {spec.id for name in wanted for spec in _named(name)}
    return [spec for spec in FIGURES.values() if spec.id in chosen]


def _named(name: str) -> list[FigureSpec]:
    every = FIGURES.values()
    found = [s for s in every if s.illustrates(name)] or [s for s in every if s.answers_to(name)]
    if not found:
        raise InputError(
            "a figure is named by a claim that it illustrates, by its source, or by its file: "
            + "; ".join(f"{spec.name}, {spec.stem}" for spec in every),
            repr(name),
            "Name one of them, or none.",
        )
    return found


def figure_for_claim(claim_id: str) -> str | None:
    """The id of the figure that illustrates a claim of the ledger, or None."""
    for spec in FIGURES.values():
        if claim_id in spec.claims:
            return spec.id
    return None


def draw_figures(
    ids: Iterable[str],
    case: Case,
    out_dir: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[Drawn]:
    """Measure what is missing, draw the figures named by `ids` (all if empty), write SVG and PNG.

    Files go to out_dir/figures, results to out_dir/experiments, where a broken-off run finds them
    again. progress is told, in words, what starts. Raises InputError for an unknown id.
    """
    return [_draw(spec, case, Path(out_dir), progress) for spec in select(ids)]


def _draw(spec: FigureSpec, case: Case, out_dir: Path, progress: Callable[[str], None]) -> Drawn:
    start = time.perf_counter()
    try:
        results = {}
        for name in spec.experiments:
            progress(f"{spec.source}: measuring {name.replace('_', ' ')}")
            results[name] = obtain(EXPERIMENTS[name], case, out_dir / "experiments")
    except NotApplicableError as refusal:
        return Drawn(spec.id, (), time.perf_counter() - start, str(refusal))
    progress(f"{spec.source}: drawing")
    with style.settings():
        paths = style.save(spec.draw(results), out_dir / "figures", spec.stem, spec.title)
    return Drawn(spec.id, tuple(paths), time.perf_counter() - start)


__all__ = ["FIGURES", "Drawn", "FigureSpec", "draw_figures", "figure_for_claim", "select"]

"""Rates of trained networks under DDIM and DDPM (arXiv 2605.06831 v1, figure 1)."""

from __future__ import annotations

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.checks import IntArray
from mixdyn.support.numbers import show_share
from verify.measure.networks.rate_sweeps import steps

from ....drawing.palette import GREY, LOOKS, SKY, Look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    Axes,
    Figure,
    explain_limits,
    finish,
    new_figure,
    percent_axis,
    plot_rate,
)

_PARTS = {
    Region.INTERPOLATION: "interpolations (% of samples)",
    Region.INVALID: "invalid samples (% of samples)",
}


def _samplers(result: Result) -> list[tuple[str, Look, IntArray, IntArray]]:
    """Name, look, (M, 3) counts and (3,) counts of the exact score: DDIM with the fewest and with
    the most steps, DDPM."""
    steps = result["steps"]
    names = [*(f"DDIM, {steps[at]} steps" for at in (0, -1)), "DDPM, all steps"]
    looks = LOOKS["DDIM"], Look(SKY, "^"), LOOKS["DDPM"]
    return [
        (name, Look(look.color, look.marker, " "), result["counts"][:, at], exact)
        for name, look, at in zip(names, looks, (0, -2, -1), strict=True)
        for exact in [result["exact"].sum(axis=0)[at]]
    ]


def _panel(ax: Axes, result: Result, region: Region) -> None:
    names = result.labels("models")
    for column, (name, look, counts, exact) in enumerate(_samplers(result)):
        shift, n = 0.2 * (column - 1), int(counts[0].sum())
        place = np.arange(len(names)) + shift
        plot_rate(ax, place, counts[:, region], n, look, name)
        plot_rate(ax, [len(names) + shift], [exact[region]], int(exact.sum()), look, "_exact")
    ax.axvline(len(names) - 0.5, color=GREY, lw=0.8, ls=":")
    labels = [name.replace(", ", "\n") for name in names]
    ax.set_xticks(range(len(names) + 1), [*labels, "exact\nscore"])
    ax.set(ylabel=_PARTS[region], xlabel="trained network, and the exact score on the same noise")
    percent_axis(ax, 0.002, 10.0)


def _range(shares: list[float]) -> str:
    low, high = (show_share(share, 2) for share in (min(shares), max(shares)))
    return low if low == high else f"{low} to {high}"


def _message(result: Result) -> str:
    few, _, ddpm = _samplers(result)
    spans = [
        _range([float(row[Region.INTERPOLATION] / row.sum()) for row in counts])
        for counts in (few[2], ddpm[2])
    ]
    exact, n = int(few[3][Region.INTERPOLATION]), int(few[3].sum())
    return (
        f"Trained networks interpolate in {spans[0]} of samples with {few[0].replace(',', ' in')}, "
        f"in {spans[1]} with DDPM; the exact score in {exact or 'none'} of {n:,} with that DDIM"
    )


def draw(result: Result) -> Figure:
    """Interpolations left, invalid samples right."""
    figure, axes = new_figure(9.0, 3.9, columns=2)
    for ax, region in zip(axes, _PARTS, strict=True):
        _panel(ax, result, region)
    explain_limits(axes[0])
    note = (
        "Every network draws samples of its own, n by sampler in the order of figure F3. Bars are "
        "95 % Clopper-Pearson intervals."
    )
    legend = axes[0].get_legend_handles_labels()
    return finish(figure, _message(result), result, note, legend)


FIGURE = FigureSpec(
    claims=("F1",),
    source="Figure 1 of 2605.06831",
    title="Rates of trained networks under DDIM and DDPM",
    caption="One group of points per trained network: DDIM with the fewest and with the most "
    "steps, and DDPM, on samples of its own each; right of the dotted line the exact score on the "
    "samples of all networks. Hollow carets are 95 % upper limits where none was seen.",
    measure=steps,
    draw=draw,
)

"""Ablations of T, sigma and spacing (arXiv 2605.06831 v1, figure E.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.numbers import show_share

from .spec import FigureSpec, Results
from .style import GREY, LOOKS, Look, finish, joint_legend, new_figure, percent_axis, plot_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result

AXES = {"T": "T (steps of the schedule)", "sigma": "raw sigma", "spacing": "raw spacing"}
_SCORES = ("exact", "synthetic error")


def _panel(ax: Axes, result: Result, name: str) -> None:
    """All four rates over one axis; values are evenly spaced, as they are a handful."""
    values, n = result[name], result.count()
    wrong = n - result[f"{name}_counts"][:, :, :, Region.TRUE_MODE]
    place = np.arange(len(values))
    for score, label in enumerate(_SCORES):
        for column, sampler in enumerate(result.labels("samplers")):
            base = LOOKS[sampler]
            look = Look(base.color, base.marker if score else "x", base.line if score else ":")
            x = place + 0.08 * (column - 0.5) + 0.04 * score
            plot_rate(ax, x, wrong[:, score, column], n, look, f"{sampler}, {label}")
    ax.set_xticks(place, [f"{value:g}" for value in values])
    ax.set_xlabel(AXES[name])
    percent_axis(ax, 20.0 / n, 200.0)


def _message(result: Result) -> str:
    n = result.count()
    exact = max(
        int((n - result[f"{name}_counts"][:, 0, :, Region.TRUE_MODE]).max()) for name in AXES
    )
    wrong = 100.0 * (n - result["spacing_counts"][:, 1, 0, Region.TRUE_MODE]) / n
    return (
        f"With the exact score no ablation leaves more than {show_share(exact / n, 2)} outside the "
        f"modes; for a score of given resolution distance decides ({wrong[0]:.2g} % at spacing "
        f"{result['spacing'][0]:g}, {wrong[-1]:.2g} % at {result['spacing'][-1]:g}, DDIM)"
    )


def draw(results: Results) -> Figure:
    """One panel for T, one for sigma, one for the spacing."""
    result = results["ablations"]
    figure, axes = new_figure(11.0, 4.2, columns=3)
    for ax, name in zip(axes, AXES, strict=True):
        _panel(ax, result, name)
        ax.set_title(f"{name}, all else as in the standard problem", color=GREY)
    axes[0].set_ylabel("samples outside every mode (%)")
    note = (
        f"DDIM with 50 steps, DDPM with T. Synthetic error: responsibilities blurred by a width of "
        f"{result.number('width'):g} in raw units, the same everywhere. Bars: 95 % intervals."
    )
    return finish(figure, _message(result), result, note, joint_legend(axes))


FIGURE = FigureSpec(
    id="E.16",
    source="Figure E.16 of 2605.06831",
    stem="fig_e16_ablations",
    title="Ablations of T, sigma and spacing",
    caption="Share of samples outside every mode of the 5 x 5 grid, one parameter changed at a "
    "time: exact score, and a synthetic score error of fixed resolution (responsibilities blurred "
    "by half a raw unit). Hollow carets are 95 % upper limits.",
    experiments=("ablations",),
    claims=(),
    draw=draw,
)

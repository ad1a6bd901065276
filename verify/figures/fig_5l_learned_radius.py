"""Trained networks started between two modes (arXiv 2605.06831 v1, figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixdyn.support.numbers import show_share

from .spec import FigureSpec, Results
from .style import GREY, LOOKS, explain_limits, finish, new_figure, percent_axis, plot_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result

_NEAR = 0.05


def _rates(ax: Axes, result: Result, row: int) -> None:
    """The mean over networks of every sampler, side by side where they would hide one another."""
    names = result.labels("samplers")
    n = result.count() * len(result["models"])
    for k, name in enumerate(names):
        shift = 0.0025 * (k - 0.5 * (len(names) - 1))
        hits = result["hits"][row, :, k].sum(axis=0)
        plot_rate(ax, result["radius"] + shift, hits, n, LOOKS[name], name)
    explain_limits(ax)
    percent_axis(ax, 40.0 / n, 200.0)
    most = 100.0 * result["exact"][row].max() / result.count()
    start, left = int(result["start"][row]), int(result["steps_left"][row])
    exact = f"at most {most:.2g} %" if most > 0.0 else "none seen"
    title = f"from t = {start}, {left} DDIM steps left (exact score: {exact})"
    ax.set_title(title, color=GREY)
    ax.set_xlabel("start radius r: distance from the midpoint / l")


def _message(result: Result) -> str:
    names = result.labels("samplers")
    at = int(abs(result["radius"] - _NEAR).argmin())
    n = result.count() * len(result["models"])
    early, late = (result["hits"][row, :, :, at].sum(axis=0) / n for row in (1, 0))
    first, last = names.index("DDIM"), names.index("DDPM")
    hybrid = names.index("hybrid z=2")
    shown = [show_share(rates[k], 2) for rates in (late, early) for k in (first, hybrid, last)]
    return (
        f"Started {result['radius'][at]:g} l off a midpoint once modes are separated, trained "
        f"networks interpolate on {shown[0]} of DDIM's runs, {shown[1]} with two noisy steps "
        f"first, {shown[2]} of DDPM's; started {int(result['start'][1])} raw steps before the end, "
        f"on {shown[3]}, {shown[4]} and {shown[5]}"
    )


def draw(results: Results) -> Figure:
    """From the node at which modes are separated left, from the window of the visits right."""
    result = results["learned_radius"]
    figure, axes = new_figure(10.0, 4.3, columns=2)
    for row, ax in enumerate(axes):
        _rates(ax, result, row)
    axes[0].set_ylabel("interpolations (% of runs)")
    axes[1].legend(loc="upper right")
    note = (
        f"Starts on the segments of closest pairs. Hybrids take z DDPM steps, then DDIM. Mean over "
        f"{len(result['models'])} networks; bars: 95 % intervals; n runs a network and point."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    id="5L",
    source="Figure 5 of 2605.06831, on trained networks",
    stem="fig_5l_learned_radius",
    title="Trained networks: rate against the start radius",
    caption="Runs of trained networks started on a segment, r from its midpoint, from the node at "
    "which the closest modes are separated and from an earlier one. DDIM keeps what starts inside "
    "the trap of the learned score and frees the rest; noise frees most of it, and carries some "
    "paths from outside into the trap.",
    experiments=("learned_radius",),
    claims=("F5",),
    draw=draw,
)

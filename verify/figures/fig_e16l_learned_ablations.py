"""Trained networks: ablations of T, sigma and spacing (arXiv 2605.06831 v1, figure E.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.checks import Array

from .fig_e16_ablations import AXES
from .spec import FigureSpec, Results
from .style import GREY, LOOKS, Look, finish, joint_legend, new_figure, percent_axis, plot_rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result


def _panel(ax: Axes, result: Result, name: str) -> None:
    """Both samplers over one axis; values are evenly spaced, as they are a handful."""
    values = result[name]
    place = np.arange(len(values), dtype=np.float64)
    samplers = result.labels("samplers") if len(values) else []
    for column, sampler in enumerate(samplers):
        x: Array = place + 0.1 * (column - 0.5)
        base = LOOKS[sampler]
        exact = Look(GREY, base.marker, ":")
        trained = result[f"{name}_counts"][:, column]
        plot_rates(ax, x, trained, base, f"{sampler}, trained network")
        plot_rates(ax, x + 0.05, result[f"{name}_exact"][:, column], exact, f"{sampler}, exact")
    ax.set_xticks(place, [f"{value:g}" for value in values])
    ax.set_xlabel(AXES[name])
    ax.set_xlim(-0.5, max(len(values) - 0.5, 0.5))
    percent_axis(ax, 0.02, 100.0)


def _message(result: Result) -> str:
    """In how many settings DDIM's share is the larger one, and where it is largest."""
    counts, settings = result["counts"], result.labels("settings")
    rates = 100.0 * counts[:, :, Region.INTERPOLATION] / counts.sum(axis=2)
    most = int(np.argmax(rates[:, 0]))
    more = int(np.count_nonzero(rates[:, 0] > rates[:, 1]))
    return (
        f"DDIM interpolates more than DDPM at {more} of {len(settings)} settings with a trained "
        f"network, most at {settings[most]} ({rates[most, 0]:.2g} % against {rates[most, 1]:.2g} %)"
    )


def draw(results: Results) -> Figure:
    """One panel for T, one for sigma, one for the spacing."""
    result = results["learned_ablations"]
    figure, axes = new_figure(11.0, 4.2, columns=3)
    for ax, name in zip(axes, AXES, strict=True):
        _panel(ax, result, name)
        ax.set_title(f"{name}, all else as in the standard problem", color=GREY)
    axes[0].set_ylabel("interpolations (% of samples)")
    missing = result.labels("missing")
    gap = f" No network yet for {'; '.join(missing)}." if missing else ""
    note = f"DDIM with 50 steps, DDPM with T; one network a setting. Bars: 95 % intervals.{gap}"
    return finish(figure, _message(result), result, note, joint_legend(axes))


FIGURE = FigureSpec(
    id="E.16L",
    source="Figure E.16 of 2605.06831, on trained networks",
    stem="fig_e16l_learned_ablations",
    title="Trained networks: ablations of T, sigma and spacing",
    caption="Interpolation rates on the 5 x 5 grid, one parameter changed at a time and a network "
    "trained on each, with the exact score on the same noise. Hollow carets are 95 % upper limits.",
    experiments=("learned_ablations",),
    claims=("E.16",),
    draw=draw,
)

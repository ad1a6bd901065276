"""Trained networks: rate against DDIM steps (arXiv 2605.06831 v1, figure 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixdyn.geometry import Region

from .fig_3_steps import ddpm_reference, step_axis
from .spec import FigureSpec, Results
from .style import (
    GREY,
    LOOKS,
    Look,
    explain_limits,
    finish,
    network_look,
    new_figure,
    percent_axis,
    plot_rates,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result


def _each(ax: Axes, result: Result) -> None:
    """DDIM, network by network, side by side where they would hide one another."""
    names = result.labels("models")
    for k, name in enumerate(names):
        x = result["steps"] * 1.06 ** (k - 0.5 * (len(names) - 1))
        plot_rates(ax, x, result["ddim"][k], network_look(k), name)


def _mean(ax: Axes, result: Result) -> None:
    """The mean over networks, DDPM's, and the exact score's."""
    steps = result["steps"]
    exact = Look(GREY, "x", ":")
    plot_rates(ax, steps, result["ddim"].sum(axis=0), LOOKS["DDIM"], "DDIM, mean over networks")
    plot_rates(ax, steps, result["exact_ddim"].sum(axis=0), exact, "DDIM, exact score")
    ddpm = result["ddpm"].sum(axis=0)
    ddpm_reference(ax, int(ddpm[Region.INTERPOLATION]), int(ddpm.sum()))
    explain_limits(ax)


def _message(result: Result) -> str:
    counts = result["ddim"].sum(axis=0)
    rates = 100.0 * counts[:, Region.INTERPOLATION] / counts.sum(axis=1)
    ddpm = result["ddpm"].sum(axis=0)
    reference = 100.0 * ddpm[Region.INTERPOLATION] / ddpm.sum()
    steps = result["steps"]
    return (
        f"On trained networks more steps take DDIM from {rates[0]:.2g} % at {int(steps[0])} to "
        f"{rates[-1]:.2g} % at {int(steps[-1])} steps; DDPM makes {reference:.2g} %"
    )


def draw(results: Results) -> Figure:
    """Network by network left; mean over networks, DDPM and the exact score right."""
    result = results["learned_steps"]
    figure, axes = new_figure(9.0, 3.9, columns=2)
    _each(axes[0], result)
    _mean(axes[1], result)
    lowest = 50.0 / max(int(result["ddim"].sum(axis=(0, 2)).max()), 1)
    titles = ("DDIM, each network", "mean over networks, exact score on the same noise")
    for ax, title in zip(axes, titles, strict=True):
        percent_axis(ax, lowest)
        step_axis(ax, result["steps"])
        ax.set_title(title, color=GREY)
        ax.legend(loc="upper right")
    axes[0].set_ylabel("interpolations (% of samples)")
    note = "n counts a network's samples, by steps, DDPM last. Bars and band: 95 % intervals."
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    id="3L",
    source="Figure 3 of 2605.06831, on trained networks",
    stem="fig_3l_learned_steps",
    title="Trained networks: interpolation rate against DDIM steps",
    caption="Left: each trained network under DDIM. Right: the mean over networks, DDPM with all "
    "steps, and the exact score on the same noise. Hollow carets are 95 % upper limits where no "
    "interpolation was seen.",
    experiments=("learned_steps",),
    claims=("F3",),
    draw=draw,
)

"""Trained networks: distance to the segment (arXiv 2605.06831 v1, figures 4 and E.9), the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .fig_4_distance import place, time_axis
from .spec import FigureSpec, Results
from .style import BLACK, GREEN, GREY, LOOKS, ORANGE, finish, network_look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result

_LAST_NOISY = -2
_ENVELOPE = r"$\propto\sqrt{v_t}$ from $\tau_1$"


def _distances(ax: Axes, result: Result, name: str) -> None:
    """Median and 95 % quantile: of the exact score and of each network."""
    quantiles, x = result[f"{name}_quantiles"], place(result["times"])
    ax.fill_between(x, quantiles[0, 0], quantiles[0, 2], color=GREY, alpha=0.25, lw=0)
    ax.plot(x, quantiles[0, 1], color=GREY, lw=3.0, alpha=0.7, label="exact score; band 90 %")
    for k, network in enumerate(result.labels("models")):
        look = network_look(k)
        ax.plot(x, quantiles[1 + k, 1], color=look.color, lw=1.1, label=network)
        ax.plot(x, quantiles[1 + k, 2], color=look.color, lw=0.9, ls=":")
    late = result["times"] <= result["tau_1"][0]
    spread = np.sqrt(result["v"][late] / result["v"][late][0])
    ax.plot(x[late], quantiles[0, 1][late][0] * spread, "--", color=BLACK, lw=1.2, label=_ENVELOPE)
    ax.set_title(name.upper(), color=LOOKS[name.upper()].color)


def _floor(ax: Axes, result: Result) -> None:
    """DDIM: what its steps leave of the offset, what the network adds, what the theorem allows."""
    x = place(result["times"])
    ax.plot(x, result["envelope"][0], color=BLACK, ls="-.", lw=1.2, label="theorem's bound")
    ax.plot(
        x, result["offset"][0], color=GREY, lw=3.0, alpha=0.7, label="offset left by DDIM's steps"
    )
    for k in range(1, len(result["floor_median"])):
        look = network_look(k - 1)
        label = "floor: each network" if k == 1 else "_"
        ax.plot(x, result["floor_median"][k], color=look.color, lw=1.1, label=label)
        ax.plot(x, result["floor_high"][k], color=look.color, lw=0.9, ls=":")
    ax.plot(x, result["floor_median"][0], color=GREY, lw=1.1, ls="--", label="floor: exact score")
    ax.set_title("DDIM from its own tau_1 on: medians, dots 95 %", color=GREY)
    ax.legend(loc="lower left", fontsize=7.0)


def _message(result: Result) -> str:
    medians = result["ddim_quantiles"][:, 1, _LAST_NOISY]
    floor = result["floor_median"][1:, _LAST_NOISY].mean()
    bound = result["envelope"][0, _LAST_NOISY]
    return (
        f"At the last noise DDIM's median distance to the segment is {medians[1:].mean():.2g} l on "
        f"trained networks, {medians[0]:.2g} l with the exact score; their error has moved half of "
        f"the paths by {floor:.2g} l or more, where the theorem's bound is {bound:.2g} l"
    )


def draw(results: Results) -> Figure:
    """Distances of DDIM and DDPM, and DDIM's floor."""
    result = results["learned_distance"]
    figure, axes = new_figure(12.0, 4.4, columns=3)
    latest = int(result["times"][0])
    for ax, name in zip(axes, ("ddim", "ddpm"), strict=False):
        _distances(ax, result, name)
    _floor(axes[2], result)
    for ax in axes:
        ax.axvline(result["tau_1"][0], color=ORANGE, label=r"$\tau_1$: two modes dominate (median)")
        ax.axvline(result.number("tau_2"), color=GREEN, ls="-.", label=r"$\tau_2$: separated")
        time_axis(ax, latest)
    axes[2].set_ylim(3e-8, None)
    axes[2].set_xlim(3.0 * float(result["tau_1"][0]), None)
    for ax in axes[:2]:
        ax.set_ylim(3e-4, None)
    axes[0].set_ylabel("distance of y to the nearest segment / l")
    axes[2].set_ylabel("distance to the line of the path's pair / l")
    note = (
        "Nodes of DDIM with 50 steps; solid: medians, dots: 95 % quantiles. The exact score runs "
        "on the first network's noise. n paths of DDIM, DDPM for each network."
    )
    handles = axes[0].get_legend_handles_labels()
    return finish(figure, _message(result), result, note, handles)


FIGURE = FigureSpec(
    id="4L",
    source="Figures 4 and E.9 of 2605.06831, on trained networks",
    stem="fig_4l_learned_distance",
    title="Trained networks: distance to the nearest segment, and the floor of their error",
    caption="Distance of y = x/alpha to the segment between its two nearest modes under each "
    "trained network and the exact score on the same noise. Right: DDIM's offset from the line "
    "through the two modes that dominate a path, split into what its steps leave of it with the "
    "exact score and what the network's error adds, the floor.",
    experiments=("learned_distance",),
    claims=("F4",),
    draw=draw,
)

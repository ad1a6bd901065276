"""Trained networks: eigenvalues at the midpoints, and the traps they make (figure E.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .spec import FigureSpec, Results
from .style import BLACK, GREY, ORANGE, finish, network_look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result


def _message(result: Result) -> str:
    exact, growth = result["exact"], result["growth"]
    negative, places = int((growth <= 0.0).sum()), growth.size
    width, flow = np.median(result["width"][:, 0]), 10.0 ** result["ddim"][0]
    return (
        f"A trained network flattens the saddle: at t = {int(result['times'][-1])} the midpoint's "
        f"eigenvalue is {np.median(growth[:, -1]):.2g} instead of {np.median(exact[-1]):.3g} "
        f"(negative at {negative} of {places:,} places), and the trap from "
        f"t = {int(result['starts'][0])} is {width:.2g}\u00a0l wide instead of {flow:.1g}\u00a0l"
    )


def _eigenvalues(ax: Axes, result: Result) -> None:
    times = result["times"]
    exact = np.median(result["exact"], axis=1)
    ax.plot(times, exact, color=BLACK, lw=3.5, alpha=0.35)
    across = result.recipe["mixture"]["d"] > 1
    if across:
        ax.plot(times, np.full(len(times), -1.0), color=BLACK, lw=3.5, alpha=0.35)
    for k, name in enumerate(result.labels("models")):
        look, growth = network_look(k), result["growth"][k]
        middle = np.median(growth, axis=1)
        ax.plot(times, middle, look.marker + "-", color=look.color, ms=3.5, label=name)
        ax.fill_between(
            times, growth.min(axis=1), growth.max(axis=1), color=look.color, alpha=0.15, lw=0
        )
        if across:
            lowest = np.median(result["lowest"][k], axis=1)
            ax.plot(times, lowest, look.marker + ":", color=look.color, mfc="none", ms=3.5)
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.set_yscale("symlog", linthresh=1.0)
    ax.set(yticks=[-1, 0, 1, 10, 100, 1000], yticklabels=["-1", "0", "1", "10", "100", "1000"])
    ax.set(ylabel="eigenvalue per unit of intrinsic time", title="at the midpoint")


def _widths(ax: Axes, result: Result) -> None:
    starts = result["starts"]
    ax.plot(starts, 10.0 ** result["flow"], "x-", color=BLACK, label="exact flow")
    ax.plot(starts, 10.0 ** result["ddim"], "+--", color=BLACK, label="DDIM, exact score")
    for k, name in enumerate(result.labels("models")):
        look, width = network_look(k), result["width"][k]
        middle = np.median(width, axis=1)
        ax.plot(starts, middle, look.marker + "-", color=look.color, ms=3.5, label=name)
        ax.fill_between(
            starts, width.min(axis=1), width.max(axis=1), color=look.color, alpha=0.15, lw=0
        )
    least = np.median(result["least"], axis=(0, 2))
    ax.plot(starts, least, ":", color=GREY, label="at least, by the growth")
    ax.set(yscale="log", ylabel="width of the trap / l", title="starts that end outside both modes")


def draw(results: Results) -> Figure:
    """Eigenvalues left, width of the trap right, both against the time."""
    result = results["learned_saddles"]
    figure, (left, right) = new_figure(9.0, 4.3, columns=2, ratios=(1.2, 1.0))
    _eigenvalues(left, result)
    _widths(right, result)
    for ax in (left, right):
        ax.axvline(result.number("tau_2"), color=ORANGE, ls="-.")
        ax.set(xscale="log", xlabel="raw time t (noise left, data right)")
        last = result["times"][0]
        ax.set_xlim(last * 1.2, 0.9)
        ticks = [t for t in (1, 3, 10, 30, 100, 300) if t <= last * 1.2]
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
    rates = 100.0 * result["hits"] / result.count("runs")
    note = (
        "Midpoints of the n closest pairs: medians, extremes shaded. Left: grey, the exact score; "
        "hollow, the smallest eigenvalue. Orange: modes separated. Right: the exact flow of two "
        "modes, and DDIM with 50 steps on the networks; "
        f"its runs interpolate in {', '.join(f'{rate:.2g}' for rate in rates)} % of the samples."
    )
    legend = right.get_legend_handles_labels()
    return finish(figure, _message(result), result, note, legend)


FIGURE = FigureSpec(
    id="E.12L",
    source="Figure E.12 of 2605.06831, on trained networks",
    stem="fig_e12l_learned_saddles",
    title="Trained networks: eigenvalues at the midpoints, and the traps between modes",
    caption="Largest and smallest eigenvalue of the learned Jacobian at the midpoints of closest "
    "modes beside the exact ones. Right: the part of a segment whose starts DDIM takes to neither "
    "mode, beside the same for the exact flow.",
    experiments=("learned_saddles",),
    claims=("E.12",),
    draw=draw,
)

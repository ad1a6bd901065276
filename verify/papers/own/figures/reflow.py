"""Reflow: the flow's pairs joined by straight lines, and two pairs that are cheaper exchanged."""

from __future__ import annotations

import numpy as np

from verify.measure.rectified import reflow_pairs

from ....drawing.palette import BLUE, GREY, ORANGE, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure


def _line(ax: Axes, result: Result) -> None:
    times, places = result["times"], result["places"]
    ax.plot(times, places, color=BLUE, lw=1.0)
    ax.plot(times[[0, -1]], places[[0, -1]], color=ORANGE, lw=1.0, ls="--")
    ax.plot([], [], color=BLUE, label="the flow")
    ax.plot([], [], color=ORANGE, ls="--", label="reflow: lines between its pairs")
    ax.set(xlabel="noise level, from pure noise to data", ylabel="place on the line")
    ax.set_xticks([0.0, 0.5, 1.0], ["noise", "half", "data"])
    ax.set_ylim(top=1.35 * float(places.max()))
    ax.set_title("no two lines meet", color=GREY)
    ax.legend(loc="upper left")


def _pair(ax: Axes, result: Result) -> None:
    means, start, end = result["means"], result["start"], result["end"]
    ax.plot(*means.T, "o", color=GREY, ms=4, label="modes")
    for k in (0, 1):
        label = "the flow's pairs" if k == 0 else None
        ax.annotate("", end[k], start[k], arrowprops={"arrowstyle": "->", "color": BLUE, "lw": 1.6})
        ax.plot(*np.array([start[k], end[1 - k]]).T, color=VERMILION, ls=":")
        ax.plot(*start[k], "s", color=BLUE, label=label)
    ax.plot([], [], color=VERMILION, ls=":", label="exchanged: cheaper")
    ax.set_aspect("equal")
    ax.set(xlabel="first coordinate", ylabel="second coordinate")
    ax.set_title("the plane, sheared by half", color=GREY)
    ax.legend(loc="upper left", fontsize=7)


def draw(result: Result) -> Figure:
    """Paths and lines on a line; two pairs in the plane."""
    figure, axes = new_figure(9.0, 4.4, columns=2)
    _line(axes[0], result)
    _pair(axes[1], result)
    message = (
        "Lines between the flow's pairs do not meet, so reflow is done at once, also on a sheared "
        f"grid: tr DT/(2 √det DT) ≥ {result.number('margin'):.4g} there; but two pairs exchanged "
        f"are cheaper, cosine {result.number('cosine'):.2g}"
    )
    note = "Exact score, flow matching from pure noise."
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("X20", "X20'"),
    source="Our own, of result X20",
    title="Straight lines between the flow's pairs",
    caption="Reflow as in 2209.03003. Left: paths of the flow on a line, and the lines that reflow "
    "follows. Right: two pairs of the flow on a sheared grid that cost less when their ends are "
    "exchanged.",
    measure=reflow_pairs,
    draw=draw,
)

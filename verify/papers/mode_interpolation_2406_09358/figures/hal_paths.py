"""Where the predicted clean point moves over the last steps (arXiv 2406.09358 v2, figure 5)."""

from __future__ import annotations

import numpy as np

from mixdyn.support.checks import Array
from verify.measure.interpolation.hal_paths import hal_paths

from ....drawing.palette import BLUE, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure


def _late(paths: Array) -> float:
    """Median over paths (S, n, 2) of the distance covered after the first half of the steps."""
    steps = np.linalg.norm(np.diff(paths, axis=0), axis=2)
    return float(np.nanmedian(steps[len(steps) // 2 :].sum(axis=0)))


def _on_line(ax: Axes, times: Array, right: Array, wrong: Array) -> None:
    """x0_hat itself against time."""
    for paths, color, label in (
        (right, BLUE, "ends in a mode"),
        (wrong, VERMILION, "hallucinates"),
    ):
        ax.plot(times, paths[:, :, 0], color=color, lw=0.7, alpha=0.7)
        ax.plot([], [], color=color, label=label)
    ax.set(xlabel="time t", ylabel="predicted $\\hat x_0$", title="Modes 1, 2, 3")


def _in_plane(ax: Axes, right: Array, wrong: Array) -> None:
    """The path of x0_hat in the plane, its end marked."""
    for paths, color in ((right, BLUE), (wrong, VERMILION)):
        ax.plot(paths[:, :, 0], paths[:, :, 1], color=color, lw=0.7, alpha=0.7)
        ax.plot(paths[-1, :, 0], paths[-1, :, 1], "o", color=color, ms=2.5)
    ax.set(xlabel="first coordinate", ylabel="second", title="5 x 5 grid, $\\hat x_0$ and its end")
    ax.set_aspect("equal")


def draw(result: Result) -> Figure:
    """A line left, the plane right."""
    right, wrong, times = result["right"], result["wrong"], result["times"]
    figure, (line, plane) = new_figure(9.0, 4.6, columns=2, ratios=(1.15, 1.0))
    _on_line(line, times, right[0], wrong[0])
    line.invert_xaxis()
    line.legend(loc="upper left", ncols=2)
    line.set_ylim(0.6, 3.75)
    _in_plane(plane, right[1], wrong[1])
    ratios = [_late(w) / _late(r) for r, w in zip(right, wrong, strict=True)]
    message = (
        f"In the later half of the last {len(times)} steps the predicted point of a hallucination "
        f"moves {ratios[0]:.1f} times as far as that of another sample on the line and "
        f"{ratios[1]:.1f} times on the grid (medians)"
    )
    note = (
        "DDPM on trained networks, from the exact marginal; hallucinations sought among undecided "
        "starts."
    )
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("M5",),
    source="Figure 5 of 2406.09358",
    title="Predicted clean point over the last steps, by outcome",
    caption="Each line is one path of DDPM on a trained network. Red paths end as hallucinations, "
    "blue ones in a mode.",
    measure=hal_paths,
    draw=draw,
    part="paths",
    own_problems=True,
)

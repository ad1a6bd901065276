"""Phase portrait of the reverse flow in the plane (arXiv 2605.06831 v1, figures 1b and 2)."""

from __future__ import annotations

import numpy as np

from mixdyn.geometry import distance_to_segment
from mixdyn.support.checks import Array
from mixdyn.support.numbers import show_share
from verify.measure.phase_portrait import phase_portrait

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure


def _draw_paths(ax: Axes, result: Result, width: float) -> None:
    """The paths, dark from tau on; rasterised, since they are dense."""
    from matplotlib.collections import LineCollection

    paths, late = result["paths"], result["times"] <= result["tau"]
    split = int(np.argmax(late))
    parts = ((paths[: split + 1], "#9ecae8", 2), (paths[split:], BLUE, 3))
    for part, color, order in parts:
        lines = LineCollection(list(part.transpose(1, 0, 2)), colors=color, linewidths=width)
        lines.set(rasterized=True, zorder=order, capstyle="round")
        ax.add_collection(lines)


def _draw_skeleton(ax: Axes, result: Result) -> None:
    """Segments between closest pairs, modes, saddles."""
    means, pairs, saddles = result["means"], result["pairs"], result["saddles"]
    for i, j in pairs:
        ax.plot(*means[[i, j]].T, color=GREY, lw=0.8, zorder=1)
    ax.plot(*means.T, "o", color=BLACK, ms=4, zorder=5, label="mode")
    ax.plot(*saddles.T, "x", color=VERMILION, ms=5, mew=1.5, zorder=5, label="saddle")


def _draw_tube(ax: Axes, result: Result) -> None:
    """The invariant tube around the segment of the pair in the zoomed window."""
    a, b = result["means"][result["pair"]]
    n = (b - a) / np.linalg.norm(b - a)
    across, radius = np.array([-n[1], n[0]]), result.number("tube")
    angle = np.linspace(0.0, np.pi, 40)[:, None]
    cap = np.sin(angle) * n, np.cos(angle) * across
    outline = np.concatenate([b + radius * (cap[0] + cap[1]), a - radius * (cap[0] + cap[1])])
    ax.fill(*outline.T, facecolor=GREEN, alpha=0.22, edgecolor=GREEN, lw=1.0, label="tube")


def _share_in_tubes(result: Result, y: Array) -> float:
    """Share of the points y (n, 2) within the tube's radius of a segment between closest modes."""
    means = result["means"]
    distances = [distance_to_segment(y, means[i], means[j]) for i, j in result["pairs"]]
    return float(np.mean(np.min(distances, axis=0) <= result.number("tube")))


def _draw_field(ax: Axes, result: Result) -> None:
    points, field = result["points"].reshape(-1, 2), result["field"].reshape(-1, 2)
    size = np.linalg.norm(field, axis=1, keepdims=True)
    unit = np.divide(field, size, out=np.zeros_like(field), where=size > 0)
    ax.quiver(
        *points.T,
        *unit.T,
        color="#8c8c8c",
        scale=30,
        width=0.0025,
        pivot="mid",
        zorder=0,
        rasterized=True,
    )
    low, high = points.min(axis=0), points.max(axis=0)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def _message(result: Result) -> str:
    times, tau = result["times"], int(result["tau"])
    shares = [
        f"{show_share(_share_in_tubes(result, result['paths'][k]), 2)} at t = {int(times[k])}"
        for k in (0, int(np.argmax(times <= tau)), -1)
    ]
    saddles = int(np.isfinite(result["saddles"][:, 0]).sum())
    return (
        f"The flow gathers in the tubes between neighbours ({', '.join(shares)}); "
        f"{saddles} of {len(result['pairs'])} segments carry a saddle"
    )


def draw(result: Result) -> Figure:
    """The whole mixture, and the field around one pair at the time tau."""
    figure, (whole, zoom) = new_figure(9.0, 4.9, columns=2)
    _draw_paths(whole, result, 0.6)
    _draw_skeleton(whole, result)
    margin = 0.75 * result.number("length")
    low, high = result["means"].min(axis=0) - margin, result["means"].max(axis=0) + margin
    whole.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    _draw_tube(zoom, result)
    _draw_field(zoom, result)
    _draw_paths(zoom, result, 1.0)
    _draw_skeleton(zoom, result)
    tau = int(result["tau"])
    whole.plot([], [], color="#9ecae8", label=f"flow before t = {tau}")
    whole.plot([], [], color=BLUE, label=f"flow after t = {tau}")
    for ax in (whole, zoom):
        ax.set(aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
        ax.grid(visible=False)
    handles = [*zip(*whole.get_legend_handles_labels(), strict=True)]
    handles += [*zip(*zoom.get_legend_handles_labels(), strict=True)][:1]
    legend = [handle for handle, _ in handles], [label for _, label in handles]
    note = (
        f"Static coordinates y = x/alpha. Arrows: direction of m(y, v) - y at t = {tau}. Tube: "
        f"radius R for margin kappa = {result.number('kappa'):g}, drawn around one pair."
    )
    return finish(figure, _message(result), result, note, legend)


FIGURE = FigureSpec(
    claims=("T4.2", "C4.3", "G.4", "P4.5", "X2'"),
    source="Figures 1b and 2 of 2605.06831",
    title="Phase portrait of the reverse flow",
    caption="Paths of the probability-flow ODE under the exact score in static coordinates, the "
    "segments between closest modes and the saddles on them. Right: one pair, with the direction "
    "of the field and the tube that no path leaves while the pair dominates.",
    measure=phase_portrait,
    draw=draw,
)

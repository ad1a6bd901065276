"""Starts on the segment of two modes that are not isotropic leave it."""

from __future__ import annotations

import numpy as np

from mixdyn.support.numbers import show_share
from verify.measure.bent import bent_paths

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_COLORS = (GREEN, SKY, BLUE, VERMILION, ORANGE)
_MARKERS = "sD^ov"


def _in_plane(ax: Axes, result: Result) -> None:
    modes, (narrow, _), rho = [-0.5, 0.5], result["stds"], result["rho"]
    ax.plot(modes, modes, color=BLACK, lw=4.0, alpha=0.25, label="segment: the starts")
    for k in range(len(result["wide"])):
        ends, half = result["ends"][k], len(result["places"]) // 2
        for part in (ends[:half], ends[half:]):
            ax.plot(*part.T, color=_COLORS[k], marker=_MARKERS[k], ms=2.5, lw=0.9)
    ax.plot(modes, modes, "*", color=BLACK, ms=9, zorder=4, label="modes")
    ax.set(xlabel=f"first coordinate, standard deviation {narrow:g}", ylabel="second coordinate")
    ax.set_aspect("equal")
    ax.set_title(f"ends at ρ = {rho[-1]:g} of starts at ρ = {rho[0]:g}", color=GREY)
    ax.legend(loc="upper left")


def _in_time(ax: Axes, result: Result) -> None:
    rho, place = result["rho"], result.number("place")
    for k, wide in enumerate(result["wide"]):
        off = np.abs(result["paths"][k] @ [1.0, -1.0]) / np.sqrt(2.0)
        ax.plot(rho, off, color=_COLORS[k], marker=_MARKERS[k], markevery=12, label=f"{wide:g}")
        ax.plot(rho, result["allowed"][k], ":", color=_COLORS[k], lw=1.2)
    least, most = result["certified"]
    middle = 0.5 * (least + most)
    ax.plot(result["certified_rho"], middle, "o", color=BLACK, mfc="none", ms=11, label="certified")
    ax.plot([], [], ":", color=GREY, label="X12's bound")
    ax.set(xscale="log", xlim=(rho[0], rho[-1] * 0.9), xlabel="ρ (noise left, data right)")
    ax.set_ylabel("distance from the segment")
    ax.set_title(f"the path from ({place:g}, {place:g}) on the segment", color=GREY)
    ax.legend(loc="upper left", title="second standard deviation", ncols=2)
    ax.set_ylim(-0.005, 1.35 * float(result["allowed"].max()))


def _message(result: Result) -> str:
    length = float(np.sqrt(2.0))
    least, (narrow, wide) = float(result["certified"][0, -1]), result["stds"]
    return (
        f"A start on the segment leaves it where modes are not isotropic: certified "
        f"{least:.3f} off, {show_share(least / length, 2)} of its length, for widths {narrow:g} "
        f"and {wide:g}; none for one width"
    )


def draw(result: Result) -> Figure:
    """Ends of starts on the segment, and the distance of one path from it."""
    figure, (left, right) = new_figure(9.0, 4.6, columns=2)
    _in_plane(left, result)
    _in_time(right, result)
    note = (
        "Two equal modes of one covariance, widths along the axes; flow with the exact score. "
        "Dotted: range of the responsibility times B, in closed form. Certified: one path enclosed "
        "in ball arithmetic."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    claims=("X12",),
    source="Our own, of result X12",
    title="The segment between anisotropic modes bends",
    caption="Beside Theorem 4.2 of 2605.06831, modes that are not isotropic. Left: where starts "
    "along the segment of two modes end, for several widths of the second coordinate (colours and "
    "markers as on the right); the flow of isotropic modes keeps them on it. Right: how far one of "
    "these paths gets off it on the way, and the bound.",
    measure=bent_paths,
    draw=draw,
    own_problems=True,
)

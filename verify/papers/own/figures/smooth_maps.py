"""What smooth maps leave between modes: the bound's share of the truth, by parts of the gap."""

from __future__ import annotations

import numpy as np

from mixdyn.support.numbers import show_share
from verify.measure.smooth_maps import bound_shares

from ....drawing.palette import BLACK, GREY, PALETTE, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure


def _lines(ax: Axes, result: Result) -> None:
    parts = result["parts"]
    for k, length in enumerate(result["lengths"]):
        label = f"exact flow, modes {length:g} σ apart"
        ax.plot(parts, result["exact"][k], color=BLACK, ls=("-", "--", ":")[k], label=label)
    names = result.labels("name")
    for k, name in enumerate(dict.fromkeys(names)):
        for j in np.flatnonzero(np.array(names) == name):
            label = f"network, modes {name.split('-100k')[0].removeprefix('modes-')}"
            ax.plot(
                parts,
                result["line"][j],
                color=PALETTE[k],
                marker="o",
                label=label if j == names.index(name) else None,
            )
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 1.6), xlabel="parts of the gap")
    ax.set_xticks(parts, [str(p) for p in parts])
    ax.minorticks_off()
    ax.set_ylabel("bound / mass of the gap")
    ax.set_title("on a line, DDIM-50", color=GREY)
    ax.legend(loc="lower right")


def _strips(ax: Axes, result: Result) -> None:
    rate, bound = result["rate"], result["bound"]
    x = np.arange(len(rate))
    for k, parts in enumerate(result["strip_parts"]):
        label = "one slope for the gap" if parts == 1 else f"{parts} parts"
        ax.plot(x, bound[:, k] / rate, "os"[k], color=PALETTE[k], label=label)
    ax.axhline(1.0, color=VERMILION, lw=1.0)
    ax.set(yscale="log", ylim=(1e-2, 1.6), xlim=(-0.6, len(rate) - 0.4))
    ax.set_xticks(
        x,
        [f"{name}\n{show_share(r, 2)}" for name, r in zip(result.labels("net"), rate, strict=True)],
    )
    ax.set(xlabel="network and its rate between modes", ylabel="bound / rate")
    ax.set_title("in two dimensions, DDIM-50, across an axis", color=GREY)
    ax.legend(loc="lower right")


def draw(result: Result) -> Figure:
    """The bound's share by parts on lines, and bound against rate in the plane."""
    figure, axes = new_figure(9.0, 4.0, columns=2)
    _lines(axes[0], result)
    _strips(axes[1], result)
    line, plane = result["line"], result["bound"] / np.maximum(result["rate"], 1e-12)[:, None]
    said = []
    if line.size:
        one, parts = (show_share(float(np.median(line[:, k])), 2) for k in (0, 3))
        said.append(
            f"{one} of what trained maps of a line leave between modes, {parts} in "
            f"{result['parts'][3]} parts"
        )
    if plane.size:
        said.append(f"{show_share(float(np.median(plane[:, 0])), 2)} in the plane")
    message = (
        f"Their steepest slope in the gap alone demands {', and '.join(said) or 'nothing here'}"
    )
    note = (
        "Medians. Slopes: products of the steps' Jacobians; the largest of those sampled. A "
        "network of the plane: across its first axis."
    )
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("X18",),
    source="Our own, of result X18",
    title="What smooth maps must leave between modes",
    caption="A converse to 2605.06831: the Gaussian isoperimetric bound on the mass between modes, "
    "over the mass itself, with the steepest slope in the gap, and with the gap in parts.",
    measure=bound_shares,
    draw=draw,
)

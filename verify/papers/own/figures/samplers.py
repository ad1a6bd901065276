"""Public samplers on Gaussian data: the spread that they return (own result)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.support.checks import Array
from verify.measure.gallery import public_samplers

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_COLOURS = (VERMILION, ORANGE, BLUE, GREEN)
_LOW, _HIGH = 0.05, 8.0
_RIGHT = 0.02
_NAMED = (  # (sampler, standard deviation of the point, offset of its name)
    ("diffusers:DPMSolverMultistepScheduler", 0.003, (3, 42)),
    ("diffusers:CosineDPMSolverMultistepScheduler", 0.05, (8, -12)),
    ("diffusers:LCMScheduler", 1.2, (-8, -13)),
    ("azula:xEABSampler", 0.12, (4, 8)),
)


def draw(result: Result) -> Figure:
    """One curve a sampler, on logarithmic axes, the colour by what becomes of the finest data."""
    figure, (ax,) = new_figure(7.6, 4.4)
    std, gain, ends = result["std"], result["gain"], result.labels("end")
    ours = result["ours"].astype(bool)
    colours = dict(zip(result.labels("kinds"), _COLOURS, strict=True))
    ax.axhline(1.0, color=GREY, lw=7.0, alpha=0.3, zorder=1)
    for kind, colour in colours.items():
        own = [k for k, end in enumerate(ends) if end == kind and not ours[k]]
        for k in own:
            label = f"{kind} ({len(own)})" if k == own[0] else None
            ax.plot(std, gain[k], color=colour, lw=0.7, label=label)
    black = ax.plot(std, gain[ours].T, color=BLACK, lw=1.6, ls=(0, (3, 1.5)))
    for line in black[:1]:
        line.set_label("samplers of ours")
    ax.annotate("perfect", (std[-1], 1.0), (-2, 7), textcoords="offset points", ha="right")
    ax.set(xscale="log", yscale="log", xlim=(std[0], std[-1]), ylim=(_LOW, _HIGH))
    ax.set(
        xlabel="standard deviation of the data", ylabel="standard deviation returned / the data's"
    )
    for axis, ticks in ((ax.xaxis, (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)),
                        (ax.yaxis, (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0))):  # fmt: skip
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    for words, at in (("too wide", (0.12, 4.0)), ("too narrow", (0.5, 0.2))):
        ax.text(*at, words, fontsize=12, color=GREY, fontweight="bold")
    for name, place, offset in _NAMED:
        _name(ax, result, name, place, offset, colours)
    wide, narrow = (_right(std, gain[~ours], value) for value in (0.2, 0.007))
    message = (
        f"With the exact score and about 50 evaluations, {wide} of {int((~ours).sum())} public "
        f"samplers return a standard deviation of 0.2 to 2 %, {narrow or 'none'} that of 0.007"
    )
    note = "One curve a sampler in its natural use, exact. Colours: what becomes of data of 0.007."
    return finish(figure, message, result, note, ax.get_legend_handles_labels())


def _name(
    ax: Axes, result: Result, name: str, place: float, offset: tuple[int, int], colours: Any
) -> None:
    """The name of a sampler beside its curve, where that was measured."""
    names = result.labels("name")
    if name not in names:
        return
    k, at = names.index(name), int(np.argmin(np.abs(result["std"] - place)))
    short = name.partition(":")[2].removesuffix("Scheduler").removesuffix("Sampler")
    point = result["std"][at], max(result["gain"][k, at], _LOW)
    colour = colours[result.labels("end")[k]]
    ax.annotate(short, point, offset, fontsize=7.5, color=colour, textcoords="offset points")


def _right(std: Array, gain: Array, value: float) -> int:
    at = int(np.argmin(np.abs(std - value)))
    return int(np.count_nonzero(np.abs(gain[:, at] - 1.0) <= _RIGHT))


FIGURE = FigureSpec(
    claims=("X7",),
    source="Our own, of result X7, public samplers",
    title="Public samplers on Gaussian data: the spread that they return",
    caption="The standard deviation that public samplers return of Gaussian data, over the data's, "
    "at about 50 evaluations of the exact score: nearer to 1 is better. On the left the last step "
    "decides, on the right the steps before it.",
    measure=public_samplers,
    draw=draw,
    part="samplers",
    own_problems=True,
)

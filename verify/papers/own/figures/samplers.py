"""Public samplers on Gaussian data: the spread that they return (own result)."""

from __future__ import annotations

import numpy as np

from verify.measure.gallery import public_samplers

from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    Figure,
    finish,
    new_figure,
)

_COLOURS = (BLUE, VERMILION, ORANGE, GREEN)
_LOW, _HIGH = 0.05, 8.0
_RIGHT = 0.02


def draw(result: Result) -> Figure:
    """One curve a sampler, on logarithmic axes, the colour by what becomes of the finest data."""
    figure, (ax,) = new_figure(8.0, 4.6)
    std, gain, ends = result["std"], result["gain"], result.labels("end")
    ours = result["ours"].astype(bool)
    kinds = sorted(set(ends), key=lambda kind: -ends.count(kind))
    for kind, color in zip(kinds, _COLOURS, strict=False):
        own = [k for k, end in enumerate(ends) if end == kind and not ours[k]]
        for k in own:
            label = f"{kind} ({len(own)})" if k == own[0] else None
            ax.plot(std, gain[k], color=color, lw=0.9, alpha=0.6, label=label)
    for k in np.flatnonzero(ours):
        label = "samplers of ours" if k == np.flatnonzero(ours)[0] else None
        ax.plot(std, gain[k], color=BLACK, lw=1.6, ls=(0, (3, 1.5)), label=label)
    ax.axhline(1.0, color=GREY, lw=2.0, zorder=1)
    ax.annotate("perfect", (std[-1], 1.0), (0, 5), textcoords="offset points", ha="right")
    ax.set(xscale="log", yscale="log", xlim=(std[0], std[-1]), ylim=(_LOW, _HIGH))
    ax.set(
        xlabel="standard deviation of the data", ylabel="standard deviation returned / the data's"
    )
    ticks = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    wide = int(np.argmin(np.abs(std - 0.2)))
    right = int(np.count_nonzero(np.abs(gain[~ours, wide] - 1.0) <= _RIGHT))
    fine = int(np.count_nonzero(np.abs(gain[~ours, 0] - 1.0) <= _RIGHT))
    message = (
        f"With the exact score and about 50 evaluations, {right} of {int((~ours).sum())} public "
        f"samplers return data of standard deviation 0.2 to 2 %, {fine} data of {std[0]:g}"
    )
    note = "Exact, by impulses. Colours: what becomes of data of standard deviation 0.007."
    return finish(figure, message, result, note, ax.get_legend_handles_labels())


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

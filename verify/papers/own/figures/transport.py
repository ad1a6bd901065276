"""What DDIM leaves in W2 on grids of equal steps: one mode, and modes far apart."""

from __future__ import annotations

import numpy as np

from verify.measure.transport import distances

from ....drawing.palette import BLACK, GREY, PALETTE
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_MARKERS = "osD^v"


def _curves(ax: Axes, result: Result, key: str) -> None:
    steps = result["steps"]
    for k, name in enumerate(result.labels("names")):
        ax.plot(steps, result[key][k], color=PALETTE[k], marker=_MARKERS[k], label=name)
    ax.set(xscale="log", yscale="log", xlabel="steps")
    ax.set_xticks(steps, [str(k) for k in steps])
    ax.minorticks_off()


def draw(result: Result) -> Figure:
    """W2 over sigma over the number of steps, with its closed limits."""
    figure, axes = new_figure(9.0, 4.0, columns=2)
    steps = result["steps"]
    _curves(axes[0], result, "one")
    axes[0].plot(steps, np.pi**2 / 8 / steps, color=BLACK, ls=":", label="π²/(8 steps)")
    axes[0].set_ylabel("W2 / σ")
    axes[0].set_title("one mode in one dimension", color=GREY)
    _curves(axes[1], result, "line")
    for k, far in enumerate(result["far"]):
        if result.labels("names")[k] != "tangent, mode":
            label = "weights alone, closed" if k == 1 else None
            axes[1].plot(steps, far / np.sqrt(steps), color=PALETTE[k], ls=":", label=label)
    axes[1].set_title(f"the line, modes {result.number('length'):.3g} σ apart", color=GREY)
    at = int(np.argmin(np.abs(steps - 20)))
    names = result.labels("names")
    own, data = names.index("tangent, mode"), names.index("tangent, data")
    one, line = result["one"][:, at], result["line"][:, at]
    message = (
        f"{steps[at]} steps of DDIM leave W2 = {one[own]:.2g} σ of one mode on its tangent law, "
        f"the best there is, but {line[own]:.3g} σ of modes far apart, where the tangent law of "
        f"the data leaves {line[data]:.3g} σ"
    )
    note = "Exact score. Modes far apart: weights err as 1/steps, W2 as their root."
    return finish(figure, message, result, note, axes[1].get_legend_handles_labels())


FIGURE = FigureSpec(
    claims=("X19",),
    source="Our own, of result X19",
    title="DDIM's error in W2 by grid and steps",
    caption="Left: one mode, where equal angles, the tangent law of 2601.13602, are best for every "
    "number of steps. Right: modes far apart, where weights decide and the error falls with the "
    "root of the steps.",
    measure=distances,
    draw=draw,
)

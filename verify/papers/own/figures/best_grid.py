"""Price against the number of steps, by grid (X13')."""

from __future__ import annotations

import numpy as np

from verify.measure.prices.grids import both_prices

from ....drawing.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_COLOURS = (VERMILION, ORANGE, BLUE, GREY, GREEN, PURPLE, SKY)


def _panel(ax: Axes, result: Result, problem: str, title: str) -> None:
    counts, names = result["counts"], result.labels("names")
    total = result[f"{problem}_start"] + result[f"{problem}_steps"]
    for name, line, colour in zip(names, total, _COLOURS, strict=True):
        width = 2.2 if name in result.labels("best") else 1.2
        ax.loglog(counts, line, "o-", color=colour, lw=width, ms=4, label=name)
    full = float(result[f"{problem}_full"].sum())
    ax.axhline(full, color=GREY, ls=":", label="all steps (DDPM)")
    ax.set(xlabel="steps K", ylabel="start and steps (nats)", title=title)
    ax.set_xticks(counts, [str(k) for k in counts])
    ax.minorticks_off()
    ax.set_ylim(0.5 * min(full, total.min()), 2e3)


def draw(result: Result) -> Figure:
    """The case's problem left, 25 modes in 64 dimensions right."""
    figure, (left, right) = new_figure(10.0, 4.4, columns=2)
    _panel(left, result, "own", "This problem")
    _panel(right, result, "high", "25 modes, d = 64")
    left.legend(fontsize=7, loc="upper right")
    names, counts = result.labels("names"), result["counts"]
    total = dict(zip(names, result["own_start"] + result["own_steps"], strict=True))
    best, k = total[result.labels("best")[0]], int(np.argmin(np.abs(counts - 30)))
    quadratic = np.log(total["quadratic"][::-1])
    same = np.exp(np.interp(np.log(best[k]), quadratic, np.log(counts[::-1])))
    message = (
        f"{counts[k]} steps on the grid of the least price pay {best[k]:.2g} nats, as "
        f"{same:.0f} quadratic steps do; {total['quadratic'][k]:.2g} on {counts[k]} of those"
    )
    note = (
        "KL(exact paths || those of a sampler with eta = 1), to the last noisy state; all grids "
        "end at time 1. price: the least with a start of at most 0.001 nats; least total: with any "
        "start. equal arc: equal shares of the integral of sqrt(-d mmse/dg). Right by draws."
    )
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("X13'",),
    source="Our own, of result X13'",
    title="Price in nats against the number of steps, by grid",
    caption="What the steps of samplers with eta = 1 cost on seven grids, and on all steps.",
    measure=both_prices,
    draw=draw,
)

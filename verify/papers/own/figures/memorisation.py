"""When a data set is memorised: clones that come back to their data point (X15)."""

from __future__ import annotations

import numpy as np

from verify.measure.recall import recall_curves

from ....drawing.palette import BLUE, GREEN, GREY, ORANGE, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_LINES = ((BLUE, "-", "o"), (VERMILION, "--", "s"), (GREEN, "-.", "^"))


def _curves(ax: Axes, result: Result) -> None:
    pairs = [tuple(map(int, name.split(", "))) for name in result.labels("names")]
    for (n, d), curve, (color, line, mark) in zip(pairs, result["curves"], _LINES, strict=True):
        ax.plot(result["shares"], curve, line, color=color, label=f"n = {n}, d = {d}")
        mine = (result["size"] == n) & (result["d"] == d)
        ax.errorbar(
            result["engine_share"][mine], result["engine"][mine],
            2.0 * result["engine_error"][mine], fmt=mark, color=color, ms=4,
        )  # fmt: skip
    ax.axvline(1.0, color=ORANGE, lw=1.0)
    ax.axhline(0.5, color=GREY, ls=":", lw=0.8)
    ax.set(
        xscale="log", ylim=(0.0, 1.02), xlabel="\u03c1 / \u03c1_C,  I(x\u2080; x) = log n at 1",
        ylabel="clones that return to their point",
    )  # fmt: skip
    ax.set_xticks([0.1, 0.3, 1, 3, 8], ["0.1", "0.3", "1", "3", "8"])
    ax.minorticks_off()
    ax.set_title("Gaussian data; points: the engine", color=GREY)
    ax.legend()


def _halves(ax: Axes, result: Result) -> None:
    for n, (color, line, mark) in zip(np.unique(result["half_n"]), _LINES, strict=False):
        mine = result["half_n"] == n
        d, half = result["half_d"][mine], result["half"][mine]
        ax.plot(d, half, mark + line, color=color, label=f"n = {n:,}")
    ax.axhline(1.0, color=ORANGE, lw=1.0, label="\u03c1_C, no less (X15)")
    d = np.unique(result["half_d"])
    ax.set(xscale="log", ylim=(0.95, 1.05 * result["half"].max()), xlabel="d",
           ylabel="\u03c1 of half return / \u03c1_C")  # fmt: skip
    ax.set_xticks(d, [str(each) for each in d])
    ax.minorticks_off()
    ax.set_title("where half of the clones return", color=GREY)
    ax.legend()


def _message(result: Result) -> str:
    half, d = result["half"], result["half_d"]
    last = half[d == d.max()]
    first = half[d == d.min()]
    return (
        f"Data are memorised where a state and its origin share log n nats: half return at "
        f"{last.min():.2f} to {last.max():.2f} times that variance in {d.max()} dimensions, "
        f"{first.min():.2f} to {first.max():.2f} in {d.min()}"
    )


def draw(result: Result) -> Figure:
    """Return over noise left, the noise of half return over dimension right."""
    figure, (left, right) = new_figure(9.4, 4.2, columns=2)
    _curves(left, result)
    _halves(right, result)
    note = (
        "Lines: mean over data sets of N(0, I) in closed form. Points: means of the engine's "
        "responsibility of the own point over data sets, two standard errors. \u03c1_C = "
        "1/(n^(2/d) - 1)."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    claims=("X15",),
    source="Our own, of result X15",
    title="Memorisation: clones of a data point that return to it, over the noise",
    caption="How often a draw of the data's own reverse diffusion returns to the point that a "
    "state was made of, over the noise in units of that at which the two share log n nats.",
    measure=recall_curves,
    draw=draw,
    own_problems=True,
)

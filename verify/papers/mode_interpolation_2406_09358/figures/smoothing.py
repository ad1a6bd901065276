"""Predicted x_0 between two modes by time, learned and exact (arXiv 2406.09358 v2, figure 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.support.numbers import show_share
from verify.measure.interpolation.smoothing import score_smoothing

from ....drawing.palette import BLACK, GREY, ORANGE, PALETTE, network_look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, eigenvalue_axis, finish, new_figure, time_axis

_TIMES = (1, 3, 8, 26)
_MODEL = "modes-1-2-3-100k-0"


def _turns(ax: Axes, result: Result) -> None:
    """x0_hat along a segment at four times: exact dashed, network solid."""
    names = result.labels("models")
    model = names.index(_MODEL) if _MODEL in names else 0
    for at, t in enumerate(_TIMES):
        k, color = int(np.flatnonzero(result["times"] == t)[0]), PALETTE[at]
        ax.plot(result["places"], result["x0_hat"][model, k], color=color, label=f"t = {t}")
        ax.plot(result["places"], result["exact_x0_hat"][k], "--", color=color, lw=1.0)
    ax.set(xlabel="place between two modes / l", ylabel="predicted x0 / l")
    ax.set_title(f"network {names[model]}; dashed: exact", color=GREY)
    ax.legend(loc="upper left")


def _slopes(ax: Axes, result: Result) -> None:
    times = result["times"]
    ax.plot(times, result["exact_eigenvalue"], color=BLACK, lw=3.0, alpha=0.4, label="exact")
    for k in range(len(result.labels("models"))):
        look = network_look(k)
        ax.plot(times, result["eigenvalue"][k], look.marker + "-", color=look.color, ms=3.0, lw=0.9)
    eigenvalue_axis(ax, 100)
    ax.set_title("eigenvalue at the midpoint", color=GREY)
    ax.legend(loc="upper right")


def _sigmas(ax: Axes, result: Result) -> None:
    times, room = result["times"], result["room"]
    for k, name in enumerate(result.labels("models")):
        look, label = network_look(k), name.removeprefix("modes-").removesuffix("-0")
        style: dict[str, Any] = {"color": look.color, "ms": 3.0, "lw": 0.9}
        ax.plot(times[room], result["sigma"][k][room], look.marker + "-", label=label, **style)
        ax.plot(times[room], result["left"][k][room], look.marker + ":", mfc="none", **style)
    ax.axhline(1.0, color=BLACK, lw=0.8)
    ax.set_ylim(0.0, 2.4)
    ax.set_title("fitted sigma / sigma; dotted: error left", color=GREY)
    ax.legend(loc="upper left", fontsize=6.5, ncols=2)


def draw(result: Result) -> Figure:
    """x0_hat, the slope at the midpoint, and the sigma of the nearest exact score."""
    figure, axes = new_figure(12.0, 4.0, columns=3, ratios=(1.1, 1.0, 1.0))
    _turns(axes[0], result)
    _slopes(axes[1], result)
    _sigmas(axes[2], result)
    time_axis(axes[1], 120.0)
    time_axis(axes[2], 9.0)
    axes[1].axvline(result["times"][result["room"]].max(), color=ORANGE, ls="-.")
    k = int(np.flatnonzero(result["times"] == _TIMES[1])[0])
    message = (
        f"A network turns from mode to mode too gently: at t = {_TIMES[1]} the midpoint's "
        f"eigenvalue is {np.median(result['eigenvalue'][:, k]):.2g} instead of "
        f"{result['exact_eigenvalue'][k]:.2g}, and a sigma {np.median(result['sigma'][:, k]):.2g} "
        f"times as large leaves {show_share(np.median(result['left'][:, k]), 2)} of the error"
    )
    note = (
        "Closest pairs on lines. Orange: from there on modes are six sigma_t/alpha_t apart. "
        "Right: the mixture's sigma whose exact score is nearest between the modes, and the "
        "share of the score's squared error that it leaves. n places on a segment."
    )
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("M2",),
    source="Figure 4 of 2406.09358",
    title="Predicted x0 between two modes by time, learned and exact",
    caption="Left: the predicted x0 of a network along the segment between two modes beside the "
    "exact one. Middle: the flow's eigenvalue at the midpoint. Right: the wider mixture whose "
    "exact score is nearest, and what it leaves unexplained.",
    measure=score_smoothing,
    draw=draw,
    own_problems=True,
)

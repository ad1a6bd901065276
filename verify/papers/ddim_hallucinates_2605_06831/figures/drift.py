"""Trained networks: the drift between two modes (arXiv 2605.06831 v1, Appendices C.4 and C.5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.measure.saddles.learned import learned_drift

from ....drawing.palette import BLACK, BLUE, GREY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_MODEL = 0  # the first network is drawn, all are counted
_THIN = 3  # places a line of a single segment skips: they are smooth, and many


def _message(result: Result) -> str:
    last = result["learned"][:, -1], result["exact"][-1]
    inner = np.abs(result["z"]) < 0.5
    learned, exact = (np.abs(drift[..., inner]).max(axis=-1) for drift in last)
    stable = int(result["stable"].sum())
    return (
        f"The learned trap is a slow stretch, not a sink: at t = {int(result['times'][-1])} the "
        f"drift reaches {np.median(learned):.2g}\u00a0l per unit of intrinsic time instead of "
        f"{np.median(exact):.2g}\u00a0l; of {result.count('found'):,} equilibria between modes "
        f"at late times {stable or 'none'} attract{'s' if stable < 2 else ''}"
    )


def _panel(ax: Axes, result: Result, k: int) -> None:
    z, learned = result["z"], result["learned"][_MODEL, k]
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.plot(z[::_THIN], learned[:, ::_THIN].T, color=BLUE, lw=0.5, alpha=0.35)
    ax.plot(z, np.median(learned, axis=0), color=BLUE, lw=2.0)
    ax.plot(z, np.median(result["exact"][k], axis=0), color=BLACK, lw=1.5, ls="--")
    zeros = result["saddles"][_MODEL, k]
    style: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4.0, "alpha": 0.7, "zorder": 4}
    ax.plot(zeros, np.zeros_like(zeros), color=VERMILION, mew=0.0, **style)
    ax.set(xlim=(-0.6, 0.6), ylim=(-0.55, 0.55), xlabel="place z / l")
    ax.set_xticks([-0.5, 0.0, 0.5], ["mode", "midpoint", "mode"])
    ax.set_title(f"t = {int(result['times'][k])}", color=GREY)


def draw(result: Result) -> Figure:
    """The drift along the segments at four late times, noise left, data right."""
    count = len(result["times"])
    figure, axes = new_figure(9.0, 3.6, columns=count)
    for k, ax in enumerate(axes):
        _panel(ax, result, k)
        ax.tick_params(labelleft=k == 0)
    axes[0].set_ylabel("drift along the segment / l")
    handles: list[Any] = [
        axes[0].plot([], [], color=BLACK, ls="--")[0],
        axes[0].plot([], [], color=BLUE, lw=2.0)[0],
        axes[0].plot([], [], color=VERMILION, ls="none", marker="o", ms=4.0)[0],
    ]
    legend = (handles, ["exact score", "learned, every segment and median", "learned saddles"])
    note = (
        f"Network drawn: {result.labels('models')[_MODEL]}; the title counts all "
        f"{len(result.labels('models'))}. n segments between closest modes; per unit of intrinsic "
        "time."
    )
    return finish(figure, _message(result), result, note, legend)


FIGURE = FigureSpec(
    claims=("C.4", "C.5"),
    source="Appendices C.4 and C.5 of 2605.06831",
    title="Trained networks: the drift between two modes",
    caption="The part of the flow along the segments between closest modes, learned and exact, at "
    "four late times. Dots: equilibria of the learned flow next to the midpoints.",
    measure=learned_drift,
    draw=draw,
)

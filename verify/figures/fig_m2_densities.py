"""Densities between modes by training set and distance (arXiv 2406.09358 v2, figure 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .spec import FigureSpec, Results
from .style import BLACK, GREY, PALETTE, PURPLE, finish, joint_legend, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result

_SHOWN = ("1-2-3", "1-2-4")
_LINES = ("-", "--", "-.", ":")
FLOOR = 1e-9


def panel(ax: Axes, result: Result, name: str) -> None:
    """Every network of one line, the exact score and the data, on a logarithmic axis."""
    edges, k = result["edges"], result.labels("lines").index(name)
    ax.stairs(result["own"][k], edges, color=GREY, fill=True, alpha=0.25, label="the data")
    ax.stairs(result["exact"][k], edges, color=BLACK, lw=1.2, label="DDPM, exact score")
    for at, index in enumerate(np.flatnonzero(result["line"] == k)):
        label = f"{result['points'][index] // 1000}k points"
        color = PALETTE[at % len(PALETTE)]
        ax.stairs(
            result["density"][index], edges, color=color, ls=_LINES[at % 4], lw=1.1, label=label
        )
    last = float(name.rsplit("-", 1)[1])
    ax.set(yscale="log", ylim=(FLOOR, 10.0), xlim=(0.5, last + 0.5), xlabel="x")
    ax.set_title(f"modes at {name.replace('-', ', ')}", color=GREY)


def _message(result: Result) -> str:
    names, line, rate = result.labels("lines"), result["line"], result["rate"]
    parts = []
    for name in _SHOWN:
        own = rate[line == names.index(name)]
        parts.append(f"{own[0]:.1e} to {own[-1]:.1e} (modes at {name.replace('-', ', ')})")
    return (
        "A network fills the gap between modes; from 25,000 to 500,000 training points DDPM's "
        f"probability of ending there goes from {' and '.join(parts)}"
    )


def draw(results: Results) -> Figure:
    """The modes at 1, 2, 3 left, at 1, 2, 4 right; the streamed histogram left."""
    result = results["line_densities"]
    figure, axes = new_figure(10.0, 4.2, columns=2)
    for ax, name in zip(axes, _SHOWN, strict=True):
        panel(ax, result, name)
    edges, counts = result["edges"], result["counts"]
    seen = counts > 0
    middle = 0.5 * (edges[1:] + edges[:-1])
    height = counts / (result.count() * np.diff(edges))
    axes[0].plot(middle[seen], height[seen], ".", ms=2.5, color=PURPLE, label="its samples")
    axes[0].set_ylabel("density")
    note = (
        "Laws of DDPM with 1,000 steps by quadrature, no sampling error; dots: n samples of the "
        "exact score, streamed. One network for each size of the training set."
    )
    legend = joint_legend(axes)
    shown = [k for k, label in enumerate(legend[1]) if not label.startswith("none seen")]
    kept = [legend[0][k] for k in shown], [legend[1][k] for k in shown]
    return finish(figure, _message(result), result, note, kept)


FIGURE = FigureSpec(
    id="M-2",
    source="Figure 2 of 2406.09358",
    stem="fig_m2_densities",
    title="Densities between modes on a line, by training set and distance",
    caption="The law of DDPM's samples on a line of modes, on a logarithmic axis: trained networks "
    "by the size of their training set, the exact score, and the data themselves.",
    experiments=("line_densities",),
    claims=("M4",),
    draw=draw,
)

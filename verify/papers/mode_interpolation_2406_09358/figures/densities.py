"""Densities between modes by training set and distance (arXiv 2406.09358 v2, figure 2)."""

from __future__ import annotations

import numpy as np

from verify.measure.interpolation.densities import line_densities

from ....drawing.palette import BLACK, GREY, PALETTE, PURPLE
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, joint_legend, new_figure

_THREE = ("1-2-3", "1-2-4")
_OTHER = ("1-2", "1-2-4-5")
_LINES = ("-", "--", "-.", ":")
_FLOOR = 1e-9


def _panel(ax: Axes, result: Result, name: str) -> None:
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
    ax.set(yscale="log", ylim=(_FLOOR, 10.0), xlim=(0.5, last + 0.5), xlabel="x")
    ax.set_title(f"modes at {name.replace('-', ', ')}", color=GREY)


def _message(result: Result) -> str:
    names, line, rate = result.labels("lines"), result["line"], result["rate"]
    parts = []
    for name in _THREE:
        own = rate[line == names.index(name)]
        parts.append(f"{own[0]:.1e} to {own[-1]:.1e} (modes at {name.replace('-', ', ')})")
    return (
        "A network fills the gap between modes; from 25,000 to 500,000 training points DDPM's "
        f"probability of ending there goes from {' and '.join(parts)}"
    )


def draw(result: Result) -> Figure:
    """The modes at 1, 2, 3 left, at 1, 2, 4 right; the streamed histogram left."""
    figure, axes = new_figure(10.0, 4.2, columns=2)
    for ax, name in zip(axes, _THREE, strict=True):
        _panel(ax, result, name)
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


M4 = FigureSpec(
    claims=("M4",),
    source="Figure 2 of 2406.09358",
    title="Densities between modes on a line, by training set and distance",
    caption="The law of DDPM's samples on a line of modes, on a logarithmic axis: trained networks "
    "by the size of their training set, the exact score, and the data themselves.",
    measure=line_densities,
    draw=draw,
    own_problems=True,
)


def draw_others(result: Result) -> Figure:
    """Two modes left, four right."""
    figure, axes = new_figure(10.0, 4.0, columns=2)
    names, parts = result.labels("lines"), []
    for ax, name in zip(axes, _OTHER, strict=True):
        _panel(ax, result, name)
        ax.legend(loc="upper center", fontsize=7.0)
        rate = result["rate"][result["line"] == names.index(name)]
        parts.append(f"{rate[-1]:.1e} of DDPM's samples (modes at {name.replace('-', ', ')})")
    axes[0].set_ylabel("density")
    message = f"Two modes interpolate as three and four do: {' and '.join(parts)} end between modes"
    note = "Laws of DDPM with 1,000 steps by quadrature. One network each."
    return finish(figure, message, result, note)


M4_LINES = FigureSpec(
    claims=("M4",),
    source="Figures 9 to 12 of 2406.09358",
    title="Densities between two and among four modes on a line",
    caption="As figure M4 for modes at 1, 2 and at 1, 2, 4, 5: a trained network, the exact score "
    "and the data.",
    measure=line_densities,
    draw=draw_others,
    part="lines",
    own_problems=True,
)

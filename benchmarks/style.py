"""How every plot of the benchmarks looks: colours of Okabe and Ito, markers and lines that differ
as well, so that no plot needs colour; the answer stands above it, the machine below."""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import functools
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixdyn.support.files import write_atomically

from .harness import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000", "#767676")
MARKERS = "osv^Dp<>"
_LINES = ("-", "--", "-.", ":")
_SETTINGS: dict[str, Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "mixdyn",
}


def look(k: int) -> dict[str, Any]:
    """Colour, marker and line of the k-th series, for `Axes.plot`."""
    return {
        "color": PALETTE[k % len(PALETTE)],
        "marker": MARKERS[k % len(MARKERS)],
        "linestyle": _LINES[k // len(PALETTE) % len(_LINES)],
    }


def new_figure(columns: int = 1, width: float = 6.4, height: float = 3.8) -> tuple[Any, list[Axes]]:
    """A figure of panels side by side, sizes in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)
    return figure, list(axes[0])


def bars(ax: Axes, rows: list[Result], unit: str, label: str = "contender") -> None:
    """Medians of `rows` as points with their extremes, on a logarithmic axis, best on top."""
    ranked = sorted(rows, key=lambda row: row["median"], reverse=True)
    for place, row in enumerate(ranked):
        ours = row[label].startswith("mixdyn")
        ax.plot([row["low"], row["high"]], [place, place], color=PALETTE[0 if ours else 1], lw=2)
        ax.plot(row["median"], place, "o" if ours else "s", color=PALETTE[0 if ours else 1])
        ax.annotate(f" {row['median']:.3g}", (row["high"], place), fontsize=8, va="center")
    ax.set(xscale="log", xlabel=unit, yticks=range(len(ranked)))
    ax.set_yticklabels([row[label] for row in ranked])
    ax.margins(x=0.15)


def save(figure: Figure, result: Result, folder: Path) -> list[Path]:
    """Write NAME.svg and NAME.png with the answer above and the machine below."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    where, width = result["machine"], figure.get_size_inches()[0]
    title = "\n".join(textwrap.wrap(result["answer"], int(width * 11.5)))
    figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    note = f"{where['processor']}, {where['vectors']}, {where['cores']} cores"
    figure.text(0.99, 0.004, note, fontsize=7, color="#767676", ha="right", va="bottom")
    figure.set_layout_engine("constrained", rect=(0.0, 0.05, 1.0, 0.95))
    kinds: dict[str, dict[str, Any]] = {
        "svg": {"metadata": {"Date": None, "Creator": None, "Title": result["question"]}},
        "png": {"metadata": {"Software": None, "Title": result["question"]}, "dpi": 150},
    }
    paths = []
    with mpl.rc_context(_SETTINGS):
        for kind, options in kinds.items():
            path = folder / f"{result['name']}.{kind}"
            write_atomically(path, functools.partial(figure.savefig, format=kind, **options))
            paths.append(path)
    return paths

"""How every plot of the benchmarks looks: as the ledger's figures; markers and lines differ as well
as colours, so that no plot needs colour; the answer stands above it, the machine below."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.drawing import palette
from verify.drawing import style as drawing

from .harness import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = (*palette.PALETTE[:-1], palette.GREY)
MARKERS = "osv^Dp<>"
_LINES = ("-", "--", "-.", ":")


def look(k: int) -> dict[str, Any]:
    """Colour, marker and line of the k-th series, for `Axes.plot`."""
    return {
        "color": PALETTE[k % len(PALETTE)],
        "marker": MARKERS[k % len(MARKERS)],
        "linestyle": _LINES[k // len(PALETTE) % len(_LINES)],
    }


def new_figure(columns: int = 1, width: float = 6.4, height: float = 3.8) -> tuple[Any, list[Axes]]:
    """A figure of panels side by side, sizes in inches."""
    with drawing.settings():
        return drawing.new_figure(width, height, columns=columns)


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
    where, width = result["machine"], figure.get_size_inches()[0]
    title = "\n".join(textwrap.wrap(result["answer"], int(width * 11.5)))
    figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    note = f"{where['processor']}, {where['vectors']}, {where['cores']} cores"
    figure.text(0.99, 0.004, note, fontsize=7, color=palette.GREY, ha="right", va="bottom")
    figure.set_layout_engine("constrained", rect=(0.0, 0.05, 1.0, 0.95))
    with drawing.settings():
        return drawing.save(figure, folder, result["name"], result["question"])

"""How every figure looks: one layout, one way to show a rate and to save a file.

Matplotlib is imported where a figure is drawn.
"""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import __version__
from mixdyn.geometry import Region
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.files import write_atomically
from mixdyn.support.statistics import clopper_pearson

from .palette import GREY, Look
from .spec import Result

if TYPE_CHECKING:
    # Every figure takes its types from here.
    from matplotlib.axes import Axes as Axes  # noqa: PLC0414
    from matplotlib.figure import Figure as Figure  # noqa: PLC0414
else:
    Axes = Figure = Any  # for annotations alone

_SETTINGS: Mapping[str, Any] = {
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "mixdyn",
    "path.simplify": True,
    "figure.dpi": 100.0,
}
_TITLE_SIZE, _NOTE_SIZE = 11.0, 7.5


@contextmanager
def settings() -> Iterator[None]:
    """The settings of every figure; nothing outside the block changes."""
    import matplotlib as mpl

    with mpl.rc_context({**mpl.rcParamsDefault, **_SETTINGS, "backend": "agg"}):
        yield


def new_figure(
    width: float, height: float, *, columns: int = 1, ratios: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of `columns` panels side by side, sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, width_ratios=ratios)
    return figure, list(axes[0])


def finish(
    figure: Figure,
    message: str,
    result: Result,
    note: str = "",
    legend: tuple[Sequence[Any], Sequence[str]] | None = None,
) -> Figure:
    """Write the message above the panels, and below them what was measured and how.

    legend: handles and labels of one legend for all panels, set between panels and note.
    """
    width, height = figure.get_size_inches()
    _write_title(figure, _unbroken(message))
    text = f"{note} {describe(result)}".strip()
    notes = textwrap.wrap(_unbroken(text), int(width * 17.3))
    foot = (len(notes) * _NOTE_SIZE * 1.35 + 3.0) / 72.0 / height
    if legend is not None:
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, foot)}
        rows = math.ceil(sum(len(label) + 7 for label in legend[1]) / (width * 13.0))
        columns = math.ceil(len(legend[1]) / rows)
        figure.legend(*legend, ncols=columns, borderaxespad=0.3, **place)
        foot += (0.09 + 0.18 * rows) / height
    figure.set_layout_engine("constrained", rect=(0.0, foot, 1.0, 1.0 - foot))
    figure.text(0.01, 0.008, "\n".join(notes), fontsize=_NOTE_SIZE, color=GREY, va="bottom")
    return figure


def _write_title(figure: Figure, message: str) -> None:
    """The message as the title, in lines that end within the figure however wide their letters."""
    width = int(figure.get_size_inches()[0] * 11.2)  # letters of usual width
    place: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": _TITLE_SIZE, "fontweight": "bold"}
    title = figure.suptitle("\n".join(textwrap.wrap(message, width)), **place)
    while title.get_window_extent().x1 > 0.99 * figure.bbox.x1 and width > 1:
        width -= 1
        title.set_text("\n".join(textwrap.wrap(message, width)))


def _unbroken(text: str) -> str:
    """The text with no line break between a number and its unit or its name."""
    return text.replace(" = ", "\u00a0=\u00a0").replace(" %", "\u00a0%")


def describe(result: Result) -> str:
    """Problem, samples and seed of a result in one sentence."""
    case, problem = result.case, ""
    if not result.own_problems:
        problem = f"Case {case.name}: {case.mixture.N} modes, d = {case.mixture.d}, "
        problem += f"T = {case.schedule.T}. "
    counts = ", ".join(f"{n:,}" for n in np.atleast_1d(result["n"]).tolist())
    return f"{problem}n = {counts}; seed {case.seed}; mixdyn {__version__}."


def intervals(hits: ArrayLike, n: ArrayLike) -> tuple[Array, Array, Array]:
    """Rates and the ends of their 95 % Clopper-Pearson intervals, each the shape of hits; n is one
    number of samples or one for each."""
    counts = np.atleast_1d(np.asarray(hits))
    trials = np.broadcast_to(np.asarray(n), counts.shape)
    pairs = zip(counts.ravel(), trials.ravel(), strict=True)
    ends = np.array([clopper_pearson(int(k), int(m)) for k, m in pairs]).reshape(-1, 2)
    low, high = (side.reshape(counts.shape) for side in ends.T)
    return counts / trials, low, high


def plot_rate(
    ax: Axes, x: ArrayLike, hits: ArrayLike, n: ArrayLike, look: Look, label: str
) -> None:
    """Rates in per cent with 95 % intervals; where nothing was seen, a hollow upper limit. n: of
    all rates, or of each."""
    place = np.asarray(x, dtype=float)
    rate, low, high = (100.0 * side for side in intervals(hits, n))
    seen = rate > 0.0
    ax.plot(place[seen], rate[seen], look.line, color=look.color, lw=1.2, zorder=2)
    ax.errorbar(
        place[seen],
        rate[seen],
        yerr=np.array([rate - low, high - rate])[:, seen],
        fmt=look.marker,
        color=look.color,
        capsize=2.0,
        elinewidth=1.0,
        label=label,
        zorder=3,
    )
    limit: dict[str, Any] = {
        "marker": 7,
        "markersize": 6.0,
        "linestyle": "none",
        "color": look.color,
    }
    ax.plot(place[~seen], high[~seen], markerfacecolor="none", zorder=3, **limit)


def plot_rates(
    ax: Axes,
    x: ArrayLike,
    counts: IntArray,
    look: Look,
    label: str,
    regions: Sequence[Region] = (Region.INTERPOLATION,),
) -> None:
    """As `plot_rate` shows them, the rates of ending in the regions: class counts (V, 3)."""
    plot_rate(ax, x, counts[:, list(regions)].sum(axis=1), counts.sum(axis=1), look, label)


def side_by_side(n: int) -> Array:
    """(n,) steps aside, around none, for points that would hide one another."""
    return np.arange(n, dtype=np.float64) - 0.5 * (n - 1)


def percent_axis(ax: Axes, low: float, high: float = 100.0) -> None:
    """A logarithmic vertical axis in per cent, its ticks written out."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.set(yscale="log", ylim=(low, high))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def time_axis(ax: Axes, latest: float, clean: float | None = None) -> None:
    """A logarithmic axis of raw time from `latest` down; clean: where it shows t = 0."""
    ticks = {str(t): float(t) for t in (1, 3, 10, 30, 100, 300, 1000, 3000) if t <= latest}
    last = 0.9
    if clean is not None:
        ticks, last = {"0": clean, **ticks}, 0.9 * clean
    ax.set(xscale="log", xlabel="raw time t (noise left, data right)", xlim=(latest, last))
    ax.set_xticks(list(ticks.values()), list(ticks))
    ax.minorticks_off()


def eigenvalue_axis(ax: Axes, top: int = 1000) -> None:
    """A vertical axis of eigenvalues of either sign, with a line at 0."""
    ticks = [t for t in (-1, 0, 1, 10, 100, 1000) if t <= top]
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.set_yscale("symlog", linthresh=1.0)
    ax.set(yticks=ticks, yticklabels=map(str, ticks))


def explain_limits(ax: Axes) -> None:
    """A legend entry for the hollow carets of `plot_rate`."""
    ax.plot([], [], marker=7, ls="none", color=GREY, mfc="none", label="none seen: upper limit")


def joint_legend(axes: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    """Handles and labels of all panels, each label once, and the hollow carets of `plot_rate`."""
    every: dict[str, Any] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        every |= dict(zip(labels, handles, strict=True))
    limit = axes[0].plot([], [], marker=7, ls="none", color=GREY, mfc="none")[0]
    every["none seen: upper limit"] = limit
    return list(every.values()), list(every)


def save(figure: Figure, folder: Path, stem: str, title: str) -> list[Path]:
    """Write stem.svg and stem.png; the same figure always gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, dict[str, Any]] = {
        "svg": {"metadata": {"Date": None, "Creator": None, "Title": title}},
        "png": {"metadata": {"Software": None, "Title": title}, "dpi": 160},
    }
    paths = []
    for kind, options in kinds.items():
        path = folder / f"{stem}.{kind}"
        write_atomically(path, functools.partial(figure.savefig, format=kind, **options))
        paths.append(path)
    return paths

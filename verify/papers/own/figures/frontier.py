"""Samplers of trained networks: errors against evaluations (our result X8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.checks import Array, IntArray
from verify.measure.networks.frontier import frontier, frontier_elsewhere

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, Look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, intervals, new_figure

_PLAIN = {
    "DDIM": Look(BLUE, "o"),
    "eta = 1": Look(SKY, "v"),
    "eta = 1.25": Look(GREEN, "^"),
    "bridge noise late": Look(PURPLE, "P"),
    "second order": Look(GREY, "x"),
    "restart": Look(ORANGE, "D"),
    "DDPM": Look(VERMILION, "s"),
}
_IDEAS = {
    "adaptive, bridge noise": Look(BLACK, "4", ""),
    "adaptive, last step": Look(BLACK, "3", ""),
    "adaptive, kernel noise": Look(BLACK, "+", ""),
    "adaptive": Look(BLACK, "*"),
}
_RETRY = " + retry"
# A sampler that tests and repeats has the colour and marker of the one that does not, and dots.
_LOOKS = {
    **_PLAIN,
    **{name + _RETRY: Look(look.color, look.marker, ":") for name, look in _PLAIN.items()},
    **_IDEAS,
}


@dataclass(frozen=True)
class _Marked(Look):
    """A look with the colour inside its marker."""

    face: str = BLACK


def _marked(family: str) -> _Marked:
    """The look of a family, white inside with tests and repetitions."""
    look = _LOOKS[family]
    face = "white" if family.endswith(_RETRY) else look.color
    return _Marked(look.color, look.marker, look.line, face)


_WRONG = (Region.INTERPOLATION, Region.INVALID)


def _members(result: Result, family: str) -> IntArray:
    names = np.array(result.labels("family"))
    where = np.flatnonzero(names == family)
    return where[np.argsort(result["n_eval"].mean(axis=0)[where])]


@dataclass(frozen=True)
class _Rates:
    """Wrong samples in per cent, (K,) each: over all networks, the smallest and largest network's,
    an upper 95 % limit for where none was seen."""

    mean: Array
    least: Array
    most: Array
    limit: Array


def _rates_of(result: Result, where: IntArray) -> _Rates:
    """The rates of the samplers `where`.

    An interval of the pooled count would be that of a mean over these very networks and say nothing
    of a further one: the range over networks stands in its place.
    """
    counts = result["counts"][:, where]
    hits, n = counts[..., list(_WRONG)].sum(axis=2), counts.sum(axis=2)
    each = 100.0 * hits / n
    mean = 100.0 * hits.sum(axis=0) / n.sum(axis=0)
    limit = 100.0 * intervals(hits.sum(axis=0), n.sum(axis=0))[2]
    return _Rates(mean, each.min(axis=0), each.max(axis=0), limit)


def _draw_rates(ax: Axes, result: Result, family: str, look: _Marked) -> None:
    where = _members(result, family)
    cost = result["n_eval"].mean(axis=0)[where]
    rates = _rates_of(result, where)
    seen = rates.mean > 0
    style: dict[str, Any] = {"ls": look.line, "color": look.color, "mfc": look.face}
    ax.plot(cost[seen], rates.mean[seen], look.marker, label=family, **style)
    ax.vlines(cost[seen], np.maximum(rates.least[seen], 1e-9), rates.most[seen], look.color, lw=1.0)
    # None seen: a caret at the upper limit, as in every figure.
    ax.plot(cost[~seen], rates.limit[~seen], "v", mfc="none", color=look.color)


def _draw_means(ax: Axes, result: Result, name: str, family: str, look: _Marked) -> None:
    where = _members(result, family)
    cost, values = result["n_eval"].mean(axis=0)[where], result[name][:, where]
    style: dict[str, Any] = {"ls": look.line, "color": look.color, "mfc": look.face}
    ax.plot(cost, values.mean(axis=0), look.marker, label=family, **style)
    ax.vlines(cost, values.min(axis=0), values.max(axis=0), color=look.color, lw=1.0)


def _message(result: Result) -> str:
    ours, ddpm, ddim = (_members(result, name) for name in ("adaptive", "DDPM", "DDIM"))
    costs = result["n_eval"].mean(axis=0)
    within = ours[costs[ours] <= 50.0]
    best = within[-1:] if len(within) else ours[:1]
    near = ddim[[int(np.argmin(np.abs(costs[ddim] - 50.0)))]]
    rates = [float(_rates_of(result, where).mean[0]) for where in (best, ddpm, near)]
    ours_by_network = _rates_of(result, best)
    least, most = float(ours_by_network.least[0]), float(ours_by_network.most[0])
    return (
        f"{costs[best[0]]:.0f} evaluations of AdaptiveNoise leave {rates[0]:.2g} % of the samples "
        f"outside the modes ({least:.2g} to {most:.2g} % by network), "
        f"DDPM with {costs[ddpm[0]]:.0f} leaves {rates[1]:.2g} %, DDIM with "
        f"{costs[near[0]]:.0f} {rates[2]:.2g} %"
    )


def draw(result: Result) -> Figure:
    """Rate, weight error and spread against evaluations."""
    figure, axes = new_figure(11.0, 4.8, columns=3)
    for family in _LOOKS:
        look = _marked(family)
        if family in result.labels("family"):
            _draw_rates(axes[0], result, family, look)
            _draw_means(axes[1], result, "weight_error", family, look)
            _draw_means(axes[2], result, "spread", family, look)
    for ax in axes:
        ax.set(xscale="log", xlabel="evaluations of the score per sample")
    axes[0].set(yscale="log", ylabel="samples outside the modes (%)", title="rate")
    axes[0].set_ylim(bottom=2e-3)
    axes[1].set_yscale("symlog", linthresh=1e-3)
    axes[1].set(ylabel="(chi-square - degrees)/samples", title="error of the mode weights")
    axes[2].axhline(1.0, color=GREY, ls=":")
    axes[2].set(ylabel="std within a mode / sigma", title="spread (dotted: the data)")
    handles, labels = axes[0].get_legend_handles_labels()
    note = (
        f"{len(result.labels('models'))} trained networks: mean and range over them (down to the "
        "axis where one left none), carets upper 95 % limits where none was seen. Dotted, white "
        "inside: with tests and repetitions; all evaluations are counted."
    )
    return finish(figure, _message(result), result, note, (handles, labels))


X8 = FigureSpec(
    claims=("X8",),
    source="Our own, of result X8",
    title="Samplers of trained networks: errors against evaluations",
    caption="What each family of samplers gets wrong, against the evaluations of the network that "
    "a sample costs. Lower is better on the left and in the middle, nearer to 1 on the right.",
    measure=frontier,
    draw=draw,
)


def _wrong(result: Result) -> tuple[IntArray, IntArray]:
    """(M, K) samples outside the modes, and all samples."""
    counts = result["counts"]
    n = counts.sum(axis=2)
    return n - counts[:, :, Region.TRUE_MODE], n


def _places(result: Result, column: int) -> Array:
    """(M,) heights: a row for each network, the families spread within it."""
    middle = 0.5 * (len(result.labels("family")) - 1)
    return np.arange(len(result.labels("models")), dtype=np.float64) + 0.11 * (column - middle)


def _draw_rows(ax: Axes, result: Result) -> None:
    wrong, n = _wrong(result)
    for column, family in enumerate(result.labels("family")):
        look, y = _marked(family), _places(result, column)
        rate, low, high = (100.0 * side for side in intervals(wrong[:, column], n[:, column]))
        seen = rate > 0
        ax.plot(rate[seen], y[seen], look.marker, mfc=look.face, color=look.color, label=family)
        ax.hlines(y[seen], np.maximum(low[seen], 1e-9), high[seen], color=look.color, lw=1.0)
        ax.plot(high[~seen], y[~seen], "<", mfc="none", color=look.color, ms=6.0)
    ax.set(xscale="log", xlabel="samples outside the modes (%)", title="rate")


def _draw_row_means(ax: Axes, result: Result, name: str) -> None:
    for column, family in enumerate(result.labels("family")):
        look = _marked(family)
        y = _places(result, column)
        ax.plot(result[name][:, column], y, look.marker, mfc=look.face, color=look.color)


def _elsewhere_message(result: Result) -> str:
    wrong, n = _wrong(result)
    rate = wrong / n
    families = result.labels("family")
    ours, ddim = families.index("adaptive"), families.index("DDIM")
    _, low, high = intervals(wrong, n)
    factor = float(np.median(rate[:, ddim] / np.maximum(rate[:, ours], 1.0 / n[:, ours])))

    def below(one: int, other: int) -> int:
        return int(np.count_nonzero(high[:, one] < low[:, other]))

    words = (
        "On networks of other problems AdaptiveNoise misses the modes less often than DDIM on "
        f"{below(ours, ddim)} of {len(rate)} (by a factor of {factor:.0f} in the median)"
    )
    tested = "eta = 1 + retry"
    if tested not in families:
        return words
    best = families.index(tested)
    told = below(ours, best) + below(best, ours)
    return f"{words}; from DDIM with eta = 1 and the same tests it can be told on {told}"


def draw_elsewhere(result: Result) -> Figure:
    """Rate, weight error and spread, a row for each network."""
    names = result.labels("models")
    figure, axes = new_figure(11.0, 1.6 + 0.42 * len(names), columns=3)
    _draw_rows(axes[0], result)
    _draw_row_means(axes[1], result, "weight_error")
    axes[1].set_xscale("symlog", linthresh=1e-3)
    axes[1].set(xlabel="(chi-square - degrees)/samples", title="error of the mode weights")
    _draw_row_means(axes[2], result, "spread")
    axes[2].axvline(1.0, color=GREY, ls=":")
    axes[2].set(xlabel="std within a mode / sigma", title="spread (dotted: the data)")
    axes[0].set_ylabel("trained network")
    for ax in axes:
        ax.set_yticks(np.arange(len(names)), names if ax is axes[0] else [])
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.hlines(np.arange(len(names) - 1) + 0.5, *ax.get_xlim(), color=GREY, lw=0.3)
    note = (
        "One sampler of each family at about 50 evaluations; DDPM takes T. White inside: with "
        "tests and repetitions. Bars: 95 % intervals, carets upper limits where none was seen."
    )
    return finish(
        figure, _elsewhere_message(result), result, note, axes[0].get_legend_handles_labels()
    )


X8_ELSEWHERE = FigureSpec(
    claims=("X8",),
    source="Our own, of result X8, elsewhere",
    title="Samplers on trained networks of other problems",
    caption="The samplers of figure X8 on every shipped network of another mixture or schedule. "
    "Lower is better on the left and in the middle, nearer to 1 on the right.",
    measure=frontier_elsewhere,
    draw=draw_elsewhere,
    part="elsewhere",
)

"""Samplers of trained networks at 10, 20 and 50 evaluations (our result X14)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.checks import IntArray
from verify.measure.networks.few import few

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, Look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, intervals, new_figure

_LOOKS = {
    "DDIM, eta = 1": Look(SKY, "v"),
    "SDE-DPM-Solver++": Look(BLUE, "o"),
    "Analytic-DPM": Look(GREEN, "^"),
    "full kernel": Look(ORANGE, "D"),
    "adaptive": Look(PURPLE, "P"),
    "checked": Look(BLACK, "*"),
}
_KERNELS = {
    "eta = 1": Look(SKY, "v"),
    "average": Look(GREEN, "^"),
    "isotropic": Look(GREY, "x"),
    "full": Look(ORANGE, "D"),
}


def _of(result: Result, family: str) -> IntArray:
    return np.flatnonzero(np.array(result.labels("family")) == family)


def _style(result: Result, family: str) -> dict[str, Any]:
    """Colour and marker of a family; dots, and white inside, where it tests and repeats."""
    k = int(_of(result, family)[0])
    look, tested = _LOOKS[result.labels("plain")[k]], bool(result["tested"][k])
    return {
        "color": look.color,
        "marker": look.marker,
        "ls": ":" if tested else "-",
        "mfc": "white" if tested else look.color,
        "label": family,
        "ms": 8.0 if look.marker == "*" else 5.0,
    }


def _outside(result: Result) -> tuple[IntArray, IntArray]:
    counts = result["counts"].sum(axis=0)
    n = counts.sum(axis=1)
    return n - counts[:, Region.TRUE_MODE], n


def _draw_rate(ax: Axes, result: Result, family: str) -> None:
    where, style = _of(result, family), _style(result, family)
    hits, n = (part[where] for part in _outside(result))
    rate, _, high = (100.0 * side for side in intervals(hits, n))
    cost, seen = result["n_eval"].mean(axis=0)[where], hits > 0
    ax.plot(cost[seen], rate[seen], **style)
    # None seen: a caret at the upper limit, as in every figure.
    limit: dict[str, Any] = {"mfc": "none", "color": style["color"], "ls": "none"}
    ax.plot(cost[~seen], high[~seen], marker=7, **limit)
    if seen.any() and not seen.all():
        ends = np.where(seen, rate, high)
        ax.plot(cost, ends, color=style["color"], ls=style["ls"], lw=0.8)


def _draw_mean(ax: Axes, result: Result, name: str, family: str) -> None:
    where = _of(result, family)
    cost, values = result["n_eval"].mean(axis=0)[where], result[name][:, where]
    ax.plot(cost, values.mean(axis=0), **_style(result, family))


def _draw_reference(axes: list[Axes], result: Result) -> None:
    """DDPM, a line across, with the range over networks."""
    where = _of(result, "DDPM")
    hits, n = (part[where] for part in _outside(result))
    rate, low, high = (100.0 * float(side[0]) for side in intervals(hits, n))
    values = {"distance": result["distance"][:, where], "spread": result["spread"][:, where]}
    bands = [(rate, low, high)] + [
        (float(v.mean()), float(v.min()), float(v.max())) for v in values.values()
    ]
    for ax, (middle, least, most) in zip(axes, bands, strict=True):
        ax.axhline(middle, color=VERMILION, ls="--", lw=1.2, label="DDPM, all steps")
        ax.axhspan(least, most, color=VERMILION, alpha=0.12, lw=0.0)


def _draw_nats(ax: Axes, result: Result) -> None:
    names = result.labels("kernel")
    for name, look in _KERNELS.items():
        nats = result["nats"][:, names.index(name)]
        ax.plot(result["steps"], nats, look.marker, ls="-", color=look.color, label=name)
    ax.legend(title="covariance", title_fontsize=8.0)
    ax.set(xscale="log", yscale="log", xlabel="steps", title="exact score: nats of the kernels")
    ax.set_ylabel("divergence of exact paths, noisy steps")


def _message(result: Result) -> str:
    plain, of_20 = np.array(result.labels("plain")), result["budget"] == 20
    hits, n = _outside(result)

    def at(name: str, tested: bool) -> int:
        return int(np.flatnonzero((plain == name) & (result["tested"] == tested) & of_20)[0])

    ours, best = at("checked", True), at("Analytic-DPM", False)
    ddpm = int(_of(result, "DDPM")[0])
    rates = 100.0 * hits / n
    limit = 100.0 * intervals(hits[[ours]], n[[ours]])[2][0]
    spread = result["spread"]
    return (
        f"With {result['n_eval'][:, ours].mean():.0f} evaluations CheckedNoise leaves "
        f"{rates[ours]:.2g} % outside the modes (below {limit:.2g} %), DDPM with "
        f"{result['n_eval'][:, ddpm].mean():.0f} {rates[ddpm]:.2g} %, Analytic-DPM with 20 "
        f"{rates[best]:.2g} %; its spread is {spread[:, ours].min():.2f} to "
        f"{spread[:, ours].max():.2f} sigma, DDPM's {spread[:, ddpm].min():.2f} to "
        f"{spread[:, ddpm].max():.2f}"
    )


def draw(result: Result) -> Figure:
    """Nats, rate, distance and spread."""
    figure, axes = new_figure(13.0, 4.9, columns=4)
    _draw_nats(axes[0], result)
    for family in dict.fromkeys(result.labels("family")):
        if family != "DDPM":
            _draw_rate(axes[1], result, family)
            _draw_mean(axes[2], result, "distance", family)
            _draw_mean(axes[3], result, "spread", family)
    _draw_reference(axes[1:], result)
    for ax in axes[1:]:
        ax.set(xscale="log", xlabel="evaluations of the score per sample")
        ax.set_xticks([10, 20, 50], ["10", "20", "50"], minor=False)
        ax.set_xticks([], minor=True)
    axes[1].set(yscale="log", ylabel="samples outside the modes (%)", title="rate")
    axes[2].set(yscale="log", ylabel="sliced W2, x units", title="distance from the data")
    axes[2].axhline(result.number("floor"), color=GREY, ls=":")
    axes[3].set(ylabel="std within a mode / sigma", title="spread (dotted: the data)")
    axes[3].set_ylim(0.5, 1.75)  # of five steps and less some lie beyond
    axes[3].axhline(1.0, color=GREY, ls=":")
    handles, labels = axes[1].get_legend_handles_labels()
    note = (
        f"{len(result.labels('models'))} trained networks, means over them. Dotted, white inside: "
        "with tests and repetitions. All evaluations are counted, a Jacobian as d. Carets: upper "
        "95 % limits where none was seen. Band: of DDPM, 95 % of the rate, the range over networks "
        "of the others. Dotted line in the third panel: samples of the data."
    )
    return finish(figure, _message(result), result, note, (handles, labels))


X14 = FigureSpec(
    claims=("X14",),
    source="Our own, of result X14",
    title="Samplers of trained networks at 10, 20 and 50 evaluations",
    caption="What Gaussian kernels cost with the exact score, and what samplers of few evaluations "
    "get wrong on trained networks. Lower is better in the first three panels, nearer to 1 in the "
    "last.",
    measure=few,
    draw=draw,
)

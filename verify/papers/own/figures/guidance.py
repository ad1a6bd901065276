"""Guidance: where ends go, of a class at the end of a line and of one between others."""

from __future__ import annotations

import numpy as np

from mixdyn.support.numbers import show_share
from verify.measure.guidance import guided_map, middle_ends_of_few

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, LOOKS, ORANGE, PALETTE, PURPLE, SKY
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_COLOURS = (GREY, SKY, GREEN, ORANGE, PURPLE)


def _map(ax: Axes, result: Result) -> None:
    xi, weights = result["xi"], result["w"]
    ax.plot(xi, xi, color=GREY, ls=":", label="w = 0")
    for k, colour in zip(range(1, len(weights)), _COLOURS[1:], strict=True):
        ax.plot(xi, result["end"][k], color=colour, marker="o", label=f"w = {weights[k]:g}")
        ax.fill_between(
            xi, result["least"][k], np.minimum(result["most"][k], 30.0), color=colour, alpha=0.12
        )
    ax.set(xlabel="start, in standard deviations of the class at it", ylim=(-3.5, 8.0))
    ax.set_ylabel("end: offset from the class / σ")
    ax.set_title("the flow; shaded: between its limits", color=GREY)
    ax.legend(loc="upper left")


def _moments(ax: Axes, result: Result) -> None:
    weights = result["sampled weights"]
    x = np.arange(len(weights))
    every = [("flow", BLACK, "D", result["sampled exact"], result["sampled exact_spread"])]
    for k, name in enumerate(result.labels("sampled names")):
        look = LOOKS[name.partition("-")[0]]
        moments = result["sampled mean"][k], result["sampled spread"][k]
        every.append((name, look.color, look.marker, *moments))
    for k, (name, colour, marker, mean, spread) in enumerate(every):
        ax.errorbar(
            x + 0.16 * (k - 1),
            mean,
            spread,
            color=colour,
            marker=marker,
            ls="",
            capsize=2,
            label=name,
        )
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.set_xticks(x, [f"{w:g}" for w in weights])
    ax.set(xlabel="weight w of the guidance", ylabel="ends: mean ± spread, offset / σ")
    ax.set_title("two modes of equal weight", color=GREY)
    ax.legend(loc="upper left")


def draw(result: Result) -> Figure:
    """Ends over starts, and mean and spread over the weight."""
    figure, axes = new_figure(9.0, 4.0, columns=2)
    _map(axes[0], result)
    _moments(axes[1], result)
    weights = result["sampled weights"]
    at = int(np.argmin(np.abs(weights - 7.0)))
    names = result.labels("sampled names")
    noisy = float(result["sampled mean"][names.index("DDPM"), at])
    message = (
        f"Guidance with w = {weights[at]:g} carries the flow's ends "
        f"{result['sampled exact'][at]:.2g} σ past the class and leaves "
        f"{show_share(result['sampled exact_spread'][at], 2)} of the spread, whatever σ and the "
        f"distance; DDPM forgets all but {noisy:.2g} σ"
    )
    note = "Exact scores of two modes, as far apart as the closest pair, guided towards one."
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("X17",),
    source="Our own, of result X17",
    title="Where guidance carries the ends of paths",
    caption="Guidance as in 2207.12598: the flow of two modes maps a start to an end that does not "
    "depend on their width or distance, between limits of one integral; samplers with noise forget "
    "the overshoot.",
    measure=guided_map,
    draw=draw,
)


# -- a class between others ----------------------------------------------------------------------


def _back(ax: Axes, result: Result) -> None:
    flow, start = result["flow"], result["start"]
    weights = result["weights"][: len(flow)]
    for k, colour in zip(range(0, len(start), 4), (*PALETTE, GREY), strict=True):
        ax.plot(weights, flow[:, k], color=colour, marker=".", label=f"{start[k]:.2g}")
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.set(xlabel="weight w of the guidance", ylabel="end of the flow: offset from the class / σ")
    ax.set(xscale="symlog", xlim=(0.0, weights[-1]))
    ax.set_xticks([0, 1, 3, 7, 15], ["0", "1", "3", "7", "15"])
    ax.minorticks_off()
    ax.set_title("ends by start (in standard deviations)", color=GREY)
    ax.legend(ncols=2, loc="upper right")


def _thrown(ax: Axes, result: Result) -> None:
    weights, radius = result["weights"], result.number("radius")
    for name, ends_of, colour, marker in (
        (f"DDIM-{result.count('steps')}", result["ddim"], BLUE, "o"),
        (f"DDIM-{result.count('few_steps')}", result["few"], ORANGE, "s"),
    ):
        away = np.abs(ends_of)
        ax.plot(weights, np.median(away, axis=1), color=colour, marker=marker, label=name)
        ax.fill_between(weights, away.min(axis=1), away.max(axis=1), color=colour, alpha=0.15)
    ax.axhline(radius, color=GREY, lw=0.8)
    ax.annotate(
        "radius of the class", (0.0, radius), (8, 3), textcoords="offset points", color=GREY
    )
    ax.set(
        xscale="symlog", yscale="log", xlabel="weight w of the guidance", xlim=(0.0, weights[-1])
    )
    ax.set_xticks([0, 1, 3, 7, 15, 31, 63, 127], ["0", "1", "3", "7", "15", "31", "63", "127"])
    ax.minorticks_off()
    ax.set_ylabel("distance from the class / σ")
    ax.set_title("DDIM: median and range over starts", color=GREY)
    ax.legend(loc="upper left")


def draw_between(result: Result) -> Figure:
    """The flow's ends over the weight, and DDIM's distance from the class."""
    figure, axes = new_figure(9.0, 4.0, columns=2)
    _back(axes[0], result)
    _thrown(axes[1], result)
    weights, radius = result["weights"], result.number("radius")
    lost = [
        float(weights[np.argmax(far)]) if far.any() else None
        for far in ((np.abs(result[key]) > radius).mean(axis=1) > 0.5 for key in ("ddim", "few"))
    ]
    steps = (result.count("steps"), result.count("few_steps"))
    said = [
        f"DDIM-{n} " + ("none" if w is None else f"most from w = {w:g} on")
        for n, w in zip(steps, lost, strict=True)
    ]
    message = (
        "Towards a class between others the flow's ends turn back as the weight grows, and "
        f"too large a weight throws ends out: {', '.join(said)}"
    )
    note = "Class: the second mode of the line, or of the axis with most modes. Exact scores."
    return finish(figure, message, result, note)


BETWEEN = FigureSpec(
    claims=("X17'",),
    source="Our own, of result X17'",
    title="A class between others under guidance",
    caption="The aligned modes of 2403.01639. Left: ends of the guided flow over the weight, not "
    "monotone. Right: how far from the class DDIM ends.",
    measure=middle_ends_of_few,
    draw=draw_between,
)

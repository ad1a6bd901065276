"""Runs started between two modes (arXiv 2605.06831 v1, figures 5 and E.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .spec import FigureSpec, Results
from .style import BLACK, GREY, LOOKS, explain_limits, finish, new_figure, percent_axis, plot_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result


def _end_distances(ax: Axes, result: Result) -> None:
    """DDIM and DDPM with little time left, on the closed forms."""
    radius, names = result["radius"], result.labels("samplers")
    closed = (
        ("factor_ode", "ODE without step error", ":"),
        ("factor_ddim", "DDIM's own steps", "-"),
        ("factor_sde", "reverse SDE", "--"),
    )
    top = 1.27 * max(0.5 * result.number("factor_ode"), result.number("mode_radius"))
    line = np.linspace(0.0, 0.5, 50)
    for name, label, style in closed:
        factor = result.number(name)
        text = f"(1/2 - r) x {factor:.3f}: {label}"
        ax.plot(line, (0.5 - line) * factor, style, color=BLACK, lw=1.0, label=text)
    for name in ("DDIM", "DDPM"):
        look = LOOKS[name]
        ax.plot(
            radius,
            result["late_end"][names.index(name)],
            look.marker,
            color=look.color,
            label=f"{name}, measured",
        )
    ax.axhline(result.number("mode_radius"), color=GREY, lw=0.8)
    ax.text(0.5, result.number("mode_radius") * 1.04, "mode radius", color=GREY, ha="right")
    ax.set(ylabel="mean distance to the nearest mode / l", ylim=(-0.04 * top, top))
    ax.legend(loc="upper right")


def _late_rates(ax: Axes, result: Result) -> None:
    for name in ("DDIM", "DDPM"):
        hits = result["late_hits"][result.labels("samplers").index(name)]
        plot_rate(ax, result["radius"], hits, result.count(), LOOKS[name], name)
    radius = result.number("mode_radius")
    for name, style in (("factor_ddim", "-"), ("factor_sde", "--")):
        place = 0.5 - radius / result.number(name)
        if place > 0.0:
            ax.axvline(place, color=BLACK, ls=style, lw=1.0)
    ax.plot([], [], color=BLACK, lw=1.0, label="mean enters mode")
    ax.set(ylim=(-3.0, 103.0), ylabel="interpolations (% of runs)")
    ax.legend(loc="center right")


def _early_rates(ax: Axes, result: Result) -> None:
    n = result.count()
    for name, hits in zip(result.labels("samplers"), result["early_hits"], strict=True):
        plot_rate(ax, result["radius"], hits, n, LOOKS[name], name)
    explain_limits(ax)
    percent_axis(ax, 40.0 / n, 200.0)
    ax.set_ylabel("interpolations (% of runs)")
    ax.legend()


def _message(result: Result) -> str:
    names, nearest = result.labels("samplers"), f"{result['radius'][0]:g} l"
    rates = 100.0 * result["early_hits"][:, 0] / result.count()
    frees = "frees" if rates[names.index("DDPM")] < rates[names.index("DDIM")] else "does not free"
    end = result["late_end"][names.index("DDPM"), 0]
    closed = (0.5 - result["radius"][0]) * result.number("factor_sde")
    return (
        f"With a score error, noise {frees} paths near a midpoint (rates {nearest} off: DDIM "
        f"{rates[names.index('DDIM')]:.0f} %, DDPM {rates[names.index('DDPM')]:.2g} %); with "
        f"the exact score a late start only runs out of time (DDPM ends {end:.4f} l from the "
        f"mode, closed form {closed:.4f} l)"
    )


def draw(results: Results) -> Figure:
    """End distances and rates of late starts, rates of early ones."""
    result = results["radius"]
    figure, axes = new_figure(12.0, 4.3, columns=3)
    late, early = int(result["late_start"]), int(result["early_start"])
    _end_distances(axes[0], result)
    _late_rates(axes[1], result)
    _early_rates(axes[2], result)
    for ax, title in zip(
        axes,
        (
            f"exact score from t = {late}: end distance",
            f"exact score from t = {late}: rate",
            f"score with a synthetic error from t = {early}: rate",
        ),
        strict=True,
    ):
        ax.set_title(title, color=GREY)
        ax.set_xlabel("start radius r: distance from the midpoint / l")
    note = (
        f"Starts on the segments of closest pairs. Hybrids take z DDPM steps, then DDIM; at "
        f"t = {late} DDIM visits every time, so each hybrid equals DDPM there. Closed forms: "
        f"one mode owns the point. Synthetic error: "
        f"responsibilities blurred by {result.number('blur'):g} l. Bars: 95 % intervals; n a point."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    id="5",
    source="Figures 5 and E.15 of 2605.06831",
    stem="fig_5_radius",
    title="Rate and end distance against the start radius",
    caption="Runs started on a segment, r from its midpoint. Left and middle: exact score with "
    "three steps left, on the closed forms of what that time allows. Right: a synthetic score "
    "error (responsibilities blurred by a quarter of the mode distance) from the time at which "
    "modes are separated, where noise decides whether a path leaves the midpoint.",
    experiments=("radius",),
    claims=("X4", "X6"),
    draw=draw,
    aliases=("E.15",),
)

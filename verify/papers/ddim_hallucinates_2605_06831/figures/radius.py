"""Runs started between two modes (arXiv 2605.06831 v1, figures 5 and E.15)."""

from __future__ import annotations

import numpy as np

from mixdyn.support.checks import IntArray
from mixdyn.support.numbers import show_share
from verify.measure.networks.radius_sweep import learned_radius, radius

from ....drawing.palette import BLACK, GREY, LOOKS
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    Axes,
    Figure,
    explain_limits,
    finish,
    new_figure,
    percent_axis,
    plot_rate,
    side_by_side,
)

_NEAR = 0.05


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


def _rates(ax: Axes, result: Result, hits: IntArray, n: int, apart: float = 0.0) -> None:
    """Interpolations (K, R) among n runs of every sampler, the samplers so far apart."""
    names = result.labels("samplers")
    for name, row, beside in zip(names, hits, apart * side_by_side(len(names)), strict=True):
        plot_rate(ax, result["radius"] + beside, row, n, LOOKS[name], name)
    explain_limits(ax)
    percent_axis(ax, 40.0 / n, 200.0)
    ax.set_xlabel("start radius r: distance from the midpoint / l")


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


def draw(result: Result) -> Figure:
    """End distances and rates of late starts, rates of early ones."""
    figure, axes = new_figure(12.0, 4.3, columns=3)
    late, early = int(result["late_start"]), int(result["early_start"])
    _end_distances(axes[0], result)
    _late_rates(axes[1], result)
    _rates(axes[2], result, result["early_hits"], result.count())
    axes[2].set_ylabel("interpolations (% of runs)")
    axes[2].legend()
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


X4 = FigureSpec(
    claims=("X4", "X6"),
    source="Figures 5 and E.15 of 2605.06831",
    title="Rate and end distance against the start radius",
    caption="Runs started on a segment, r from its midpoint. Left and middle: exact score with "
    "three steps left, on the closed forms of what that time allows. Right: a synthetic score "
    "error (responsibilities blurred by a quarter of the mode distance) from the time at which "
    "modes are separated, where noise decides whether a path leaves the midpoint.",
    measure=radius,
    draw=draw,
)


def _learned_panel(ax: Axes, result: Result, row: int) -> None:
    """The mean over networks, side by side where they would hide one another."""
    n = result.count() * len(result["models"])
    _rates(ax, result, result["hits"][row].sum(axis=0), n, 0.0025)
    most = 100.0 * result["exact"][row].max() / result.count()
    start, left = int(result["start"][row]), int(result["steps_left"][row])
    exact = f"at most {most:.2g} %" if most > 0.0 else "none seen"
    ax.set_title(f"from t = {start}, {left} DDIM steps left (exact score: {exact})", color=GREY)


def _learned_message(result: Result) -> str:
    names = result.labels("samplers")
    at = int(abs(result["radius"] - _NEAR).argmin())
    n = result.count() * len(result["models"])
    early, late = (result["hits"][row, :, :, at].sum(axis=0) / n for row in (1, 0))
    first, last = names.index("DDIM"), names.index("DDPM")
    hybrid = names.index("hybrid z=2")
    shown = [show_share(rates[k], 2) for rates in (late, early) for k in (first, hybrid, last)]
    return (
        f"Started {result['radius'][at]:g} l off a midpoint once modes are separated, trained "
        f"networks interpolate on {shown[0]} of DDIM's runs, {shown[1]} with two noisy steps "
        f"first, {shown[2]} of DDPM's; started {int(result['start'][1])} raw steps before the end, "
        f"on {shown[3]}, {shown[4]} and {shown[5]}"
    )


def draw_learned(result: Result) -> Figure:
    """From the node at which modes are separated left, from the window of the visits right."""
    figure, axes = new_figure(10.0, 4.3, columns=2)
    for row, ax in enumerate(axes):
        _learned_panel(ax, result, row)
    axes[0].set_ylabel("interpolations (% of runs)")
    axes[1].legend(loc="upper right")
    note = (
        f"Starts on the segments of closest pairs. Hybrids take z DDPM steps, then DDIM. Mean over "
        f"{len(result['models'])} networks; bars: 95 % intervals; n runs a network and point."
    )
    return finish(figure, _learned_message(result), result, note)


F5 = FigureSpec(
    claims=("F5",),
    source="Figure 5 of 2605.06831, on trained networks",
    title="Trained networks: rate against the start radius",
    caption="Runs of trained networks started on a segment, r from its midpoint, from the node at "
    "which the closest modes are separated and from an earlier one. DDIM keeps what starts inside "
    "the trap of the learned score and frees the rest; noise frees most of it, and carries some "
    "paths from outside into the trap.",
    measure=learned_radius,
    draw=draw_learned,
)

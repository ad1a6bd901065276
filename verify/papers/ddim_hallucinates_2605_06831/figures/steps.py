"""Interpolation rate against the number of DDIM steps (arXiv 2605.06831 v1, figure 3)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.numbers import show_share
from verify.measure.networks.models import BLURRED
from verify.measure.networks.rate_sweeps import steps

from ....drawing.palette import GREY, LOOKS, Look, network_look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    Axes,
    Figure,
    explain_limits,
    finish,
    intervals,
    new_figure,
    percent_axis,
    plot_rates,
    side_by_side,
)


def _ddpm_reference(ax: Axes, counts: IntArray) -> None:
    """DDPM's rate as a line across the panel with its 95 % interval, or its upper limit."""
    hits = int(counts[Region.INTERPOLATION])
    rate, low, high = (100.0 * float(side[0]) for side in intervals(hits, counts.sum()))
    label = "DDPM, all T steps" if hits else "DDPM, all T steps: none seen"
    color = LOOKS["DDPM"].color
    if hits:
        ax.axhline(rate, color=color, ls="--", label=label)
        ax.axhspan(low, high, color=color, alpha=0.18, lw=0)
    else:
        ax.axhline(high, color=color, ls=":", label=f"{label}, upper limit")


def _panel(
    ax: Axes,
    result: Result,
    title: str,
    lowest: float,
    lines: Sequence[tuple[str, Look, IntArray, float]],
) -> None:
    """DDIM: label, look, counts (S, 3) and horizontal factor of every line."""
    for label, look, counts, shift in lines:
        plot_rates(ax, result["steps"] * shift, counts, look, label)
    ax.set_title(title, color=GREY)
    percent_axis(ax, lowest)
    ax.set(xscale="log", xlabel="DDIM steps")
    ax.set_xticks(result["steps"], [str(s) for s in result["steps"]], minor=False)
    ax.minorticks_off()


def _share(counts: IntArray) -> Array:
    """Interpolations in per cent of class counts (..., 3)."""
    return np.asarray(100.0 * counts[..., Region.INTERPOLATION] / counts.sum(axis=-1))


def _message(result: Result) -> str:
    exact, blurred = _share(result["exact"][0]), _share(result["counts"][0])
    steps = result["steps"]
    seen = np.flatnonzero(exact[:-1])
    first = int(seen[-1]) + 1 if len(seen) else 0
    if first < len(steps):
        clean = f"none from {int(steps[first])} steps on"
    else:
        clean = f"{show_share(exact[-2] / 100.0, 2)}"
    return (
        f"With a score error DDIM still makes {blurred[-2]:.2g} % interpolations at "
        f"{int(steps[-1])} steps, DDPM {blurred[-1]:.2g} %; with the exact score DDIM makes {clean}"
    )


def draw(result: Result) -> Figure:
    """Both scores, DDIM against its number of steps, DDPM as a reference."""
    figure, axes = new_figure(9.0, 3.9, columns=2)
    scores = {"exact score": "exact", "score with a synthetic error": "counts"}
    for ax, (name, key) in zip(axes, scores.items(), strict=True):
        counts = result[key][0]
        line = ("DDIM", LOOKS["DDIM"], counts[:-1], 1.0)
        _panel(ax, result, name, 50.0 / result.count(), [line])
        _ddpm_reference(ax, counts[-1])
        explain_limits(ax)
        ax.legend()
    axes[0].set_ylabel("interpolations (% of samples)")
    note = (
        f"Synthetic error: exact score with responsibilities blurred by "
        f"{result.number('blur'):g} of the shortest mode distance. Bars and band: 95 % intervals."
    )
    return finish(figure, _message(result), result, note)


M1 = FigureSpec(
    claims=("M1",),
    source="Figure 3 of 2605.06831",
    title="Interpolation rate against DDIM steps",
    caption="Left: the exact score, whose only error is the step size. Right: a synthetic score "
    "error (responsibilities blurred by a quarter of the mode distance) that stands in for a "
    "learned score. Hollow carets are 95 % upper limits where no interpolation was seen.",
    measure=functools.partial(steps, scores=BLURRED),
    draw=draw,
)


def _learned_message(result: Result) -> str:
    *rates, reference = _share(result["counts"].sum(axis=0))
    steps = result["steps"]
    return (
        f"On trained networks more steps take DDIM from {rates[0]:.2g} % at {int(steps[0])} to "
        f"{rates[-1]:.2g} % at {int(steps[-1])} steps; DDPM makes {reference:.2g} %"
    )


def draw_learned(result: Result) -> Figure:
    """Network by network left; mean over networks, DDPM and the exact score right."""
    figure, (left, right) = new_figure(9.0, 3.9, columns=2)
    names, counts = result.labels("models"), result["counts"]
    each = [
        (name, network_look(k), counts[k, :-1], 1.06**shift)
        for k, (name, shift) in enumerate(zip(names, side_by_side(len(names)), strict=True))
    ]
    mean, exact = (result[key].sum(axis=0)[:-1] for key in ("counts", "exact"))
    lowest = 50.0 / max(int(mean.sum(axis=1).max()), 1)
    _panel(left, result, "DDIM, each network", lowest, each)
    lines = [
        ("DDIM, mean over networks", LOOKS["DDIM"], mean, 1.0),
        ("DDIM, exact score", Look(GREY, "x", ":"), exact, 1.0),
    ]
    _panel(right, result, "mean over networks, exact score on the same noise", lowest, lines)
    _ddpm_reference(right, counts[:, -1].sum(axis=0))
    explain_limits(right)
    for ax in (left, right):
        ax.legend(loc="upper right")
    left.set_ylabel("interpolations (% of samples)")
    note = "n counts a network's samples, by steps, DDPM last. Bars and band: 95 % intervals."
    return finish(figure, _learned_message(result), result, note)


F3 = FigureSpec(
    claims=("F3",),
    source="Figure 3 of 2605.06831, on trained networks",
    title="Trained networks: interpolation rate against DDIM steps",
    caption="Left: each trained network under DDIM. Right: the mean over networks, DDPM with all "
    "steps, and the exact score on the same noise. Hollow carets are 95 % upper limits where no "
    "interpolation was seen.",
    measure=steps,
    draw=draw_learned,
)

"""Rate and spread of DDIM against eta (arXiv 2605.06831 v1, figure E.13)."""

from __future__ import annotations

import functools

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.checks import Array, IntArray
from verify.measure.networks.models import BLURRED
from verify.measure.networks.rate_sweeps import eta

from ....drawing.palette import BLACK, BLUE, GREY, VERMILION, Look, network_look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    Figure,
    explain_limits,
    finish,
    new_figure,
    percent_axis,
    plot_rates,
    side_by_side,
)

_AXIS = "eta (times the standard deviation of the bridge noise)"
# Label, look, class counts (E, 3), spread (E,) and shift in eta of a score.
Line = tuple[str, Look, IntArray, Array, float]


def _message(result: Result, what: str, counts: IntArray, spread: Array) -> str:
    ends = [int(np.argmin(np.abs(result["eta"] - eta))) for eta in (0.0, 1.0)]
    rates = [100.0 * counts[at, Region.INTERPOLATION] / counts[at].sum() for at in ends]
    return (
        f"{what} noise takes interpolations from {rates[0]:.2g} % at eta = 0 to {rates[1]:.2g} % "
        f"at eta = 1, and the spread of the modes from {spread[ends[0]]:.2f} to "
        f"{spread[ends[1]]:.2f} sigma"
    )


def _panels(result: Result, lines: list[Line], top: float, message: str, note: str) -> Figure:
    """Interpolation rate left, standard deviation within the modes right."""
    figure, (left, right) = new_figure(9.0, 3.9, columns=2)
    at = result["eta"]
    for label, look, counts, spread, shift in lines:
        plot_rates(left, at + shift, counts, look, label)
        right.plot(at, spread, look.marker, color=look.color)
    right.plot(at, result["recursion"], color=BLACK, label="closed form: linear recursion")
    right.axhline(1.0, color=GREY, ls=":", label="the data")
    explain_limits(left)
    left.set(ylabel="interpolations (% of samples)", title="rate")
    right.set(ylabel="std within a mode / sigma", title="spread")
    right.set_ylim(0.0, None)
    for ax in (left, right):
        ax.set_xlabel(_AXIS)
    right.legend()
    percent_axis(left, 50.0 / lines[-1][2][0].sum(), top)
    return finish(figure, message, result, note, left.get_legend_handles_labels())


def draw(result: Result) -> Figure:
    """The exact score and one with a known error."""
    counts, spread = result["counts"][0], result["spread"][0]
    exact = result["exact"][0], result["exact_spread"][0]
    lines: list[Line] = [
        ("exact score", Look(BLUE, "o"), *exact, 0.0),
        ("score with a synthetic error", Look(VERMILION, "s", "--"), counts, spread, 0.0),
    ]
    note = (
        f"DDIM with 50 steps. Synthetic error: responsibilities blurred by "
        f"{result.number('blur'):g} of the shortest mode distance. Bars: 95 % intervals."
    )
    message = _message(result, "With a score error,", counts, spread)
    return _panels(result, lines, 100.0, message, note)


X7 = FigureSpec(
    claims=("X7",),
    source="Figure E.13 of 2605.06831",
    title="Interpolation rate and spread against eta",
    caption="DDIM with noise factor eta, exact score and a synthetic score error (responsibilities "
    "blurred by a quarter of the mode distance). Right: the standard deviation within the modes "
    "on the linear recursion that holds where one mode owns the point.",
    measure=functools.partial(eta, scores=BLURRED),
    draw=draw,
)


def draw_learned(result: Result) -> Figure:
    """Each network, and the exact score on the samples of all."""
    names = result.labels("models")
    lines: list[Line] = [
        (name, network_look(k), result["counts"][k], result["spread"][k], 0.012 * shift)
        for k, (name, shift) in enumerate(zip(names, side_by_side(len(names)), strict=True))
    ]
    exact = result["exact"].sum(axis=0), result["exact_spread"].mean(axis=0)
    lines.append(("exact score", Look(GREY, "x", ":"), *exact, 0.0))
    note = (
        "DDIM with 50 steps; the exact score on the same noise. Bars: 95 % intervals; n counts a "
        "network's samples, by eta."
    )
    counts, spread = result["counts"].sum(axis=0), result["spread"].mean(axis=0)
    message = _message(result, "On trained networks", counts, spread)
    return _panels(result, lines, 10.0, message, note)


E13 = FigureSpec(
    claims=("E.13",),
    source="Figure E.13 of 2605.06831, on trained networks",
    title="Trained networks: interpolation rate and spread against eta",
    caption="DDIM with noise factor eta on each trained network, and the exact score on the same "
    "noise. Right: the standard deviation within the modes on the linear recursion that holds for "
    "the exact score where one mode owns the point.",
    measure=eta,
    draw=draw_learned,
)

"""Ablations of T, sigma and spacing (arXiv 2605.06831 v1, figure E.16)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.numbers import show_share
from verify.measure.networks.ablated import ablations
from verify.measure.networks.models import BLURRED

from ....drawing.palette import GREY, LOOKS, Look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    Axes,
    Figure,
    finish,
    joint_legend,
    new_figure,
    percent_axis,
    plot_rates,
)

_AXES = {"T": "T (steps of the schedule)", "sigma": "raw sigma", "spacing": "raw spacing"}
_WRONG = (Region.INTERPOLATION, Region.INVALID)
# Label, whose counts, column of the sampler, look and place beside the value.
Line = tuple[str, str, int, Look, float]


def _panels(
    result: Result, lines: list[Line], regions: Sequence[Region]
) -> tuple[Figure, list[Axes]]:
    """One panel for T, one for sigma, one for the spacing, whose values are evenly spaced, as they
    are a handful; counted is what ends in the regions."""
    figure, axes = new_figure(11.0, 4.2, columns=3)
    for ax, (name, words) in zip(axes, _AXES.items(), strict=True):
        place = np.arange(len(result[name]), dtype=np.float64)
        for label, whose, column, look, beside in lines if len(place) else []:
            counts = result[f"{name}_{whose}"][:, column]
            plot_rates(ax, place + beside, counts, look, label, regions)
        ax.set_xticks(place, [f"{value:g}" for value in result[name]])
        ax.set(xlabel=words)
        ax.set_title(f"{name}, all else as in the standard problem", color=GREY)
    return figure, axes


def _message(result: Result) -> str:
    exact, blurred = (
        {n: result[f"{n}_{key}"][..., _WRONG].sum(axis=2) / result.count() for n in _AXES}
        for key in ("exact", "counts")
    )
    most, by_distance = max(float(found.max()) for found in exact.values()), blurred["spacing"]
    return (
        f"With the exact score no ablation leaves more than {show_share(most, 2)} outside the "
        f"modes; for a score of given resolution distance decides "
        f"({show_share(by_distance[0, 0], 2)} at spacing {result['spacing'][0]:g}, "
        f"{show_share(by_distance[-1, 0], 2)} at {result['spacing'][-1]:g}, DDIM)"
    )


def draw(result: Result) -> Figure:
    """All that ends outside the modes, with the exact score and with a known error."""
    lines: list[Line] = []
    for score, (label, whose) in enumerate((("exact", "exact"), ("synthetic error", "counts"))):
        for column, sampler in enumerate(result.labels("samplers")):
            base, beside = LOOKS[sampler], 0.08 * (column - 0.5) + 0.04 * score
            look = base if score else Look(base.color, "x", ":")
            lines.append((f"{sampler}, {label}", whose, column, look, beside))
    figure, axes = _panels(result, lines, _WRONG)
    for ax in axes:
        percent_axis(ax, 20.0 / result.count(), 200.0)
    axes[0].set_ylabel("samples outside every mode (%)")
    note = (
        f"DDIM with 50 steps, DDPM with T. Synthetic error: responsibilities blurred by a width of "
        f"{result.number('width'):g} in raw units, the same everywhere. Bars: 95 % intervals."
    )
    return finish(figure, _message(result), result, note, joint_legend(axes))


SYNTHETIC = FigureSpec(
    claims=("E.16",),
    part="synthetic",
    source="Figure E.16 of 2605.06831",
    title="Ablations of T, sigma and spacing",
    caption="Share of samples outside every mode of the 5 x 5 grid, one parameter changed at a "
    "time: exact score, and a synthetic score error of fixed resolution (responsibilities blurred "
    "by half a raw unit). Hollow carets are 95 % upper limits.",
    measure=functools.partial(ablations, scores=BLURRED),
    draw=draw,
    own_problems=True,
)


def _learned_message(result: Result) -> str:
    """In how many settings DDIM's share is the larger one, and where it is largest."""
    counts, settings = result["counts"], result.labels("settings")
    rates = 100.0 * counts[:, :, Region.INTERPOLATION] / counts.sum(axis=2)
    most = int(np.argmax(rates[:, 0]))
    more = int(np.count_nonzero(rates[:, 0] > rates[:, 1]))
    return (
        f"DDIM interpolates more than DDPM at {more} of {len(settings)} settings with a trained "
        f"network, most at {settings[most]} ({rates[most, 0]:.2g} % against {rates[most, 1]:.2g} %)"
    )


def draw_learned(result: Result) -> Figure:
    """Interpolations of the networks, and of the exact score on the same noise."""
    lines: list[Line] = []
    for column, sampler in enumerate(result.labels("samplers")):
        base, beside = LOOKS[sampler], 0.1 * (column - 0.5)
        lines.append((f"{sampler}, trained network", "counts", column, base, beside))
        exact = Look(GREY, base.marker, ":")
        lines.append((f"{sampler}, exact", "exact", column, exact, beside + 0.05))
    figure, axes = _panels(result, lines, [Region.INTERPOLATION])
    for ax, name in zip(axes, _AXES, strict=True):
        ax.set_xlim(-0.5, max(len(result[name]) - 0.5, 0.5))
        percent_axis(ax, 0.02, 100.0)
    axes[0].set_ylabel("interpolations (% of samples)")
    missing = result.labels("missing")
    gap = f" No network yet for {'; '.join(missing)}." if missing else ""
    note = f"DDIM with 50 steps, DDPM with T; one network a setting. Bars: 95 % intervals.{gap}"
    return finish(figure, _learned_message(result), result, note, joint_legend(axes))


E16 = FigureSpec(
    claims=("E.16",),
    source="Figure E.16 of 2605.06831, on trained networks",
    title="Trained networks: ablations of T, sigma and spacing",
    caption="Interpolation rates on the 5 x 5 grid, one parameter changed at a time and a network "
    "trained on each, with the exact score on the same noise. Hollow carets are 95 % upper limits.",
    measure=ablations,
    draw=draw_learned,
    own_problems=True,
)

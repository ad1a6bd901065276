"""Trained networks: rate and spread of DDIM against eta (arXiv 2605.06831 v1, figure E.13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixdyn.geometry import Region

from .fig_e13_eta import dress
from .spec import FigureSpec, Results
from .style import GREY, Look, finish, network_look, new_figure, percent_axis, plot_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from verify.experiments import Result

_EXACT = Look(GREY, "x", ":")


def _at(result: Result, eta: float) -> int:
    return int(np.argmin(np.abs(result["eta"] - eta)))


def _message(result: Result) -> str:
    counts, spread = result["counts"].sum(axis=0), result["spread"].mean(axis=0)
    ends = [_at(result, eta) for eta in (0.0, 1.0)]
    rates = [100.0 * counts[at, Region.INTERPOLATION] / counts[at].sum() for at in ends]
    return (
        f"On trained networks noise takes interpolations from {rates[0]:.2g} % at eta = 0 to "
        f"{rates[1]:.2g} % at eta = 1, and the spread of the modes from {spread[ends[0]]:.2f} to "
        f"{spread[ends[1]]:.2f} sigma"
    )


def draw(results: Results) -> Figure:
    """Interpolation rate left, standard deviation within the modes right."""
    result = results["learned_eta"]
    figure, (left, right) = new_figure(9.0, 3.9, columns=2)
    names, eta = result.labels("models"), result["eta"]
    for k, name in enumerate(names):
        look, shift = network_look(k), 0.012 * (k - 0.5 * (len(names) - 1))
        plot_rates(left, eta + shift, result["counts"][k], look, name)
        right.plot(eta, result["spread"][k], look.marker, color=look.color, label=name)
    exact = result["exact"].sum(axis=0)
    plot_rates(left, eta, exact, _EXACT, "exact score")
    spread = result["exact_spread"].mean(axis=0)
    right.plot(eta, spread, _EXACT.marker, color=_EXACT.color, label="exact score")
    dress(left, right, result)
    percent_axis(left, 50.0 / exact[0].sum(), 10.0)
    note = (
        "DDIM with 50 steps; the exact score on the same noise. Bars: 95 % intervals; n counts a "
        "network's samples, by eta."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    id="E.13L",
    source="Figure E.13 of 2605.06831, on trained networks",
    stem="fig_e13l_learned_eta",
    title="Trained networks: interpolation rate and spread against eta",
    caption="DDIM with noise factor eta on each trained network, and the exact score on the same "
    "noise. Right: the standard deviation within the modes on the linear recursion that holds for "
    "the exact score where one mode owns the point.",
    experiments=("learned_eta",),
    claims=("E.13",),
    draw=draw,
)

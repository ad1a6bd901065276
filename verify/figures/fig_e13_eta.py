"""Rate and spread of DDIM against eta (arXiv 2605.06831 v1, figure E.13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixdyn.geometry import Region

from .spec import FigureSpec, Results
from .style import (
    BLACK,
    BLUE,
    GREY,
    VERMILION,
    Look,
    explain_limits,
    finish,
    new_figure,
    percent_axis,
    plot_rate,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result

_LOOKS = {"exact": Look(BLUE, "o"), "blurred": Look(VERMILION, "s", "--")}
_CLOSED_FORM = "closed form: linear recursion"
_NAMES = {"exact": "exact score", "blurred": "score with a synthetic error"}


def _message(result: Result) -> str:
    eta = result["eta"].tolist()
    hits = result["counts"][1, :, Region.INTERPOLATION]
    rates = [100.0 * hits[eta.index(value)] / result.count() for value in (0.0, 1.0)]
    spread = [result["spread"][1, eta.index(value)] for value in (0.0, 1.0)]
    return (
        f"With a score error, noise takes interpolations from {rates[0]:.2g} % at eta = 0 to "
        f"{rates[1]:.2g} % at eta = 1, and the spread of the modes from {spread[0]:.2f} to "
        f"{spread[1]:.2f} sigma"
    )


def dress(left: Axes, right: Axes, result: Result) -> None:
    """Closed form, labels and legends of rate and spread over eta."""
    right.plot(result["eta"], result["recursion"], color=BLACK, label=_CLOSED_FORM)
    right.axhline(1.0, color=GREY, ls=":", label="the data")
    explain_limits(left)
    left.set(ylabel="interpolations (% of samples)", title="rate")
    right.set(ylabel="std within a mode / sigma", title="spread")
    right.set_ylim(0.0, None)
    for ax in (left, right):
        ax.set_xlabel("eta (times the standard deviation of the bridge noise)")
        ax.legend()


def draw(results: Results) -> Figure:
    """Interpolation rate left, standard deviation within the modes right."""
    result = results["eta"]
    figure, (left, right) = new_figure(9.0, 3.9, columns=2)
    n, eta = result.count(), result["eta"]
    for row, name in enumerate(result.labels("scores")):
        look, label = _LOOKS[name], _NAMES[name]
        plot_rate(left, eta, result["counts"][row, :, Region.INTERPOLATION], n, look, label)
        right.plot(eta, result["spread"][row], look.marker, color=look.color, label=label)
    dress(left, right, result)
    percent_axis(left, 50.0 / n)
    note = (
        f"DDIM with 50 steps. Synthetic error: responsibilities blurred by "
        f"{result.number('blur'):g} of the shortest mode distance. Bars: 95 % intervals."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    id="E.13",
    source="Figure E.13 of 2605.06831",
    stem="fig_e13_eta",
    title="Interpolation rate and spread against eta",
    caption="DDIM with noise factor eta, exact score and a synthetic score error (responsibilities "
    "blurred by a quarter of the mode distance). Right: the standard deviation within the modes "
    "on the linear recursion that holds where one mode owns the point.",
    experiments=("eta",),
    claims=("X7",),
    draw=draw,
)

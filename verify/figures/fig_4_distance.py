"""Distance to the nearest segment along the reverse process (arXiv 2605.06831 v1, figure 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixdyn.support.checks import Array, IntArray

from .spec import FigureSpec, Results
from .style import BLACK, GREEN, LOOKS, ORANGE, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result

_CLEAN = 0.6  # where a logarithmic time axis shows t = 0


def place(times: Array) -> Array:
    """Where times stand on the logarithmic axis, which has no place for 0."""
    return np.where(times == 0, _CLEAN, times)


def time_axis(ax: Axes, latest: int) -> None:
    """A logarithmic axis of raw time from `latest` down to clean data."""
    ax.set(xscale="log", yscale="log", xlabel="raw time t (noise left, data right)")
    ticks = [t for t in (1, 3, 10, 30, 100, 300, 1000, 3000) if t <= latest]
    ax.set_xlim(1.05 * latest, _CLEAN * 0.9)
    ax.set_xticks([_CLEAN, *ticks], ["0", *map(str, ticks)])
    ax.minorticks_off()


def _thinned(times: Array, n: int = 160) -> IntArray:
    """Indices of about n of the nodes, evenly spread on the logarithmic axis."""
    wanted = np.geomspace(max(int(times[0]), 1), 1, n)
    near = np.abs(times[:, None] - wanted).argmin(axis=0)
    return np.unique([*near, len(times) - 1])


def _tau_1(result: Result) -> float:
    return float(np.median(result["tau_1_fixed"]))


def _envelope(result: Result, name: str) -> tuple[Array, Array]:
    """Times from tau_1 on, and the median distance at tau_1 times sqrt(v_t/v_tau)."""
    times, v = result[f"{name}_times"], result[f"{name}_v"]
    late = times <= _tau_1(result)
    median = result[f"{name}_quantiles"][len(result["levels"]) // 2]
    return times[late], median[late][0] * np.sqrt(v[late] / v[late][0])


def _panel(ax: Axes, result: Result, name: str) -> None:
    look, length = LOOKS[name.upper()], result.number("length")
    shown = _thinned(result[f"{name}_times"])
    latest = int(max(result["ddim_times"][0], result["ddpm_times"][0]))
    x = place(result[f"{name}_times"][shown])
    q = result[f"{name}_quantiles"][:, shown] / length
    for low, high, shade in ((0, 4, 0.18), (1, 3, 0.30)):
        ax.fill_between(x, q[low], q[high], color=look.color, alpha=shade, lw=0)
    ax.plot(x, q[2], color=look.color, label="median; bands 50 % and 90 %")
    times, envelope = _envelope(result, name)
    label = r"$\propto\sqrt{v_t}$ from the median at $\tau_1$"
    ax.plot(place(times), envelope / length, color=BLACK, ls="--", lw=1.2, label=label)
    first, last = np.quantile(result["tau_1_fixed"], [0.1, 0.9])
    ax.axvspan(max(first, _CLEAN), max(last, _CLEAN), color=ORANGE, alpha=0.15, lw=0)
    ax.axvline(_tau_1(result), color=ORANGE, label=r"$\tau_1$: two modes dominate (80 % band)")
    ax.axvline(result.number("tau_2"), color=GREEN, ls="-.", label=r"$\tau_2$: modes separated")
    time_axis(ax, latest)
    ax.set_title(name.upper(), color=look.color)


def draw(results: Results) -> Figure:
    """DDIM and DDPM on the same axes."""
    result = results["distance"]
    figure, axes = new_figure(9.0, 4.3, columns=2)
    lowest = min(result[f"{name}_quantiles"][0].min() for name in ("ddim", "ddpm"))
    for ax, name in zip(axes, ("ddim", "ddpm"), strict=True):
        _panel(ax, result, name)
        ax.set_ylim(max(0.3 * lowest / result.number("length"), 1e-7), None)
    axes[0].set_ylabel("distance of y to the nearest segment / l")
    axes[1].sharey(axes[0])
    handles, labels = axes[0].get_legend_handles_labels()
    median = result["ddim_quantiles"][2]
    at = int(np.argmax(result["ddim_times"] <= _tau_1(result)))
    noisy = -2  # the last node with noise
    message = (
        f"Once two modes dominate, distance to the segment follows the marginal's spread: down to "
        f"the last noise DDIM's median falls {median[at] / median[noisy]:.1f}-fold, "
        f"sqrt(v) {np.sqrt(result['ddim_v'][at] / result['ddim_v'][noisy]):.1f}-fold"
    )
    note = (
        f"Exact score; static coordinates, l = {result.number('length'):.4g}; kappa = "
        f"{result.number('kappa'):g}; n of DDIM, DDPM and tau_1."
    )
    return finish(figure, message, result, note, (handles, labels))


FIGURE = FigureSpec(
    id="4",
    source="Figures 4 and E.9 of 2605.06831",
    stem="fig_4_distance",
    title="Distance to the nearest segment along the reverse process",
    caption="Distance of y = x/alpha to the segment between its two nearest modes, with the times "
    "from which two modes dominate and are separated. The dashed line is the exact contraction "
    "sqrt(v_t/v_tau) of the flow; the last step, to t = 0, adds no noise.",
    experiments=("distance",),
    claims=("X2", "G.1", "X1"),
    draw=draw,
    aliases=("E.9",),
)

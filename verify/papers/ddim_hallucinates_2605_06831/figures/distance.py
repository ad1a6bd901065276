"""Distance to the nearest segment along the reverse process (arXiv 2605.06831 v1, figure 4)."""

from __future__ import annotations

import numpy as np

from mixdyn.support.checks import Array, IntArray
from verify.measure.distance import distance, learned_distance

from ....drawing.palette import BLACK, GREEN, GREY, LOOKS, ORANGE, network_look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure, time_axis

_LAST_NOISY = -2  # node
_CLEAN = 0.6  # where a logarithmic time axis shows t = 0


def _place(times: Array) -> Array:
    """Where times stand on the logarithmic axis, which has no place for 0."""
    return np.where(times == 0, _CLEAN, times)


def _thinned(times: Array, n: int = 160) -> IntArray:
    """Indices of about n of the nodes, evenly spread on the logarithmic axis."""
    wanted = np.geomspace(max(int(times[0]), 1), 1, n)
    near = np.abs(times[:, None] - wanted).argmin(axis=0)
    return np.unique([*near, len(times) - 1])


def _axes(ax: Axes, latest: int) -> None:
    ax.set_yscale("log")
    time_axis(ax, 1.05 * latest, _CLEAN)


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
    x = _place(result[f"{name}_times"][shown])
    q = result[f"{name}_quantiles"][:, shown] / length
    for low, high, shade in ((0, 4, 0.18), (1, 3, 0.30)):
        ax.fill_between(x, q[low], q[high], color=look.color, alpha=shade, lw=0)
    ax.plot(x, q[2], color=look.color, label="median; bands 50 % and 90 %")
    times, envelope = _envelope(result, name)
    label = r"$\propto\sqrt{v_t}$ from the median at $\tau_1$"
    ax.plot(_place(times), envelope / length, color=BLACK, ls="--", lw=1.2, label=label)
    first, last = np.quantile(result["tau_1_fixed"], [0.1, 0.9])
    ax.axvspan(max(first, _CLEAN), max(last, _CLEAN), color=ORANGE, alpha=0.15, lw=0)
    ax.axvline(_tau_1(result), color=ORANGE, label=r"$\tau_1$: two modes dominate (80 % band)")
    ax.axvline(result.number("tau_2"), color=GREEN, ls="-.", label=r"$\tau_2$: modes separated")
    _axes(ax, latest)
    ax.set_title(name.upper(), color=look.color)


def draw(result: Result) -> Figure:
    """DDIM and DDPM on the same axes."""
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
    message = (
        f"Once two modes dominate, distance to the segment follows the marginal's spread: down to "
        f"the last noise DDIM's median falls {median[at] / median[_LAST_NOISY]:.1f}-fold, "
        f"sqrt(v) {np.sqrt(result['ddim_v'][at] / result['ddim_v'][_LAST_NOISY]):.1f}-fold"
    )
    note = (
        f"Exact score; static coordinates, l = {result.number('length'):.4g}; kappa = "
        f"{result.number('kappa'):g}; n of DDIM, DDPM and tau_1."
    )
    return finish(figure, message, result, note, (handles, labels))


X2 = FigureSpec(
    claims=("X2", "G.1", "X1"),
    source="Figures 4 and E.9 of 2605.06831",
    title="Distance to the nearest segment along the reverse process",
    caption="Distance of y = x/alpha to the segment between its two nearest modes, with the times "
    "from which two modes dominate and are separated. The dashed line is the exact contraction "
    "sqrt(v_t/v_tau) of the flow; the last step, to t = 0, adds no noise.",
    measure=distance,
    draw=draw,
)


def _distances(ax: Axes, result: Result, name: str) -> None:
    """Median and 95 % quantile: of the exact score and of each network."""
    quantiles, x = result[f"{name}_quantiles"], _place(result["times"])
    ax.fill_between(x, quantiles[0, 0], quantiles[0, 2], color=GREY, alpha=0.25, lw=0)
    ax.plot(x, quantiles[0, 1], color=GREY, lw=3.0, alpha=0.7, label="exact score; band 90 %")
    for k, network in enumerate(result.labels("models")):
        look = network_look(k)
        ax.plot(x, quantiles[1 + k, 1], color=look.color, lw=1.1, label=network)
        ax.plot(x, quantiles[1 + k, 2], color=look.color, lw=0.9, ls=":")
    late = result["times"] <= result["tau_1"][0]
    spread = np.sqrt(result["v"][late] / result["v"][late][0])
    ax.plot(
        x[late],
        quantiles[0, 1][late][0] * spread,
        "--",
        color=BLACK,
        lw=1.2,
        label=r"$\propto\sqrt{v_t}$ from $\tau_1$",
    )
    ax.set_title(name.upper(), color=LOOKS[name.upper()].color)


def _floor(ax: Axes, result: Result) -> None:
    """DDIM: what its steps leave of the offset, what the network adds, what the theorem allows."""
    x = _place(result["times"])
    ax.plot(x, result["envelope"][0], color=BLACK, ls="-.", lw=1.2, label="theorem's bound")
    ax.plot(
        x, result["offset"][0], color=GREY, lw=3.0, alpha=0.7, label="offset left by DDIM's steps"
    )
    for k in range(1, len(result["floor_median"])):
        look = network_look(k - 1)
        label = "floor: each network" if k == 1 else "_"
        ax.plot(x, result["floor_median"][k], color=look.color, lw=1.1, label=label)
        ax.plot(x, result["floor_high"][k], color=look.color, lw=0.9, ls=":")
    ax.plot(x, result["floor_median"][0], color=GREY, lw=1.1, ls="--", label="floor: exact score")
    ax.set_title("DDIM from its own tau_1 on: medians, dots 95 %", color=GREY)
    ax.legend(loc="lower left", fontsize=7.0)


def _learned_message(result: Result) -> str:
    medians = result["ddim_quantiles"][:, 1, _LAST_NOISY]
    floor = result["floor_median"][1:, _LAST_NOISY].mean()
    bound = result["envelope"][0, _LAST_NOISY]
    return (
        f"At the last noise DDIM's median distance to the segment is {medians[1:].mean():.2g} l on "
        f"trained networks, {medians[0]:.2g} l with the exact score; their error has moved half of "
        f"the paths by {floor:.2g} l or more, where the theorem's bound is {bound:.2g} l"
    )


def draw_learned(result: Result) -> Figure:
    """Distances of DDIM and DDPM, and DDIM's floor."""
    figure, axes = new_figure(12.0, 4.4, columns=3)
    latest = int(result["times"][0])
    for ax, name in zip(axes, ("ddim", "ddpm"), strict=False):
        _distances(ax, result, name)
    _floor(axes[2], result)
    for ax in axes:
        ax.axvline(result["tau_1"][0], color=ORANGE, label=r"$\tau_1$: two modes dominate (median)")
        ax.axvline(result.number("tau_2"), color=GREEN, ls="-.", label=r"$\tau_2$: separated")
        _axes(ax, latest)
    axes[2].set_ylim(3e-8, None)
    axes[2].set_xlim(3.0 * float(result["tau_1"][0]), None)
    for ax in axes[:2]:
        ax.set_ylim(3e-4, None)
    axes[0].set_ylabel("distance of y to the nearest segment / l")
    axes[2].set_ylabel("distance to the line of the path's pair / l")
    note = (
        "Nodes of DDIM with 50 steps; solid: medians, dots: 95 % quantiles. The exact score runs "
        "on the first network's noise. n paths of DDIM, DDPM for each network."
    )
    handles = axes[0].get_legend_handles_labels()
    return finish(figure, _learned_message(result), result, note, handles)


F4 = FigureSpec(
    claims=("F4",),
    source="Figures 4 and E.9 of 2605.06831, on trained networks",
    title="Trained networks: distance to the nearest segment, and the floor of their error",
    caption="Distance of y = x/alpha to the segment between its two nearest modes under each "
    "trained network and the exact score on the same noise. Right: DDIM's offset from the line "
    "through the two modes that dominate a path, split into what its steps leave of it with the "
    "exact score and what the network's error adds, the floor.",
    measure=learned_distance,
    draw=draw_learned,
)

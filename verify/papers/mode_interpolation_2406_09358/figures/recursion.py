"""Recursive training under three filters (arXiv 2406.09358 v2, figures 7 and 8a)."""

from __future__ import annotations

import numpy as np

from mixdyn.geometry import Region
from verify.measure.generations import recursions

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, VERMILION, Look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure, plot_rates

_LOOKS = {
    "none": Look(VERMILION, "o"),
    "random": Look(GREEN, "^", "-."),
    "hal": Look(BLUE, "s", "--"),
}
_NAMES = {"none": "no filter", "random": "random filter", "hal": "filter by Hal"}


def _last_rates(result: Result) -> dict[str, float]:
    """Mean over seeds of the last generation's share of interpolations in per cent, by filter."""
    counts, filters = result["counts"][:, -1], np.array(result.labels("filters"))
    rates = 100.0 * counts[:, Region.INTERPOLATION] / counts.sum(axis=1)
    return {name: float(rates[filters == name].mean()) for name in _NAMES}


def _panel(ax: Axes, result: Result, what: str) -> None:
    """One line a recursion; every filter is named once."""
    seen: set[str] = set()
    for k, name in enumerate(result.labels("filters")):
        label = _NAMES[name] if name not in seen else "_"
        seen.add(name)
        look, generation = _LOOKS[name], np.arange(1, result["counts"].shape[1] + 1)
        if what == "rate":
            plot_rates(ax, generation.astype(float), result["counts"][k], look, label)
            continue
        if what == "spread":
            values = result["spread"][k]
        else:
            share = result["modes"][k] / result["modes"][k].sum(axis=1, keepdims=True)
            n_modes = share.shape[1]
            values = (share * np.log(np.maximum(share * n_modes, 1e-300))).sum(axis=1)
        ax.plot(generation, values, look.line, marker=look.marker, color=look.color, label=label)
    ax.set(xlabel="generation")
    ax.set_xticks(np.arange(1, result["counts"].shape[1] + 1))


def draw(result: Result) -> Figure:
    """Interpolation, KL of the modes' weights, spread."""
    figure, axes = new_figure(10.5, 3.7, columns=3)
    for ax, what in zip(axes, ("rate", "weights", "spread"), strict=True):
        _panel(ax, result, what)
    axes[0].set(ylabel="interpolation (%)", ylim=(0.0, None), title="Between modes")
    n = result["counts"][0, 0].sum()
    exact = (result["modes"].shape[2] - 1) / (2.0 * n)
    axes[1].axhline(exact, color=GREY, ls=":", label="exact samples")
    axes[1].set(ylabel="KL divergence (nats)", title="Weights of the modes", yscale="log")
    axes[2].set(ylabel="standard deviation (sigma)", title="Spread within the modes")
    axes[0].legend(loc="upper left")
    axes[1].legend(loc="upper left", fontsize=7.0)
    rates = _last_rates(result)
    message = (
        f"Trained on its own samples the fifth network interpolates {rates['none']:.2g} % of the "
        f"time, after a random filter {rates['random']:.2g} %, after the filter by Hal "
        f"{rates['hal']:.2g} %; the modes' weights drift under all three"
    )
    note = (
        "Saved recursions of `mixdyn recurse` on the 5 x 5 grid, T = 500; both filters drop a "
        "tenth. Bars: 95 %."
    )
    return finish(figure, message, result, note)


M6 = FigureSpec(
    claims=("M6", "M7"),
    source="Figures 7 and 8a of 2406.09358",
    title="Recursive training: interpolation, weights and spread over the generations",
    caption="One line per recursion. Filters drop a tenth of the samples before the next training.",
    measure=recursions,
    draw=draw,
    own_problems=True,
)


def draw_samples(result: Result) -> Figure:
    """A row per filter, a column per generation."""
    from matplotlib.figure import Figure

    clouds, at = result["clouds"], result["at"]
    figure = Figure(figsize=(8.4, 8.8), layout="constrained")
    axes = figure.subplots(len(_NAMES), len(at), sharex=True, sharey=True, squeeze=False)
    for row, name in enumerate(_NAMES):
        for column, generation in enumerate(at):
            ax = axes[row, column]
            points = clouds[row, column]
            ax.plot(*points.T, ".", ms=3.0, color=_LOOKS[name].color, rasterized=True)
            ax.plot(*result["means"].T, "+", ms=4.0, mew=0.7, color=BLACK)
            ax.set_aspect("equal")
            ax.set(xlim=(-1.75, 1.75), ylim=(-1.75, 1.75))
            ax.set(xlabel="first coordinate", ylabel="second")
            ax.set_title(f"{_NAMES[name]}, generation {generation}")
    rates = _last_rates(result)
    message = (
        "Samples spread along the segments between neighbours from generation to generation: "
        f"{rates['none']:.2g} % of them without a filter, {rates['hal']:.2g} % with Hal's"
    )
    shown = clouds.shape[2]
    note = (
        f"5 x 5 grid, T = 500: the first {shown} samples of each generation of the first seed; "
        "crosses: the modes."
    )
    return finish(figure, message, result, note)


M6_SAMPLES = FigureSpec(
    claims=("M6",),
    source="Figure 8a of 2406.09358",
    title="Samples of the generations of recursive training under three filters",
    caption="Every panel shows the first samples of one generation; crosses mark the true modes.",
    measure=recursions,
    draw=draw_samples,
    part="samples",
    own_problems=True,
)

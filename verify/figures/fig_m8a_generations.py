"""Samples of the generations of recursive training (arXiv 2406.09358 v2, figure 8a)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fig_m7_recursion import LOOKS, NAMES, last_rates
from .spec import FigureSpec, Results
from .style import BLACK, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """A row per filter, a column per generation."""
    from matplotlib.figure import Figure

    result = results["recursions"]
    clouds, at = result["clouds"], result["at"]
    figure = Figure(figsize=(8.4, 8.8), layout="constrained")
    axes = figure.subplots(len(NAMES), len(at), sharex=True, sharey=True, squeeze=False)
    for row, name in enumerate(NAMES):
        for column, generation in enumerate(at):
            ax = axes[row, column]
            points = clouds[row, column]
            ax.plot(*points.T, ".", ms=3.0, color=LOOKS[name].color, rasterized=True)
            ax.plot(*result["means"].T, "+", ms=4.0, mew=0.7, color=BLACK)
            ax.set_aspect("equal")
            ax.set(xlim=(-1.75, 1.75), ylim=(-1.75, 1.75))
            ax.set(xlabel="first coordinate", ylabel="second")
            ax.set_title(f"{NAMES[name]}, generation {generation}")
    rates = last_rates(result)
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


FIGURE = FigureSpec(
    id="M-8a",
    source="Figure 8a of 2406.09358",
    stem="fig_m8a_generations",
    title="Samples of the generations of recursive training under three filters",
    caption="Every panel shows the first samples of one generation; crosses mark the true modes.",
    experiments=("recursions",),
    claims=(),
    draw=draw,
)

"""Hal on shapes, and recursions on shapes and digits (arXiv 2406.09358 v2, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mixdyn.support.checks import Array
from verify.measure.images.pictures import digit_generations, shape_generations, shapes_hal

from ....drawing.palette import BLUE, GREY, VERMILION, Look, network_look
from ....drawing.sheets import draw_sheet
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure, plot_rate


def draw_hal(result: Result) -> Figure:
    """Two histograms and a sheet."""
    figure, (left, right) = new_figure(9.0, 4.2, columns=2, ratios=(3, 2))
    wrong, others = np.log10(result["hallucinations"]), np.log10(result["others"])
    low, high = min(wrong.min(), others.min()), max(wrong.max(), others.max())
    edges = np.linspace(low, high, 25).tolist()
    left.hist(others, edges, density=True, color=BLUE, alpha=0.5, label=f"others ({len(others):,})")
    label = f"a shape repeated ({len(wrong):,})"
    left.hist(wrong, edges, density=True, histtype="step", lw=1.6, color=VERMILION, label=label)
    level = float(np.log10(result.number("level")))
    left.axvline(level, color=GREY, ls="--", label="keeps 95 % of the others")
    left.set(xlabel="log10 Hal over t = 850 to 700", ylabel="density")
    left.legend()
    below = "framed: a shape repeated"
    draw_sheet(right, result["pixels"], result["framed"], 6, title="samples", below=below)
    removed = 100.0 * float(np.mean(wrong > level))
    share = 100.0 * result.number("repeated") / result.count()
    message = (
        f"{share:.2g} % of images repeat a shape; the level of Hal that keeps 95 % of the others "
        f"removes {removed:.3g} % of them"
    )
    return finish(figure, message, result, "Ancestral sampling, 250 steps.")


HAL = FigureSpec(
    claims=("M8 (1)",),
    source="Figure 6 (shapes) of 2406.09358",
    title="Hal of images that repeat a shape and of the others",
    caption="SIMPLE SHAPES at 32 x 32. Both populations have area one; the dashed level keeps 95 % "
    "of the images that repeat no shape. Right: samples, those that repeat a shape first.",
    measure=shapes_hal,
    draw=draw_hal,
    own_problems=True,
)


def _over_generations(
    result: Result, ends: Sequence[str], generations: int, y: str, width: float, below: str
) -> tuple[Figure, Axes]:
    """A panel over the generations, and beside it a sheet of each of `ends`."""
    figure, axes = new_figure(3.6 + width * len(ends), 4.0, columns=1 + len(ends))
    for ax, title, pixels, framed in zip(
        axes[1:], ends, result["pixels"], result["framed"], strict=True
    ):
        draw_sheet(ax, pixels, framed, 4, title=title, below=below)
    axes[0].set(xlabel="generation", ylabel=y, xticks=1 + np.arange(generations))
    return figure, axes[0]


def _ends(result: Result, generations: int) -> list[str]:
    """What stands over the last generation under each filter."""
    return [f"generation {generations}, {name}" for name in result.labels("filters")]


def _places(result: Result, generations: int) -> Iterator[tuple[int, str, Look, Array]]:
    """Number, name and look of each filter, and where its generations stand, a little aside."""
    for k, name in enumerate(result.labels("filters")):
        yield k, name, network_look(k), np.arange(1.0, generations + 1.0) + 0.03 * (k - 1)


def _by_filter(result: Result, values: Array, form: str) -> str:
    """The last of values (R, G) under each filter, in words."""
    last = zip(result.labels("filters"), values[:, -1], strict=True)
    return ", ".join(f"{name} {form.format(value)}" for name, value in last)


def draw_shapes(result: Result) -> Figure:
    """The share over the generations, and the last generation under each filter."""
    rates = 100.0 * result["wrong"] / result["n_at"]
    last = rates.shape[1]
    y, below = "a shape repeated (% of images)", "framed: a shape repeated"
    figure, panel = _over_generations(result, _ends(result, last), last, y, 2.4, below)
    for k, name, look, at in _places(result, last):
        plot_rate(panel, at, result["wrong"][k], result["n_at"][k], look, name)
    panel.legend(title="dropped by")
    message = (
        f"Shapes repeated from {rates[0, 0]:.2g} % in generation 1 to, by filter, "
        f"{_by_filter(result, rates, '{:.2g} %')}"
    )
    return finish(figure, message, result, "Bars: 95 % intervals.")


SHAPES = FigureSpec(
    claims=("M8 (2)",),
    source="Figure 7 (shapes) of 2406.09358",
    title="Shapes repeated over generations trained on their own images",
    caption="Each generation is trained on images of the one before, less the tenth that a filter "
    "drops: of largest Hal, at random, or none. 24 x 24 pixels, a short recipe.",
    measure=shape_generations,
    draw=draw_shapes,
    own_problems=True,
)


def draw_digits(result: Result) -> Figure:
    """FID over the generations, and digits of the first and of each last one."""
    fid, last = result["fid"], result["fid"].shape[1]
    ends, y = ["generation 1", *_ends(result, last)], "FID in a classifier's features"
    figure, panel = _over_generations(result, ends, last, y, 1.9, "digits drawn")
    for k, name, look, at in _places(result, last):
        away = np.array([fid[k] - result["fid_from"][k], result["fid_to"][k] - fid[k]])
        shape = look.marker + look.line
        panel.errorbar(at, fid[k], yerr=away, label=name, fmt=shape, color=look.color, capsize=2.0)
    panel.set_ylim(0.0, None)
    panel.legend(title="dropped by")
    message = f"FID goes from {fid[0, 0]:.3g} in generation 1 to, by filter, "
    message += _by_filter(result, fid, "{:.3g}")
    return finish(figure, message, result, "Bars: 95 % intervals by resampling.")


DIGITS = FigureSpec(
    claims=("M8 (3)",),
    source="Figure 8 (digits) of 2406.09358",
    title="FID of digits over generations trained on their own digits",
    caption="Class-conditional networks with guidance on scikit-learn's digits; each generation is "
    "trained on digits of the one before, less the tenth of each class that a filter drops.",
    measure=digit_generations,
    draw=draw_digits,
    own_problems=True,
)

"""Hal on shapes, and recursions on shapes and digits (arXiv 2406.09358 v1, sections 5 and 6)."""

from __future__ import annotations

import numpy as np

from verify.measure.images.pictures import digit_generations, shape_generations, shapes_hal

from ....drawing.palette import BLUE, GREY, VERMILION, network_look
from ....drawing.sheets import draw_sheet
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Figure, finish, new_figure, plot_rate


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


def draw_shapes(result: Result) -> Figure:
    """The share over the generations, and the last generation under each filter."""
    names = result.labels("filters")
    figure, axes = new_figure(3.6 + 2.4 * len(names), 4.0, columns=1 + len(names))
    places = 1.0 + np.arange(result["wrong"].shape[1])
    for k, name in enumerate(names):
        at = places + 0.03 * (k - 1)
        look = network_look(k)
        plot_rate(axes[0], at, result["wrong"][k], result["n_at"][k], look, name)
        below = "framed: a shape repeated"
        title = f"generation {len(places)}, {name}"
        draw_sheet(
            axes[1 + k], result["pixels"][k], result["framed"][k], 4, title=title, below=below
        )
    axes[0].set(xlabel="generation", ylabel="a shape repeated (% of images)", xticks=places)
    axes[0].legend(title="dropped by")
    rates = 100.0 * result["wrong"] / result["n_at"]
    ends = ", ".join(f"{name} {rate:.2g} %" for name, rate in zip(names, rates[:, -1], strict=True))
    message = f"Shapes repeated from {rates[0, 0]:.2g} % in generation 1 to, by filter, {ends}"
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
    names = result.labels("filters")
    figure, axes = new_figure(3.6 + 1.9 * (1 + len(names)), 4.0, columns=2 + len(names))
    places = 1.0 + np.arange(result["fid"].shape[1])
    for k, name in enumerate(names):
        look, fid = network_look(k), result["fid"][k]
        ends = np.array([fid - result["fid_from"][k], result["fid_to"][k] - fid])
        at = places + 0.03 * (k - 1)
        axes[0].errorbar(
            at,
            fid,
            yerr=ends,
            label=name,
            fmt=look.marker + look.line,
            color=look.color,
            capsize=2.0,
        )
    axes[0].set(xlabel="generation", ylabel="FID in a classifier's features", xticks=places)
    axes[0].set_ylim(0.0, None)
    axes[0].legend(title="dropped by")
    titles = ["generation 1", *(f"generation {len(places)}, {name}" for name in names)]
    none = np.zeros(result["pixels"].shape[1], bool)
    for ax, title, pixels in zip(axes[1:], titles, result["pixels"], strict=True):
        draw_sheet(ax, pixels, none, 4, title=title, below="digits drawn")
    ends_ = ", ".join(
        f"{name} {v:.3g}" for name, v in zip(names, result["fid"][:, -1], strict=True)
    )
    message = f"FID goes from {result['fid'][0, 0]:.3g} in generation 1 to, by filter, {ends_}"
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

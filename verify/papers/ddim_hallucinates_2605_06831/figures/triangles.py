"""Wrong counts of triangles over the length of training (arXiv 2605.06831 v1, figure E.10)."""

from __future__ import annotations

from verify.measure.images.pictures import triangle_rates, triangle_sheets

from ....drawing.palette import network_look
from ....drawing.sheets import draw_sheet
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Figure, explain_limits, finish, joint_legend, new_figure, plot_rate


def draw(result: Result) -> Figure:
    """Rates over training length, and over what an image costs."""
    figure, (left, right) = new_figure(9.0, 4.0, columns=2, ratios=(3, 2))
    wrong, n, steps = result["wrong"], result["n_at"], result["steps"]
    for k, name in enumerate(result.labels("samplers")):
        there, look = n[k] > 0, network_look(k)
        aside = 1.0 + 0.02 * (k - 2)
        plot_rate(left, steps[there] * aside, wrong[k, there], n[k, there], look, name)
        if there[-1]:
            cost = [float(result["n_eval"][k])]
            plot_rate(right, cost, wrong[k, -1:], n[k, -1:], look, name)
    explain_limits(left)
    left.set(xscale="log", xlabel="steps of training", ylabel="wrong counts (% of images)")
    left.set_xticks(steps, [f"{s:,}" for s in steps])
    left.minorticks_off()
    right.set(xscale="log", xlabel="evaluations an image", title=f"after {steps[-1]:,} steps")
    for ax in (left, right):
        ax.set_ylim(0.0, None)
    note = "Mean over seeds where there are several; bars: 95 % intervals."
    legend = joint_legend([left, right])
    return finish(figure, _message(result), result, note, legend)


def _message(result: Result) -> str:
    names, parts, steps = result.labels("samplers"), [], result["steps"]
    for name in ("ddim-50", "ddpm"):
        if name in names:
            k = names.index(name)
            seen = result["n_at"][k].nonzero()[0]
            rates = [100.0 * result["wrong"][k, i] / result["n_at"][k, i] for i in seen[[0, -1]]]
            text = f"{name} miscounts {rates[0]:.2g} % after {steps[seen[0]]:,} steps"
            if len(seen) > 1:
                text += f" and {rates[1]:.2g} % after {steps[seen[-1]]:,}"
            parts.append(text)
    return "; ".join(parts)


E10 = FigureSpec(
    claims=("E.10",),
    source="Figure E.10 of 2605.06831",
    title="Images with a wrong number of triangles over the length of training",
    caption="Images of three triangles by U-Nets that were trained for so many steps of 64 images, "
    "under each sampler: the share that does not hold exactly three. Right: the same after the "
    "longest training, over the evaluations that an image takes.",
    measure=triangle_rates,
    draw=draw,
    own_problems=True,
)


def draw_samples(result: Result) -> Figure:
    """A sheet a sampler and network."""
    titles = result.labels("titles")
    figure, axes = new_figure(2.6 * len(titles), 4.6, columns=len(titles))
    panels = zip(axes, titles, result["pixels"], result["framed"], strict=True)
    for k, (ax, title, pixels, framed) in enumerate(panels):
        share = 100.0 * result["wrong"][k] / result["n"][k]
        below = f"framed: not three; {share:.2g} % of {result['n'][k]:,}"
        draw_sheet(ax, pixels, framed, 4, title=title, below=below)
    axes[0].set_ylabel("samples")
    rates = 100.0 * result["wrong"] / result["n"]
    message = f"{titles[0]}: {rates[0]:.2g} % wrong; {titles[-1]}: {rates[-1]:.2g} %"
    return finish(figure, message, result, "The first images drawn, none left out.")


E10_SAMPLES = FigureSpec(
    claims=("E.10",),
    part="samples",
    source="Figure E.10 of 2605.06831, on trained networks",
    title="Images of triangles as networks draw them",
    caption="The first 24 images of DDIM with 50 steps and of DDPM, after the shortest and the "
    "longest training; those in a frame do not hold three triangles.",
    measure=triangle_sheets,
    draw=draw_samples,
    own_problems=True,
)

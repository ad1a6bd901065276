"""W2 of six schemes on Gaussian data, start and truncation apart (arXiv 2405.14250 v5)."""

from __future__ import annotations

from verify.measure.gaussian_schemes import ablation

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, Look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_LOOKS = {
    "EM": Look(ORANGE, "o", "-."),
    "EI": Look(VERMILION, "s", "-."),
    "DDPM": Look(GREY, "^", "-."),
    "Euler": Look(SKY, "v"),
    "Heun": Look(BLUE, "D"),
    "RK4": Look(GREEN, "P"),
}


def _lines(ax: Axes, result: Result, part: str) -> None:
    for k, scheme in enumerate(result.labels("schemes")):
        look = _LOOKS[scheme]
        at = result["costs" if result[part].shape[1] == len(result["costs"]) else "truncations"]
        ax.plot(at, result[part][k], look.marker, ls=look.line, color=look.color, label=scheme)
    ax.set(xscale="log", yscale="log")


def draw(result: Result) -> Figure:
    """Steps, start and truncation, a panel each."""
    figure, axes = new_figure(11.0, 4.2, columns=3)
    for ax, part in zip(axes, ("steps", "start", "truncated"), strict=True):
        _lines(ax, result, part)
    for ax in axes[:2]:
        ax.set(xlabel="evaluations of the score")
    axes[0].set(ylabel="W2", title="Steps: from p_T, truncated at 1e-3")
    axes[0].axhline(result.number("floor"), color=BLACK, ls=":", label="no steps")
    axes[1].set(ylabel="change of W2", title="Start: N(0, I) in place of p_T")
    axes[2].set(ylabel="W2", xlabel="truncation time", title="Truncation: 500 evaluations, N(0, I)")
    truncated = result["truncated"]
    best = truncated.min(axis=1)
    heun, em = (result.labels("schemes").index(name) for name in ("Heun", "EM"))
    message = (
        f"500 evaluations of Heun leave W2 = {best[heun]:.2g} at its best truncation, of "
        f"Euler-Maruyama {best[em]:.2g}; truncated at 1e-5 Heun is off by "
        f"{truncated[heun, 0]:.2g}"
    )
    note = (
        "Exact, by recursion, on a spectrum of 3072 eigenvalues that gives the paper's table; "
        "evaluations are counted as they are made. Dash-dotted: schemes of the SDE."
    )
    return finish(figure, message, result, note, axes[0].get_legend_handles_labels())


FIGURE = FigureSpec(
    claims=("W4", "W3'"),
    source="Figure 1 and Table 1 of 2405.14250",
    title="Six schemes on Gaussian data: W2 by steps, start and truncation",
    caption="W2 between the data and the end of each scheme: against the evaluations from the true "
    "start, what N(0, I) adds to it, and against the truncation time.",
    measure=ablation,
    draw=draw,
    own_problems=True,
)

"""tau_1 and tau_2 against kappa and dimension (arXiv 2605.06831 v1, figures E.6 to E.8)."""

from __future__ import annotations

from typing import Any

from verify.measure.dominance import dominance

from ....drawing.palette import GREY, PALETTE
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_MARKERS = "osv^D"


def _panel(ax: Axes, result: Result, name: str) -> None:
    kappa = result["kappa"]
    for row, d in enumerate(result["d"]):
        low, middle, high = result[name][row].T
        color = PALETTE[row]
        seen = middle >= 0
        ax.fill_between(kappa[seen], low[seen], high[seen], color=color, alpha=0.15, lw=0)
        style: dict[str, Any] = {
            "color": color,
            "marker": _MARKERS[row % len(_MARKERS)],
            "label": f"d = {d}",
        }
        ax.plot(kappa[seen], middle[seen], **style)
    ax.set_xlabel(r"margin $\kappa$")


def draw(result: Result) -> Figure:
    """Dominance left, separation right, on one axis of raw times."""
    figure, axes = new_figure(9.0, 4.1, columns=2)
    _panel(axes[0], result, "fixed")
    _panel(axes[1], result, "own")
    axes[0].set_title(r"$\tau_1$: from then on one pair dominates", color=GREY)
    axes[1].set_title(r"$\tau_2$: from then on the path's pair is separated", color=GREY)
    axes[0].set_ylabel("raw time t (earlier upwards)")
    axes[1].sharey(axes[0])
    axes[0].set(yscale="log", yticks=[10, 30, 100, 300])
    axes[0].set_yticklabels(["10", "30", "100", "300"])
    kappa, d, at = result["kappa"], result["d"], len(result["kappa"]) // 2
    first, own = result["fixed"][:, at, 1], result["own"][:, at, 1]
    message = (
        f"More dimensions let a pair dominate far earlier (d = {d[0]} to {d[-1]}: tau_1 = "
        f"{int(first[0])} to {int(first[-1])} at kappa = {kappa[at]:g}), separation gains less "
        f"(tau_2 = {int(own[0])} to {int(own[-1])})"
    )
    legend = axes[0].get_legend_handles_labels()
    note = (
        "25 modes by farthest-point sampling, in each dimension; exact score, DDIM with 50 steps. "
        "Lines: medians over paths; bands: 10 to 90 %."
    )
    return finish(figure, message, result, note, legend)


FIGURE = FigureSpec(
    claims=("A4.1", "A4.4", "E.6", "E.7", "E.8"),
    source="Figures E.6 to E.8 of 2605.06831",
    title="Dominance and separation times against kappa",
    caption="Raw times from which one fixed pair of modes dominates a path with margin kappa, and "
    "from which its modes are at a squared distance of 4 kappa d v; 25 modes, d = 2 to 64.",
    measure=dominance,
    draw=draw,
    own_problems=True,
)

"""Densities on further lines, two and four modes (arXiv 2406.09358 v2, figures 9 to 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fig_m2_densities import panel
from .spec import FigureSpec, Results
from .style import finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = ("1-2", "1-2-4-5")


def draw(results: Results) -> Figure:
    """Two modes left, four right."""
    result = results["line_densities"]
    figure, axes = new_figure(10.0, 4.0, columns=2)
    names, parts = result.labels("lines"), []
    for ax, name in zip(axes, _SHOWN, strict=True):
        panel(ax, result, name)
        ax.legend(loc="upper center", fontsize=7.0)
        rate = result["rate"][result["line"] == names.index(name)]
        parts.append(f"{rate[-1]:.1e} of DDPM's samples (modes at {name.replace('-', ', ')})")
    axes[0].set_ylabel("density")
    message = f"Two modes interpolate as three and four do: {' and '.join(parts)} end between modes"
    note = "Laws of DDPM with 1,000 steps by quadrature. One network each."
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    id="M-9",
    source="Figures 9 to 12 of 2406.09358",
    stem="fig_m9_lines",
    title="Densities between two and among four modes on a line",
    caption="As figure M-2 for modes at 1, 2 and at 1, 2, 4, 5: a trained network, the exact score "
    "and the data.",
    experiments=("line_densities",),
    claims=(),
    draw=draw,
    aliases=("M-10", "M-11", "M-12"),
)

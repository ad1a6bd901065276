"""Rates of networks that are proved, beside those that are sampled (X22)."""

from __future__ import annotations

import numpy as np

from verify.measure.interpolation.proved_rates import proved_rates

from ....drawing.palette import BLACK, BLUE
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Figure, finish, intervals, new_figure


def draw(result: Result) -> Figure:
    """A network a row: the proved rate, and the samples with their interval."""
    figure, (ax,) = new_figure(8.0, 4.2)
    proved, names = result["proved"], result.labels("names")
    order = np.argsort(proved)
    at = np.arange(len(order), dtype=float)
    rate, low, high = intervals(result["counts"][order], result.count())
    floor = 0.3 * min(proved[proved > 0.0].min(initial=1.0), 1.0 / result.count())
    shown = np.maximum(rate, floor)
    bars = np.maximum(np.stack([shown - np.maximum(low, floor), high - shown]), 0.0)
    ax.barh(
        at, proved[order], left=0.0, height=0.5, color=BLUE, alpha=0.6, label="proved, at least"
    )
    ax.errorbar(shown, at, xerr=bars, fmt="o", color=BLACK, ms=4, capsize=3, label="sampled, 95 %")
    ax.set_yticks(at, [names[k] for k in order])
    label = "probability that DDIM-50 ends in a gap between modes"
    ax.set(xscale="log", xlabel=label, ylabel="network")
    ax.set_xlim(floor, 2.0 * max(float(high.max()), float(proved.max())))
    ax.legend(loc="lower right")
    best = int(np.argmax(proved))
    message = (
        f"{names[best]} with DDIM-50 ends between modes with probability {proved[best]:.4f} at "
        f"least: proved, as is {proved[proved > 0.0].min(initial=1.0):.1e} or more for "
        f"{int((proved > 0.0).sum())} of {len(names)} networks of modes on a line"
    )
    return finish(figure, message, result)


FIGURE = FigureSpec(
    claims=("X22",),
    source="Our own, of result X22",
    title="Hallucination rates of networks, proved and sampled",
    caption="Bars: the normal mass of starts that enclosures of all 50 steps prove to end farther "
    "than 6 sigma from every mode. Points: samples in single precision with intervals of 95 %.",
    measure=proved_rates,
    draw=draw,
    own_problems=True,
)

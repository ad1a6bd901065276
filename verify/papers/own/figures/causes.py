"""Interpolation by cause: exact or learned score, DDIM or DDPM (own result)."""

from __future__ import annotations

import numpy as np

from verify.measure.interpolation.causes import causes

from ....drawing.palette import BLUE, ORANGE, SKY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Figure, finish, new_figure

_LOOKS = (("x", SKY), ("+", ORANGE), ("o", BLUE), ("s", VERMILION))
FLOOR = 1e-20


def draw(result: Result) -> Figure:
    """One row a problem, four marks on a logarithmic axis."""
    figure, (ax,) = new_figure(9.0, 4.2)
    problems, rows = result.labels("problems"), np.arange(len(result["rate"]), dtype=float)
    for k, (name, (marker, color)) in enumerate(zip(result.labels("cells"), _LOOKS, strict=True)):
        rate, low, high = (result[part][:, k] for part in ("rate", "low", "high"))
        at, seen = rows + 0.12 * (k - 1.5), rate > 0.0
        ax.hlines(at, np.maximum(low, FLOOR), high, color=color, lw=1.0)
        ax.plot(rate[seen], at[seen], marker, color=color, ms=6.0, label=name)
        ax.plot(high[~seen], at[~seen], "<", color=color, mfc="none", ms=5.0)
    ax.plot([], [], "<", color="#767676", mfc="none", label="none seen: upper limit")
    ax.set(xscale="log", xlim=(FLOOR, 1.0), xlabel="probability of ending between modes")
    ax.set_yticks(rows, problems)
    ax.set_ylabel("problem")
    ax.invert_yaxis()
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=5)
    ed, ep, ld, lp = result["rate"].T
    together = (ld - ep) / np.maximum((lp - ep) + (ed - ep), 1e-300)
    message = (
        f"With the exact score at most {max(ed.max(), ep.max()):.1g} of the samples end between "
        "modes; a network under DDIM makes "
        f"{np.median(together):.2g} times (median) what network and DDIM make apart"
    )
    note = (
        "DDIM with 50 steps, DDPM with all. Counts with 95 % intervals from the same noise; on "
        "lines, and for the exact DDPM of the case, the law of the chain, without sampling error."
    )
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("X10",),
    source="Our own, of result X10",
    title="Interpolation by cause: score and sampler",
    caption="The probability of ending between modes with the exact and with a learned score, "
    "under DDIM with 50 steps and under DDPM, on the problems of both papers.",
    measure=causes,
    draw=draw,
)

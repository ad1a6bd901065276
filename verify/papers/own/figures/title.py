"""The title's theorem: what each link loses, exact score and trained networks (X21)."""

from __future__ import annotations

import numpy as np

from mixdyn.support.numbers import Log10, show_number, show_share
from verify.measure.insurance.title import title

from ....drawing.palette import BLUE, GREY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_SHORT = {
    "measured difference": "measured\ndifference",
    "DDIM's lower limit": "DDIM's\nlower limit",
    "P(C > K) in place of DDPM's rate": "P(C > K)\nfor DDPM",
    "its upper limit": "its upper\nlimit",
    "the second term of X11": "X11's\n2nd term",
}


def _links(ax: Axes, result: Result) -> None:
    """How many decimal orders each link is off, on an axis that shows 0 and thousands."""
    lower = result["lower"].astype(bool)
    off = np.where(lower, -1.0, 1.0) * (result["log10_bound"] - result["log10_truth"])
    at = np.arange(len(off), dtype=float)
    colors = np.where(result["published"], VERMILION, BLUE)
    shown = np.maximum(off, 0.0)
    ax.barh(at, shown, color=colors)
    for y, value, bound in zip(at, shown, result["log10_bound"], strict=True):
        says = f"bound {show_number(Log10(float(bound)), 3 if abs(bound) < 2 else 2)}"
        ax.text(max(value, 0.0) * 1.2 + 0.15, y, says, va="center", fontsize=8)
    names = {
        "distance across the pair, over l": "distance across",
        "share of starts that the flow leaves within θ": "DDIM stays, at least",
        "P(the reverse SDE ends within θ)": "DDPM stays, at most",
    }
    labels = [
        f"{names[n]}: {of}"
        for n, of in zip(result.labels("links"), result.labels("of"), strict=True)
    ]
    ax.set_yticks(at, labels)
    ax.invert_yaxis()
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xlim(0.0, 3e5)
    ax.set(xlabel="orders of magnitude lost", ylabel="link: result")
    ax.set(title="exact score, from a midpoint's neighbourhood")
    for color, text in ((VERMILION, "published"), (BLUE, "ours")):
        ax.barh([0.0], [0.0], color=color, label=text)
    ax.legend(loc="lower right")


def _waterfall(ax: Axes, result: Result) -> None:
    """From the measured difference to the proved one, mean over networks; each network's beside."""
    value = 100.0 * result["value"]
    after = np.cumsum(value)
    before = np.concatenate([[0.0], after[:-1]])
    at = np.arange(len(value) + 1, dtype=float)
    colors = [GREY] + [VERMILION] * (len(value) - 1)
    ax.bar(at[:-1], after - before, bottom=before, color=colors)
    ax.bar(at[-1:], after[-1:], color=BLUE)
    for x, low, high in zip(at, np.append(before, 0.0), np.append(after, after[-1]), strict=True):
        ax.text(x, max(low, high) + 0.05, f"{high - low:+.2f}", ha="center", fontsize=8)
    models = len(result["measured"])
    spread = np.linspace(-0.2, 0.2, models)
    for x, name in ((at[0], "measured"), (at[-1], "proved")):
        ax.plot(x + spread, 100.0 * result[name], "o", color="black", ms=3.0)
    ax.plot([], [], "o", color="black", ms=3.0, label="each network")
    ax.set_xticks(at, [*(_SHORT[name] for name in result.labels("steps")), "proved\ndifference"])
    ax.tick_params(axis="x", labelsize=7)
    ax.set(xlabel="links, each taken away", ylabel="DDIM's rate less DDPM's (%)")
    ax.set(title="trained networks, limits of 95 %")
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.legend(loc="upper right")


def draw(result: Result) -> Figure:
    """Links of the exact score, and the waterfall of the networks."""
    figure, (left, right) = new_figure(11.0, 4.4, columns=2)
    _links(left, result)
    _waterfall(right, result)
    proved, measured = result["value"].sum(), result["value"][0]
    message = (
        f"On trained networks DDIM leaves {show_share(measured, 2)} more of its samples between "
        f"modes than DDPM, and {show_share(proved, 2)} are proved; the published chain breaks at a "
        "probability beyond 1, "
        "and with the exact score there is no difference to prove"
    )
    most = 100.0 * float(result["proved_at_1e_6"][0])
    note = (
        "Exact: starts within 0.15 l of a midpoint at the paper's node, ends within 0.15 l. "
        "Learned: outputs in a gap between grid lines, mean over networks; DDIM with 50 steps "
        "counted, DDPM bounded by X11. With limits of 1 - 1e-6 in place of 95 % the proved "
        f"difference is {most:.2g} %."
    )
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("X21",),
    source="Our own, of result X21",
    title="DDIM hallucinates more than DDPM: what each link of the proof loses",
    caption="Left: the links from a midpoint's neighbourhood with the exact score, published and "
    "ours, and by how many orders of magnitude each is off. Right: from the measured difference of "
    "the two samplers on trained networks to the one that is proved.",
    measure=title,
    draw=draw,
)

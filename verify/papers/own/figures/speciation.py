"""When a path has chosen its mode: two clones from one state end in one (X16)."""

from __future__ import annotations

import numpy as np

from verify.measure.clones import agreement_curves

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, intervals, new_figure


def _of_two(ax: Axes, result: Result) -> None:
    k, (born, at) = result["two_k"], result["birth"]
    ax.plot(k, result["two_return"], color=BLUE, label="two equal modes, exact")
    ax.plot(k, result["two_at_least"], "--", color=GREEN, label="1 - exp(-k/8)/2, at least")
    ax.axvline(born, color=ORANGE, lw=1.0, label=f"the saddle is born, k = {born:g}")
    ax.plot([born], [at], "o", color=ORANGE)
    ax.annotate(f"{at:.3f}", (born, at), (-30, 5), textcoords="offset points", color=GREY)
    ax.set(
        xscale="log", xlabel="k = l\u00b2/v", ylabel="two clones end in one mode", ylim=(0.0, 1.03)
    )
    ax.set_xticks([0.1, 0.3, 1, 4, 10, 30], ["0.1", "0.3", "1", "4", "10", "30"])
    ax.minorticks_off()
    ax.set_title("two modes alone", color=GREY)
    ax.legend(loc="lower right")


def _of_all(ax: Axes, result: Result) -> None:
    times = result["times"]
    ax.plot(times, result["probability"], color=BLACK, label="all modes, E \u03a3 \u03b3\u00b2")
    ax.plot(times, result["pair"], color=BLUE, ls="-.", label="closest pair alone")
    low = result["at_least"]
    ax.plot(times[low > 0.0], low[low > 0.0], "--", color=GREEN, label="sum over pairs, at least")
    n, rate = result.count("n"), result["counted"]
    bars = np.abs(np.array(intervals(np.rint(n * rate), n)[1:]) - rate)
    ax.errorbar(
        result["counted_t"], rate, bars, fmt="o", color=VERMILION, ms=4, label="clones, counted"
    )
    for kappa, tau in zip(result["kappas"], result["tau_2"], strict=True):
        if tau >= 1:
            ax.axvline(tau, color=ORANGE, lw=0.8)
            ax.text(tau, 1.04, f"{kappa:g}", color=ORANGE, fontsize=7, ha="center")
    ax.plot([], [], color=ORANGE, lw=0.8, label="\u03c4\u2082 of the closest pairs, at \u03ba")
    ax.axhline(result.number("chance"), color=GREY, ls=":", label="no signal")
    ax.set(xscale="log", xlabel="raw time t at which the clones part", ylim=(0.0, 1.09))
    ax.set_title("all modes of this problem", color=GREY)
    ax.legend(loc="lower left", frameon=True, framealpha=1.0, edgecolor="none")


def _message(result: Result) -> str:
    target = 0.5 * (1.0 + result.number("chance"))
    order = np.argsort(result["probability"])
    log_t = np.interp(target, result["probability"][order], np.log(result["times"][order]))
    late = int(result["tau_2"][1])
    text = f"Half of what a path decides about its mode it has decided at t = {np.exp(log_t):.0f}"
    if late < 1:
        return text
    at = float(np.interp(np.log(late), np.log(result["times"]), result["probability"]))
    rest = 100.0 * (1.0 - at)
    return f"{text}; of clones from tau_2 = {late} (kappa = 7) {rest:.1g} % end in two modes"


def draw(result: Result) -> Figure:
    """The law of two modes left, the case's right."""
    figure, (left, right) = new_figure(9.4, 4.2, columns=2)
    _of_two(left, result)
    _of_all(right, result)
    note = (
        "A clone: a draw of the exact reverse diffusion. Counted: pairs of clones from "
        f"{result.count('n'):,} states of p_t each, 95 % intervals. The sum over pairs "
        "bounds from below how often clones agree."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    claims=("X16",),
    source="Our own, of result X16",
    title="Speciation: whether two clones of a path end in one mode",
    caption="Left: two equal modes, a function of k alone. Right: over the time at which two "
    "clones part, the probability that they end in one mode, exact, bounded by pairs, and counted.",
    measure=agreement_curves,
    draw=draw,
)

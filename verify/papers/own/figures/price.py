"""What samplers cost in nats: start, steps and learning of every network (X13)."""

from __future__ import annotations

import numpy as np

from verify.measure.prices.networks import network_prices

from ....drawing.palette import BLUE, GREEN, GREY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Figure, finish, new_figure


def draw(result: Result) -> Figure:
    """One bar a network; right, guaranteed and measured shares."""
    names = result.labels("models")
    figure, (left, right) = new_figure(10.0, max(4.4, 0.8 + 0.24 * len(names)), columns=2)
    place = np.arange(len(names))[::-1]
    steps, learning = result["steps"] + result["start"], result["learning"]
    left.barh(place, steps, color=BLUE, height=0.7, label="start and steps")
    left.barh(place, learning, left=steps, color=VERMILION, height=0.7, label="learning")
    left.set_yticks(place, names, fontsize=7)
    left.set_ylabel("network")
    left.set(xlabel="price in nats, 50 quadratic steps, eta = 1", title="What is paid")
    left.legend(loc="lower right")
    least, share = result["least"].ravel(), result["share"].ravel()
    seen = np.isfinite(least) & (share > 0.0)
    right.loglog(share[seen], least[seen], "o", color=GREEN, ms=4, alpha=0.6)
    ends = np.array([1e-4, 1.0])
    right.loglog(ends, ends, color=GREY, lw=1.0, label="guaranteed = measured")
    right.set(xlim=(5e-3, 1.0), ylim=(1e-4, 1.0))
    hidden = int((least[seen] < 1e-4).sum())
    right.set(
        xlabel="measured share of last noisy states in an event",
        ylabel="least share that the price allows",
        title=f"What cannot be lost ({hidden} events below the panel)",
    )
    right.legend(loc="upper left")
    small, large = learning.min(), learning.max()
    message = (
        f"Networks pay {small:.2g} to {large:.2g} nats for learning, {steps.min():.2g} to "
        f"{steps.max():.2g} for steps, and lose no more than that allows"
    )
    note = (
        "Learning: half the sum of (change of 1/rho) E |x0_hat - x0_network|^2 over exact states. "
        "Events: the lightest and the heaviest mode, on product grids both parts of every axis "
        "too. Guarantee: kl(exact share || q) = price."
    )
    if (share[seen] < least[seen]).any():
        message = f"Networks pay {small:.2g} to {large:.2g} nats for learning"
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("X13",),
    source="Our own, of result X13",
    title="Prices of trained networks by cause, and the shares that they guarantee",
    caption="Left: KL(exact paths || the sampler's) of every shipped network. "
    "Right: least shares by data processing against measured ones.",
    measure=network_prices,
    draw=draw,
)

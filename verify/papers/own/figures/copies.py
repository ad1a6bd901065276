"""The score of training images and a network on fresh images (our own, of result X23)."""

from __future__ import annotations

import numpy as np

from verify.measure.images.empirical import errors_of_longest

from ....drawing.palette import BLACK, BLUE, GREY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Figure, finish, new_figure


def draw(result: Result) -> Figure:
    """Errors on fresh and on training images, and how many of these come back."""
    figure, (left, right) = new_figure(9.0, 3.9, columns=2)
    rho, half = result["rho"], result.number("half")
    lines = (
        ("score_fresh", "score of the training images, fresh ones", BLUE, "o-"),
        ("score_seen", "the same, training images", BLUE, "o:"),
        ("network_fresh", "network, fresh ones", VERMILION, "s-"),
        ("network_seen", "the same, training images", VERMILION, "s:"),
    )
    for key, label, color, style in lines:
        shown = np.where(result[key] > 1e-6, result[key], np.nan)
        left.plot(rho, shown, style, color=color, label=label)
    left.set(yscale="log", ylabel="squared error of x0_hat a pixel", ylim=(1e-7, 1.0))
    right.plot(rho, result["own"], "o-", color=BLACK)
    right.set(ylabel="probability that an image comes back", title="memory")
    for ax in (left, right):
        ax.axvline(half, color=GREY, ls="--")
        ax.set(xscale="log", xlabel="rho, noise over signal in variance")
        ax.invert_xaxis()
    left.legend()
    at = int(np.argmin(np.abs(np.log(rho))))
    message = (
        f"Below rho = {half:.2g} the score sees one image alone; at rho = 1 it errs "
        f"{result['score_fresh'][at] / result['network_fresh'][at]:.2g} times as much on fresh "
        "images as the network, which must interpolate"
    )
    note = f"Network {result['network'].item()}. Dashed: half of the copies come back."
    return finish(figure, message, result, note)


X23 = FigureSpec(
    claims=("X23",),
    source="Our own, of result X23",
    title="Errors of the score of the training images and of a network, over the noise",
    caption="Left: the squared error of the predicted image, of the score of the training set and "
    "of a network, on images of the set and on fresh ones. Right: the probability that an image of "
    "the set comes back after noise, by its score.",
    measure=errors_of_longest,
    draw=draw,
    own_problems=True,
)

"""The field of a network for images halfway between two counts.

Two clean images that differ by one triangle, A with three and B with two, are to a network what two
modes are in the plane. Of two points A and B alone the predicted image at the midpoint, noised to
rho, has along n = (A - B)/l the derivative l^2/(4 rho) in y = x/alpha, and the midpoint pushes
paths apart where that exceeds 1. B is no image of the training set: a network that had learned the
set would see A alone and have a derivative of 0.
"""

from __future__ import annotations

import numpy as np

from mixdyn import learned
from mixdyn.images.generators import triangles
from mixdyn.learned.headers import read_about
from mixdyn.support.checks import Array, IntArray

from ...data.checkpoints.images import CHECKPOINTS
from ...ledger.case import Case
from ..measurement import Measurement
from .watching import LEVELS, x0_hat

_PAIRS = 12, 24  # quick, full
_STEP = 1e-2  # of sqrt(rho), the difference quotient's


def pairs(n: int, side: int, seed: int) -> tuple[Array, Array]:
    """(n, side^2) images of three triangles, and the same without the one that lies leftmost."""
    from scipy import ndimage

    real = triangles(n, side, seed)
    whole, less = real.images.astype(np.float64), real.images.astype(np.float64).copy()
    for image in less:
        label, _ = ndimage.label(image > -1.0, np.ones((3, 3)))
        first = label[:, np.flatnonzero((label > 0).any(axis=0))[0]].max()
        image[label == first] = -1.0
    return whole.reshape(n, -1), less.reshape(n, -1)


@Measurement
def midpoint_slopes(case: Case, network: str) -> dict[str, Array | IntArray]:
    """slope (L, pairs): the derivative of the predicted image along n, at the midpoint of each pair
    under noise of its own, by level of `LEVELS`. two (L, pairs): of two points alone. t (L,)."""
    path = CHECKPOINTS / f"{network}.safetensors"
    model, side = learned.ImageScore(path), int(read_about(path)["architecture"]["side"])
    schedule, rng = model.schedule, case.rng("image midpoints")
    whole, less = pairs(case.pick(*_PAIRS), side, case.seed + 1)
    length = np.linalg.norm(whole - less, axis=1)
    n = (whole - less) / length[:, None]
    noise = rng.standard_normal((len(LEVELS), *n.shape))
    times = schedule.nearest_times(np.array(LEVELS))
    slopes = []
    for k, t in enumerate(times.tolist()):
        alpha, rho = schedule.alpha[t], schedule.rho[t]
        y, h = 0.5 * (whole + less) + np.sqrt(rho) * noise[k], _STEP * np.sqrt(rho)
        ends = [alpha * (y + sign * h * n) for sign in (1.0, -1.0)]
        up, down = (x0_hat(schedule, x, model.eps(x, t), t) for x in ends)
        slopes.append(((up - down) * n).sum(axis=1) / (2.0 * h))
    two = np.square(length) / (4.0 * schedule.rho[times][:, None])
    return {"slope": np.array(slopes), "two": two, "t": times}

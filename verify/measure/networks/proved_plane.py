"""Boxes of starts in the plane that DDIM with a trained network provably takes outside every mode.

A box is followed as one centred form from the first step to the last, its slopes along its own two
symbols all the way: so the steps turn and stretch it, and nothing is enclosed anew in between.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.proof.forms import centred, values
from mixdyn.proof.tubes import one_step
from mixdyn.support.checks import Array

from ...ledger.case import Case
from ..measurement import Measurement
from .models import TrainedModel
from .proved import ddim_steps, enclosed, normal_mass

HALVES = (1e-6, 1e-7)  # half widths of boxes
_DRAWN, _TRIED = 2000, 24
_SLIP = 1e-9  # of a distance, relative


@dataclass(frozen=True)
class ProvedBoxes:
    """tried: starts that end between two modes, in doubles. proved: by half width, about how many
    of them a box is proved to end outside every mode. mass: of the narrowest of these boxes, which
    are disjoint, at least."""

    tried: int
    proved: tuple[int, ...]
    mass: float


@Measurement
def proved_boxes(case: Case, model: TrainedModel) -> ProvedBoxes:
    """Of one model of a case in the plane, with DDIM's 50 steps."""
    steps, net = ddim_steps(case.schedule), enclosed(model.score)
    starts = _starts(case, steps, model.score.in_double())
    radius, held = float(geometry.mode_radius(case.mixture)[0]), []
    for half in HALVES:
        low, high = starts - half, starts + half
        form = centred(np.ascontiguousarray(low.T), np.ascontiguousarray(high.T))
        with np.errstate(all="ignore"):  # infinity and NaN prove nothing
            for t, c_x, c_eps in zip(*(part.tolist() for part in steps), strict=True):
                form = one_step(net, form, t, c_x, c_eps)
            ends = values(form)
            gaps = [
                np.maximum(np.maximum(ends.low.T - mu, mu - ends.high.T), 0.0)
                for mu in case.mixture.means
            ]
            held.append(np.linalg.norm(gaps, axis=2).min(axis=0) > (1.0 + _SLIP) * radius)
    sides = [
        [normal_mass(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        for x, y in zip(low[held[-1]], high[held[-1]], strict=True)
    ]
    mass = float(np.prod(sides, axis=1).sum()) * (1.0 - _SLIP) if sides else 0.0
    return ProvedBoxes(len(starts), tuple(int(one.sum()) for one in held), mass)


def _starts(case: Case, steps: Any, score: Any) -> Array:
    """(n, 2): some that end between two modes, no two of them nearer than their boxes are wide."""
    z = np.random.default_rng(case.stream("X22 plane")).standard_normal((_DRAWN, 2))
    x = z
    for t, c_x, c_eps in zip(*(part.tolist() for part in steps), strict=True):
        x = c_x * x + c_eps * score.eps(x, t)
    found = z[geometry.classify(case.mixture, x) == geometry.Region.INTERPOLATION][:_TRIED]
    near = [
        k
        for j, k in itertools.combinations(range(len(found)), 2)
        if np.abs(found[j] - found[k]).max() <= 4.0 * max(HALVES)
    ]
    return np.delete(found, np.unique(np.array(near, dtype=int)), axis=0)

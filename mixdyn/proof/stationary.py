"""Where the field of a mixture vanishes, over a range of levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array

from .interval import Interval
from .krawczyk import image, inside, inverses
from .law import Law

_ROUNDS = 20


def equilibrium(law: Law, box: ArrayLike) -> Interval | None:
    """An enclosure (k,) of the one z where the field vanishes, for every v of the box (k + 1, 2).

    None where that is not proved. For each v there is then one zero in the box, and it is in what
    Krawczyk's test encloses, which is narrowed while that helps.
    """
    sides = np.array(box, dtype=np.float64)
    place, proved = Interval(sides[:-1, 0], sides[:-1, 1]), False
    for _ in range(_ROUNDS):
        found, step = _tested(law, place, sides[-1])
        if not proved and not inside(found, step)[0]:
            return None
        if np.isnan(found.lo).any():
            break
        proved, before = True, place
        place = place.intersect(found[0] + place.mid())
        if not (place.radius() < 0.99 * before.radius()).any():
            break
    return place


def _tested(law: Law, place: Interval, v: Array) -> tuple[Interval, Interval]:
    """(1, k): the image of a box, and the box, both less its middle."""
    axes, middle = range(len(law.axes)), place.mid()
    at = law.over(Interval(np.append(middle, v[0])[None], np.append(middle, v[1])[None]))
    box = law.over(Interval(np.append(place.lo, v[0])[None], np.append(place.hi, v[1])[None]))
    field = Interval.join([at.field(a) for a in axes])[None]
    shape = len(axes), len(axes)
    joined = Interval.join([box.jacobian(a, b) for a in axes for b in axes])
    slopes = Interval(joined.lo.reshape(shape), joined.hi.reshape(shape))[None]
    step = (place - middle)[None]
    return image(inverses(slopes), field, slopes, step), step

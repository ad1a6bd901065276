"""Where the field of a mixture vanishes, over a range of levels: Krawczyk's test."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array

from .interval import Interval, dot
from .law import Law

_ROUNDS = 20


def krawczyk(law: Law, box: ArrayLike) -> Interval | None:
    """An enclosure (k,) of the one z where the field vanishes, for every v of the box (k + 1, 2).

    None where that is not proved: K = c - Y f(c) + (1 - Y J(box)) (box - c), Y near the inverse of
    the Jacobian J, has to lie inside the box. For each v there is then one zero in the box, and it
    is in K, which is narrowed while that helps.
    """
    sides = np.array(box, dtype=np.float64)
    place, proved = Interval(sides[:-1, 0], sides[:-1, 1]), False
    for _ in range(_ROUNDS):
        image = _image(law, place, sides[-1])
        if image is None:
            return place if proved else None
        if not proved and not ((place.lo < image.lo) & (image.hi < place.hi)).all():
            return None
        proved, before = True, place
        place = place.intersect(image)
        if not (place.radius() < 0.99 * before.radius()).any():
            break
    return place


def _image(law: Law, place: Interval, v: Array) -> Interval | None:
    """K, or None for a Jacobian that has no inverse at the middle."""
    axes, middle = range(len(law.axes)), place.mid()
    at = law.over(Interval(np.append(middle, v[0])[None], np.append(middle, v[1])[None]))
    box = law.over(Interval(np.append(place.lo, v[0])[None], np.append(place.hi, v[1])[None]))
    slopes = [[box.jacobian(a, b) for b in axes] for a in axes]
    try:
        inverse = np.linalg.inv([[float(one.mid()[0]) for one in row] for row in slopes])
    except np.linalg.LinAlgError:
        return None
    field = Interval.join([at.field(a) for a in axes])
    step = place - middle
    image = Interval.of(middle) - dot(inverse, field)
    for b in axes:
        column = dot(inverse, Interval.join([slopes[a][b] for a in axes]))
        image = image + (np.eye(len(axes))[b] - column) * step[b]
    return image

r"""Reflow is done at once.

Statement: Let $T$ be the exact flow's map from pure noise and $S_t = (1-t)\,\mathrm{id} + t\,T$.
    Where $DT$ has nowhere a negative eigenvalue, no two lines of the pairs $(a, T(a))$ meet, so
    reflow returns the same pairs and one step of Euler's method on it is exact. On a line, and on
    products of lines, this holds for every mixture; in the plane it says $\mathrm{tr}\,DT >
    -2\sqrt{\det DT}$.
Hypotheses:
    - common_sigma: all modes share one sigma.
Measured: on the mixture's line, where the reflowed flow ends, its velocity that of the line through
    each place, against the pairs, and the least slope of $S_t$; in the plane, on the mixture as it
    is and sheared by half, the trace of $DT$ over $2\sqrt{\det DT}$ at starts of N(0, I) and wider,
    and where it leads down from the lowest of them.
Predicted: no difference; above 0; above -1.
Evidence: on a line proved, by the derivation: $F(T(a)) = \Phi(a)$, so $T$ and every $S_t$ increase,
    the velocity at a place is that of the one line there, and its flow is the lines; what is
    measured, at sampled starts of the engine's fourth-order map, is that the engine has it so. In
    the plane the criterion is proved to suffice; that it is met is checked at starts, Jacobians by
    central differences, and by descent from the lowest, not proved between.
Source: our result on the reflow of arXiv 2209.03003 v1, Theorem 3.6
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.measure.paths import extent
from verify.measure.rectified import (
    PlaneMap,
    alignment,
    descended,
    plane_map,
    planes,
    reflow_of_line,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X20",
    short="reflow",
    rests_on={"O2": "the flow of a line keeps its order"},
    needs=(
        modes(2),
        one_sigma.because("its lines and planes are those of modes that split along them"),
    ),
    derivation="derivations/maps/rectified.py",
    does_not_show=(
        "That the pairs are the cheapest (X20'), or that a trained velocity is straight. A map "
        "that turns directions by more than a right angle would make lines meet: none was found."
    ),
)


@CLAIM.sampled(unit="starts")
def straight(case: Case, faster: float = 0.0, turn: float = 0.0) -> Iterator[Part]:
    """Lines and planes. faster: a share by which the reflowed velocity is raised; turn: an angle by
    which noise is turned before the map."""
    found = case.memo(f"X20 line {faster}", lambda: reflow_of_line(case, 1.0 + faster))
    yield Side(
        "end of the reflowed flow on a line",
        found.end,
        equals=found.coupled,
        tolerance=Tolerance(atol=1e-8),
        scale=extent(case.mixture),
        where={"start": found.start},
    )
    yield Side(
        "least slope of a line's S_t",
        found.slope,
        at_least=0.0,
        tolerance=Tolerance(atol=1e-12),
    )
    cos, sin = np.cos(turn), np.sin(turn)
    back = np.array([[cos, -sin], [sin, cos]])
    for name, seen in case.memo("X20 planes", lambda: _planes(case)).items():
        lowest = case.memo(
            f"X20 lowest {name}", functools.partial(descended, case, planes(case)[name], seen)
        )
        for words, plane in (("", seen), (", its lowest", lowest)):
            yield Side(
                f"tr DT/(2 sqrt(det DT)), the plane {name}{words}",
                PlaneMap(plane.start, plane.end, plane.jacobian @ back).margin,
                at_least=-1.0,
                tolerance=Tolerance(atol=1e-3),
                where={"z": plane.start},
            )
    yield lambda: _numbers(case)


def _planes(case: Case) -> dict[str, PlaneMap]:
    return {name: plane_map(case, mixture) for name, mixture in planes(case).items()}


def _numbers(case: Case) -> Iterator[dict[str, float]]:
    found = reflow_of_line(case)
    sigma = float(case.mixture.sigma)
    off = np.sqrt(np.mean(np.square(found.plain - found.coupled))) / sigma
    yield {"one step of Euler's method on the flow itself, root mean square error over σ": off}
    for name, seen in case.memo("X20 planes", lambda: _planes(case)).items():
        yield {
            f"least cosine of a - b and T(a) - T(b), {name}": alignment(
                case, seen.start, seen.end
            ).least,
            f"largest asymmetry of DT, {name}": float(seen.asymmetry.max()),
        }


CLAIM.must_fail_narrowly(straight, "velocity faster by {}", 0.5, faster=lambda s: s)
CLAIM.must_fail_narrowly(
    straight,
    "noise turned by {}",
    np.pi,
    when=lambda case: case.mixture.d == 2,
    turn=lambda s: s,
)

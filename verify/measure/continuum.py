"""What is proved over a continuum: rows of statements, each positive all over a box, or refuted.

A claim states them in a function of the case; `certified` makes it a row. A keyword that a negative
control changes makes statements that are false, and each is refuted at a point.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.geometry.pairs import Pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Budget, Decision, Law, Outcome, Statement, Term, basis
from mixdyn.proof.statement import least, most, of_law
from mixdyn.support.checks import Array

from ..ledger.case import Case
from ..ledger.claim import Claim, Measure
from ..ledger.sides import Part, Side, Tolerance
from .covariances import one_width
from .midpoint.stretch import Window, find_window

Builder = Callable[..., Sequence[Statement] | None]
WIDTHS = (0.35, 0.25, 0.15, 0.1, 0.05)  # of tubes, over the length of their pair
MOST_AXES, MOST_MODES = 3, 40  # of a proof in seconds
_BUDGET = Budget(boxes=60_000, seconds=float("inf"))  # of a row: no verdict depends on the machine
_VALUE = {Outcome.PROVED: 1.0, Outcome.REFUTED: 0.0, Outcome.UNDECIDED: np.nan}
NO_TOLERANCE = "a proof has no tolerance: what is false is refuted at a point"


def certified(
    claim: Claim, build: Builder, beside: Callable[[Case], Iterator[Part]] | None = None
) -> Measure:
    """Register the row of what `build(case, **changed)` states; None where there is none. beside:
    what follows from it, for the row."""

    def of(case: Case) -> list[Statement] | None:
        return case.memo(f"{claim.id} statements", lambda: _none_if_empty(build(case)))

    @claim.certified(unit="statements", of=of)
    def proofs(case: Case, stated: Sequence[Statement], **changed: Any) -> Iterator[Part]:
        given = _none_if_empty(build(case, **changed)) if changed else stated
        if given is not None:
            yield from sides(given)
        if beside is not None:
            yield from beside(case)

    proofs.build = build  # type: ignore[attr-defined]
    return proofs  # type: ignore[no-any-return]


def _none_if_empty(stated: Sequence[Statement] | None) -> list[Statement] | None:
    return list(stated) if stated else None


def sides(stated: Sequence[Statement]) -> Iterator[Part]:
    """The side and the numbers of statements, in the words of a row."""
    found: list[Decision] = []
    for statement in stated:
        found.append(statement.decide(_BUDGET))
        if found[-1].outcome is Outcome.REFUTED:
            break
    yield Side(
        "statements over boxes (1 proved, 0 refuted)",
        [_VALUE[each.outcome] for each in found],
        at_least=1.0,
        tolerance=Tolerance(atol=0.5),
        where=lambda k: _where(stated[k], found[k]),
    )
    yield {
        "statements proved": sum(bool(each) for each in found),
        "boxes looked at": sum(each.boxes for each in found),
    }


def _where(statement: Statement, found: Decision) -> dict[str, Any]:
    at = found.worst if found.point is None else found.point
    return {"of": statement.name, "z and v": found.box if at is None else at}


# -- places --------------------------------------------------------------------------------------


def can_prove(case: Case) -> bool:
    """Whether boxes are few enough, and one v serves all modes."""
    mixture = case.mixture
    return one_width(case) and mixture.d <= MOST_AXES and mixture.N <= MOST_MODES


def proof_window(case: Case) -> Window | None:
    """The closest pair and the node from which on it is separated, where a proof takes seconds."""
    return find_window(case) if can_prove(case) else None


def variances(case: Case, t: int) -> tuple[float, float]:
    """v on clean data and at raw time t: the ends of a window."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    return float(v[0]), float(v[t])


def dominated_tube(case: Case, window: Window, kappa: float) -> list[Array] | None:
    """Sides, along the pair first, of the widest tube around the segment in which the pair seems to
    dominate by `kappa` from the window's start on; None without one."""
    pair, means, d = window.pair, case.mixture.means, case.mixture.d
    others = np.delete(np.arange(len(means)), [pair.i, pair.j])
    along = pair.length * np.linspace(-0.5, 0.5, 101)
    rows, v = basis(pair.direction, d), variances(case, window.t)[1]
    for share in WIDTHS if d > 1 else WIDTHS[:1]:
        edges = share * pair.length * np.array(list(itertools.product([-1.0, 1.0], repeat=d - 1)))
        z = np.array([[a, *edge] for a in along for edge in edges])
        gaps = geometry.squared_distances(pair.midpoint + z @ rows, means)
        own = np.minimum(gaps[:, pair.i], gaps[:, pair.j])
        if (gaps[:, others].min(axis=1, initial=np.inf) - own).min() > 2.02 * kappa * v:
            half = pair.length * np.array([0.5, *[share] * (d - 1)])
            return [h * np.array([-1.0, 1.0]) for h in half]
    return None


def pair_law(mixture: GaussianMixture, pair: Pair) -> Law:
    """From the midpoint, along the pair first, in units of the data."""
    return Law.of(mixture, pair.midpoint, basis(pair.direction, mixture.d))


def cells(low: float, high: float, ratio: float) -> Iterator[tuple[float, float]]:
    """Pieces of low..high, each from one number to at most `ratio` times it."""
    count = max(1, int(np.ceil(np.log(high / low) / np.log(ratio) - 1e-9)))
    edges = np.geomspace(low, high, count + 1)
    edges[0], edges[-1] = low, high
    return itertools.pairwise(edges.tolist())


def around(half: float | Sequence[float], d: int) -> list[Array]:
    """Sides of a box around the centre."""
    return [h * np.array([-1.0, 1.0]) for h in np.broadcast_to(half, d)]


def walls(
    name: str,
    law: Law,
    box_sides: Sequence[Array],
    v: tuple[float, float],
    outward: Sequence[int] = (),
) -> Iterator[Statement]:
    """The field points into the box through every wall, out of it across the axes `outward`. So it
    vanishes inside (Poincaré, Miranda); without outward walls the flow does not leave either."""
    for a, side in enumerate(box_sides):
        for end, sign in zip(side, (-1.0, 1.0), strict=True):
            into = of_law("field", a) * (sign if a in outward else -sign)
            box = [*box_sides]
            box[a] = np.full(2, end)
            yield Statement.over(f"{name}, wall {end:+.3g} of axis {a}", law, into, *box, v)


def positive_definite(matrix: Sequence[Sequence[Term]]) -> list[Term]:
    """All positive exactly where a symmetric matrix is positive definite.

    That is where every leading minor is positive (Sylvester). One of two rows or more is enclosed
    badly, so that it may be left open where every row is dominated by its diagonal (Gershgorin),
    which suffices, and by itself refutes nothing.
    """
    sizes = range(1, len(matrix) + 1)
    first, *others = [_determinant([row[:k] for row in matrix[:k]]) for k in sizes]
    if not others:
        return [first]
    dominated = least([_diagonal_lead(row, k) for k, row in enumerate(matrix)])
    return [first, *(most([dominated, minor]) for minor in others)]


def negative(axes: Sequence[int], rate: float = 0.0) -> list[Term]:
    """All positive exactly where the block of the Jacobian on these axes is below -rate."""
    return positive_definite(
        [[-of_law("jacobian", a, b) - (rate if a == b else 0.0) for b in axes] for a in axes]
    )


def _diagonal_lead(row: Sequence[Term], k: int) -> Term:
    """Its entry on the diagonal less the others' sizes."""
    lead = row[k]
    for j, beside in enumerate(row):
        if j != k:
            lead = lead - beside.apply("abs")
    return lead


def _determinant(matrix: Sequence[Sequence[Term]]) -> Term:
    """By its first row."""
    if len(matrix) == 1:
        return matrix[0][0]
    total = Term.of(0.0)
    for k, one in enumerate(matrix[0]):
        rest = _determinant([[*row[:k], *row[k + 1 :]] for row in matrix[1:]])
        total = total - one * rest if k % 2 else total + one * rest
    return total


def node(
    name: str, law: Law, half: float, v: tuple[float, float], rate: float = 0.0
) -> Iterator[Statement]:
    """One equilibrium in the cube, which the flow does not leave, and the Jacobian below -rate."""
    d = len(law.axes)
    yield from walls(name, law, around(half, d), v)
    for a, term in enumerate(negative(range(d), rate), 1):
        yield Statement.over(f"{name}, Jacobian, minor {a}", law, term, *around(half, d), v)


def saddle(name: str, law: Law, half: float, v: tuple[float, float]) -> Iterator[Statement]:
    """One equilibrium in the cube, with one positive eigenvalue, along axis 0 to rounding.

    The Jacobian J of the field is symmetric. Where J_00 > 0 and the rest of J is negative definite,
    the field with its first component as it is and the others negated is monotone, so that it
    vanishes once at most; and J has one positive eigenvalue (interlacing).
    """
    d = len(law.axes)
    box = around(half, d)
    yield from walls(name, law, box, v, outward=(0,))
    yield Statement.over(f"{name}, Jacobian, along", law, of_law("jacobian", 0, 0), *box, v)
    for a, term in enumerate(negative(range(1, d)) if d > 1 else [], 1):
        yield Statement.over(f"{name}, Jacobian across, minor {a}", law, term, *box, v)


def nearest_gap(means: Array) -> Array:
    """(N,) distance of each mode to the nearest other one."""
    apart = geometry.pairs.pairwise_distances(means)
    np.fill_diagonal(apart, np.inf)
    return np.asarray(apart.min(axis=1))

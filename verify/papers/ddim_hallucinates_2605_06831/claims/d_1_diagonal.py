r"""Diagonals of a rectangle are avoided.

Statement: For a rectangle $a, b, c, d$ of modes, $|y-a|^2 + |y-c|^2 = |y-b|^2 + |y-d|^2$. Where a
    diagonal pair dominates the other two with margin $\kappa$, its far mode has $\gamma_{far} \le
    (w_{far}/w_{near}) e^{-2\kappa} \gamma_{near}$, so the two ends of a diagonal never share the
    weight. In a parallelogram the exponent is $-2\kappa + (|b-d|^2 - |a-c|^2)/(4v)$: a short
    diagonal can escape.
Hypotheses:
    - common_sigma: all modes share one sigma; of one covariance $C = \Sigma + \rho I$ the same
      holds in $C^{-1/2} y$, where $v = 1$.
    - parallelogram: four modes of the mixture form one.
    - dominance: the diagonal pair dominates the other two modes with margin above 0.
Measured: the identity at random points, and the engine's ratio of responsibilities at the ends of
    every diagonal, with the margin of that diagonal in the whole mixture.
Predicted: the identity (with the parallelogram's correction), and the bound on the ratio.
Evidence: sampled points around the modes and along the diagonals, at noise levels at which the
    pair of the diagonal is 1 to 60 effective variances long. Certified in up to three dimensions:
    the bound on the ratio, at every place of a cube around each rectangle and at every level from
    clean data until $v$ is the diagonal's square, with the margin that the diagonal has there over
    the other two modes.
Source: arXiv 2605.06831 v1, Proposition D.1; the parallelogram is our extension
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import dominance_times, dynamics
from mixdyn.proof import Law, Statement, Term, basis
from mixdyn.proof.statement import least, most, of_law
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_covariance
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis
from verify.measure.continuum import NO_TOLERANCE, around, can_prove, certified, variances
from verify.measure.covariances import COMMON_SIGMA, law_at, one_width, unwhitened, whitened
from verify.measure.paths import stacked

CLAIM = Claim.from_docstring(
    __doc__,
    id="D.1",
    short="diagonal avoidance",
    rests_on={"A4.1": "the diagonal pair dominates"},
    needs=(modes(4), one_covariance),
    derivation="derivations/errors/rectangle.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "How often samplers end on a diagonal: with the exact score nothing ends between modes, so "
        "that share needs a learned model. Modes that form no parallelogram are not covered."
    ),
)

MAX_SHAPES = 40
Shape = tuple[int, int, int, int]
Points = dict[str, Array]


@CLAIM.sampled(unit="points")
def diagonals(case: Case, counted: float = 1.0, other: str = "b + d") -> Iterator[Part]:
    """The far end of each diagonal, and the identity. counted: factor on the margin; other: the
    squares that make its other side."""
    if one_width(case):
        yield COMMON_SIGMA
    shapes = _parallelograms(case.mixture.means)
    if not shapes:
        yield Hypothesis("parallelogram", 0.0)
        yield "No four modes of this mixture form a parallelogram."
        return
    points = case.memo("D.1 points", lambda: _measure(case, shapes))
    kappa, log_ratio = points["kappa"], points["log ratio"]
    held = (kappa > 0.0) & np.isfinite(log_ratio)
    yield Hypothesis("parallelogram", 1.0, 0.0)
    yield Hypothesis("dominance", float(np.mean(kappa > 0.0)), float(max(0.0, -kappa.min())))
    if not held.any():
        return
    yield Facts(applicable=float(held.mean()))
    level = "v" if one_width(case) else "rho"
    where = {name: points[name] for name in ("y", level, "modes")}
    bound = bounds.diagonal_log_ratio(
        counted * kappa,
        points["v"],
        far_to_near_weight=points["weights"],
        other_diagonal2=points["other2"],
        this_diagonal2=points["this2"],
    )
    yield Side(
        "γ_far/γ_near",
        log_ratio,
        at_most=bound,
        among=held,
        telling=bound < 0.0,
        tolerance=Tolerance(rtol=1e-8, log=True),
        where=where,
    )
    yield Side(
        "rectangle identity",
        points["a + c"],
        equals=points[other],
        tolerance=Tolerance(rtol=1e-12, atol=1e-13),
        where=where,
    )
    rectangle = np.isclose(points["this2"], points["other2"], rtol=1e-9)
    yield {
        "diagonals looked at": len(shapes),
        "share of them in rectangles": float(rectangle.mean()),
        "median margin where it applies": float(np.median(kappa[held])),
    }


CLAIM.must_fail(diagonals, "e^(-3κ) in place of e^(-2κ)", counted=1.5)
CLAIM.must_fail(diagonals, "sides in place of diagonals", other="a + b")
CLAIM.must_fail_narrowly(
    diagonals, "e^(-2κ(1 + {})) in place of e^(-2κ)", 0.5, counted=lambda more: 1.0 + more
)


def _parallelograms(means: Array) -> list[Shape]:
    """Modes (a, b, c, d) with a, c one diagonal and b, d the other; each diagonal comes first once.

    Two pairs with one midpoint. Rectangles come first, then short diagonals.
    """
    i, j = np.triu_indices(len(means), k=1)
    middle = 0.5 * (means[i] + means[j])
    resolution = 1e-9 * float(np.ptp(means, axis=0).max())
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, key in enumerate(np.rint(middle / resolution).astype(np.int64).tolist()):
        groups.setdefault(tuple(key), []).append(k)
    length2 = np.square(means[i] - means[j]).sum(axis=1)
    found = []
    for members in groups.values():
        for p, q in itertools.permutations(members, 2):
            if not _collinear(means[[i[p], j[p], i[q]]]):
                skew = abs(length2[p] - length2[q])
                skew = skew if skew > 1e-9 * length2[p] else 0.0
                found.append((skew, length2[p] + length2[q], (i[p], i[q], j[p], j[q])))
    found.sort(key=lambda item: item[:2])
    return [(int(a), int(b), int(c), int(d)) for *_, (a, b, c, d) in found[:MAX_SHAPES]]


def _collinear(three: Array) -> bool:
    return bool(np.linalg.matrix_rank(three[1:] - three[0], tol=1e-9 * np.ptp(three)) < 2)


def _measure(case: Case, shapes: list[Shape]) -> Points:
    rng = case.rng("D.1")
    per_shape = max(16, case.pick(4096, 65_536) // len(shapes))
    return stacked(_at_shape(case, rng, shape, per_shape) for shape in shapes)


def _at_shape(case: Case, rng: np.random.Generator, shape: Shape, n: int) -> Points:
    """Points around one parallelogram, half of them on the diagonal, where the bound is tight."""
    law, (a, b, c, d) = case.mixture, shape

    def diagonals2() -> list[float]:
        ends = ((law.means[p], law.means[q]) for p, q in ((a, c), (b, d)))
        return [float(np.square(one - other).sum()) for one, other in ends]

    v = rho = diagonals2()[0] / float(np.exp(rng.uniform(0.0, np.log(60.0))))
    if not one_width(case):
        law, v = whitened(case.mixture, rho), 1.0
    means, (this2, other2) = law.means, diagonals2()
    share = rng.uniform(-0.2, 1.2, n)
    y = means[a] + share[:, None] * (means[c] - means[a])
    y[::2] += 0.3 * np.sqrt(this2) * rng.standard_normal((len(y[::2]), case.mixture.d))
    kappa = dominance_times.dominance_margin(law, y, v, (a, c))
    if one_width(case):
        place, gamma = y, dynamics.static_responsibilities(law, y, v)
    else:
        place = unwhitened(case.mixture, rho, y)
        gamma = law_at(case.mixture, rho).responsibilities(place)
    d2 = {mode: np.square(y - means[mode]).sum(axis=1) for mode in shape}
    near = np.where(d2[a] <= d2[c], a, c)
    far, rows = np.where(near == a, c, a), np.arange(n)
    tiny = gamma[rows, far] < 1e-290  # underflowed, or too few digits left for a ratio
    ratio = np.where(tiny, 1.0, gamma[rows, far]) / gamma[rows, near]
    wide = np.ones(n)
    return {
        "y": place,
        "v": v * wide,
        "rho": rho * wide,
        "modes": np.tile(shape, (n, 1)),
        "kappa": kappa,
        "log ratio": np.where(tiny, -np.inf, np.log(ratio)),
        "weights": case.mixture.weights[far] / case.mixture.weights[near],
        "this2": this2 * wide,
        "other2": other2 * wide,
        "a + c": d2[a] + d2[c],
        "b + d": d2[b] + d2[d] + 0.5 * (this2 - other2),  # with the parallelogram's correction
        "a + b": d2[a] + d2[b],
    }


# -- at every place and level --------------------------------------------------------------------

_EXACT = 1e-13  # of the squared sides, by which four modes in doubles may miss a rectangle
_ROUNDING = 1e-12  # of a logarithm, and of squared lengths over the least v


def everywhere(case: Case, counted: float = 1.0) -> list[Statement] | None:
    """The far end of each diagonal of a rectangle, on a cube, from clean data until v is the
    diagonal's square. counted: factor on the margin."""
    if not can_prove(case):
        return None
    means, found = case.mixture.means, []
    reach, v = float(np.linalg.norm(np.ptp(means, axis=0))), variances(case, case.schedule.T)
    rounding = _ROUNDING * (1.0 + reach**2 / v[0])
    for shape in _parallelograms(means):
        a, b, c, d = means[[*shape]]
        along, other = a - c, b - d
        skew = max(float(np.abs(a + c - b - d).max() * reach), abs(along @ along - other @ other))
        if skew > _EXACT * reach**2:
            continue
        along = along - (along @ other) / (other @ other) * other  # the bound is attained along it
        law = Law.of(case.mixture, 0.25 * (a + b + c + d), basis(along, case.mixture.d))
        name = f"diagonal {shape[0]}, {shape[2]} across {shape[1]}, {shape[3]}"
        room, cube = _room(case, shape, counted, rounding), around(reach, case.mixture.d)
        levels = (v[0], min(v[1], float(other @ other)))
        if levels[0] < levels[1]:
            found.append(Statement.over(name, law, room, *cube, levels))
    return found


def _room(case: Case, shape: Shape, counted: float, rounding: float) -> Term:
    """log of the bound over the ratio and a rounding, the same whichever end is near.

    With kappa the least of (d_q - d_near)/(2v) it is the larger of two terms, 2 log gamma_q - log
    gamma_a - log gamma_c but for constants, one for each of the other modes q. The smaller one is
    its negative, and near where both vanish only that says that the larger is not below 0: so their
    mean, in which all places cancel, stands beside them and changes nothing.
    """
    a, b, c, d = shape
    logs = np.log(case.mixture.weights)
    sides = [
        of_law("log_powers", q, 2, a, -1, c, -1) - float(2.0 * logs[q] - logs[a] - logs[c])
        for q in (b, d)
    ]
    middle = of_law("log_powers", b, 1, d, 1, a, -1, c, -1)
    sides.append(middle - float(logs[b] + logs[d] - logs[a] - logs[c]))
    if counted != 1.0:
        margins = [
            most([of_law("log_ratio", p, q) - float(logs[p] - logs[q]) for p in (a, c)])
            for q in (b, d)
        ]
        sides = [side - 2.0 * (counted - 1.0) * least(margins) for side in sides]
    # Cut off above, which no sign sees: a ball as wide as the terms would hide what is near 0.
    return most([least([side, Term.of(rounding)]) for side in sides]) + rounding


CLAIM.must_fail(certified(CLAIM, everywhere), "e^(-2.002κ) in place of e^(-2κ)", counted=1.001)

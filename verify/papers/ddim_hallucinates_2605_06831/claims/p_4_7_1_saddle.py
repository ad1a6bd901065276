r"""The midpoint is a saddle.

Statement: At the midpoint of two modes of equal weight the two-mode field vanishes, and its
    Jacobian $\mathrm{Cov}_\gamma/v - I$ has the eigenvalue $\lambda = l^2/(4v) - 1$ along the pair
    and $-1$ across it: a saddle once $l^2 > 4v$. The full mixture has a saddle next to it: a margin
    alone does not see to that, as it does not count weights, but a box does on which the other
    modes pull less than the pair drifts out at both ends, $|\log(w_i/w_j)| + k E < k s/2 -
    2\,\mathrm{artanh}\,s$ with $k = l^2/v$, $E$ their pull in units of $l$ and a spread $0 < s <
    \sqrt{1 - 4/k}$ of the pair's responsibilities $(1 \pm s)/2$. Two equal modes of one covariance:
    the flow towards clean data has the matrix $\frac{1}{2} C^{-1}(\frac{1}{4} \Delta \Delta^T
    C^{-1} - I)$ there, $C = \Sigma + \rho I$, a saddle once $\Delta^T C^{-1} \Delta > 4$;
    of a full mixture the rest holds in $C^{-1/2} y$, where $v = 1$.
Hypotheses:
    - common_sigma: all modes share one sigma; one covariance where $C$ stands for $v$.
    - saddle: $l^2 > 4v$.
    - equal_weights: the two modes have one weight (full mixture only).
    - dominance: the pair dominates with margin 7 at its midpoint (full mixture only).
    - box: besides, in a box around the pair's own saddle, up to $l/4$ wide across, the others pull
      less than the pair drifts out of its ends, across the pair they pull into it and spread less
      than $v$, and $(1 - S) k p (1 - p) > 1$ with $S$ their weight (full mixture in doubles only;
      its share and gap are those among the places where the rest holds).
Measured: field and eigenvalues of the engine at the midpoint of the two-mode field, for the
    closest pairs at every node of the papers' grid; then the full mixture's fixed point and its
    spectrum; then, with the margin alone and no box, what can be proved in ball arithmetic: that a
    saddle lies within $l/4$ of the midpoint, or that none does.
Predicted: zero, $\lambda$ and $-1$; for the full mixture a fixed point in the box, with one
    positive eigenvalue, all others negative, within $\lambda + 1$ times $S(1 + 4 D^2/l^2) + 4
    E^2(1 + z/g)^2$ of $\lambda$, where $D$ is the diameter and $z/g$ the end of the box over the
    drift there. With the margin alone: a saddle. That falls where light modes stand beside heavy
    ones, and the box is the corrected hypothesis.
Evidence: exact for the two-mode field; sampled over pairs and nodes for the full mixture; certified
    for the margin alone, at up to 12 places without a box and at some of the others; and, for the
    closest pair, one saddle in a box around the midpoint at every level from clean data to its
    separation, as for two modes alone at $k > 4$, where for $k < 4$ there is none.
Source: arXiv 2605.06831 v1, Proposition 4.7 (1)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Budget, Law, Statement
from mixdyn.proof.statement import of_law
from mixdyn.proof.stationary import equilibrium
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_covariance
from verify.ledger.relations import Outcome
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis
from verify.measure.continuum import (
    NO_TOLERANCE,
    around,
    cells,
    dominated_tube,
    pair_law,
    proof_window,
    saddle,
    sides,
    variances,
)
from verify.measure.covariances import COMMON_SIGMA, law_at, one_width, unwhitened
from verify.measure.paths import KAPPA, ddim_grid, extent
from verify.measure.saddles.branch import (
    Place,
    choose,
    find_saddle,
    pairs_and_nodes,
    places,
    settle,
)
from verify.measure.saddles.ellipsoids import midpoints

CLAIM = Claim.from_docstring(
    __doc__,
    id="P4.7 (1)",
    short="saddle at the midpoint",
    rests_on={
        "O4": "the two-mode field",
        "G.2": "the Jacobian Cov/v - I",
        "A4.1": "the other modes are negligible at the midpoint",
    },
    needs=(
        modes(2),
        one_covariance.because("the midpoint is no equilibrium where two covariances differ"),
    ),
    derivation="derivations/saddle/saddle.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "How wide the neighbourhood is from which a path fails to leave in time: that is P4.7 (2) "
        "and X3. A learned score can have another spectrum, which is what the papers' figure on "
        "Jacobian eigenvalues is about."
    ),
)


_NO_SADDLE = (
    "With the margin alone the statement falls here: it is proved that no equilibrium within l/4 "
    "of the midpoint is a saddle. The corrected hypothesis is the box, which does not hold there."
)
_MODES_TRIED = 8


@CLAIM.exact(unit="pairs × nodes")
def two_modes(case: Case, factor: float = 1.0, offset: float = 0.0) -> Iterator[Part]:
    """The field of the pair by itself. factor: on l²/(4v); offset: from the midpoint, over l."""
    if not one_width(case):
        yield from _one_covariance(case, factor, offset)
        return
    yield COMMON_SIGMA
    at = pairs_and_nodes(case)
    field, along, across = case.memo(
        f"P4.7 spectra {offset:g} off",
        lambda: _spectra(at, offset),
    ).T
    length, v = np.array([(pair.length, v) for pair, v in at]).T
    want_along, want_across = bounds.midpoint_eigenvalues(length, v)
    yield Hypothesis.from_slack("saddle", want_along)
    where = {"pair": np.array([(pair.i, pair.j) for pair, _ in at]), "v": v}
    yield Side(
        "eigenvalue along the pair",
        along,
        equals=factor * (want_along + 1.0) - 1.0,
        tolerance=Tolerance(rtol=1e-11, atol=1e-11),
        where=where,
    )
    yield Side(
        "field at the midpoint",
        field,
        equals=0.0,
        tolerance=Tolerance(atol=1e-14),
        scale=length,
        where=where,
    )
    if case.mixture.d > 1:
        tolerance = Tolerance(atol=1e-11)
        name = "eigenvalues across the pair"
        yield Side(name, across, equals=want_across, tolerance=tolerance, where=where)
    nodes = len(ddim_grid(case).times)
    yield {
        "λ at clean data": float(length[-1] ** 2 / (4.0 * v.min()) - 1.0),
        "nodes at which the midpoint is a saddle": int(np.sum(want_along[:nodes] > 0.0)),
    }


@CLAIM.certified(unit="pairs × nodes")
def margin_alone(case: Case, at_mode: bool = False) -> Iterator[Part]:
    """What can be proved where the margin holds, whether or not the box does. at_mode: of a saddle
    near the pair's first mode, at a few places with much room."""
    if one_width(case):
        yield COMMON_SIGMA
    yield from _asked(case)
    chosen = choose(case)
    if at_mode:
        chosen = sorted(chosen, key=lambda place: place.saddle)[-_MODES_TRIED:]
    if not chosen:
        return
    yield Facts(applicable=float(np.mean([place.stated for place in places(case)])))
    proved = np.array([settle(place, at_mode=at_mode) for place in chosen])
    side = Side(
        "a saddle near the midpoint (1 proved, 0 disproved)",
        proved,
        at_least=1.0,
        tolerance=Tolerance(atol=0.5),
        where=_where(chosen),
    )
    yield side
    if side.comparison.outcome is Outcome.FAILS:
        yield _NO_SADDLE
    yield {
        "places at which a saddle is proved": int(np.sum(proved == 1.0)),
        "places at which none is proved to lie": int(np.sum(proved == 0.0)),
        "least margin less the log of the others' weight": min(p.effective_margin for p in chosen),
    }
    stated = [] if at_mode else branch(case)
    if stated:
        yield from sides(stated)
        yield lambda: {
            "k down to which its branch is proved": _followed(case),
            "its distance from the midpoint at most, over l": _farthest(case),
        }


@CLAIM.sampled(unit="pairs × nodes")
def full(case: Case, factor: float = 1.0) -> Iterator[Part]:
    """The full mixture's saddle in the box. factor: on l²/(4v)."""
    if one_width(case):
        yield COMMON_SIGMA
    yield from _asked(case)
    boxes = [(p, p.box) for p in places(case) if p.box is not None]
    if boxes:
        yield Hypothesis.from_slack("box", np.array([box.slack for _, box in boxes]))
    boxes = [(p, box) for p, box in boxes if p.boxed]
    if not boxes:
        return
    yield Facts(applicable=len(boxes) / len(places(case)))
    found = case.memo(
        "P4.7 saddles",
        lambda: [astuple(find_saddle(p.law, p.pair, p.v, box)) for p, box in boxes],
    )
    outside, largest, second, predicted, allowance, slack = np.array(found).T
    predicted = factor * (predicted + 1.0) - 1.0
    tolerance, where = Tolerance(atol=1e-9), _where([p for p, _ in boxes])
    yield Side("largest eigenvalue", largest, at_least=0.0, tolerance=tolerance, where=where)
    yield Side(
        "largest eigenvalue against λ",
        np.abs(largest - predicted),
        at_most=allowance,
        tolerance=Tolerance(rtol=1e-9, atol=1e-9),
        scale=predicted + 1.0,
        telling=allowance < predicted,
        where=where,
    )
    name = "distance outside the box over l"
    yield Side(name, outside, at_most=0.0, tolerance=tolerance, where=where)
    if case.mixture.d > 1:
        yield Side("second eigenvalue", second, at_most=0.0, tolerance=tolerance, where=where)
    if not one_width(case):
        yield from _mapped_back(case, [p for p, _ in boxes])
    yield {
        "least slack of the box": float(slack.min()),
        "largest |λ_full - λ|/λ": float(np.max(np.abs(largest - predicted) / predicted)),
    }


CLAIM.must_fail(two_modes, "λ = l²/(2v) - 1", factor=2.0)
CLAIM.must_fail(two_modes, "a point 1 % of l off the midpoint", offset=0.01)
CLAIM.must_fail_narrowly(two_modes, "λ = (1 + {}) l²/(4v) - 1", 1.0, factor=lambda more: 1.0 + more)
CLAIM.must_fail(margin_alone, "a saddle near a mode", at_mode=True)
CLAIM.must_fail(full, "full mixture, λ = l²/(2v) - 1", factor=2.0)
CLAIM.must_fail_narrowly(
    full, "full mixture, λ = (1 + {}) l²/(4v) - 1", 1.0, factor=lambda more: 1.0 + more
)


_NEAR, _OFF = 0.05, 1e-3  # half width of the box over l; share by which k stays off 4


def branch(case: Case) -> list[Statement]:
    """The closest pair's saddle at every level of its window, and that of the pair by itself from
    its birth at k = 4 on; nothing for weights that differ."""
    window = proof_window(case)
    if window is None or dominated_tube(case, window, KAPPA) is None:
        return []
    pair, weights = window.pair, case.mixture.weights
    if weights[pair.i] != weights[pair.j]:
        return []
    law, square = pair_law(case.mixture, pair), pair.length**2
    found: list[Statement] = []
    low, high = variances(case, window.t)
    for v in cells(low, high, 2.0):
        found += saddle(f"k = {square / v[1]:.3g}", law, _half_width(pair, v[0]), v)
    along = np.array([[-0.5], [0.5]]) * pair.length
    alone = Law.of(GaussianMixture(along, 1.0), np.zeros(1), np.eye(1))
    born, slope = 0.25 * square, of_law("jacobian", 0, 0)
    wide, after = around(2.0 * pair.length, 1), (low, born * (1.0 - _OFF))
    before = (born * (1.0 + _OFF), 4.0 * square)
    found.append(Statement.over("two modes, no slope > 0 for k < 4", alone, -slope, *wide, before))
    found.append(Statement.over("two modes, slope > 0 at 0 for k > 4", alone, slope, 0.0, after))
    return found


margin_alone.build = branch  # type: ignore[attr-defined]


def _half_width(pair: geometry.Pair, v: float) -> float:
    """Of a box in which the slope along the pair stays positive down to v."""
    return min(_NEAR, 1.5 * v / pair.length**2) * pair.length


def _followed(case: Case) -> float:
    """k = l^2/v of the highest level at which the mixture's saddle is proved, cell by cell."""
    window = proof_window(case)
    assert window is not None
    pair, law = window.pair, pair_law(case.mixture, window.pair)
    top = variances(case, window.t)[1]
    for v in cells(top, 0.25 * pair.length**2, 1.1):
        stated = saddle("", law, _half_width(pair, v[0]), v)
        if not all(each.decide(Budget(boxes=2000)) for each in stated):
            break
        top = v[1]
    return float(pair.length**2 / top)


def _farthest(case: Case) -> float:
    """Of the closest pair's saddle over its window, by Krawczyk's test: its largest component."""
    window = proof_window(case)
    assert window is not None
    pair, law = window.pair, pair_law(case.mixture, window.pair)
    most = 0.0
    for v in cells(*variances(case, window.t), 2.0):
        half = _half_width(pair, v[0])
        found = equilibrium(law, np.array([*around(half, case.mixture.d), np.array(v)]))
        most = max(most, half if found is None else float(found.largest().max()))
    return most / pair.length


def _one_covariance(case: Case, factor: float, offset: float) -> Iterator[Part]:
    """The same in Mahalanobis lengths, and the matrix itself."""
    at = case.memo(f"P4.7 midpoints {offset:g} off", lambda: midpoints(case, offset))
    length2 = np.array([each.length2 for each in at])
    yield Hypothesis.from_slack("saddle", 0.25 * length2 - 1.0)
    along, across = np.array([each.spectrum() for each in at]).T
    where = {
        "pair": np.array([each.ends for each in at]),
        "rho": np.array([each.rho for each in at]),
    }
    tolerance = Tolerance(rtol=1e-10, atol=1e-10)
    yield Side(
        "eigenvalue of C^½ H C^½ along the pair",
        along,
        equals=0.25 * factor * length2 - 1.0,
        tolerance=tolerance,
        where=where,
    )
    size = np.array([np.abs(each.closed(1.0)).max() for each in at])
    yield Side(
        "matrix of the linear flow, twice",
        [each.hessian for each in at],
        equals=[each.closed(factor) for each in at],
        tolerance=Tolerance(atol=1e-10),
        scale=size[:, None, None],
        where={name: value[:, None, None] for name, value in where.items() if name == "rho"},
    )
    yield Side(
        "score at the midpoint",
        [float(np.linalg.norm(each.score * each.variances)) for each in at],
        equals=0.0,
        tolerance=Tolerance(atol=1e-11),
        scale=[float(np.linalg.norm(each.delta)) for each in at],
        where=where,
    )
    if case.mixture.d > 1:
        name = "eigenvalues across it"
        yield Side(name, across, equals=-1.0, tolerance=tolerance, scale=length2 + 1.0, where=where)


def _mapped_back(case: Case, at: Sequence[Place]) -> Iterator[Side]:
    """The whitened saddles in the mixture itself: an equilibrium of its flow, with one positive
    eigenvalue of its Hessian."""
    scores, values, size = [], [], []
    for place in at:
        point = dynamics.saddle(place.law, place.pair, place.v).point[None]
        y, law = unwhitened(case.mixture, place.rho, point), law_at(case.mixture, place.rho)
        scores.append(float(np.linalg.norm(law.score(y))))
        values.append(np.linalg.eigvalsh(law.score_jacobian(y)[0])[::-1][:2])
        size.append(extent(case.mixture) / law.smallest_var)
    pairs, tolerance = np.array(values), Tolerance(atol=1e-9)
    scale, where = np.array(size), _where(at)
    yield Side(
        "score of the mixture there",
        scores,
        equals=0.0,
        tolerance=tolerance,
        scale=scale,
        where=where,
    )
    signs = np.sign(pairs)
    yield Side(
        "signs of its two largest eigenvalues",
        signs @ np.array([1.0, -1.0])[: signs.shape[1]],
        equals=float(signs.shape[1]),
        tolerance=tolerance,
        where=where,
    )


def _spectra(at: Sequence[tuple[geometry.Pair, float]], offset: float) -> Array:
    """`_spectrum` of every pair and node; pairs that are one to the bit, such as a lattice's, are
    one problem."""
    known: dict[tuple[bytes, float], tuple[float, float, float]] = {}
    keys = [(_half(pair).tobytes(), v) for pair, v in at]
    for key, (pair, v) in zip(keys, at, strict=True):
        if key not in known:
            known[key] = _spectrum(pair, v, offset)
    return np.array([known[key] for key in keys])


def _half(pair: geometry.Pair) -> Array:
    return 0.5 * (pair.mu_i - pair.mu_j)


def _spectrum(pair: geometry.Pair, v: float, offset: float) -> tuple[float, float, float]:
    """|field|, the eigenvalue along and the one farthest from -1 across, of the pair by itself.

    The midpoint lies at the origin, so that modes that nearly coincide far from it lose no digits.
    """
    half = _half(pair)
    both = GaussianMixture(np.array([half, -half]), 1.0)
    y = (offset * pair.length * pair.direction)[None]
    field = dynamics.mean_field(both, y, v)[0] - y[0]
    jacobian = dynamics.flow_jacobian(both, y, v)[0]
    along = float(pair.direction @ jacobian @ pair.direction)
    values = dynamics.flow_spectrum(both, y, v)[0]
    others = np.delete(values, np.argmin(np.abs(values - along)))
    across = float(others[np.argmax(np.abs(others + 1.0))]) if others.size else -1.0
    return float(np.linalg.norm(field)), along, across


def _asked(case: Case) -> Iterator[Hypothesis]:
    """What the statement asks of the full mixture, without the box."""
    for name in ("saddle", "equal_weights", "dominance"):
        yield Hypothesis.from_slack(name, np.array([getattr(p, name) for p in places(case)]))


def _where(among: Sequence[Place]) -> dict[str, Any]:
    pairs = np.array([(place.pair.i, place.pair.j) for place in among])
    if among[0].v == 1.0:  # whitened
        return {"pair": pairs, "rho": np.array([place.rho for place in among])}
    return {"pair": pairs, "v": np.array([place.v for place in among])}

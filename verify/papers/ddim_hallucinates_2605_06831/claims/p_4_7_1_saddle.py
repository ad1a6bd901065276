r"""The midpoint is a saddle.

Statement: At the midpoint of two modes of equal weight the two-mode field vanishes, and its
    Jacobian $\mathrm{Cov}_\gamma/v - I$ has the eigenvalue $\lambda = l^2/(4v) - 1$ along the
    pair and $-1$ across it: a saddle once $l^2 > 4v$. The full mixture has a saddle next to it: a
    margin alone does not see to that, as it does not count weights, but a box does on which the
    other modes pull less than the pair drifts out at both ends, $|\log(w_i/w_j)| + k E < k s/2 -
    2\,\mathrm{artanh}\,s$ with $k = l^2/v$, $E$ their pull in units of $l$ and a spread $0 < s <
    \sqrt{1 - 4/k}$ of the pair's responsibilities $(1 \pm s)/2$.
Hypotheses:
    - common_sigma: all modes share one sigma.
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
    for the margin alone, at up to 12 places without a box and at some of the others.
Source: arXiv 2605.06831 v1, Proposition 4.7 (1)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.problem.mixture import GaussianMixture
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Equality, Lower, Outcome, Upper, compare
from verify.measure.midpoint.traps import require_distinct_means
from verify.measure.paths import ddim_grid
from verify.measure.saddles.branch import (
    Place,
    Saddle,
    choose,
    find_saddle,
    hypotheses,
    pairs_and_nodes,
    places,
    settle,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="P4.7 (1)",
    short="saddle at the midpoint",
    rests_on={
        "O4": "the two-mode field",
        "G.2": "the Jacobian Cov/v - I",
        "A4.1": "the other modes are negligible at the midpoint",
    },
    needs=(modes(2), one_sigma),
    basis=(Basis.EXACT, Basis.CERTIFIED, Basis.SAMPLED),
    derivation="derivations/saddle.py",
    does_not_show=(
        "How wide the neighbourhood is from which a path fails to leave in time: that is P4.7 (2) "
        "and X3. A learned score can have another spectrum, which is what the papers' figure on "
        "Jacobian eigenvalues is about."
    ),
)


def check(case: Case) -> list[Verdict]:
    """The two-mode field, the margin alone in ball arithmetic, then the full mixture."""
    require_distinct_means(case.mixture)
    return [_two_modes(case), _margin_alone(case), _full(case)]


def mutants(case: Case) -> dict[str, Verdict]:
    """Eigenvalues of another formula, a point that is no equilibrium, and a saddle at a mode."""
    found = {
        "λ = l²/(2v) - 1": _two_modes(case, factor=2.0),
        "a point 1 % of l off the midpoint": _two_modes(case, offset=0.01),
    } | narrowest("λ = (1 + {}) l²/(4v) - 1", lambda more: _two_modes(case, factor=1.0 + more), 1.0)
    full, at_mode = _full(case, factor=2.0), _margin_alone(case, at_mode=True)
    if at_mode.measured is not None:
        found["a saddle near a mode"] = at_mode
    if full.measured is None:
        return found
    found["full mixture, λ = l²/(2v) - 1"] = full
    return found | narrowest(
        "full mixture, λ = (1 + {}) l²/(4v) - 1", lambda more: _full(case, factor=1.0 + more), 1.0
    )


_NO_SADDLE = (
    "With the margin alone the statement falls here: it is proved that no equilibrium within l/4 "
    "of the midpoint is a saddle. The corrected hypothesis is the box, which does not hold there."
)


_MODES_TRIED = 8


# -- two modes -----------------------------------------------------------------------------------


def _two_modes(case: Case, factor: float = 1.0, offset: float = 0.0) -> Verdict:
    places = pairs_and_nodes(case)
    field, along, across = case.memo(
        f"P4.7 spectra {offset:g} off",
        lambda: np.array([_spectrum(pair, v, offset) for pair, v in places]),
    ).T
    length, v = np.array([(pair.length, v) for pair, v in places]).T
    want_along, want_across = bounds.midpoint_eigenvalues(length, v)
    has_saddle = want_along > 0.0
    comparisons = [
        compare(
            "eigenvalue along the pair",
            Equality(rtol=1e-11, atol=1e-11),
            along,
            factor * (want_along + 1.0) - 1.0,
        ),
        compare("field at the midpoint", Equality(atol=1e-14), field, 0.0, scale=length),
    ]
    if case.mixture.d > 1:
        comparisons.append(
            compare("eigenvalues across the pair", Equality(atol=1e-11), across, want_across)
        )

    def witness(comparison: Comparison) -> dict[str, Any]:
        pair, v_here = places[comparison.index]
        return {"quantity": comparison.name, "pair": [pair.i, pair.j], "v": v_here}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[
            Hypothesis("common_sigma", 1.0, 0.0),
            Hypothesis.from_slack("saddle", want_along),
        ],
        applicable_share=float(np.mean(has_saddle)),
        nonvacuous_share=1.0,
        witness=witness,
        unit="pairs × nodes",
        numbers={
            "λ at clean data": float(length[-1] ** 2 / (4.0 * v.min()) - 1.0),
            "nodes at which the midpoint is a saddle": int(np.sum(has_saddle[: _nodes(case)])),
        },
    )
    return CLAIM.judge(case, finding, Basis.EXACT)


def _nodes(case: Case) -> int:
    return len(ddim_grid(case).times)


def _spectrum(pair: geometry.Pair, v: float, offset: float) -> tuple[float, float, float]:
    """|field|, the eigenvalue along and the one farthest from -1 across, of the pair by itself.

    The midpoint lies at the origin, so that modes that nearly coincide far from it lose no digits.
    """
    half = 0.5 * (pair.mu_i - pair.mu_j)
    both = GaussianMixture(np.array([half, -half]), 1.0)
    y = (offset * pair.length * pair.direction)[None]
    field = dynamics.mean_field(both, y, v)[0] - y[0]
    jacobian = dynamics.flow_jacobian(both, y, v)[0]
    along = float(pair.direction @ jacobian @ pair.direction)
    values = dynamics.flow_spectrum(both, y, v)[0]
    others = np.delete(values, np.argmin(np.abs(values - along)))
    across = float(others[np.argmax(np.abs(others + 1.0))]) if others.size else -1.0
    return float(np.linalg.norm(field)), along, across


# -- full mixture --------------------------------------------------------------------------------


def _margin_alone(case: Case, at_mode: bool = False) -> Verdict:
    """What can be proved where the margin holds, whether or not the box does.

    at_mode: of a saddle near the pair's first mode, at a few places with much room (mutant).
    """
    asked = [h for h in hypotheses(case) if h.name != "box"]
    chosen = choose(case)
    if at_mode:
        chosen = sorted(chosen, key=lambda place: place.saddle)[-_MODES_TRIED:]
    if not chosen:
        return CLAIM.judge(case, Finding(hypotheses=asked, applicable_share=0.0), Basis.CERTIFIED)
    proved = np.array([settle(case.mixture, place, at_mode=at_mode) for place in chosen])
    worst = compare(
        "a saddle near the midpoint (1 proved, 0 disproved)", Lower(atol=0.5), proved, 1.0
    )
    least = chosen[int(np.argmin([place.effective_margin for place in chosen]))]
    finding = Finding(
        comparisons=[worst],
        hypotheses=asked,
        applicable_share=float(np.mean([place.stated for place in places(case)])),
        nonvacuous_share=1.0,
        witness=lambda comparison: _witness(comparison, chosen),
        unit="pairs × nodes",
        note=_NO_SADDLE if worst.outcome is Outcome.FAILS and not at_mode else "",
        numbers={
            "places at which a saddle is proved": int(np.sum(proved == 1.0)),
            "places at which none is proved to lie": int(np.sum(proved == 0.0)),
            "least margin less the log of the others' weight": least.effective_margin,
        },
    )
    return CLAIM.judge(case, finding, Basis.CERTIFIED)


def _witness(comparison: Comparison, among: list[Place]) -> dict[str, Any]:
    place = among[comparison.index]
    pair = [place.pair.i, place.pair.j]
    return {"quantity": comparison.name, "pair": pair, "v": place.v}


def _find(mixture: GaussianMixture, boxed: list[Place]) -> list[Saddle]:
    return [find_saddle(mixture, p.pair, p.v, p.box) for p in boxed if p.box is not None]


def _full(case: Case, factor: float = 1.0) -> Verdict:
    boxed = [place for place in places(case) if place.boxed]
    asked = hypotheses(case)
    if not boxed:
        return CLAIM.judge(case, Finding(hypotheses=asked, applicable_share=0.0), Basis.SAMPLED)
    saddles = case.memo("P4.7 saddles", lambda: _find(case.mixture, boxed))
    found = np.array([(s.largest, s.second, s.predicted, s.allowance, s.outside) for s in saddles])
    largest, second, predicted, allowance, outside = found.T
    predicted = factor * (predicted + 1.0) - 1.0
    comparisons = [
        compare("largest eigenvalue", Lower(atol=1e-9), largest, 0.0),
        compare(
            "largest eigenvalue against λ",
            Upper(rtol=1e-9, atol=1e-9),
            np.abs(largest - predicted),
            allowance,
            scale=predicted + 1.0,
        ),
        compare("distance outside the box over l", Upper(atol=1e-9), outside, 0.0),
    ]
    if case.mixture.d > 1:
        comparisons.append(compare("second eigenvalue", Upper(atol=1e-9), second, 0.0))
    finding = Finding(
        comparisons=comparisons,
        hypotheses=asked,
        applicable_share=len(boxed) / len(places(case)),
        nonvacuous_share=float(np.mean(allowance < predicted)),
        witness=lambda comparison: _witness(comparison, boxed),
        unit="pairs × nodes",
        numbers={
            "least slack of the box": min(s.slack for s in saddles),
            "largest |λ_full - λ|/λ": float(np.max(np.abs(largest - predicted) / predicted)),
        },
    )
    return CLAIM.judge(case, finding, Basis.SAMPLED)

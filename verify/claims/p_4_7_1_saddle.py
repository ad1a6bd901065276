r"""The midpoint is a saddle.

Statement: At the midpoint of two modes of equal weight the two-mode field vanishes, and its
    Jacobian $\mathrm{Cov}_\gamma/v - I$ has the eigenvalue $\lambda = l^2/(4v) - 1$ along the
    pair and $-1$ across it: a saddle once $l^2 > 4v$. The full mixture has a saddle next to it.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - saddle: $l^2 > 4v$.
    - equal_weights: the two modes have one weight (full mixture only).
    - dominance: the pair dominates with margin 7 at its midpoint (full mixture only).
Measured: field and eigenvalues of the engine at the midpoint of the two-mode field, for the
    closest pairs at every node of the papers' grid; then the full mixture's fixed point and its
    spectrum.
Predicted: zero, $\lambda$ and $-1$; for the full mixture one positive eigenvalue, all others
    negative, within $\lambda + 1$ times $S(1 + 5 D^2/l^2) + 16 (k S A/(k-4))^2$ of $\lambda$,
    where $k = l^2/v$, $D$ is the diameter, $A = 1 + \max_k |a_k|$ and $S = e^{-\kappa}(1 - w_i -
    w_j)/\min(w_i, w_j)$ bounds the weight of the other modes at the fixed point.
Evidence: exact for the two-mode field, sampled over pairs and nodes for the full mixture.
Source: arXiv 2605.06831 v1, Proposition 4.7 (1)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, crossings, dynamics, geometry
from mixdyn.errors import ConvergenceError, NotApplicableError
from mixdyn.mixture import GaussianMixture
from mixdyn.validation import Array
from verify.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.paths import KAPPA, ddim_grid
from verify.relations import Comparison, Equality, Lower, Upper, compare

CLAIM = Claim.from_docstring(
    __doc__,
    id="P4.7 (1)",
    basis=(Basis.EXACT, Basis.SAMPLED),
    min_modes=2,
    common_sigma=True,
    derivation="derivations/saddle.py",
    does_not_show=(
        "How wide the neighbourhood is from which a path fails to leave in time: that is P4.7 (2) "
        "and X3. A learned score can have another spectrum, which is what the papers' figure on "
        "Jacobian eigenvalues is about."
    ),
)

MAX_PAIRS = 40


def check(case: Case) -> list[Verdict]:
    """The two-mode field, then the full mixture."""
    return [_two_modes(case), _full(case)]


def mutants(case: Case) -> dict[str, Verdict]:
    """Eigenvalues of another formula, and of a midpoint that is no equilibrium."""
    found = {
        "λ = l²/(2v) - 1": _two_modes(case, factor=2.0),
        "a point 1 % of l off the midpoint": _two_modes(case, offset=0.01),
    }
    full = _full(case, factor=2.0)
    return found | ({} if full.measured is None else {"full mixture, λ = l²/(2v) - 1": full})


def _places(case: Case) -> Iterator[tuple[geometry.Pair, float]]:
    """The closest pairs (at most 40), at every node of the papers' grid."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))[ddim_grid(case).times]
    for i, j in geometry.nearest_pairs(case.mixture)[:MAX_PAIRS]:
        pair = geometry.pair(case.mixture, i, j)
        for value in v.tolist():
            yield pair, value


# -- two modes -----------------------------------------------------------------------------------


def _two_modes(case: Case, factor: float = 1.0, offset: float = 0.0) -> Verdict:
    places = list(_places(case))
    field, along, across = np.array([_spectrum(pair, v, offset) for pair, v in places]).T
    length, v = np.array([(pair.length, v) for pair, v in places]).T
    want_along, want_across = bounds.midpoint_eigenvalues(length, v)
    want_along = factor * (want_along + 1.0) - 1.0
    comparisons = [
        compare("eigenvalue along the pair", Equality(rtol=1e-11, atol=1e-11), along, want_along),
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
        applicable_share=1.0,
        nonvacuous_share=1.0,
        witness=witness,
        unit="pairs × nodes",
        numbers={
            "λ at clean data": float(length[-1] ** 2 / (4.0 * v.min()) - 1.0),
            "nodes at which the midpoint is a saddle": int(np.sum(want_along[: _nodes(case)] > 0)),
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


@dataclass(frozen=True)
class Saddle:
    """A fixed point of the full mixture at one pair and node: distance to the midpoint in units of
    l, the two largest eigenvalues, two-mode lambda, and how far from it the largest may be."""

    pair: geometry.Pair
    v: float
    away: float
    largest: float
    second: float
    predicted: float
    allowance: float


def _full(case: Case, factor: float = 1.0) -> Verdict:
    slack, saddles = case.memo("P4.7 saddles", lambda: _saddles(case))
    names = ("saddle", "equal_weights", "dominance")
    hypotheses = [Hypothesis.from_slack(name, slack[name]) for name in names]
    share = len(saddles) / len(slack["saddle"])
    if not saddles:
        finding = Finding(hypotheses=hypotheses, applicable_share=0.0)
        return CLAIM.judge(case, finding, Basis.SAMPLED)
    found = np.array([(s.largest, s.second, s.predicted, s.allowance, s.away) for s in saddles])
    largest, second, predicted, allowance, away = found.T
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
    ]
    if case.mixture.d > 1:
        comparisons.append(compare("second eigenvalue", Upper(atol=1e-9), second, 0.0))

    def witness(comparison: Comparison) -> dict[str, Any]:
        place = saddles[comparison.index]
        pair = [place.pair.i, place.pair.j]
        return {"quantity": comparison.name, "pair": pair, "v": place.v}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[Hypothesis("common_sigma", 1.0, 0.0), *hypotheses],
        applicable_share=share,
        nonvacuous_share=float(np.mean(allowance < predicted)),
        witness=witness,
        unit="pairs × nodes",
        numbers={
            "largest distance from the midpoint over l": float(away.max()),
            "largest |λ_full - λ|/λ": float(np.max(np.abs(largest - predicted) / predicted)),
        },
    )
    return CLAIM.judge(case, finding, Basis.SAMPLED)


def _saddles(case: Case) -> tuple[dict[str, Array], list[Saddle]]:
    """Slack of each hypothesis at every place, and the saddles where all of them hold."""
    slack: dict[str, list[float]] = {"saddle": [], "equal_weights": [], "dominance": []}
    found = []
    for pair, v in _places(case):
        weights = case.mixture.weights[[pair.i, pair.j]]
        index = (pair.i, pair.j)
        margin = crossings.dominance_margin(case.mixture, pair.midpoint[None], v, index)[0]
        slack["saddle"].append(pair.length**2 / (4.0 * v) - 1.0)
        slack["equal_weights"].append(1e-12 - abs(float(np.log(weights[0] / weights[1]))))
        slack["dominance"].append(min(float(margin), 1e300) - KAPPA)
        if min(values[-1] for values in slack.values()) > 0.0:
            found.append(_saddle(case, pair, v))
    return {name: np.array(values) for name, values in slack.items()}, found


def _saddle(case: Case, pair: geometry.Pair, v: float) -> Saddle:
    mixture = case.mixture
    along, _ = bounds.midpoint_eigenvalues(pair.length, v)
    try:
        point = dynamics.saddle(mixture, pair, v)
    except (ConvergenceError, NotApplicableError):
        # No saddle of the full mixture: the claim's own failure, shown as a missing eigenvalue.
        return Saddle(pair, v, np.inf, -1.0, -1.0, float(along), 0.0)
    y = point.point[None]
    kappa = float(crossings.dominance_margin(mixture, y, v, (pair.i, pair.j))[0])
    values = point.eigenvalues
    return Saddle(
        pair,
        v,
        away=float(np.linalg.norm(point.point - pair.midpoint)) / pair.length,
        largest=float(values[-1]),
        second=float(values[-2]) if len(values) > 1 else -1.0,
        predicted=float(along),
        allowance=float(along + 1.0) * _allowance(mixture, pair, v, kappa),
    )


def _allowance(mixture: GaussianMixture, pair: geometry.Pair, v: float, kappa: float) -> float:
    """How far the eigenvalue of Cov/v may be from l^2/(4 v), relative to it.

    With p = gamma_i/(gamma_i + gamma_j) and S the others' weight, the law of total variance puts
    the largest eigenvalue of Cov within S (D^2/4 + D^2) of (1 - S) p (1 - p) l^2, and at a fixed
    point |p - 1/2| is at most twice its linear response k S A/(k - 4) to the others' pull.
    """
    if not np.isfinite(kappa):
        return 0.0
    weights = mixture.weights
    others = np.setdiff1d(np.arange(mixture.N), (pair.i, pair.j))
    lighter = min(weights[pair.i], weights[pair.j])
    mass = float(np.exp(-kappa) * weights[others].sum() / lighter)
    reach = 1.0 + float(np.abs(pair.coordinates(mixture.means)[0]).max())
    k = pair.length**2 / v
    diameter2 = float(np.square(geometry.pairwise_distances(mixture.means)).max())
    tilt = 2.0 * k * mass * reach / (k - 4.0)
    return mass * (1.0 + 5.0 * diameter2 / pair.length**2) + 4.0 * tilt**2

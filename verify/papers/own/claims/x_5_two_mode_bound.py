r"""A complete and sharp bound on ending near a midpoint.

Statement: Let $A$ be the coordinate along a pair in $y$ units, $dA = g\,dr + dB$ in the clock
    $r = v_\tau - v$, and let $s$ solve $ds/dr = g(s, v)$. If on the whole line
    $\mathrm{sgn}(A - s)\,(m(A,v) - m(s,v)) \ge \frac{l'}{2} \tanh\frac{l'|A - s|}{2v}$ with
    $g = (m - A)/v$, then from any start, with $\theta' = \theta + |s_{end}|$,
    $P(|A_{end}| \le \theta) \le \Phi\big(\frac{\theta' - c}{\varsigma}\big) -
    \Phi\big(\frac{-\theta' - c}{\varsigma}\big)$, where $q = v_{end}/v_\tau$,
    $c = (1-q)\frac{l'}{2}$, $\varsigma^2 = v_{end}(1-q)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - reference: the condition on the drift, on a grid of places and levels (own mixture only).
Measured: the exact probability (O1), from the midpoint and from other starts. For two equal modes
    with $s = 0$ and $l' \le l$; for two unequal ones with $s = -\frac{v}{l} \log\frac{w_i}{w_j}$,
    $l' = l$; for mixtures symmetric about a bisector with $s = 0$ and $l'$ twice the distance of
    the nearest mode to it; for this mixture's closest pair with the largest $l'$ that the engine's
    drift allows, $s$ ending where that of its two modes does.
Predicted: the bound, equal to the truth for two equal modes with $l' = l$ from the midpoint. For
    learned drifts also $P(|A| \le 2\theta \text{ throughout}) \le
    \mathrm{erf}(2\theta e^{-\Lambda}/\sqrt{2V})$ in $x$ units, $\Lambda = \int \lambda_t$ of the
    drift's chord slopes at $2\theta$, $V = \int \beta e^{-2\Lambda_s}$: against the probability of
    being within $2\theta$ at up to 24 nodes, which is not smaller.
Evidence: exact for two modes and symmetric mixtures, over starting times, half-widths, lengths and
    schedules; sampled for this mixture, whose drift is looked at on a grid; certified for it with
    $l' = 0.9\, l$, on the whole line and at every level, and with it the bound: some solution $s$
    stays within $v/(1000\, l)$ of the bisector, since the drift leaves that strip on both sides.
Source: our replacement of arXiv 2605.06831 v1, Proposition 5.1
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Law, Statement
from mixdyn.proof.statement import of_law, z
from mixdyn.proof.statement import v as level
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Log10, Number, show_share
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis
from verify.measure.continuum import NO_TOLERANCE, can_prove, cells, certified, proof_window
from verify.measure.continuum import variances as ends_of
from verify.measure.midpoint.comparison_diffusion import (
    Reference,
    is_autonomous,
    literal_slack,
    reference_from,
)
from verify.measure.midpoint.linear_confinement import linear_comparison, log_confined_at_nodes
from verify.measure.midpoint.problems import (
    THETAS,
    Place,
    Problems,
    equal_modes,
    log_truth,
    paper_regime,
    symmetric,
    two_modes,
    unequal_modes,
    variances,
)
from verify.measure.midpoint.stretch import HALF_WIDTH, first_pair, start_time, usable_nodes

CLAIM = Claim.from_docstring(
    __doc__,
    id="X5",
    short="sharp midpoint bound",
    rests_on={"O1": "the law of the reference diffusion"},
    sharpens={"P5.1": "complete, and not vacuous"},
    needs=(
        modes(2),
        one_sigma.because(
            "the drift along a pair depends on the place across it where widths differ"
        ),
    ),
    derivation="derivations/midpoint/comparison_of_squares.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "Anything about DDPM's discrete chain or a learned score: for those it needs their drift. "
        "On this mixture the condition with the largest l' is looked at on a grid; with 0.9 l it "
        "is proved."
    ),
)

SHORTER = (0.5, 0.8, 0.9, 0.99)
LOG = Tolerance(rtol=1e-8, log=True)
SAYS_NOTHING = math.log(0.99)
REGIME = "the paper's regime, two equal modes from the midpoint"
MIDPOINT = "two equal modes from the midpoint"


# -- two modes and symmetric mixtures ------------------------------------------------------------


@CLAIM.exact(unit="problems")
def closed(case: Case, stretch: float = 1.0, variance: float = 1.0) -> Iterator[Part]:
    """Two modes and symmetric mixtures in closed form. stretch: a factor on l'; variance: on that
    of the law."""
    problems = case.memo("X5 problems", lambda: _groups(case))

    def side(name: str, group: Problems, part: float = 1.0, meets: bool = False) -> Side:
        bound = group.log_bound(part * stretch, variance)
        return Side(
            name,
            group.truth,
            **{"equals" if meets else "at_most": bound},
            tolerance=LOG,
            telling=bound < SAYS_NOTHING if name == MIDPOINT else None,
            where=group.where(),
        )

    for name, group in problems.items():
        yield side(name, group, meets=name in (REGIME, MIDPOINT))
    for part in SHORTER:
        yield side(f"two equal modes, l' = {part:g} l", problems[MIDPOINT], part)
    confined = case.memo("X5 linear", lambda: _linear(case))
    if confined:
        column = {name: np.array([row[name] for row in confined]) for name in confined[0]}
        yield Side(
            "confinement, linear comparison",
            column["at nodes"],
            at_most=column["bound"],
            tolerance=Tolerance(rtol=1e-6, log=True),  # its exact side is a quadrature
            where={name: column[name] for name in ("theta", "v_start")},
        )
    yield Facts(truth=Log10.from_log(float(problems[REGIME].truth[0])))
    yield lambda: _numbers(problems[REGIME], confined)


CLAIM.must_fail(closed, "variance v_end (1-q)/2", variance=0.5)
CLAIM.must_fail_narrowly(
    closed, "l' longer than l by a share of {}", 0.05, stretch=lambda more: 1.0 + more
)


def _groups(case: Case) -> dict[str, Problems]:
    return {
        REGIME: paper_regime(case),
        MIDPOINT: equal_modes(case, np.zeros(1)),
        "two equal modes from other starts": equal_modes(case, np.array([-1.0, 0.1, 0.5])),
        "two unequal modes": unequal_modes(case),
        "mixtures symmetric about a bisector": symmetric(case),
    }


def _linear(case: Case) -> list[dict[str, float]]:
    """Log probabilities of confinement and their bounds, for two equal modes, where the quadrature
    is of moderate size; the closest pair in the paper's regime first."""
    regime, sigma = paper_regime(case), float(case.mixture.sigma)
    length = float(regime.length[0])
    places = [(length, HALF_WIDTH, float(regime.v_start[0]), float(regime.v_end[0]))]
    for v_start, v_end in variances(case)[::6]:
        for size, part in itertools.product((length, 12.0 * sigma), (0.02, 0.2)):
            places.append((size, part, v_start, v_end))
    rows = []
    for size, part, v_start, v_end in places:
        mixture, _ = two_modes(size, sigma)
        exact = log_confined_at_nodes(mixture, part * size, v_start, v_end)
        if exact is not None:
            found = linear_comparison(mixture, part * size, v_start, v_end)
            row = {"theta": part * size, "v_start": v_start, "at nodes": exact}
            rows.append({**row, "bound": found.log_bound, "Λ": found.growth, "V": found.noise})
    return rows


def _numbers(regime: Problems, confined: list[dict[str, float]]) -> dict[str, Number | None]:
    numbers: dict[str, Number | None] = {
        f"bound in the paper's regime with l' = {part:g} l": Log10.from_log(
            float(regime.log_bound(part)[0])
        )
        for part in SHORTER
    }
    place = float(regime.theta[0]), float(regime.v_start[0])
    for row in confined:
        if (row["theta"], row["v_start"]) == place:
            return numbers | {
                "confinement to 2θ, at nodes": Log10.from_log(row["at nodes"]),
                "confinement to 2θ, linear comparison": Log10.from_log(row["bound"]),
                "Λ of that": row["Λ"],
                "V of that": row["V"],
            }
    return numbers


# -- this mixture --------------------------------------------------------------------------------


@CLAIM.sampled(unit="starts × times × half-widths")
def own(case: Case, stretch: float = 1.0) -> Iterator[Part]:
    """This mixture with the engine's drift. stretch: a factor on the largest l' that it allows."""
    pair = first_pair(case.mixture)
    usable = [(t, r) for t in _own_times(case) if (r := reference_from(case, pair, t)) is not None]
    if not usable:
        yield from _no_reference(case, pair)
        return
    yield Hypothesis("reference", 1.0, 0.0)
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    y = _own_starts(case, pair, float(v[usable[0][0]]))
    thetas = pair.length * np.array([HALF_WIDTH, *THETAS])
    places = [Place(y, float(v[t]), float(v[0]), thetas) for t, _ in usable]
    truth = case.memo(
        "X5 own truth",
        lambda: np.array([log_truth(case.mixture, pair, place) for place in places]),
    )
    bound = np.array([[r.log_probability(theta, stretch) for theta in thetas] for _, r in usable])
    where = {
        "pair": [pair.i, pair.j],
        "t": np.array([t for t, _ in usable])[:, None, None],
        "theta": thetas,
        "y": y[None, :, None],
        "length": np.array([r.length for _, r in usable])[:, None, None],
    }
    first, bound = np.arange(truth.size).reshape(truth.shape) == 0, bound[:, None]
    for name, among in (
        ("the paper's regime, from the midpoint", first),
        ("all starts, times and half-widths", None),
    ):
        yield Side(name, truth, at_most=bound, tolerance=LOG, among=among, where=where)
    yield Facts(
        nonvacuous=float(np.mean(bound < SAYS_NOTHING)),
        truth=Log10.from_log(float(truth[0, 0, 0])),
    )
    yield lambda: _own_numbers(pair, usable[0][1], _literal(case, pair))


CLAIM.must_fail_narrowly(
    own, "own mixture, l' longer by a share of {}", 0.05, stretch=lambda more: 1.0 + more
)


def _no_reference(case: Case, pair: geometry.Pair) -> Iterator[Part]:
    slack = Hypothesis.from_slack("reference", _literal(case, pair))
    yield slack
    yield (
        "The drift along the pair depends on the place across it; with s = 0, l' = l the condition "
        f"holds at {show_share(slack.held_share)} of the places looked at. The exact law answers "
        "instead: see P5.1."
    )


def _own_numbers(pair: geometry.Pair, first: Reference, literal: Array) -> dict[str, Number | None]:
    return {
        "1 - l'/l": 1.0 - first.length / pair.length,
        "|s_end|/l": abs(float(first.center[0])) / pair.length,
        "s at the start over l": float(first.center[-1]) / pair.length,
        "places × levels looked at": first.n,
        "share of places where s = 0, l' = l would do": float(np.mean(literal >= 0.0)),
        "worst gap there, in units of l": max(0.0, -float(literal.min())),
        "what two references of unequal weight would add, e^(-l²/v_τ)": Log10.from_log(
            -(pair.length**2) / float(first.v[-1])
        ),
    }


def _own_times(case: Case) -> list[int]:
    """The paper's start and two earlier nodes of its grid."""
    times, first = usable_nodes(case), start_time(case)
    index = int(np.argmax(times <= first))
    return list(dict.fromkeys(int(times[max(index - back, 0)]) for back in (0, 6, 16)))


def _own_starts(case: Case, pair: geometry.Pair, v: float) -> Array:
    """The midpoint, the two modes, places along the pair, and states of the static marginal."""
    along = np.array([0.0, -0.5, 0.5, -0.2, -0.02, 0.02, 0.2, 1.0])
    line = pair.midpoint + pair.length * along[:, None] * pair.direction
    rng, means = case.rng("X5 own"), case.mixture.means
    drawn = means[rng.choice(len(means), 24, p=case.mixture.weights)]
    return np.concatenate([line, drawn + math.sqrt(v) * rng.standard_normal(drawn.shape)])


def _literal(case: Case, pair: geometry.Pair) -> Array:
    """Slack of the condition with s = 0 and l' = l from the paper's start on, in units of l."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    levels = np.geomspace(float(v[0]), float(v[start_time(case)]), 12)
    rng = case.rng("X5 literal")
    return np.concatenate([literal_slack(case.mixture, pair, float(x), rng) for x in levels])


# -- this mixture, on the whole line -------------------------------------------------------------

PROVED = 0.9  # l' over l
STRIP = 1e-3  # half width of the strip about the bisector, over v/l
TURN, FAR = 0.8, 8.0  # ends of the middle part, over v/l


def condition(case: Case, length: float = PROVED) -> list[Statement] | None:
    """In units of l: with |s| <= h, and p = l'/2,

    * the drift leaves the strip |A| <= h on both sides, so that a solution s stays in it;
    * for |A| <= u, Cov >= p^2: then (m(A) - m(s)) v >= p^2 |A - s|, which is above v p tanh;
    * for u - h <= |A| <= f, |m(A)| >= p tanh(p (|A| + h)/v) + what m is in the strip at most;
    * at f, and beyond since m rises, |m| >= p + that.

    length: l' over l.
    """
    window = proof_window(case) if can_prove(case) else None
    if window is None or not is_autonomous(case.mixture, window.pair):
        return None
    pair, p = window.pair, 0.5 * length
    places = pair.bisector_coordinate(case.mixture.means) / pair.length
    weights = case.mixture.weights
    if weights[pair.i] != weights[pair.j]:
        return None
    # Modes that differ across the pair alone are one place of the line.
    _, first, column = np.unique(places.round(9), return_index=True, return_inverse=True)
    line = GaussianMixture(places[first][:, None], 1.0, np.bincount(column, weights))
    law, mean = Law.of(line, [0.0], [[1.0]]), of_law("mean", 0)
    found: list[Statement] = []
    low, high = (end / pair.length**2 for end in ends_of(case, window.t))
    for v in cells(low, high, 1.25):
        h, u, far = (share * v[0] for share in (STRIP, TURN, FAR))
        rise = of_law("covariance", 0, 0) - p**2
        found.append(Statement.over(f"slope at v = {v[0]:.3g}", law, rise, (-u, u), v))
        strip = 0.3 * STRIP
        for side in (1.0, -1.0):
            name, toward = f"v = {v[0]:.3g}, side {side:+g}", side * mean
            out = side * of_law("field", 0)
            found.append(Statement.over(f"strip, {name}", law, out, side * h, v))
            found.append(Statement.over(f"m there, {name}", law, strip - toward, side * h, v))
            part = p * (p * (side * z(0) + h) / level).apply("tanh")
            middle = sorted((side * (u - h), side * far))
            found.append(Statement.over(f"middle, {name}", law, toward - part - strip, middle, v))
            found.append(Statement.over(f"far, {name}", law, toward - (p + strip), side * far, v))
    return found


def proved_bound(case: Case) -> Iterator[Part]:
    """The exact probability from the midpoint, and the bound that the proof gives."""
    window = proof_window(case)
    assert window is not None
    pair, (low, high) = window.pair, ends_of(case, window.t)
    theta = HALF_WIDTH * pair.length
    reach = theta + STRIP * low / pair.length
    bound = float(bounds.log_midpoint_probability(PROVED * pair.length, reach, high, low))
    place = Place(pair.midpoint[None], high, low, np.array([theta]))
    truth = log_truth(case.mixture, pair, place)
    name = "P(|A_end| ≤ θ) from the midpoint, by the proved bound"
    yield Side(name, truth, at_most=bound, tolerance=LOG, where={"theta": theta})
    yield {"proved bound on P(|A_end| ≤ θ), θ = 0.15 l": Log10.from_log(bound)}


CLAIM.must_fail(certified(CLAIM, condition, proved_bound), "l' = 1.1 l", length=1.1)

r"""When a path has chosen its mode.

Statement: Two clones, draws of the reversed diffusion from one state of $p_t$, end in one mode with
    probability $E \sum_k \gamma_k^2$, which is also the chance of one to come back to the mode that
    the state was made of. Of two modes it is a function of $k = l^2/v$ and the weights alone, $1 -
    \sqrt{w_i w_j}\, e^{-k/8} E\, \mathrm{sech}(L/2)$ with $L \sim N(\log(w_i/w_j), k)$: of equal
    ones 0.556, 0.603, 0.675 at $k = 1/2, 1, 2$, 0.775 at the saddle's birth $k = 4$, 0.884 at 8 and
    0.981 at 20. Of any number they part at most as often as the clones of all pairs together, each
    pair alone in its own $k$; from $\tau_2$ on, where $l^2 \ge 4\kappa d v$ for all pairs, with
    probability at most $\frac{N-1}{2} e^{-\kappa d/2}$. Of one covariance the law of a pair holds
    with $k = \Delta^\top C^{-1}\Delta$; of several covariances the log odds of a pair are no normal
    variable, and the first sentence is what remains.
Hypotheses:
    - common_sigma: all modes share one sigma (sums over pairs and $\tau_2$).
Measured: the part of the responsibilities that is not the own mode's, by the engine at the nodes of
    a quadrature about both modes of the closest pair; on products of one-dimensional mixtures the
    same by quadrature on every axis, over the papers' grid. Clones by exact draws from states of
    $p_t$, counted, about the levels where $k$ of the closest pair is 1/2 to 20. Of one covariance
    the closest pair's parting at nodes of the papers' grid, by its responsibilities on the line
    through both modes.
Predicted: the law of two modes in closed form; the sum over pairs; the bound at $\tau_2$; the
    engine's $\sum_k \gamma_k^2$ at the clones' states.
Evidence: exact; the numbers of two equal modes also certified, by a quadrature that encloses the
    integrand in every cell; the window in which it falls is the critical one of arXiv 2403.01633.
    Counts lie within five standard deviations of a sum of independent events (1e-6).
Source: our result; it says what arXiv 2605.06831 v1, Assumption 4.4 decides
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import geometry, oracles
from mixdyn.geometry import dynamics
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Interval
from mixdyn.proof.quadrature import integral
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.numbers import Log10
from mixdyn.support.statistics import VERDICT_STDS
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, proper
from verify.ledger.sides import NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure import covariances
from verify.measure.clones import (
    STIFFNESS,
    clones_of,
    grid_levels,
    log_product_parting,
    pair_stiffness,
    pair_table,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X16",
    short="speciation",
    rests_on={"O1": "the law of a clone", "O4": "the logit of two modes"},
    sharpens={"A4.4": "how much is decided at tau_2"},
    needs=(modes(2), proper),
    derivation="derivations/clones/agreement.py",
    does_not_show=(
        "When a deterministic sampler has chosen: there the noisy start has. Or when a sampler's "
        "own chain has, whose steps are not the exact ones; the law is that of the continuous "
        "process. A mode is a component, also where it overlaps another."
    ),
)

KAPPAS = (2.0, 7.0, 20.0)
_DEEPEST = -600.0  # of a logarithm
_STIFFEST = 300.0  # beyond, no node of the quadrature is where clones part


@CLAIM.exact(unit="levels")
def parting(
    case: Case,
    law: Callable[[Array, ArrayLike], Array] = oracles.log_two_mode_parting,
    pairs: float = 1.0,
    margin: float = 1.0,
) -> Iterator[Part]:
    """Two modes, all pairs, and what is left from tau_2 on; logarithms. margin: a factor on the
    exponent of the bound there."""
    if not covariances.one_width(case):
        yield from _of_one_covariance(case, law)
        return
    yield covariances.COMMON_SIGMA
    pair = geometry.pair(case.mixture, *geometry.nearest_pairs(case.mixture)[0])
    weights = case.mixture.weights[[pair.i, pair.j]] / case.mixture.weights[[pair.i, pair.j]].sum()
    times, v = grid_levels(case)
    k = np.unique(np.append(pair.length**2 / v, STIFFNESS))
    k = k[k <= _STIFFEST]
    measured = case.memo("X16 pair", lambda: _by_engine(case.mixture, pair, weights, k))
    yield Side(
        "clones of the closest pair alone that part",
        measured,
        equals=law(k, math.log(weights[0] / weights[1])),
        tolerance=Tolerance(rtol=1e-9, log=True),
        where={"k": k},
    )
    bound = np.log(pairs) + _of_pairs(case, law, v)
    product = case.mixture.product_axes() is not None
    if product:
        exact = case.memo("X16 product", lambda: log_product_parting(case.mixture, v))
        yield Side(
            "clones that part, all modes",
            exact,
            at_most=bound,
            tolerance=Tolerance(rtol=1e-9, log=True),
            among=exact > _DEEPEST,
            telling=bound < 0.0,
            where={"t": times, "v": v},
        )
    yield from _late(case, lambda v: _of_pairs(case, law, v), margin)
    yield lambda: _table(pair.length**2 / v, times, bound, exact if product else None)
    yield {"agreement at the saddle's birth, k = 4": float(oracles.two_mode_return(4.0))}


def _of_one_covariance(case: Case, law: Callable[[Array, ArrayLike], Array]) -> Iterator[Part]:
    """The closest pair alone, of modes that share a covariance, in its length by C."""
    mixture = case.mixture
    if mixture.covariance is None or not mixture.covariance.common:
        yield NotApplicable(
            "the law of a pair is of one covariance: of several the log odds are no normal variable"
        )
        return
    i, j = geometry.nearest_pairs(mixture)[0]
    pair = mixture.subset([i, j])
    rho = covariances.noisy_levels(case)
    square = pair_stiffness(pair, rho)
    seen = square <= _STIFFEST
    measured = [
        _parting_on_line(covariances.law_at(pair, level), k)
        for level, k in zip(rho[seen].tolist(), square[seen].tolist(), strict=True)
    ]
    yield Side(
        "clones of the closest pair alone that part",
        measured,
        equals=law(square[seen], math.log(pair.weights[0] / pair.weights[1])),
        tolerance=Tolerance(rtol=1e-9, log=True),
        where={"k": square[seen], "rho": rho[seen]},
    )


def _parting_on_line(law: GaussianMixture, k: float) -> float:
    """log of the probability that clones of two modes part, by the responsibilities of their law at
    a level: along Delta/sqrt(k) a mode is standard normal, and nothing else moves the odds."""
    z = np.linspace(-32.0, 32.0, 1601)
    normal = np.exp(-0.5 * z * z) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)
    along = (law.means[1] - law.means[0]) / math.sqrt(k)
    parted = 0.0
    for mode, mean in enumerate(law.means):
        gamma = law.responsibilities(mean + z[:, None] * along)
        parted += law.weights[mode] * float(normal @ gamma[:, 1 - mode])
    return math.log(parted)


def _of_pairs(case: Case, law: Callable[[Array, ArrayLike], Array], v: Array) -> Array:
    """log of the sum over pairs, each alone, at effective variances v (K,)."""
    if law is oracles.log_two_mode_parting:  # that of the row, and of controls of all else
        return case.memo(f"X16 sum {v.tolist()}", lambda: _summed(case, law, v))
    return _summed(case, law, v)


def _summed(case: Case, law: Callable[[Array, ArrayLike], Array], v: Array) -> Array:
    square, roots, ratio = case.memo("X16 pairs", lambda: pair_table(case.mixture))
    each = law(square[:, None] / v, ratio[:, None]) + np.log(2.0 * np.cosh(0.5 * ratio))[:, None]
    return np.asarray(np.logaddexp.reduce(np.log(roots)[:, None] + each, axis=0))


def _late(case: Case, sums: Callable[[Array], Array], margin: float) -> Iterator[Part]:
    """The sum over pairs where tau_2 says that all are separated. margin: on the exponent."""
    late = [(kappa, _separated(case, kappa)) for kappa in KAPPAS]
    late = [(kappa, t) for kappa, t in late if t is not None]
    if not late:
        return
    kappas, ts = (np.array(part) for part in zip(*late, strict=True))
    ceiling = math.log(0.5 * (case.mixture.N - 1)) - margin * 0.5 * kappas * case.mixture.d
    yield Side(
        "the sum over pairs where all are separated",
        sums(case.schedule.effective_variance(float(case.mixture.sigma))[ts]),
        at_most=ceiling,
        tolerance=Tolerance(rtol=1e-9, log=True),
        telling=ceiling < 0.0,
        where={"t": ts, "kappa": kappas},
    )


def _separated(case: Case, kappa: float) -> int | None:
    """tau_2: the latest noise from which on all pairs are separated, a noisy time."""
    if not covariances.one_width(case):
        return None
    table = dynamics.tau_2(case.mixture, case.schedule, kappa)
    off = ~np.eye(case.mixture.N, dtype=bool)
    at = int(table[off].min())
    return at if at >= 1 else None


def _by_engine(mixture: GaussianMixture, pair: geometry.Pair, weights: Array, k: Array) -> Array:
    """log of the probability that clones of two modes part, by the engine's responsibilities at the
    nodes of a quadrature along the pair, (K,)."""
    alone = GaussianMixture([pair.mu_i, pair.mu_j], 0.0, weights)
    z, out = np.linspace(-32.0, 32.0, 1601), np.zeros(len(k))
    normal = np.exp(-0.5 * z * z) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)
    for at, variance in enumerate((pair.length**2 / k).tolist()):
        law = alone.at_level(1.0, 1.0, variance)
        for mode, mean in enumerate((pair.mu_i, pair.mu_j)):
            y = mean + math.sqrt(variance) * z[:, None] * pair.direction
            gamma = law.responsibilities(y)
            out[at] += weights[mode] * float(normal @ gamma[:, 1 - mode])
    return np.log(out)


def _table(k: Array, times: IntArray, bound: Array, exact: Array | None) -> Table:
    """A few levels of the grid."""
    shown = np.unique([int(np.argmin(np.abs(np.log(k / at)))) for at in (0.5, 2, 4, 8, 20, 56)])
    rows = []
    for at in shown.tolist():
        own = None if exact is None else float(-np.expm1(exact[at]))
        pair = float(oracles.two_mode_return(k[at]))
        log10 = Log10(float(bound[at]) / math.log(10.0))
        rows.append((int(times[at]), float(k[at]), pair, own, log10))
    columns = ("t", "k of the closest pair", "agree, pair alone", "agree, all", "part, at most")
    return Table("Clones over the papers' grid", columns, rows)


@CLAIM.sampled(unit="pairs of clones")
def clones(case: Case, power: float = 2.0, lost: float = 0.0) -> Iterator[Part]:
    """Clones that agree. power: of gamma; lost: share of agreements too few."""
    found = clones_of(case)
    expected = found.expected / found.n
    spread = np.sqrt(found.variance + 1.0) / found.n
    if power != 2.0:
        expected = expected ** (power / 2.0)
    yield Side(
        "clones that agree",
        found.agreed / found.n,
        equals=(1.0 - lost) * expected,
        tolerance=Tolerance(atol=VERDICT_STDS),
        scale=spread,
        where={"t": found.t},
    )
    if case.mixture.product_axes() is not None:
        v = case.schedule.effective_variance(float(case.mixture.sigma))[found.t]
        law = (1.0 - lost) * -np.expm1(log_product_parting(case.mixture, v))
        yield Side(
            "clones that agree, against the closed form",
            found.agreed / found.n,
            equals=law,
            tolerance=Tolerance(atol=VERDICT_STDS),
            scale=np.sqrt(law * (1.0 - law) / found.n + 1.0 / found.n**2),
            where={"t": found.t},
        )
    yield {"pairs of clones": found.n * len(found.t)}


CLAIM.must_fail(
    parting, "k/4 in the exponent", law=lambda k, b: oracles.log_two_mode_parting(2.0 * k, b)
)
CLAIM.must_fail_narrowly(
    parting,
    "(1 + {}) k",
    0.1,
    law=lambda more: lambda k, b: oracles.log_two_mode_parting((1.0 + more) * k, b),
)
CLAIM.must_fail_narrowly(
    parting,
    "the sum over pairs times 1 - {}",
    0.5,
    when=lambda case: case.mixture.product_axes() is not None,
    pairs=lambda less: 1.0 - less,
)
CLAIM.must_fail(
    parting,
    "1.5 times the exponent from tau_2 on",
    when=lambda case: any(_separated(case, kappa) is not None for kappa in KAPPAS),
    margin=1.5,
)
CLAIM.must_fail(clones, "gamma to the third", power=3.0)
CLAIM.must_fail_narrowly(clones, "a share {} of the agreements lost", 0.5, lost=lambda less: less)


# -- two equal modes, between proved bounds ------------------------------------------------------

_BEYOND = 9.0  # standard deviations, with less than 1e-18 outside


@CLAIM.certified(unit="strengths")
def enclosed(case: Case, stiffer: float = 1.0) -> Iterator[Part]:
    """The closed form of two equal modes against an enclosure of its integral. stiffer: a factor on
    k there."""
    k = np.array(STIFFNESS)
    bounds = Interval.join([_agreement(stiffer * each) for each in k.tolist()])
    yield Side(
        "agreement of clones of two equal modes, within proved bounds",
        [float(oracles.two_mode_return(each)) for each in k.tolist()],
        equals=bounds.mid(),
        tolerance=Tolerance(atol=1.0),
        scale=bounds.radius() + 1e-9,
        where={"k": k},
    )
    yield {"widest of the proved bounds": float((bounds.hi - bounds.lo).max())}


CLAIM.must_fail_narrowly(
    enclosed, "k larger by a share of {}", 1.0, stiffer=lambda more: 1.0 + more
)


def _agreement(k: float) -> Interval:
    """E logistic(k/2 + sqrt(k) Z), the responsibility of the own mode, as one interval (1,)."""
    root = Interval.of(k).sqrt()
    scale = (
        1.0
        / Interval(
            np.asarray(2.0 * math.pi * (1.0 - 1e-15)), np.asarray(2.0 * math.pi * (1.0 + 1e-15))
        ).sqrt()
    )

    def f(x: Interval) -> Interval:
        return (x.square() * -0.5).exp() * scale * (x * root + 0.5 * k).logistic()

    inside = integral(f, -_BEYOND, _BEYOND)
    whole = inside + Interval(np.asarray(0.0), np.asarray(1e-18))
    return Interval(whole.lo[None], whole.hi[None])

r"""When a data set is memorised.

Statement: A draw of the reversed diffusion of $n$ data points (point masses), from one of them
    noised to $\rho$, returns to it with probability $E\gamma_{own}$. With the information density
    $i = \log(p(y|x)/p_\rho(y))$ of the law that the data are drawn from, whose mean is $I(x_0;
    x_\rho)$, and over independent data, $E\, 1/(1 + (n-1) e^{-i}) \le E\gamma_{own} \le P(i > \log
    n - a) + e^{-a}$ for every $a \ge 0$: the transition sits where $I = \log n$, as sharp as $i$
    is. For data of $N(0, I_d)$ the lower side is exactly 1/2 at $I = \log(n - 1)$, so that half of
    all clones come back at a $\rho$ no smaller than $1/((n-1)^{2/d} - 1)$.
Hypotheses: none.
Measured: Gaussian data in 2 to 64 dimensions: the mean over data sets in closed form. Data sets
    drawn from $N(0, I_d)$ and from the case's own mixture: $\gamma_{own}$ by the engine's score of
    the data as point masses, and whether the draws of its exact reverse come back.
Predicted: the two sides, from the exact law of $i$; the closed form; the mean of $\gamma_{own}$.
Evidence: exact; means over independent data sets within five standard errors (1e-6).
Source: our result; it says when networks of arXiv 2406.09358 v2, section 4 must interpolate
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.support.checks import Array
from mixdyn.support.statistics import VERDICT_STDS, standard_error
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.recall import GAUSSIAN, Recall, own_sets, recall_of_gaussians

CLAIM = Claim.from_docstring(
    __doc__,
    id="X15",
    short="memorisation",
    rests_on={"O1": "where a clone ends"},
    derivation="derivations/clones/recall.py",
    does_not_show=(
        "What a network does that was trained on the data: its score is not theirs. It says at "
        "which noise their own score, which it is trained towards, is that of copies. Data that "
        "are not independent have no i; for them E gamma_own is measured by `mixdyn check`."
    ),
)

_SHARES = (0.5, 1.0, 1.3, 2.0, 64.0)  # of rho_C
MARGINS = np.linspace(0.05, 6.0, 60)


@CLAIM.exact(unit="noise levels")
def gaussian(
    case: Case,
    others: float = 1.0,
    margin: float = 1.0,
) -> Iterator[Part]:
    """Both sides on Gaussian data. others: a factor on n - 1; margin: on what e^-a adds."""
    problems = [(n, d, share) for n, d in GAUSSIAN for share in _SHARES]
    seen = case.memo("X15 exact", lambda: [_gaussian(*problem) for problem in problems])
    rho, exact = (np.array(part) for part in zip(*seen, strict=True))
    n, d, _ = (np.array(part) for part in zip(*problems, strict=True))
    low = [_at_least(*each, others) for each in zip(n, d, rho, strict=True)]
    high = [_at_most(*each, margin) for each in zip(n, d, rho, strict=True)]
    where = {"n": n, "d": d, "rho": rho}
    tolerance = Tolerance(rtol=1e-6)
    yield Side("clones that return", exact, at_least=low, tolerance=tolerance, where=where)
    yield Side(
        "clones that return",
        exact,
        at_most=high,
        tolerance=tolerance,
        telling=np.array(high) < 1.0,
        where=where,
    )
    half = np.array([_at_least(n, d, _collapse(n - 1, d), others) for n, d in GAUSSIAN])
    sizes = {"n": np.array([n for n, _ in GAUSSIAN]), "d": np.array([d for _, d in GAUSSIAN])}
    yield Side(
        "the lower side where I = log(n - 1)", half, equals=0.5, tolerance=tolerance, where=sizes
    )
    yield lambda: _halves(exact)


def _collapse(n: int, d: int) -> float:
    """rho at which N(0, I_d) shares log n nats with its noisy state."""
    return 1.0 / math.expm1(2.0 * math.log(n) / d)


@functools.cache  # whatever the case
def _gaussian(n: int, d: int, share: float) -> tuple[float, float]:
    rho = share * _collapse(n, d)
    return rho, oracles.gaussian_return(n, d, rho)


@functools.lru_cache(maxsize=2 * len(GAUSSIAN) * len(_SHARES))  # which every control asks for
def _density(d: int, rho: float) -> tuple[Array, Array]:
    """Nodes and weights of i: I + s sqrt(C) g, C chi-square of d, g normal, s^2 = 1/(1 + rho)."""
    from mixdyn.support import laws

    share = (np.arange(200) + 0.5) / 200.0
    root = np.sqrt(laws.chi2_quantile(np.append(0.5 * share**3, 1.0 - 0.5 * share[::-1] ** 3), d))
    step = 1.5 * share**2 / 200.0
    g, of_g = np.polynomial.hermite_e.hermegauss(160)
    nodes = 0.5 * d * math.log1p(1.0 / rho) + np.outer(root, g) / math.sqrt(1.0 + rho)
    return nodes, np.outer(np.append(step, step[::-1]), of_g / of_g.sum())


def _at_least(n: int, d: int, rho: float, others: float) -> float:
    i, weights = _density(int(d), float(rho))
    shifted = i - math.log(others)
    return float((weights * bounds.return_at_least(shifted, int(n))).sum() / weights.sum())


def _at_most(n: int, d: int, rho: float, margin: float) -> float:
    i, weights = _density(int(d), float(rho))
    level = math.log(n) - MARGINS
    order = np.argsort(i, axis=None)
    below = np.append(0.0, np.cumsum(weights.ravel()[order]) / weights.sum())
    beyond = 1.0 - below[np.searchsorted(i.ravel()[order], level, side="right")]
    return min(1.0, float((beyond + margin * np.exp(-MARGINS)).min()))


def _halves(exact: Array) -> Table:
    """The noise at which half of all clones return, over 1/(n^(2/d) - 1), read off by lines."""
    rows = []
    for (n, d), curve in zip(GAUSSIAN, exact.reshape(len(GAUSSIAN), -1), strict=True):
        logit = np.log(curve) - np.log1p(-curve)
        share = math.exp(float(np.interp(0.0, -logit, np.log(_SHARES))))
        start = _collapse(n, d)
        rows.append((n, d, start, share, _collapse(n - 1, d) / start))
    columns = ("n", "d", "rho_C", "half return over rho_C", "no less than")
    return Table("Half return of Gaussian data", columns, rows)


@CLAIM.sampled(unit="levels of data sets")
def data(case: Case, lost: float = 0.0, others: float = 1.0) -> Iterator[Part]:
    """The engine on data sets. lost: a share of the returns; others: as in `gaussian`."""
    found = recall_of_gaussians(case)
    exact = (1.0 - lost) * found.predicted
    yield _against("gamma of the own point, Gaussian data", found, exact)
    yield Side(
        "draws that come back, Gaussian data",
        found.came_back,
        equals=(1.0 - lost) * found.mean,
        tolerance=Tolerance(atol=VERDICT_STDS),
        scale=np.sqrt(found.mean * (1.0 - found.mean) / found.n_draws + 1.0 / found.n_draws**2),
        where={"rho": found.rho},
    )
    own = own_sets(case)
    low = bounds.return_at_least(own.density - math.log(others), own.size)
    sets = (own.gamma - low).mean(axis=2)
    yield Side(
        "gamma of the own point, data of the case's law",
        sets.mean(axis=1),
        at_least=0.0,
        tolerance=Tolerance(atol=1.0),
        scale=VERDICT_STDS * standard_error(sets) + 1e-12,
        where={"rho": own.rho},
    )
    high = bounds.return_at_most(own.density[..., None], own.size, MARGINS)
    best = high.mean(axis=(1, 2)).argmin(axis=1)
    above = own.gamma - np.take_along_axis(high, best[:, None, None, None], axis=3)[..., 0]
    above = above.mean(axis=2)
    yield Side(
        "gamma of the own point, data of the case's law",
        above.mean(axis=1),
        at_most=0.0,
        tolerance=Tolerance(atol=1.0),
        scale=VERDICT_STDS * standard_error(above) + 1e-12,
        where={"rho": own.rho},
    )
    yield lambda: _levels(own.rho, own.density, own.gamma, own.size)


def _against(name: str, found: Recall, exact: Array) -> Side:
    return Side(
        name,
        found.mean,
        equals=exact,
        tolerance=Tolerance(atol=VERDICT_STDS),
        scale=found.std_error,
        where={"n": found.size, "d": found.d, "rho": found.rho},
    )


def _levels(rho: Array, density: Array, gamma: Array, size: int) -> Table:
    rows = []
    for k, level in enumerate(rho.tolist()):
        low = float(bounds.return_at_least(density[k], size).mean())
        high = float(bounds.return_at_most(density[k][..., None], size, MARGINS).mean((0, 1)).min())
        share = float(density[k].mean()) / math.log(size)
        rows.append((level, share, low, float(gamma[k].mean()), min(high, 1.0)))
    columns = ("rho", "I / log n", "at least", "return", "at most")
    return Table(f"Data sets of {size} points of the case's law", columns, rows)


CLAIM.must_fail(gaussian, "half as many others", others=0.5)
CLAIM.must_fail_narrowly(gaussian, "(1 - {}) (n - 1) others", 0.5, others=lambda s: 1.0 - s)
CLAIM.must_fail(gaussian, "without e^-a", margin=0.0)
CLAIM.must_fail(data, "a fifth of the returns lost", lost=0.2)
CLAIM.must_fail_narrowly(data, "a share {} of the returns lost", 0.5, lost=lambda s: s)
CLAIM.must_fail_narrowly(data, "n - 1 to the share {}", 0.5, others=lambda s: 1.0 - s)

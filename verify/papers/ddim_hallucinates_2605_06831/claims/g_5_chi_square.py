r"""Chi-square tail (Laurent and Massart).

Statement: For $\delta \in (0, 1]$, $P\big(\chi^2_d \ge d + 2\sqrt{d \log(1/\delta)} +
    2\log(1/\delta)\big) \le \delta$, so that a state drawn from one mode lies within $\sigma_t
    \sqrt{d + 2\sqrt{d \log(1/\delta)} + 2\log(1/\delta)}$ of it with probability at least $1 -
    \delta$.
Hypotheses: none beyond $d \ge 1$.
Measured: the exact tail probability of $\chi^2_d$ at the threshold, $d$ the mixture's dimension.
Predicted: at most $\delta$, for $\delta$ from 0.5 down to 1e-100.
Evidence: exact; the incomplete gamma function of SciPy, compared in logarithms.
Source: arXiv 2605.06831 v1, G.5 (Laurent and Massart 2000, Lemma 1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mixdyn import bounds
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.5",
    short="chi-square tail",
    derivation="derivations/segment/chi_square.py",
    does_not_show=(
        "Anything about trajectories: it is a bound for one time, and it exceeds the exact "
        "quantile at every level."
    ),
)

RTOL = 1e-9
SMALL = 20.0 * RTOL  # of delta: a fault that must be seen
LOG_DELTA = np.linspace(np.log(0.5), np.log(1e-100), 400)
Threshold = Callable[[int, Array], Array]  # of d and delta


@CLAIM.exact(unit="levels δ")
def tail(case: Case, threshold: Threshold = bounds.laurent_massart_threshold) -> Iterator[Part]:
    """The exact tail at the threshold against delta."""
    from mixdyn.support import laws

    d = case.mixture.d
    at = threshold(d, np.exp(LOG_DELTA))
    with np.errstate(divide="ignore"):
        log_tail = np.log(laws.chi2_tail(at, d))
    yield Side(
        "tail at the threshold",
        np.where(np.isfinite(log_tail), log_tail, np.nan),  # an underflow decides nothing
        at_most=LOG_DELTA,
        tolerance=Tolerance(rtol=RTOL, log=True),
        where={"d": d, "log_delta": LOG_DELTA, "threshold": at},
    )
    over = at / laws.chi2_upper(np.exp(LOG_DELTA), d)
    levels = {delta: int(np.argmin(np.abs(LOG_DELTA - np.log(delta)))) for delta in (1e-2, 1e-6)}
    yield {
        "dimension d": d,
        "threshold over exact quantile at δ = 0.01": float(over[levels[1e-2]]),
        "threshold over exact quantile at δ = 1e-6": float(over[levels[1e-6]]),
    }


def _quantile(d: int, delta: Array) -> Array:
    """The exact quantile of a slightly larger probability: what the comparison can see.

    The bound is so loose that a wrong constant of its own must be wrong by much to be found out.
    """
    from mixdyn.support import laws

    return laws.chi2_upper(np.exp(np.log(delta) + np.log1p(SMALL)), d)


CLAIM.must_fail(
    tail,
    "without the term 2 log(1/δ)",
    threshold=lambda d, delta: d + 2.0 * np.sqrt(-d * np.log(delta)),
)
CLAIM.must_fail(
    tail,
    "log(1/δ) instead of 2 log(1/δ)",
    threshold=lambda d, delta: d + 2.0 * np.sqrt(-d * np.log(delta)) - np.log(delta),
)
CLAIM.must_fail(tail, "exact quantile of δ (1 + 2e-8)", threshold=_quantile)

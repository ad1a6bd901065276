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

import math

import numpy as np

from mixdyn import bounds
from mixdyn.support.checks import Array
from verify.ledger.claim import Basis, Case, Claim, Finding, Verdict
from verify.ledger.relations import Comparison, Upper, compare

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.5",
    basis=(Basis.EXACT,),
    derivation="derivations/chi_square.py",
    does_not_show=(
        "Anything about trajectories: it is a bound for one time, and it exceeds the exact "
        "quantile at every level."
    ),
)

RTOL = 1e-9
SMALL = 20.0 * RTOL  # of delta: a fault that must be seen
LOG_DELTA = np.linspace(np.log(0.5), np.log(1e-100), 400)


def check(case: Case) -> Verdict:
    """The exact tail at the threshold against delta."""
    return _judge(case, bounds.laurent_massart_threshold(case.mixture.d, np.exp(LOG_DELTA)))


def mutants(case: Case) -> dict[str, Verdict]:
    """Thresholds that are too low, one by next to nothing.

    The bound is so loose that a wrong constant of its own must be wrong by much to be found out.
    What the comparison can see is shown by the exact quantile of a slightly larger probability.
    """
    from scipy.stats import chi2

    d, log_inverse = case.mixture.d, -LOG_DELTA
    return {
        "without the term 2 log(1/δ)": _judge(case, d + 2.0 * np.sqrt(d * log_inverse)),
        "log(1/δ) instead of 2 log(1/δ)": _judge(
            case, d + 2.0 * np.sqrt(d * log_inverse) + log_inverse
        ),
        "exact quantile of δ (1 + 2e-8)": _judge(
            case, chi2.isf(np.exp(LOG_DELTA + math.log1p(SMALL)), d)
        ),
    }


def _judge(case: Case, threshold: Array) -> Verdict:
    from scipy.stats import chi2

    d = case.mixture.d
    worst = compare(
        "tail at the threshold", Upper(rtol=RTOL, log=True), _log_tail(threshold, d), LOG_DELTA
    )

    def witness(comparison: Comparison) -> dict[str, float]:
        k = comparison.index
        return {"d": d, "log_delta": LOG_DELTA[k], "threshold": threshold[k]}

    quantile = chi2.isf(np.exp(LOG_DELTA), d)
    finding = Finding(
        comparisons=[worst],
        nonvacuous_share=1.0,
        witness=witness,
        unit="levels δ",
        numbers={
            "dimension d": d,
            "threshold over exact quantile at δ = 0.01": _ratio_at(threshold, quantile, 1e-2),
            "threshold over exact quantile at δ = 1e-6": _ratio_at(threshold, quantile, 1e-6),
        },
    )
    return CLAIM.judge(case, finding)


def _log_tail(threshold: Array, d: int) -> Array:
    """log P(chi^2_d >= threshold); NaN, which decides nothing, where the tail underflows."""
    from scipy.stats import chi2

    log_tail = np.asarray(chi2.logsf(threshold, d))
    return np.where(np.isfinite(log_tail), log_tail, np.nan)


def _ratio_at(threshold: Array, quantile: Array, delta: float) -> float:
    k = int(np.argmin(np.abs(LOG_DELTA - np.log(delta))))
    return float(threshold[k] / quantile[k])

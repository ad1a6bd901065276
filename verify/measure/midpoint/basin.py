"""The starts next to a midpoint that the flow fails to leave: two bounds and the truth.

arXiv 2605.06831 v1, Proposition 4.7 (2), the bound e^(-Lambda) on the concave half of the logistic
(own result), and the exact interval from the conserved distribution function, in ball arithmetic.
Radii in units of the pair's distance, as log10: they leave the range of doubles.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import Window, require_window
from verify.measure.paths import ddim_grid

# Fractions of the distance l between two modes: how far from the midpoint counts as "ends there".
FRACTIONS = (0.15, 0.35, 0.45)
ENDS = (1, 0)  # raw times: the last noisy state, clean data


def _truth(case: Case, window: Window, v: Array, tau: int, end: int) -> list[float]:
    """log10 radius per fraction; NaN where the mixture has no closed-form flow along the pair."""
    pair = window.pair.i, window.pair.j
    try:
        return [
            oracles.trap_radius(case.mixture, pair, f, float(v[tau]), float(v[end])).log10_radius
            for f in FRACTIONS
        ]
    except NotApplicableError:
        return [math.nan] * len(FRACTIONS)


@Measurement
def basin(case: Case) -> dict[str, Any]:
    """taus (M,) raw times; per end time (2,): paper (2, M), and per fraction of l within which a
    path must end, sharp (2, F, M) and truth (2, F, M). log10 of start radii over l."""
    window = require_window(case)
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    length = window.pair.length
    nodes = ddim_grid(case).times
    taus = nodes[(nodes >= 2) & (length**2 > 4.0 * v[nodes])][::-1]
    paper = [[bounds.paper_trap(length, v[t], v[e]).log_start for t in taus] for e in ENDS]
    growth = np.array([[bounds.growth_exponent(length, v[t], v[e]) for t in taus] for e in ENDS])
    sharp = [[bounds.log_safe_start(f, row) for f in FRACTIONS] for row in growth]
    truth = [[_truth(case, window, v, int(t), e) for t in taus] for e in ENDS]
    return {
        "n": len(taus) * len(ENDS) * len(FRACTIONS),
        "taus": taus,
        "ends": ENDS,
        "fractions": FRACTIONS,
        "paper": np.array(paper) / math.log(10.0),
        "sharp": np.array(sharp) / math.log(10.0),
        "truth": np.swapaxes(np.array(truth), 1, 2),
        "tau_2": window.t,
    }

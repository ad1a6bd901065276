r"""Brownian confinement.

Statement: For a standard Brownian motion and $r, t > 0$,
    $P\big(\sup_{s \le t} |B_s| \le r\big) \le \frac{4}{\pi} \exp\big(-\frac{\pi^2 t}{8 r^2}\big)$.
Hypotheses: none.
Measured: the exact probability, a theta function of $t/r^2$, by two series: eigenfunctions of the
    interval, $\frac{4}{\pi} \sum_k \frac{(-1)^k}{2k+1} e^{-(2k+1)^2 \pi^2 t/(8 r^2)}$, and
    reflections, $1 - 4 \sum_k (-1)^k \Phi(-(2k+1) r/\sqrt{t})$.
Predicted: at most the bound, for $t/r^2$ from 0.001 to 1000; and that the two series agree where
    both resolve the answer.
Evidence: exact; nothing is drawn.
Source: arXiv 2605.06831 v1, G.6
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mixdyn import bounds
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance
from verify.measure.midpoint.stretch import HALF_WIDTH, find_window
from verify.measure.paths import level_at

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.6",
    short="Brownian confinement",
    derivation="derivations/midpoint/brownian_confinement.py",
    does_not_show=(
        "Anything about a process with drift: Proposition 5.1 uses it for the noise that is left "
        "after the drift has been bounded away, which is where its exponent is lost."
    ),
)

LOG = Tolerance(rtol=1e-11, log=True)  # the rounding of both series
SMALL = 20.0 * LOG.rtol  # a fault that must be seen
RATIO = np.geomspace(1e-3, 1e3, 601)  # t/r^2
BOUND = bounds.log_brownian_confinement(1.0, RATIO)
TERMS = np.arange(40)
CROSSOVER = 0.5  # below it the reflections converge faster, above it the eigenfunctions


@CLAIM.exact(unit="ratios t/r²")
def confinement(case: Case, log_bound: Array = BOUND) -> Iterator[Part]:
    """The exact probability against the bound, and its two series against each other."""
    spectral = log_by_eigenfunctions(RATIO)
    images = log_by_reflections(np.minimum(RATIO, 5.0))  # beyond, it has no digits left
    yield Side(
        "probability of confinement",
        np.where(RATIO < CROSSOVER, images, spectral),
        at_most=log_bound,
        tolerance=LOG,
        telling=log_bound < 0.0,
        where={"t_over_r2": RATIO},
    )
    yield Side(
        "eigenfunctions against reflections",
        spectral,
        equals=images,
        among=(RATIO > 0.05) & (RATIO < 5.0),
        tolerance=LOG,
        where={"t_over_r2": RATIO},
    )
    yield lambda: _numbers(case)


CLAIM.must_fail(
    confinement,
    "π²t/(4r²) in the exponent",
    log_bound=bounds.log_brownian_confinement(1.0, 2.0 * RATIO),
)
CLAIM.must_fail(confinement, "constant 1", log_bound=-(math.pi**2) * RATIO / 8.0)
CLAIM.must_fail(confinement, "(4/π)(1 - 2e-10)", log_bound=BOUND + math.log1p(-SMALL))


def log_by_eigenfunctions(ratio: Array) -> Array:
    """log P; the series alternates with falling terms, so its first term is an upper bound."""
    odd = 2.0 * TERMS + 1.0
    relative = np.exp(-(odd**2 - 1.0) * math.pi**2 / 8.0 * ratio[:, None]) * (-1.0) ** TERMS / odd
    return np.asarray(math.log(4.0 / math.pi) - math.pi**2 / 8.0 * ratio + np.log(relative.sum(1)))


def log_by_reflections(ratio: Array) -> Array:
    """log P from the images of the start in the two walls; needs P well above 1e-16."""
    from scipy.special import ndtr

    odd = 2.0 * TERMS + 1.0
    escape = 4.0 * (ndtr(-odd / np.sqrt(ratio)[:, None]) * (-1.0) ** TERMS).sum(axis=1)
    return np.log1p(-escape)


def _numbers(case: Case) -> dict[str, float | None]:
    """Where the bound starts to say something, and where this problem lies."""
    least = 8.0 / math.pi**2 * math.log(4.0 / math.pi)
    numbers: dict[str, float | None] = {
        "t/r² below which the bound exceeds 1": least,
        "exact probability there": float(np.exp(log_by_reflections(np.array([least])))[0]),
    }
    window = find_window(case)
    if window is not None:
        level = level_at(case, window.t)
        radius = 2.0 * HALF_WIDTH * window.pair.length
        numbers["t/r² for the noise of Proposition 5.1 and r = 2θ"] = (
            -math.log1p(-level.noise_var) / radius**2
        )
    return numbers

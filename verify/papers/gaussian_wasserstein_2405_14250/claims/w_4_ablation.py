r"""Which error matters to which scheme.

Statement: With 500 evaluations and the process truncated at 1e-3, from $N(0, I)$, Heun and
    Runge-Kutta 4 end nearer to the data than Euler, Euler-Maruyama, the exponential integrator and
    DDPM. A wrong start matters to the schemes of the flow, to those of the SDE it does not. Where
    the covariance is singular, a shorter truncation makes Heun and Runge-Kutta 4 worse.
Hypotheses: none; three spectra: the one that gives the paper's table (W3'), eigenvalues that fall
    off as those of natural images, and scikit-learn's digits.
Measured: $W_2$ with the evaluations counted as they are made: quotients of the larger of Heun and
    Runge-Kutta 4 and the least of the others; of the largest change with the start among schemes of
    the SDE and the least among those of the flow, from 250 evaluations on; of truncations 1e-3 and
    1e-5.
Predicted: quotients at most 1.
Evidence: exact, by the recursions of W2.
Source: arXiv 2405.14250 v5, section 4, ablation study
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from mixdyn.audit.card import natural_images
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.gaussian_schemes import (
    AS_FOUND,
    COSTS,
    NOISY,
    SCHEMES,
    end_variance,
    on_standard,
    points_at,
    squared_errors,
    table_fit,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="W4",
    short="errors apart",
    rests_on={"W2": "the recursions", "W3'": "a spectrum of the table"},
    does_not_show=(
        "That a network's samples are ranked so: the paper finds that an error of the score turns "
        "the order round. Nor that the exponential integrator is best among the noisy ones: on "
        "natural images it is the worst."
    ),
)

Spectrum = tuple[Array, Array]  # eigenvalues and how many of each
_TRUNCATED = np.array([1e-5, 1e-3])[:, None]
_SECOND = ("Heun", "RK4")
_SINGULAR = 1e-6  # an eigenvalue below it is one of no data


def spectra(case: Case) -> dict[str, Spectrum]:
    """By name; digits where scikit-learn is installed."""
    fit, images = table_fit(case, AS_FOUND), natural_images()
    found = {
        "the table's": (fit["eigenvalues"], fit["counts"]),
        "natural images": (images, np.ones_like(images)),
    }
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return found
    digits = np.linalg.eigvalsh(np.cov(load_digits().data.T / 16.0)).clip(0.0)
    return found | {"digits": (digits, np.ones_like(digits))}


def errors(spectrum: Spectrum) -> dict[str, Array]:
    """By scheme: (costs, starts, truncations) W2, the evaluations counted."""
    lam, counts = spectrum
    return {
        scheme: np.sqrt(
            [
                squared_errors(end_variance(scheme, points_at(scheme, cost), _TRUNCATED, lam), lam)
                @ counts
                for cost in COSTS
            ]
        )
        for scheme in SCHEMES
    }


@CLAIM.exact(
    unit="spectra", of=on_standard(lambda case: case.memo("W4 spectra", lambda: spectra(case)))
)
def ablation(
    case: Case,
    given: dict[str, Spectrum],
    cost: int = 500,
    more: float = 0.0,
    noisy: tuple[str, ...] = NOISY,
) -> Iterator[Part]:
    """The three quotients on every spectrum. cost: evaluations of the first; more: a share by which
    the errors in its numerator are larger; noisy: the schemes taken for those of the SDE."""
    k, names = COSTS.index(cost), np.array([*given])
    found = [case.memo(f"W4 {name}", functools.partial(errors, given[name])) for name in given]
    others = [scheme for scheme in SCHEMES if scheme not in _SECOND]
    best = [
        max(w2[s][k, 1, 1] for s in _SECOND) / min(w2[s][k, 1, 1] for s in others) for w2 in found
    ]
    quotient, where = Tolerance(atol=0.01), {"spectrum": names}
    yield Side(
        "W2 of Heun and RK4 over the best other",
        (1.0 + more) * np.array(best),
        at_most=1.0,
        tolerance=quotient,
        where=where | {"evaluations": cost},
    )
    change = [{s: np.abs(np.diff(w2[s][1:, :, 1], axis=1)) for s in SCHEMES} for w2 in found]
    yield Side(
        "change with the start, SDE over flow",
        [
            max(moved[s].max() for s in noisy)
            / min(moved[s].min() for s in SCHEMES if s not in noisy)
            for moved in change
        ],
        at_most=1.0,
        tolerance=quotient,
        where=where,
    )
    yield Side(
        "W2 truncated at 1e-3 over 1e-5, Heun and RK4",
        [max(w2[s][k, 1, 1] / w2[s][k, 1, 0] for s in _SECOND) for w2 in found],
        at_most=1.0,
        tolerance=quotient,
        among=[lam.min() < _SINGULAR for lam, _ in given.values()],
        where=where,
    )
    yield lambda: Table(
        "W2 truncated at 1e-3, from N(0, I)",
        ("spectrum", "scheme", *(f"{cost} evaluations" for cost in COSTS)),
        [
            (name, scheme, *w2[scheme][:, 1, 1].tolist())
            for name, w2 in zip(given, found, strict=True)
            for scheme in SCHEMES
        ],
    )


CLAIM.must_fail_narrowly(ablation, "Heun and RK4 (1 + {}) as far", 9.0, more=lambda s: s)
CLAIM.must_fail(ablation, "at 50 evaluations", cost=50)
CLAIM.must_fail(ablation, "Euler taken for a scheme of the SDE", noisy=(*NOISY, "Euler"))

r"""Eigenvalues of a trained score's flow at the midpoints.

Statement: At late times a midpoint between two close modes is a saddle for a trained score as it is
    for the exact one: of the eigenvalues of the Jacobian of $\sigma_t^2 s/\alpha_t$ there one is
    positive, along the pair, and those across it are negative; and they have the size of the exact
    ones, $l^2/(4v) - 1$ and $-1$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - saddle: $l^2 \ge 8v$, so that the exact eigenvalue is at least 1.
Measured: Jacobians of the trained models by automatic differentiation, in float64, at the midpoints
    of closest modes at late nodes of the papers' grid: the largest and the smallest real part.
Predicted: the signs; the sizes to within a factor of 2, by the exact Jacobian of the mixture.
Evidence: every midpoint of closest modes, each trained model.
Source: arXiv 2605.06831 v1, Figure E.12
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mixdyn.support.numbers import Number
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.networks.field import fields_of, named, on_segments, spreads
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.saddles.slopes import MidpointSlopes, midpoint_slopes

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.12",
    short="midpoint spectra",
    rests_on={"P4.7 (1)": "the exact eigenvalue", "C.5": "what a learned score makes of it"},
    needs=(
        modes(2),
        one_sigma.because(
            "at one level it holds in lengths of C, as P4.7 (1) does; it is measured in Euclidean "
            "ones"
        ),
    ),
    does_not_show=(
        "That a path at the midpoint stays or leaves: the learned drift does not vanish there, and "
        "its saddles lie elsewhere (C.4). A positive eigenvalue may be too small to matter (X3)."
    ),
)

FACTOR_2 = Tolerance(rtol=math.log(2.0), log=True)
SIGN = Tolerance(atol=1e-9)


@CLAIM.learned(unit="models × nodes × midpoints", of=networks)
def spectra(
    case: Case,
    models: Sequence[TrainedModel],
    sign_across: float = 1.0,
    change: Callable[[MidpointSlopes], MidpointSlopes] = lambda slopes: slopes,
) -> Iterator[Part]:
    """Signs, then sizes. sign_across: -1 asks for unstable directions across the pair; change: of
    what was measured."""
    slopes = [change(midpoint_slopes(case, model)) for model in models]
    growth, lowest, exact = fields_of(slopes, "growth", "lowest", "exact_growth")
    where = on_segments(case, models, slopes[0].times)
    yield Hypothesis.from_slack("saddle", slopes[0].rate - 1.0)
    name = "largest eigenvalue is positive"
    yield Side(name, growth, at_least=0.0, tolerance=SIGN, where=where)
    if case.mixture.d > 1:
        name = "smallest eigenvalue is negative"
        yield Side(name, sign_across * lowest, at_most=0.0, tolerance=SIGN, where=where)
    with np.errstate(divide="ignore"):
        size = np.log(np.maximum(growth, 0.0))
    name = "largest eigenvalue against the exact one"
    yield Side(name, size, equals=np.log(exact), tolerance=FACTOR_2, where=where)
    yield Facts(model=named(models))
    yield lambda: (_note(slopes, case.mixture.d), _numbers(slopes), _table(slopes))


def _stated(slopes: MidpointSlopes) -> MidpointSlopes:
    """The exact spectrum in a network's place, its eigenvalue along the pair 2.2 times as large."""
    return replace(slopes, growth=2.2 * slopes.exact_growth, lowest=slopes.exact_lowest)


# Beside the networks' own failures no fault of the statement is narrow; it is beside the exact one.
CLAIM.must_fail(spectra, "unstable across the pair", sign_across=-1.0)
CLAIM.must_fail(spectra, "2.2 times the eigenvalues of the exact score", change=_stated)


def _note(slopes: Sequence[MidpointSlopes], d: int) -> str:
    growth, lowest, exact = fields_of(slopes, "growth", "lowest", "exact_growth")
    ratio = growth / exact
    near = np.abs(np.log(np.maximum(ratio, 1e-300))) <= math.log(2.0)
    kept = [
        int(t) for t, row in zip(slopes[0].times, near.mean(axis=(0, 2)), strict=True) if row >= 0.5
    ]
    text = (
        f"The largest eigenvalue is negative at {int((growth <= 0.0).sum())} of "
        f"{growth.size} places"
    )
    text += f", the smallest positive at {int((lowest >= 0.0).sum())}" if d > 1 else ""
    least = f"down to t = {min(kept)}" if kept else "at no node"
    return (
        f"{text}. Most have the exact size to a factor of 2 {least}; at the last noisy node the "
        f"median is {np.median(ratio[:, -1]):.2g} of it."
    )


def _numbers(slopes: Sequence[MidpointSlopes]) -> dict[str, Number | None]:
    along, across = ([getattr(s, name)[-1] for s in slopes] for name in ("growth", "lowest"))
    exact = slopes[0].exact_growth[-1]
    return spreads(
        {
            "places with a negative eigenvalue along the pair": [
                float((s.growth <= 0.0).sum()) for s in slopes
            ],
            "last noisy node: median along the pair": [float(np.median(each)) for each in along],
            "median over the exact one": [float(np.median(each / exact)) for each in along],
            "median across the pair": [float(np.median(each)) for each in across],
            "largest median over the nodes": [
                float(np.median(s.growth, axis=1).max()) for s in slopes
            ],
        }
    )


def _table(slopes: Sequence[MidpointSlopes]) -> Table:
    rows, found = [], fields_of(slopes, "growth", "lowest", "exact_growth", "exact_lowest")
    for node, t in enumerate(slopes[0].times.tolist()):
        growth, lowest, exact, exact_lowest = (part[:, node] for part in found)
        medians = np.median(growth, axis=1)
        rows.append(
            (
                t,
                float(np.median(exact)),
                float(np.median(growth)),
                float(medians.min()),
                float(medians.max()),
                float(growth.min()),
                float(growth.max()),
                int((growth <= 0.0).sum()),
                float(np.median(exact_lowest)),
                float(np.median(lowest)),
                float(lowest.max()),
            )
        )
    columns = (
        "t",
        "exact, along",
        "learned, median",
        "least model",
        "largest model",
        "least midpoint",
        "largest midpoint",
        "negative",
        "exact, across",
        "learned, median across",
        "largest across",
    )
    return Table("Eigenvalues at the midpoints per unit of intrinsic time", columns, rows)

r"""Eigenvalues of a trained score's flow at the midpoints.

Statement: At late times a midpoint between two close modes is a saddle for a trained score as it is
    for the exact one: of the eigenvalues of the Jacobian of $\sigma_t^2 s/\alpha_t$ there one is
    positive, along the pair, and those across it are negative; and they have the size of the exact
    ones, $l^2/(4v) - 1$ and $-1$. The midpoint is no equilibrium of a learned flow; the one next to
    it is a saddle.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - saddle: $l^2 \ge 8v$, so that the exact eigenvalue is at least 1.
Measured: Jacobians of the trained models by automatic differentiation, in float64, at the midpoints
    of closest modes at late nodes of the papers' grid: the largest and the smallest real part. And
    the equilibria next to the midpoints: enclosures of the network of real numbers with its
    derivative prove that there is one, alone in a box, and its eigenvalues' signs.
Predicted: the signs; the sizes to within a factor of 2, by the exact Jacobian of the mixture.
Evidence: learned: every midpoint of closest modes, each trained model. Certified: Krawczyk's test
    in doubles that round outward, at the equilibria that a search in doubles finds.
Source: arXiv 2605.06831 v1, Figure E.12
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mixdyn.proof.zeros import Kind
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Number
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.networks.field import fields_of, named, on_segments, spreads
from verify.measure.networks.models import TrainedModel, networks, trained_models
from verify.measure.saddles.learned_proofs import (
    ProvedEquilibria,
    proved_equilibria,
    proved_sinks,
)
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


@CLAIM.certified(unit="models × nodes × midpoints", of=networks)
def equilibria(
    case: Case, models: Sequence[TrainedModel], at_modes: bool = False
) -> Iterator[Part]:
    """The equilibria next to the midpoints. at_modes: those next to modes in their place."""
    found = [proved_equilibria(case, model) for model in models]
    slopes = [midpoint_slopes(case, model) for model in models]
    (kind,) = fields_of(found, "modes_kind" if at_modes else "kind")
    yield Hypothesis.from_slack("saddle", slopes[0].rate - 1.0)
    yield Side(
        "kind of the equilibrium (1 a saddle, 0 another, both proved)",
        np.where(kind < 0, np.nan, kind == Kind.SADDLE),
        at_least=1.0,
        tolerance=Tolerance(atol=0.5),
        where=on_segments(case, models, found[0].times),
    )
    yield Facts(model=named(models))
    yield lambda: _of_proofs(case, models, found)


CLAIM.must_fail(equilibria, "next to a mode", at_modes=True)


def _of_proofs(
    case: Case, models: Sequence[TrainedModel], found: Sequence[ProvedEquilibria]
) -> Iterator[Part]:
    kind, growth, radius = fields_of(found, "kind", "growth", "radius")
    stable = growth <= 0.0
    yield {
        "equilibria that are proved, each alone in its box": int((kind > -2).sum()),
        "of them proved saddles": int((kind == Kind.SADDLE).sum()),
        "of them proved sinks": int((kind == Kind.SINK).sum()),
        "largest half width of a box": float(np.nanmax(radius)),
        "midpoints with negative eigenvalues only": int(stable.sum()),
        "of them, next to a proved saddle": int((stable & (kind == Kind.SADDLE)).sum()),
    }
    yield (
        f"At {int(stable.sum())} of {growth.size} midpoints all eigenvalues are negative, but the "
        "flow does not stand still there: the equilibrium next to "
        f"{int((stable & (kind == Kind.SADDLE)).sum())} of them is proved to be a saddle."
    )
    rows = []
    for model in trained_models(case, undertrained=True):
        at = proved_sinks(case, model)
        rows.append((model.name, len(at["z"]), *_range(at["times"]), *_range(np.abs(at["z"]))))
    heads = ("network", "sinks", "from t", "to t", "|z| from", "to")
    yield Table("Proved sinks between closest modes, those stopped early besides", heads, rows)


def _range(values: Array) -> tuple[float | None, float | None]:
    return (float(values.min()), float(values.max())) if values.size else (None, None)


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

r"""In more dimensions two modes dominate a path earlier.

Statement: With 25 modes by farthest-point sampling from the lattice $2\{-2,\dots,2\}^d$, for every
    margin $\kappa$ from 1 to 20, one pair of modes dominates every path of DDIM with 50 steps from
    some noisy time $\tau_1 \ge 1$ on; and of two paths, one in each of two neighbouring dimensions
    among 2, 4, 8, 32, 64, the one in more dimensions has the earlier (larger) $\tau_1$ more often
    than not.
Hypotheses: none.
Measured: $\tau_1$ of one fixed pair, which is what Theorem 4.2 uses, in raw time at the sampler's
    nodes, of as many paths in each dimension; and in how many pairs of paths it is earlier in more
    dimensions. Paths i of all dimensions are one pair each; a tie counts against the statement.
Predicted: at least 1 on every path; more than half of the pairs.
Evidence: sampled, with the exact score; learned, on the networks' own paths, in the dimensions that
    have one. Shares by the Clopper-Pearson interval that misses with probability 1e-6.
Source: arXiv 2605.06831 v1, figures E.6 to E.8
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.standard import on_standard
from verify.measure.dominance import OWN_PROBLEMS, dominance, least_first, times_table
from verify.measure.networks.many_dimensions import Held, held

from .e_2_many_dimensions import told

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.6",
    short="dominance, any dimension",
    rests_on={"A4.1": "the assumption, on other problems"},
    does_not_show=(
        "That dimension alone does it: farthest-point sampling also moves the modes apart, from "
        "0.71 in the plane to about 11 in 64 dimensions, while each coordinate keeps unit variance."
    ),
)

Found = Mapping[str, Any]
Change = Callable[[Found], Found]


def same(found: Found) -> Found:
    """No change."""
    return found


@CLAIM.sampled(unit="paths", of=on_standard(dominance, OWN_PROBLEMS))
def times(
    case: Case, found: Found, change: Change = same, from_time: float = 1.0
) -> Iterator[Part]:
    """tau_1 of every path, and of pairs of paths in neighbouring dimensions."""
    yield from dominated(change(found), from_time)
    yield lambda: times_table(found)


@CLAIM.learned(unit="paths", of=on_standard(held, OWN_PROBLEMS))
def learned(
    case: Case, networks: Held, change: Change = same, from_time: float = 1.0
) -> Iterator[Part]:
    """The same of the paths of networks, one a dimension."""
    found = networks.dominance
    yield from dominated(change(found), from_time)
    yield from told(case, networks)
    yield lambda: times_table(found)


def dominated(found: Found, from_time: float) -> Iterator[Side]:
    """The two sides of the statement, the neighbours that are hardest to tell apart first."""
    dimensions, kappa, earlier = found["d"], found["kappa"], np.asarray(found["earlier"])
    names = [f"d = {more} than in d = {fewer}" for fewer, more in itertools.pairwise(dimensions)]
    for share, where in least_first(earlier, np.full_like(earlier, found["n"]), names, kappa):
        yield Side(f"pairs of paths dominated earlier in {where}", share, at_least=0.5)
    yield Side(
        "least raw time from which one pair dominates, of all paths",
        found["least"],
        at_least=from_time,
        tolerance=Tolerance(atol=0.5),
        where={"d": np.asarray(dimensions)[:, None], "kappa": np.asarray(kappa)[None, :]},
    )


def reversed_dimensions(found: Found) -> Found:
    """The counts that the dimensions would have in reverse order, without ties."""
    return {**found, "earlier": found["n"] - np.asarray(found["earlier"])}


for _row, _what in ((times, "exact score"), (learned, "networks")):
    CLAIM.must_fail(_row, f"fewer dimensions earlier, {_what}", change=reversed_dimensions)
    CLAIM.must_fail_narrowly(
        _row,
        f"from raw time 1 + {{}} on, {_what}",
        1000.0,
        from_time=lambda size: 1.0 + size,
    )

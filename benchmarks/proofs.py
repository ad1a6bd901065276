"""What an enclosure over a box costs: intervals of doubles in arrays, and balls one by one.

Both enclose all responsibilities, the field and its Jacobian of the 25 modes over the same boxes
of places and levels; the intervals the field twice, by its slopes too. The balls are
python-flint's, at 80 bits, by formulas of their own: the ones that proofs at a single level are
made of. Widths are compared too, since a fast enclosure that is wide proves nothing.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from flint import arb, ctx

from mixdyn.problem import presets
from mixdyn.proof import Interval, Law
from mixdyn.support.checks import Array
from verify.measure.saddles import proofs

from . import harness

OURS, BALLS = "mixdyn.proof", "python-flint"
_BITS = 80


def boxes(kind: str, n: int) -> Array:
    """(n, 3, 2): places around the first pair of the grid, and v, drawn at random.

    Next to its saddle: within 0.01 l of the midpoint, half widths of 0.001 l and 0.001 v, k = l^2/v
    from 56, where the pair is separated, to 3000. In a tube: within 0.35 l, 0.01 l and 0.01 v.
    Anywhere: within 2 l, the same widths, k from 1, where all modes overlap.
    """
    rng, mixture = np.random.default_rng(0), presets.grid()
    length = float(np.linalg.norm(mixture.means[12] - mixture.means[13]))
    middle = 0.5 * (mixture.means[12] + mixture.means[13])
    if kind == "next to a saddle":
        place, k, wide = middle + 0.01 * length * rng.uniform(-1, 1, (n, 2)), (56.0, 3000.0), 1e-3
    elif kind == "in a tube around a pair":
        place, k, wide = middle + length * rng.uniform(-0.35, 0.35, (n, 2)), (56.0, 3000.0), 1e-2
    else:
        place, k, wide = middle + length * rng.uniform(-2, 2, (n, 2)), (1.0, 3000.0), 1e-2
    v = length**2 / np.exp(rng.uniform(*np.log(k), n))
    centre = np.column_stack([place, v])
    half = wide * np.column_stack([np.full((n, 2), length), v])
    return np.stack([centre - half, centre + half], axis=-1)


def by_intervals(law: Law, at: Array) -> Array:
    """(n,) widths of the first component of the field."""
    widths, given = np.empty(len(at)), Interval(at[..., 0], at[..., 1])
    for rows in law.batches(given):
        local = law.over(given[rows])
        field = local.field(0)
        for a, b in ((0, 0), (0, 1), (1, 1)):
            local.jacobian(a, b)
        local.field(1)
        widths[rows] = field.hi - field.lo
    return widths


def by_balls(at: Array) -> Array:
    """The same, a box at a time."""
    mixture, widths = presets.grid(), []
    with ctx.workprec(_BITS):
        law = proofs.Law.of(mixture, 1.0)
        for low, high in zip(at[..., 0].tolist(), at[..., 1].tolist(), strict=True):
            *y, v = (arb(a).union(arb(b)) for a, b in zip(low, high, strict=True))
            here = proofs.Law(law.means, law.log_weights, v)
            gamma = here.shares(y)
            ref = max(range(len(gamma)), key=lambda q: float(gamma[q].mid()))
            field = [here.field(y, gamma, k, ref) for k in range(2)]
            here.jacobian(gamma, ref)
            widths.append(2.0 * float(field[0].rad()))
    return np.array(widths)


def measure(small: bool) -> dict[str, Any]:
    """Microseconds a box, and widths."""
    many, few, rounds = (128, 4, 1) if small else (2048, 100, 3)
    law = Law.of(presets.grid(), np.zeros(2), np.eye(2))
    rows = []
    for kind in ("next to a saddle", "in a tube around a pair", "anywhere, at all levels"):
        at = boxes(kind, many)
        contenders = {
            OURS: functools.partial(by_intervals, law, at),
            BALLS: functools.partial(by_balls, at[:few]),
        }
        times = harness.race(contenders, rounds)
        narrower = float(np.median(by_balls(at[:few]) / by_intervals(law, at)[:few]))
        ours, balls = times[OURS].median / many * 1e6, times[BALLS].median / few * 1e6
        rows.append(
            {"boxes": kind, "ours": ours, "balls": balls, "ratio": balls / ours, "wider": narrower}
        )
    return {"rows": rows}


def conclude(result: harness.Result) -> str:
    """The least lead, and the lead where proofs are made."""
    rows = result["rows"]
    least = min(rows, key=lambda row: row["ratio"])
    first = rows[0]
    return (
        f"Intervals enclose a box {first['boxes']} {first['ratio']:.3g} times as fast as balls and "
        f"{first['wider']:.3g} times as narrowly; {least['boxes']} {least['ratio']:.3g} times."
    )


BENCHMARK = harness.Benchmark(
    question="What does an enclosure over a box cost?",
    measure=measure,
    conclude=conclude,
    columns={
        "boxes": "boxes",
        "ours": "µs, intervals",
        "balls": "µs, balls",
        "ratio": "balls/intervals",
        "wider": "width of balls/intervals",
    },
)

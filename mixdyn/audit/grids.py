"""The grids of a sampler at every number of steps, without a single call of a model.

Faults are judged against what the sampler does at few steps: methods of higher order list times
twice or turn back by design, once a step or a fixed number of times.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..support.checks import Array
from ..support.errors import MixdynError
from .calls import guarded

COUNTS = range(2, 1001)
_USUAL = (10, 11)  # numbers of steps whose grids are as they are meant
_SHOWN = 3  # counts that a sentence names


@dataclasses.dataclass(frozen=True)
class Grids:
    """faults : the numbers of steps, of those in `counts`, whose grid has each fault, by its name;
    in their order, without the faults that none has."""

    counts: range
    faults: Mapping[str, list[int]]

    @property
    def words(self) -> str:
        """One sentence."""
        where = f"of {self.counts[0]} to {self.counts[-1]} steps"
        if not self.faults:
            return f"Its grids {where} have no fault."
        found = [
            f"{len(counts)} {name} (at {', '.join(map(str, counts[:_SHOWN]))}"
            f"{', ...' if len(counts) > _SHOWN else ''})"
            for name, counts in self.faults.items()
        ]
        return f"Of its grids {where}, {'; '.join(found)}."


def grids(driver: Any) -> Grids | None:
    """Those of a driver that has `times(steps)`, the times that it would list, and `table`, how
    many times its table has (None without one); None for another."""
    if not hasattr(driver, "times"):
        return None
    listed: dict[int, Array | None] = {}
    for count in sorted({*COUNTS, *_USUAL}):
        try:
            listed[count] = np.asarray(guarded(driver.times, count), dtype=np.float64)
        except MixdynError:
            listed[count] = None
    judged = {name: _unusual(value, listed) for name, value in _COUNTED.items()} | _judged(
        listed, driver.table
    )
    found = {name: [n for n in COUNTS if bad(n)] for name, bad in judged.items()}
    return Grids(COUNTS, {name: counts for name, counts in found.items() if counts})


# What a grid has a number of, which a step may add to by design.
_COUNTED: Mapping[str, Callable[[Array], int]] = {
    "list another number of times": len,
    "repeat a time": lambda times: len(times) - len(np.unique(times)),
    "turn back": lambda times: int(np.count_nonzero(np.diff(times) * _towards(times) < 0.0)),
}


def _towards(times: Array) -> float:
    """The sign of a grid's whole way."""
    return float(np.sign(times[-1] - times[0]))


def _unusual(value: Callable[[Array], int], listed: Mapping[int, Array | None]) -> Any:
    """Whether a count is off the line through those of the usual numbers of steps."""
    first, second = (listed[n] for n in _USUAL)
    if first is None or second is None:
        return lambda n: False
    base, rise = value(first), value(second) - value(first)

    def bad(n: int) -> bool:
        times = listed[n]
        return times is not None and value(times) != base + rise * (n - _USUAL[0])

    return bad


def _judged(listed: Mapping[int, Array | None], table: int | None) -> dict[str, Any]:
    """Faults of a grid itself."""
    made = {n: times for n, times in listed.items() if times is not None and len(times)}
    ends = [float(times[-1]) for times in made.values()]
    values, counts = np.unique(ends or [np.nan], return_counts=True)
    # Where most end at one time, all should.
    end = values[counts.argmax()] if 2 * counts.max() > len(listed) else None

    def outside(n: int) -> bool:
        if table is None or n not in made:
            return False
        return bool(made[n].min() < 0.0 or made[n].max() > table - 1)

    return {
        "list a time outside the table": outside,
        "end at another time": lambda n: n in made and end is not None and made[n][-1] != end,
        "cannot be made": lambda n: n not in made,
        "are not finite": lambda n: n in made and not np.isfinite(made[n]).all(),
    }

"""Benchmarks: one module answers one question and ends in one sentence; see README.md beside this.

A benchmark is a module of this package that defines `BENCHMARK` (harness.Benchmark) and stands in
ORDER. What benchmarks share: `harness` (timing, fresh processes, machine), `peers` (other ways to
do the same work), `style` (plots), `page` (tables from saved results).
"""

from __future__ import annotations

import importlib.util

# The order of the page.
ORDER = (
    "throughput",
    "allocator",
    "solvers",
    "scaling",
    "many_modes",
    "work_precision",
    "sde_error",
    "plans",
    "startup",
    "memory",
    "learned",
    "images",
    "proofs",
    "ledger",
)


def names() -> tuple[str, ...]:
    """The benchmarks of this checkout, in the order of the page."""
    found = importlib.util.find_spec
    return tuple(name for name in ORDER if found(f"{__name__}.{name}") is not None)

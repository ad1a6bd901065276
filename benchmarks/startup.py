"""How long a new process takes: to import, to its first sample, and to compile everything.

Each figure is a fresh interpreter's. `import` and `first sample` are clocked inside it, without the
start of Python itself; `mixdyn --help` is the whole process.
"""

from __future__ import annotations

import statistics
import tempfile
from typing import Any

from . import harness

_CLOCK = "import sys, time; b = time.perf_counter(); {}; print(time.perf_counter() - b)"
_SAMPLE = (
    "import mixdyn; mixdyn.sample(mixdyn.presets.{}(), mixdyn.NoiseSchedule.linear(), "
    "mixdyn.DDIM(), n=1000, rng=0)"
)
_FIRST = "first sample, kernels kept"
_IMPORT = "import mixdyn"
_WARM = {
    "import numpy": "import numpy",
    _IMPORT: "import mixdyn",
    "import mixdyn with all that sampling needs": "import mixdyn; mixdyn.sample",
    _FIRST: _SAMPLE.format("grid"),
    f"{_FIRST}, general mixture": _SAMPLE.format("ring"),
}
_HELP = "import mixdyn.cli; from typer.testing import CliRunner; "
_HELP += "CliRunner().invoke(mixdyn.cli.app, ['--help'])"
_WARMUP = "from mixdyn.cli.warmup import warm_up; warm_up(False, lambda *_: None)"
_LIMITS = {_IMPORT: 0.5, _FIRST: 1.0}


def clocked(statement: str, environment: dict[str, str] | None = None) -> float:
    """Seconds that a statement takes in a fresh interpreter."""
    return float(harness.run_python(_CLOCK.format(statement), environment).split()[-1])


def row(what: str, seconds: list[float]) -> dict[str, Any]:
    """Median and extremes in seconds."""
    ends = {"median": statistics.median(seconds), "low": min(seconds), "high": max(seconds)}
    return {"what": what, **ends, "processes": len(seconds), "limit": _LIMITS.get(what)}


def measure(small: bool) -> dict[str, Any]:
    """Warm figures first (after one run that fills the caches), then those of an empty cache."""
    count = 1 if small else 7
    statements = {**_WARM, "command line, mixdyn --help": _HELP}
    if small:
        statements = {_IMPORT: _WARM[_IMPORT], _FIRST: _WARM[_FIRST]}
    for statement in statements.values():
        clocked(statement)
    # Round after round, so that a slow minute falls on all of them.
    rounds = [{name: clocked(text) for name, text in statements.items()} for _ in range(count)]
    rows = [row(name, [turn[name] for turn in rounds]) for name in statements]
    if not small:
        rows += cold_rows()
    return {"rows": rows}


def cold_rows() -> list[dict[str, Any]]:
    """What an empty cache costs, once."""
    with tempfile.TemporaryDirectory() as folder:
        first = clocked(_SAMPLE.format("grid"), {"NUMBA_CACHE_DIR": folder})
    with tempfile.TemporaryDirectory() as folder:
        everything = clocked(_WARMUP, {"NUMBA_CACHE_DIR": folder})
        again = clocked(_WARMUP, {"NUMBA_CACHE_DIR": folder})
    return [
        row("first sample, nothing kept", [first]),
        row("mixdyn warmup, nothing kept", [everything]),
        row("mixdyn warmup, all kept", [again]),
    ]


def conclude(result: harness.Result) -> str:
    """The two limits, met or missed, and what compiling costs."""
    found = {row["what"]: row for row in result["rows"]}
    parts = []
    for name, limit in _LIMITS.items():
        median = found[name]["median"]
        met = "within" if median <= limit else "above"
        parts.append(f"{name}: {median:.2f} s ({met} its {limit:g} s)")
    text = f"In a new process: {', '.join(parts)}"
    cold = found.get("mixdyn warmup, nothing kept")
    return (
        f"{text}; compiling everything once takes {cold['median']:.0f} s." if cold else f"{text}."
    )


BENCHMARK = harness.Benchmark(
    question="How long does a new process take to its first sample?",
    measure=measure,
    conclude=conclude,
    columns={
        "what": "what",
        "median": "s",
        "low": "min",
        "high": "max",
        "processes": "processes",
        "limit": "limit, s",
    },
)

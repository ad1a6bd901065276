"""What every benchmark shares: its form, timing in rounds, fresh processes, the machine.

Contenders run in one process on the same inputs, after a first call that is timed apart
(compilation, cache loading, page faults). They take turns: a round runs each once, so that a slow
minute of the machine falls on all of them. Quoted are medians over rounds with the extremes;
ratios are taken within a round.
"""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import io
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixdyn.support.errors import InputError
from mixdyn.support.provenance import commit, package_versions, usable_cores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Result = Mapping[str, Any]
ROOT = Path(__file__).resolve().parents[1]
_PEERS = ("torch", "diffusers", "torchdiffeq", "torchsde", "jax", "diffrax", "diffusionlab")
_REST = 0.1  # s between turns
_PACKAGES = ("numpy", "numba", "llvmlite", "scipy", *_PEERS)
_VECTOR_SETS = ("avx512f", "avx2", "avx", "sse2", "asimd", "sve")  # widest first


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One question.

    measure : called with `small`; returns {"rows": [...]} and whatever else the answer needs, as
        JSON data. Small means: seconds in all, every code path, times that nobody reads.
    conclude : the answer in one sentence, computed from the result.
    columns : keys of a row shown in tables, with their headings.
    draw : a figure of the result, where a table is not enough.
    against : `measure` also takes `against`, a commit that it runs in turn with this checkout.
    """

    question: str
    measure: Callable[..., dict[str, Any]]
    conclude: Callable[[Result], str]
    columns: Mapping[str, str]
    draw: Callable[[Result], Figure] | None = None
    against: bool = False


# -- timing --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds of a contender: the first call, and one for each round after it."""

    first: float
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is quoted."""
        return statistics.median(self.rounds)

    @property
    def low(self) -> float:
        """The fastest round."""
        return min(self.rounds)

    @property
    def high(self) -> float:
        """The slowest round."""
        return max(self.rounds)

    def over(self, other: Times) -> float:
        """The median over rounds of this contender's time by the other's."""
        return statistics.median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))

    def row(self, unit: float = 1.0) -> dict[str, float]:
        """Median, low and high times `unit`, and the first call in seconds."""
        ends = {"median": self.median, "low": self.low, "high": self.high}
        return {key: value * unit for key, value in ends.items()} | {"first_s": self.first}


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def race(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """The times of every contender, each once a round after a short rest, after a first call of
    each. In the rest the threads of the one before come to an end: XLA's still free memory."""
    first = {name: seconds(run) for name, run in contenders.items()}
    turns = [{name: _rested(run) for name, run in contenders.items()} for _ in range(rounds)]
    return {name: Times(first[name], tuple(turn[name] for turn in turns)) for name in contenders}


def race_rows(
    of: Mapping[str, Any],
    contenders: Mapping[str, tuple[float, Callable[[], object]]],
    rounds: int,
    unit: float = 1.0,
) -> list[dict[str, Any]]:
    """A row for each contender (how much it does, run), the first being ours: `unit` times its
    seconds for each of what it does, and how many times slower than ours that is."""
    times = race({name: run for name, (_, run) in contenders.items()}, rounds)
    ours = next(iter(contenders))
    return [
        {
            **of,
            "contender": name,
            **times[name].row(unit / done),
            "ratio": times[name].over(times[ours]) * contenders[ours][0] / done,
        }
        for name, (done, _) in contenders.items()
    ]


def _rested(run: Callable[[], object]) -> float:
    time.sleep(_REST)
    return seconds(run)


# -- fresh processes -----------------------------------------------------------------------------


def fresh(target: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Any:
    """What `package.module:function` returns (as JSON) in a new process with these variables."""
    module, function = target.split(":")
    code = (
        "import importlib, json, sys; "
        f"value = getattr(importlib.import_module({module!r}), {function!r})"
        f"(**json.loads({json.dumps(arguments)!r})); sys.stdout.write(json.dumps(value))"
    )
    return json.loads(run_python(code, environment))


def run_python(code: str, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of `python -c code` from the root of the checkout."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "PYTHONPATH": path, **(environment or {})}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, check=False, env=variables, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"a fresh process failed:\n{done.stderr}")
    return done.stdout


def export(commit: str, folder: Path) -> None:
    """Put the files of a commit of this repository into a folder."""
    command = ["git", "-C", str(ROOT), "archive", f"{commit}^{{commit}}"]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        raise InputError("a commit must be known to git here", commit, "Name one of its log.")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit of this repository, as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        export(commit, Path(folder))
        yield Path(folder)


# -- where it was measured -----------------------------------------------------------------------


def _cpu() -> tuple[str, str]:
    """Name of the processor and its widest vector instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine(), "unknown"
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    known = flags.group(1).split() if flags else []
    isa = next((item for item in _VECTOR_SETS if item in known), "unknown")
    return name.group(1) if name else platform.machine(), isa


def machine() -> dict[str, Any]:
    """Processor, vector instructions, cores, threads, memory, allocator and its settings."""
    import numba

    name, isa = _cpu()
    tuned = {k: v for k, v in os.environ.items() if k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    library = " ".join(platform.libc_ver()).strip() or "unknown"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": name,
        "vectors": isa,
        "architecture": platform.machine(),
        "cores": usable_cores(),
        "numba_threads": numba.config.NUMBA_NUM_THREADS,
        "memory_gb": round(memory / 1e9, 1),
        "allocator": os.environ.get("LD_PRELOAD") or f"{library} malloc",
        "allocator_settings": tuned,
        "system": f"{platform.system()} {platform.release()}",
    }


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions of Python, mixdyn and every contender that is installed."""
    return package_versions(_PACKAGES)


# -- running and keeping -------------------------------------------------------------------------


def load(name: str) -> Benchmark:
    """The benchmark of a module of this package."""
    return importlib.import_module(f"benchmarks.{name}").BENCHMARK  # type: ignore[no-any-return]


def run(name: str, small: bool, **options: Any) -> dict[str, Any]:
    """Measure one benchmark: its question, rows, sentence, and where and when it ran."""
    benchmark, begin = load(name), time.perf_counter()
    result = benchmark.measure(small, **options)
    return {
        "name": name,
        "question": benchmark.question,
        "answer": benchmark.conclude(result),
        "small": small,
        **result,
        "seconds": time.perf_counter() - begin,
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
    }


def table(columns: Mapping[str, str], rows: Sequence[Result]) -> list[list[str]]:
    """The heading and one line of text cells a row."""
    lines = [[show(row.get(key)) for key in columns] for row in rows]
    return [list(columns.values()), *lines]


def show(value: object) -> str:
    """A cell: three significant digits, thousands set apart, a dash for what was not measured."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"

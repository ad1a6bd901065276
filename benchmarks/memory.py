"""Peak resident memory of whole processes: streaming into observers, keeping the samples, peers.

Every row is a process of its own; its peak is what the system reports at the end, and `above`
subtracts that of a process that has imported and compiled everything and run 1,000 samples.
"""

from __future__ import annotations

import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from mixdyn import DDIM, NoiseSchedule, sample
from mixdyn.problem import presets
from mixdyn.run.observers import ClassCounts

from . import harness, peers

_LIMIT_MB = 500.0
_STREAM = "mixdyn, streamed into ClassCounts"
_HUNDRED_MILLION = 100_000_000


def peak_mb() -> float:
    """Peak resident memory of this process, in megabytes.

    From /proc where there is one: getrusage starts from the memory of the process that started
    this one, which may have been the larger.
    """
    status = Path("/proc/self/status")
    if status.exists():
        kibibytes = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        if kibibytes:
            return int(kibibytes.group(1)) * 1024 / 1e6
    unit = 1.0 if sys.platform == "darwin" else 1024.0  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def streamed(n: int) -> dict[str, float]:
    """DDIM-50 with nothing kept but the counts by class."""
    mixture, begin = presets.grid(), time.perf_counter()
    observers = [ClassCounts(mixture)]
    run = sample(
        mixture, NoiseSchedule.linear(), DDIM(), n=n, rng=0, observers=observers, keep="none"
    )
    done = {"seconds": time.perf_counter() - begin, "counted": int(run.observations[0].sum())}
    return {"peak": peak_mb(), **done}


def kept(n: int) -> dict[str, float]:
    """DDIM-50, final states kept."""
    begin = time.perf_counter()
    run = sample(presets.grid(), NoiseSchedule.linear(), DDIM(), n=n, rng=0)
    done = {"seconds": time.perf_counter() - begin, "counted": len(run.x)}  # type: ignore[arg-type]
    return {"peak": peak_mb(), **done}


def by_numpy(n: int) -> dict[str, float]:
    """DDIM-50 in NumPy's matrix form, the whole batch at once as it is usually written."""
    problem = peers.Problem(presets.grid(), NoiseSchedule.linear(), DDIM())
    run, begin = peers.numpy_rollout(problem, peers.matrix_squares), time.perf_counter()
    x = run(np.random.default_rng(0).standard_normal((n, 2)))
    return {"peak": peak_mb(), "seconds": time.perf_counter() - begin, "counted": len(x)}


def by_torch(n: int) -> dict[str, float]:
    """DDIM-50 in torch, the whole batch at once, as the papers do it."""
    problem = peers.Problem(presets.grid(), NoiseSchedule.linear(), DDIM())
    run, begin = peers.torch_rollout(problem), time.perf_counter()
    x = run(np.random.default_rng(0).standard_normal((n, 2)))
    return {"peak": peak_mb(), "seconds": time.perf_counter() - begin, "counted": len(x)}


def jobs(small: bool) -> list[tuple[str, str, int]]:
    """What runs: label, function, samples."""
    if small:
        return [(_STREAM, "streamed", 5_000), ("mixdyn, samples kept", "kept", 5_000)]
    found = [(_STREAM, "streamed", n) for n in (100_000, 1_000_000, 10_000_000, _HUNDRED_MILLION)]
    found += [("mixdyn, samples kept", "kept", n) for n in (1_000_000, 10_000_000)]
    found.append(("NumPy, matrix form, whole batch", "by_numpy", 100_000))
    if peers.installed("torch"):
        found.append(("torch, the papers' way, whole batch", "by_torch", 100_000))
    return found


def measure(small: bool) -> dict[str, Any]:
    """One process a row."""
    base = harness.fresh("benchmarks.memory:streamed", n=1_000)["peak"]
    rows = []
    for label, function, n in jobs(small):
        got = harness.fresh(f"benchmarks.memory:{function}", n=n)
        if got.pop("counted") != n:
            raise RuntimeError(f"{label}: not every sample was counted")
        rows.append({"contender": label, "samples": n, **got, "above": got["peak"] - base})
    return {"rows": rows, "base_mb": base}


def conclude(result: harness.Result) -> str:
    """The peak of the largest stream, against its limit."""
    largest = [row for row in result["rows"] if row["contender"] == _STREAM][-1]
    within = "within" if largest["peak"] <= _LIMIT_MB else "above"
    return (
        f"{largest['samples']:,} samples stream through an observer in {largest['peak']:.0f} MB "
        f"({within} the limit of {_LIMIT_MB:.0f} MB; {result['base_mb']:.0f} MB are Python and "
        f"libraries) in {largest['seconds']:.3g} s."
    )


BENCHMARK = harness.Benchmark(
    question="How much memory does a run take?",
    measure=measure,
    conclude=conclude,
    columns={
        "contender": "process",
        "samples": "samples",
        "peak": "peak, MB",
        "above": "above an idle process, MB",
        "seconds": "s",
    },
)

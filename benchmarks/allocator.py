"""What the C allocator costs contenders that make an array for every operation.

glibc gives memory above a threshold back to the system at once: an array of 10,000 samples x 25
modes (2 MB) is mapped, zeroed page by page and unmapped at every operation. `tuned` raises both
thresholds, so that freed arrays are used again; the rest is the same. A process each, since the
thresholds are read at its start; both settings of a contender take turns.
"""

from __future__ import annotations

import platform
import statistics
from typing import Any

import numpy as np

from mixdyn import DDIM, ExactScore, NoiseSchedule, sample
from mixdyn.problem import presets
from mixdyn.support.provenance import usable_cores

from . import harness, peers
from .throughput import MATRIX, OURS, PAPERS, set_up_torch

_THRESHOLD = str(1 << 30)
_SETTINGS = {
    "default": {},
    "tuned": {"MALLOC_MMAP_THRESHOLD_": _THRESHOLD, "MALLOC_TRIM_THRESHOLD_": _THRESHOLD},
}


def rollout(contender: str, n: int, rounds: int, threads: int) -> float:
    """Median seconds of DDIM-50 on the whole batch, in this process."""
    mixture, schedule = presets.grid(), NoiseSchedule.linear()
    problem = peers.Problem(mixture, schedule, DDIM())
    set_up_torch(threads if contender == PAPERS else 1)
    if contender == OURS:
        exact = ExactScore(mixture, schedule, detect_product=False)
        run: Any = lambda x: sample(exact, schedule, DDIM(), x=x)  # noqa: E731
    elif contender == PAPERS:
        run = peers.torch_rollout(problem)
    else:
        matrix = contender == MATRIX
        squares = peers.matrix_squares if matrix else peers.difference_squares
        run = peers.numpy_rollout(problem, squares)
    x = np.random.default_rng(0).standard_normal((n, 2))
    return harness.race({contender: lambda: run(x)}, rounds)[contender].median


def measure(small: bool) -> dict[str, Any]:
    """ns per sample, step and mode of every contender in both settings."""
    n, rounds, turns = (500, 1, 1) if small else (10_000, 3, 3)
    contenders = [MATRIX, "NumPy, differences"] if not small else [MATRIX]
    if not small and peers.installed("torch"):
        contenders.append(PAPERS)
    threads = 1 if small else usable_cores()
    unit = 1e9 / (n * 50 * 25)
    rows = []
    for name in [OURS, *contenders]:
        arguments = {"contender": name, "n": n, "rounds": rounds, "threads": threads}
        times = [
            {
                setting: harness.fresh("benchmarks.allocator:rollout", variables, **arguments)
                for setting, variables in _SETTINGS.items()
            }
            for _ in range(turns)
        ]
        medians = {key: statistics.median(turn[key] for turn in times) * unit for key in _SETTINGS}
        saved = statistics.median(turn["default"] / turn["tuned"] for turn in times)
        rows.append({"contender": name, "samples": n, **medians, "ratio": saved})
    for row in rows:
        row["behind"] = row["tuned"] / rows[0]["tuned"]
    return {"rows": rows, "notes": notes()}


def notes() -> list[str]:
    """What `tuned` means here."""
    if platform.libc_ver()[0] != "glibc":
        return ["This system's allocator is not glibc's, so both settings are the same."]
    pairs = " ".join(f"{key}={value}" for key, value in _SETTINGS["tuned"].items())
    return [f"tuned: {pairs}"]


def conclude(result: harness.Result) -> str:
    """What tuning saves at most, and the lead that is left after it."""
    ours, *others = result["rows"]
    most = max(others, key=lambda row: row["ratio"])
    best = min(others, key=lambda row: row["tuned"])
    return (
        f"At {ours['samples']:,} samples the thresholds of glibc's malloc make "
        f"{most['contender']} {most['ratio']:.2f} times slower and mixdyn {ours['ratio']:.2f} "
        f"times; with both tuned mixdyn is {best['behind']:.3g} times as fast as the best of "
        f"them, {best['contender']}."
    )


BENCHMARK = harness.Benchmark(
    question="How much of the peers' time is the C allocator's?",
    measure=measure,
    conclude=conclude,
    columns={
        "contender": "contender, whole batch",
        "samples": "samples",
        "default": "ns, default",
        "tuned": "ns, tuned",
        "ratio": "default/tuned",
        "behind": "tuned, times ours",
    },
)

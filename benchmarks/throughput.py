"""How many nanoseconds does a sampler step cost per sample and mode, against plain NumPy?

    python -m benchmarks.throughput [--small] [--json FILE]

25 modes in the plane, float64. Peers run in the same process on the same samples: NumPy in matrix
form (|x|^2 - 2 x.mu + |mu|^2 through BLAS) and by broadcast differences. Compilation is timed
apart. Quote the ratios; the times belong to one machine and one day.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

import mixdyn
from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, NoiseSchedule, presets, sample
from mixdyn.files import write_atomically


def numpy_ddim(
    mixture: GaussianMixture, schedule: NoiseSchedule, x: np.ndarray, matrix: bool
) -> np.ndarray:
    """DDIM-50 as one would write it in NumPy, in blocks that fit the cache."""
    grid = DDIM().grid(schedule)
    c_x, c_eps, _ = DDIM().plan(schedule, grid).eps_form()
    x = x.copy()
    for begin in range(0, len(x), 4096):
        block = x[begin : begin + 4096]
        for k, (t, _) in enumerate(grid.pairs):
            mu, nu = schedule.alpha[t] * mixture.means, schedule.noise_var[t]
            var = schedule.alpha_bar[t] * mixture.sigma**2 + nu
            if matrix:
                square = (block**2).sum(1)[:, None] - 2 * block @ mu.T + (mu**2).sum(1)
            else:
                square = ((block[:, None, :] - mu) ** 2).sum(-1)
            logit = square / (-2 * var)
            gamma = np.exp(logit - logit.max(1, keepdims=True))
            gamma /= gamma.sum(1, keepdims=True)
            eps = np.sqrt(nu) / var * (block - gamma @ mu)
            block = c_x[k] * block + c_eps[k] * eps
        x[begin : begin + 4096] = block
    return x


def repeat(run: Callable[[], object], times: int) -> list[float]:
    """Seconds of each of `times` runs."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return seconds


def measure(n: int, repeats: int) -> dict[str, dict[str, float]]:
    """ns per (sample x step x mode) of every contender: median and spread."""
    mixture, schedule = presets.grid(), NoiseSchedule.linear()
    general = ExactScore(mixture, schedule, detect_product=False)
    product = ExactScore(mixture, schedule)
    few = max(n // 20, 1)
    x = np.random.default_rng(0).standard_normal((n, 2))
    runs: dict[str, tuple[int, int, Callable[[], object]]] = {
        "DDIM-50, general mixture": (n, 50, lambda: sample(general, schedule, DDIM(), x=x)),
        "DDIM-50, product grid": (n, 50, lambda: sample(product, schedule, DDIM(), x=x)),
        "DDPM-1000, general mixture": (few, 1000, lambda: sample(general, schedule, DDPM(), n=few)),
        "DDPM-1000, product grid": (few, 1000, lambda: sample(product, schedule, DDPM(), n=few)),
        "DDIM-50, NumPy matrix form": (
            few,
            50,
            lambda: numpy_ddim(mixture, schedule, x[:few], True),
        ),
        "DDIM-50, NumPy differences": (
            few,
            50,
            lambda: numpy_ddim(mixture, schedule, x[:few], False),
        ),
    }
    table = {}
    for name, (count, steps, run) in runs.items():
        first = repeat(run, 1)[0]
        unit = 1e9 / (count * steps * mixture.N)
        times = sorted(t * unit for t in repeat(run, repeats))
        table[name] = {
            "ns": statistics.median(times),
            "ns_min": times[0],
            "ns_max": times[-1],
            "first_call_s": first,
        }
    reference = table["DDIM-50, general mixture"]["ns"]
    for row in table.values():
        row["ratio"] = row["ns"] / reference
    return table


def main() -> None:
    """Print the table and, if asked, write it with the machine it was measured on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="check that it works, not its times")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    table = measure(2_000 if options.small else 400_000, 1 if options.small else 7)
    print(f"{'':30}{'ns':>8}{'min':>8}{'max':>8}{'ratio':>8}")
    for name, row in table.items():
        print(
            f"{name:30}{row['ns']:8.3f}{row['ns_min']:8.3f}{row['ns_max']:8.3f}{row['ratio']:8.2f}"
        )
    if options.json:
        result = {
            "question": __doc__.splitlines()[0],
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
            },
            "versions": {
                "mixdyn": mixdyn.__version__,
                "numba": numba.__version__,
                "numpy": np.__version__,
            },
            "rows": table,
        }
        text = json.dumps(result, indent=1).encode()
        write_atomically(options.json, lambda handle: handle.write(text) and None)


if __name__ == "__main__":
    main()

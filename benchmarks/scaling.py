"""How the time of a rollout grows with samples, modes, dimension, steps and threads.

Every series changes one quantity of the same rollout (DDIM, general mixture, float64) and takes
turns within itself. `exponent` is the slope of log time against log size over the last two sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, NoiseSchedule, kernels, sample
from mixdyn.support.provenance import usable_cores

from . import harness, style

Run = Callable[[], object]


def rollout(
    n: int = 20_000, modes: int = 25, d: int = 2, steps: int = 50, hull: bool = False
) -> Run:
    """DDIM on `modes` scattered modes in d dimensions, every structure but the hull left unused."""
    rng, schedule = np.random.default_rng(0), NoiseSchedule.linear()
    mixture = GaussianMixture(rng.standard_normal((modes, d)), 0.05)
    exact = ExactScore(mixture, schedule, detect_product=False, detect_hull=hull)
    x = rng.standard_normal((n, d))
    return lambda: sample(exact, schedule, DDIM(steps=steps, spacing="uniform"), x=x)


def ancestral(n: int, T: int) -> Run:
    """DDPM over all T times of a schedule."""
    rng = np.random.default_rng(0)
    schedule = NoiseSchedule.linear(T=T, beta_start=0.1 / T, beta_end=20.0 / T)
    exact = ExactScore(GaussianMixture(rng.standard_normal((25, 2)), 0.05), schedule)
    return lambda: sample(exact, schedule, DDPM(), n=n, rng=0)


def on_threads(count: int, run: Run) -> Run:
    """`run` on so many of the kernels' threads."""

    def call() -> None:
        with kernels.threads(count):
            run()

    return call


def series(small: bool) -> dict[str, dict[int, Run]]:
    """What varies: its sizes and their runs."""
    if small:
        threads = {1: on_threads(1, rollout(n=256, steps=5))}
        return {"n": {s: rollout(n=s, steps=5) for s in (128, 256)}, "threads": threads}
    most = usable_cores()
    counts = [count for count in (1, 2, 4, 8, 16) if count <= most]
    return {
        "n": {s: rollout(n=s) for s in (100, 1_000, 10_000, 100_000, 1_000_000)},
        "N": {s: rollout(modes=s) for s in (2, 25, 100, 400)},
        "d": {s: rollout(n=2_000, d=s) for s in (1, 2, 8, 64, 512)},
        "d, hull": {s: rollout(n=2_000, d=s, hull=True) for s in (128, 512, 2_048)},
        "steps": {s: rollout(steps=s) for s in (10, 50, 200, 800)},
        "T": {s: ancestral(5_000, s) for s in (100, 500, 1_000, 4_000)},
        "threads": {s: on_threads(s, rollout(n=200_000)) for s in counts},
    }


def growth(sizes: Sequence[int], seconds: Sequence[float]) -> float | None:
    """The exponent between the last two sizes."""
    if len(sizes) < 2:
        return None
    return math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])


def measure(small: bool) -> dict[str, Any]:
    """A row for every size of every series."""
    rows, exponents = [], {}
    for name, runs in series(small).items():
        calls = {str(size): run for size, run in runs.items()}
        times = harness.race(calls, 1 if small else 5)
        medians = [times[key].median for key in calls]
        exponents[name] = growth(list(runs), medians)
        rows += [
            {"varies": name, "size": size, **times[str(size)].row(1e3), "relative": m / medians[0]}
            for size, m in zip(runs, medians, strict=True)
        ]
    return {"rows": rows, "exponents": exponents}


def conclude(result: harness.Result) -> str:
    """The exponents, and what threads give."""
    known = {k: v for k, v in result["exponents"].items() if v is not None and k != "threads"}
    powers = ", ".join(f"{name}^{value:.2f}" for name, value in known.items())
    threads = [row for row in result["rows"] if row["varies"] == "threads"]
    text = f"At the largest sizes the time grows as {powers}"
    if len(threads) < 2:
        return f"{text}; only one thread was available."
    most = threads[-1]
    return (
        f"{text}; {most['size']} threads make it {1 / most['relative']:.2f} times as fast as one."
    )


def draw(result: harness.Result) -> Any:
    """Time against size, each relative to the first of its series."""
    figure, (ax,) = style.new_figure()
    names = [name for name in result["exponents"] if name != "threads"]
    for k, name in enumerate(names):
        rows = [row for row in result["rows"] if row["varies"] == name]
        ax.plot([r["size"] for r in rows], [r["median"] for r in rows], label=name, **style.look(k))
    ax.set(xscale="log", yscale="log", xlabel="size of what varies", ylabel="ms")
    ax.legend()
    return figure


BENCHMARK = harness.Benchmark(
    question="How does the time grow with samples, modes, dimension, steps and threads?",
    measure=measure,
    conclude=conclude,
    columns={
        "varies": "varies",
        "size": "size",
        "median": "ms",
        "low": "min",
        "high": "max",
        "relative": "times the first",
    },
    draw=draw,
)

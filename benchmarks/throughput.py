"""Score evaluation, DDIM-50 and DDPM-1000 against NumPy, torch and JAX, in one process.

25 modes in the plane (the standard problem of arXiv 2605.06831), float64 unless named otherwise.
The unit is nanoseconds per sample, step and mode. All contenders of a task start from the same
states; each gets as many of them as a turn of about a second allows, and never fewer than fill its
blocks.
"""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mixdyn import DDIM, DDPM, ExactScore, NoiseSchedule, sample
from mixdyn.problem import presets
from mixdyn.score import Precision
from mixdyn.support.checks import Array
from mixdyn.support.provenance import usable_cores

from . import floor, harness, peers, style

PAPERS = "torch, the papers' way"
MATRIX = "NumPy, matrix form"
JAX = "JAX, hand-written"
JAX_BLOCKS = "JAX, in blocks that fit the cache"
OURS = "mixdyn, general mixture"
PRODUCT = "mixdyn, product grid"
ALONE = "an exponential per mode, nothing else"
_BLOCK = 4096  # rows of 25 modes: 0.8 MB an array
_PRECISIONS: Mapping[str, Precision] = {"": "double", ", float32": "single"}
_GOALS = {PAPERS: 150.0, MATRIX: 25.0, JAX: 5.0}

Contenders = Mapping[str, tuple[int, Callable[[Array], object]]]  # name: (samples, run)


def set_up_torch(threads: int) -> None:
    """Let torch use as many cores as the engine does."""
    if peers.installed("torch"):
        import torch

        torch.set_num_threads(threads)


def score_contenders(n: int) -> Contenders:
    """One evaluation of the score in the middle of the schedule."""
    mixture, schedule, t = presets.grid(), NoiseSchedule.linear(), 200
    general = ExactScore(mixture, schedule, detect_product=False)
    product = ExactScore(mixture, schedule)
    alpha, nu = float(schedule.alpha[t]), float(schedule.noise_var[t])
    mu, var = alpha * mixture.means, float(general.variances(t)[0])

    def by(squares: Callable[..., Array]) -> peers.Run:
        return peers.in_blocks(lambda x: peers.numpy_eps(x, mu, nu, var, squares), _BLOCK)

    found: dict[str, tuple[int, Callable[[Array], object]]] = {
        OURS: (n, lambda x: general.eps(x, t)),
        PRODUCT: (n, lambda x: product.eps(x, t)),
        MATRIX: (n // 4, by(peers.matrix_squares)),
        "NumPy, differences": (n // 10, by(peers.difference_squares)),
    }
    if peers.installed("torch"):
        import torch

        modes = torch.from_numpy(mu)
        run = torch.inference_mode()(
            lambda x: peers.torch_eps(torch.from_numpy(x), modes, nu, var).numpy()
        )
        found[PAPERS] = (n // 10, run)
    if peers.installed("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(lambda x: peers.jax_eps(x, mu, nu, var))
        found[JAX] = (n, lambda x: np.asarray(compiled(x)))
    return found


def _run(model: ExactScore, schedule: NoiseSchedule, sampler: DDIM | DDPM, x: Array) -> object:
    return sample(model, schedule, sampler, x=x, rng=0)


def rollout_contenders(
    sampler: DDIM | DDPM, n: int, precisions: Mapping[str, Precision] = _PRECISIONS
) -> Contenders:
    """A whole rollout; the slow peers get a tenth of the samples."""
    mixture, schedule = presets.grid(), NoiseSchedule.linear()
    problem = peers.Problem(mixture, schedule, sampler)
    few = max(n // 10, min(n, 1000))
    found: dict[str, tuple[int, Callable[[Array], object]]] = {}
    for suffix, precision in precisions.items():
        for name, detect in ((OURS, False), (PRODUCT, True)):
            exact = ExactScore(mixture, schedule, detect_product=detect, precision=precision)
            found[name + suffix] = (n, functools.partial(_run, exact, schedule, sampler))
    steps = len(sampler.grid(schedule).times) - 1
    found[ALONE] = (n, lambda x: floor.exponentials(x, mixture.N, steps))
    by = {MATRIX: peers.matrix_squares, "NumPy, differences": peers.difference_squares}
    for name, squares in by.items():
        found[name] = (few, peers.in_blocks(peers.numpy_rollout(problem, squares), _BLOCK))
    if peers.installed("torch"):
        run = peers.torch_rollout(problem)
        found[PAPERS] = (few, run)
        found["torch, in blocks that fit the cache"] = (few, peers.in_blocks(run, _BLOCK))
    if peers.installed("jax"):
        run = peers.jax_rollout(problem)
        found[JAX] = (few, run)
        found[JAX_BLOCKS] = (few, peers.in_blocks(run, _BLOCK))
    return found


def race(task: str, contenders: Contenders, steps: int, rounds: int) -> list[dict[str, Any]]:
    """A row per contender: ns per sample, step and mode, and how much slower than ours."""
    most = max(count for count, _ in contenders.values())
    x = np.random.default_rng(0).standard_normal((most, 2))
    calls = {
        name: (float(count), functools.partial(run, x[:count]))
        for name, (count, run) in contenders.items()
    }
    rows = harness.race_rows({"task": task}, calls, rounds, 1e9 / (steps * 25))
    return [{**row, "samples": contenders[row["contender"]][0]} for row in rows]


def measure(small: bool) -> dict[str, Any]:
    """All three tasks."""
    set_up_torch(1 if small else usable_cores())
    n, rounds = (1000, 1) if small else (200_000, 5)
    ddpm = DDPM()
    rows = race("score", score_contenders(n * 5), 1, rounds)
    precisions = {"": _PRECISIONS[""]} if small else _PRECISIONS  # the others compile for long
    rows += race("DDIM-50", rollout_contenders(DDIM(), n, precisions), 50, rounds)
    if small:
        return {"rows": rows, "notes": missing()}
    rows += race("DDPM-1000", rollout_contenders(ddpm, n // 10), 1000, 3)
    return {"rows": rows, "notes": missing()}


def missing() -> list[str]:
    """A line for each peer that is not installed."""
    return [
        f"{name} is not installed here and was not measured."
        for name in ("torch", "jax")
        if not peers.installed(name)
    ]


def conclude(result: harness.Result) -> str:
    """How many times faster than each peer a DDIM step is, which goals are missed, and why."""
    rows = {r["contender"]: r for r in result["rows"] if r["task"] == "DDIM-50"}
    if JAX in rows:  # against whichever of its two forms is quicker here
        rows[JAX] = min(rows[JAX], rows[JAX_BLOCKS], key=lambda row: row["ratio"])
    against = []
    for name, goal in _GOALS.items():
        if name in rows:
            with_, without = (rows[name]["ratio"] / rows[kind]["ratio"] for kind in (PRODUCT, OURS))
            missed = (
                "" if without >= goal else ", missed" if with_ < goal else ", reached with it only"
            )
            against.append(
                f"{with_:.3g} and {without:.3g} times as fast as {name} (goal {goal:g}{missed})"
            )
    return (
        f"A DDIM step takes {rows[PRODUCT]['median']:.2g} ns per sample and mode on the papers' "
        f"grid, whose structure the engine finds by itself, and {rows[OURS]['median']:.2g} ns "
        f"without structure: {', '.join(against)}.{_why(rows)}"
    )


def _why(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a goal is missed without structure: how far the exponentials alone are from it."""
    if ALONE not in rows or PAPERS not in rows:
        return ""
    lead = rows[PAPERS]["ratio"] / rows[ALONE]["ratio"]
    goal = _GOALS[PAPERS]
    within = "within" if lead >= goal else "out of"
    return (
        f" One exponential per mode and nothing else takes {rows[ALONE]['median']:.2g} ns, "
        f"{lead:.3g} times as fast as {PAPERS}: without structure {goal:g} is {within} reach here."
    )


def draw(result: harness.Result) -> Any:
    """Every contender of DDIM-50 and, beside it, of the score alone."""
    figure, axes = style.new_figure(2, 11.0, 4.0)
    for ax, task in zip(axes, ("DDIM-50", "score"), strict=True):
        style.bars(ax, [r for r in result["rows"] if r["task"] == task], "ns per sample and mode")
        ax.set_title(task, loc="left")
    return figure


BENCHMARK = harness.Benchmark(
    question="What does the exact score cost per sample, step and mode, against its peers?",
    measure=measure,
    conclude=conclude,
    columns={
        "task": "task",
        "contender": "contender",
        "samples": "samples",
        "median": "ns",
        "low": "min",
        "high": "max",
        "ratio": "times ours",
        "first_s": "first call, s",
    },
    draw=draw,
)

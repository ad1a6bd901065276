"""Public schedulers as plans against the schedulers themselves in torch, in one process.

Schedulers of diffusers on 50 steps, without clipping, in float64, their exact scores as the papers
write them. Seconds are those of 200,000 samples (of each Gaussian, for the response); torch gets a
tenth of them, in blocks that fit the cache, and its seconds are multiplied. A response counts its
transcription; the import of the library and the compilation of ours are apart.
"""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mixdyn import DDIM, ExactScore, NoiseSchedule, sample, transcribe
from mixdyn.problem import presets
from mixdyn.support.checks import Array
from mixdyn.support.provenance import usable_cores

from . import harness, peers, throughput

_STEPS, _SAMPLES, _BLOCK = 50, 200_000, 4096
_STDS = np.geomspace(0.007, 1.0, 32)
_BETAS = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
_SCHEDULERS: Mapping[str, Mapping[str, Any]] = {
    "DDIMScheduler": {**_BETAS, "clip_sample": False},
    "DPMSolverMultistepScheduler": _BETAS,
}
_RESPONSE, _GRID, _AUDIT = "response at 32 stds", "25 modes", "audit"
PLAN, TORCH, DDIM_OURS = "its plan", "itself, in torch", "our DDIM-50"
_GOALS = {_RESPONSE: 20.0, _GRID: 20.0, DDIM_OURS: 1.5, _AUDIT: 5.0}


def rollout(name: str, exact: Callable[[Any, float], Any]) -> peers.Run:
    """A scheduler in torch on exact(x, abar), the prediction of noise."""
    import diffusers
    import torch

    @torch.inference_mode()
    def run(x: Array) -> Array:
        scheduler = getattr(diffusers, name)(**_SCHEDULERS[name])
        scheduler.set_timesteps(_STEPS)
        abar, state = scheduler.alphas_cumprod.double(), torch.from_numpy(x.copy())
        for t in scheduler.timesteps:
            eps = exact(scheduler.scale_model_input(state, t), float(abar[t]))
            state = scheduler.step(eps, t, state).prev_sample
        found: Array = state.numpy()
        return found

    return run


def on_gaussians() -> Callable[[Any, float], Any]:
    """A column for each standard deviation."""
    import torch

    var = torch.from_numpy(_STDS**2)
    return lambda x, abar: (1.0 - abar) ** 0.5 / (abar * var + 1.0 - abar) * x


def on_modes() -> Callable[[Any, float], Any]:
    """The 5x5 grid, as the papers compute it."""
    import torch

    mixture = presets.grid()
    mu, var = torch.from_numpy(mixture.means.copy()), float(mixture.sigma**2)
    return lambda x, abar: peers.torch_eps(x, abar**0.5 * mu, 1.0 - abar, abar * var + 1.0 - abar)


def of_scheduler(name: str, n: int, rounds: int) -> list[dict[str, Any]]:
    """Its response and its run on the grid."""
    spec, settings, few = f"diffusers:{name}", _SCHEDULERS[name], n // 10
    plan, schedule = transcribe(spec, _STEPS, **settings), NoiseSchedule.linear()
    exact, ours = ExactScore(presets.grid(), schedule), DDIM(steps=_STEPS)
    rng = np.random.default_rng(0)
    wide, flat = rng.standard_normal((few, len(_STDS))), rng.standard_normal((few, 2))
    gaussians = peers.in_blocks(rollout(name, on_gaussians()), _BLOCK)
    modes = peers.in_blocks(rollout(name, on_modes()), _BLOCK)
    responses = {
        PLAN: (1.0, lambda: transcribe(spec, _STEPS, **settings).response(_STDS)),
        TORCH: (few / n, lambda: gaussians(wide)),
    }
    runs = {
        PLAN: (1.0, functools.partial(sample, exact, schedule, plan, n=n, rng=0)),
        DDIM_OURS: (1.0, functools.partial(sample, exact, schedule, ours, n=n, rng=0)),
        TORCH: (few / n, lambda: modes(flat)),
    }
    return [
        *harness.race_rows({"task": _RESPONSE, "scheduler": name}, responses, rounds),
        *harness.race_rows({"task": _GRID, "scheduler": name}, runs, rounds),
    ]


def measure(small: bool) -> dict[str, Any]:
    """Every scheduler, and the audit of the last."""
    if not (peers.installed("torch") and peers.installed("diffusers")):
        return {"rows": [], "notes": ["diffusers is not installed here: nothing was measured."]}
    from mixdyn.audit.card import audit

    throughput.set_up_torch(1 if small else usable_cores())
    n, rounds = (1000, 1) if small else (_SAMPLES, 5)
    rows = [row for name in _SCHEDULERS for row in of_scheduler(name, n, rounds)]
    for name, settings in _SCHEDULERS.items():
        run = functools.partial(audit, f"diffusers:{name}", _STEPS, **settings)
        rows += harness.race_rows(
            {"task": _AUDIT, "scheduler": name}, {"its card": (1.0, run)}, rounds
        )
    return {"rows": rows, "samples": n}


def conclude(result: harness.Result) -> str:
    """The least lead and the longest audit, each beside its goal."""
    rows = result["rows"]
    if not rows:
        return "Not measured."

    def ratios(task: str, contender: str) -> list[float]:
        return [r["ratio"] for r in rows if (r["task"], r["contender"]) == (task, contender)]

    response, grid = (min(ratios(task, TORCH)) for task in (_RESPONSE, _GRID))
    beside = 1.0 / min(ratios(_GRID, DDIM_OURS))
    longest = max(r["first_s"] for r in rows if r["task"] == _AUDIT)
    return (
        f"The exact response of a public scheduler at 32 standard deviations takes "
        f"{1 / response:.2g} of the time of {result['samples']:,} samples of it on each of these "
        f"Gaussians in torch: {response:.3g} times as fast (goal {_GOALS[_RESPONSE]:g}). Its plan "
        f"samples 25 modes {grid:.3g} times as fast as itself with the exact score in torch (goal "
        f"{_GOALS[_GRID]:g}), in {beside:.3g} times the time of our own DDIM (goal "
        f"{_GOALS[DDIM_OURS]:g}). An audit of {_STEPS} steps takes {longest:.2g} s the first time "
        f"(goal {_GOALS[_AUDIT]:g})."
    )


BENCHMARK = harness.Benchmark(
    question="What does a public scheduler cost as a plan, against itself in torch?",
    measure=measure,
    conclude=conclude,
    columns={
        "task": "task",
        "scheduler": "scheduler",
        "contender": "contender",
        "median": "s",
        "low": "min",
        "high": "max",
        "ratio": "times ours",
        "first_s": "first call, s",
    },
)

"""What share of the machine's peak does sampling with the standard network reach?

The peak is the best rate of a large float32 matrix product in the same run, on the same cores or
card. The rate of the network counts the multiplications and additions of its linear layers only:
norms, activations and the sampler's own steps are overhead, as they should be. On a CPU torch's own
evaluation of the network takes turns with our kernel's, which composes two layers and so does a
sixth less than what is counted: its share can pass 100 %. Where there is a GPU, 100 million 1-D
samples through 1000 DDPM steps are one measured job.
"""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mixdyn import DDIM, NoiseSchedule, learned, sample
from mixdyn.support.provenance import usable_cores

from . import harness

_SAMPLES_1D, _STEPS_1D = 100_000_000, 1000
_PRODUCT = "matrix product on all cores"
_ONE, _ROLLOUT, _BY_TORCH = "network, one evaluation", "network, DDIM-50 rollout", ", by torch"
_JOB = "100 million 1-D samples, 1000 steps"


def flops(d: int, hidden: int, blocks: int) -> int:
    """Floating-point operations of the linear layers, per sample and evaluation: two for each
    weight that a sample meets (the time is embedded once a call)."""
    return 2 * (2 * d * hidden + 2 * blocks * hidden * hidden)


def synchronised(run: Callable[[], object], device: str) -> Callable[[], object]:
    """`run` until the device has finished."""
    import torch

    def call() -> None:
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    return call


def product(size: int, device: str, cores: int) -> Callable[[], object]:
    """A square float32 matrix product on every core at once, or one on the card: 2 size^3
    operations each."""
    import torch

    sides = [[torch.randn(size, size, device=device) for _ in range(3)] for _ in range(cores)]
    pool = ThreadPoolExecutor(cores, initializer=lambda: torch.set_num_threads(1))

    def multiply(operands: list[Any]) -> None:
        torch.mm(operands[0], operands[1], out=operands[2])

    if device == "cuda":
        return synchronised(lambda: multiply(sides[0]), device)
    return lambda: list(pool.map(multiply, sides))


def network(d: int, device: str) -> Any:
    """The standard network, untrained: its cost does not depend on its weights."""
    import torch

    torch.manual_seed(0)
    schedule = NoiseSchedule.linear()
    built = learned.RECIPES["paper"].architecture(d).build(schedule)
    return learned.LearnedScore(built, schedule, device=device)


def device_rows(device: str, small: bool) -> list[dict[str, Any]]:
    """Peak, one evaluation and a DDIM-50 rollout, taking turns."""
    from mixdyn.learned.evaluation import TorchNetwork

    n = 2_000 if small else (4_000_000 if device == "cuda" else 100_000)
    size = 128 if small else (8192 if device == "cuda" else 2048)
    model = network(2, device)
    shape = model.weights.architecture
    cost = flops(2, shape.hidden, shape.blocks)
    x = np.random.default_rng(0).standard_normal((n, 2))
    few, cores = n // 10, usable_cores() if device == "cpu" else 1
    calls, evaluations = {_PRODUCT: product(size, device, cores)}, [None]
    models = {"": model} | ({_BY_TORCH: TorchNetwork(model.network)} if device == "cpu" else {})
    for by, one in models.items():
        calls[_ONE + by] = functools.partial(one.eps, x, 500)
        calls[_ROLLOUT + by] = functools.partial(sample, one, model.schedule, DDIM(), x=x[:few])
        evaluations += [n, few * 50]
    work = [2.0 * size**3 * cores, *(float(count * cost) for count in evaluations[1:])]
    times = harness.race(calls, 1 if small else 5)
    rates = [w / times[name].median / 1e9 for w, name in zip(work, calls, strict=True)]
    return [
        {
            "device": device,
            "what": name,
            "evaluations": count,
            **times[name].row(),
            "ns": None if count is None else times[name].median / count * 1e9,
            "gflops": rate,
            "share": 100.0 * rate / rates[0],
            "over_torch": _over_torch(times, name),
        }
        for name, count, rate in zip(calls, evaluations, rates, strict=True)
    ]


def _over_torch(times: Mapping[str, harness.Times], name: str) -> float | None:
    """How many times as fast as torch, where both ran."""
    by_torch = times.get(name + _BY_TORCH)
    return None if by_torch is None else by_torch.over(times[name])


def job_row(small: bool) -> dict[str, Any]:
    """The paper's 1-D job on the card: ancestral steps on states that never leave it."""
    import torch

    model, n = network(1, "cuda"), 100_000 if small else _SAMPLES_1D
    steps, shape = (10 if small else _STEPS_1D), model.weights.architecture
    begin = time.perf_counter()
    for start in range(0, n, 1 << 22):
        ancestral(model, torch.randn(min(1 << 22, n - start), 1, device="cuda"), steps)
    torch.cuda.synchronize()
    took = time.perf_counter() - begin
    rate = n * steps * flops(1, shape.hidden, shape.blocks) / took / 1e9
    ends = {"median": took, "low": took, "high": took}
    per = took / (n * steps) * 1e9
    row = {"device": "cuda", "what": _JOB, "evaluations": n * steps, **ends, "ns": per}
    return row | {"gflops": rate, "share": None, "over_torch": None}


def ancestral(model: Any, x: Any, steps: int) -> Any:
    """The last `steps` DDPM steps (posterior variance) in place on a tensor (n, 1)."""
    import torch

    beta, alpha_bar = model.schedule.beta, model.schedule.alpha_bar
    with torch.inference_mode():
        for t in range(steps, 0, -1):
            eps = model.network(x, torch.tensor([t], device=x.device))
            noise_var = 1.0 - alpha_bar[t]
            x.sub_(eps, alpha=float(beta[t] / math.sqrt(noise_var)))
            x.mul_(1.0 / math.sqrt(1.0 - beta[t]))
            spread = math.sqrt(beta[t] * (1.0 - alpha_bar[t - 1]) / noise_var)
            if spread > 0.0:
                x.add_(torch.randn_like(x), alpha=spread)
    return x


def measure(small: bool) -> dict[str, Any]:
    """CPU always; the card where torch sees one."""
    if not learned.available():
        return {"rows": [], "notes": ["torch is not installed here: nothing was measured."]}
    import torch

    learned.use_threads(1)  # torch's networks are given blocks, one a core
    rows = device_rows("cpu", small)
    if not torch.cuda.is_available():
        return {"rows": rows, "notes": [f"{_JOB}: not run, torch sees no GPU here."]}
    card, job = device_rows("cuda", small), job_row(small)
    job["share"] = 100.0 * job["gflops"] / card[0]["gflops"]
    return {"rows": [*rows, *card, job], "notes": [f"GPU: {torch.cuda.get_device_name()}."]}


def conclude(result: harness.Result) -> str:
    """The share of the peak that the rollout reaches, on each device; the job where it ran."""
    parts = [
        f"{row['share']:.3g} % of peak on {row['device']} ({row['ns']:.3g} ns an evaluation"
        + (f", {row['over_torch']:.2g} times as fast as torch)" if row["over_torch"] else ")")
        for row in result["rows"]
        if row["what"] == _ROLLOUT
    ]
    if not parts:
        return "Sampling with the standard network was not measured: torch is not installed."
    text = f"Sampling with the standard network reaches {' and '.join(parts)}"
    job = next((row for row in result["rows"] if row["what"] == _JOB), None)
    done = f"{_JOB}: {job['median']:.0f} s" if job else f"{_JOB}: not run, no GPU"
    return f"{text}; {done}."


BENCHMARK = harness.Benchmark(
    question="What share of the machine's peak does sampling with the standard network reach?",
    measure=measure,
    conclude=conclude,
    columns={
        "what": "what",
        "device": "device",
        "evaluations": "evaluations",
        "median": "s",
        "ns": "ns an evaluation",
        "gflops": "GFLOP/s",
        "share": "% of peak",
        "over_torch": "times as fast as torch",
    },
)

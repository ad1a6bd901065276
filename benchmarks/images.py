"""What a network for images costs: a step of its training, and images drawn.

The same step is timed in processes that let the C library keep its memory, as `mixdyn train` does,
and in such that do not; both take turns. Its operations are those of the convolutions, three times
a forward pass; the peak is the best rate of a large float32 matrix product in the same run. Images
are drawn by DDIM with 50 steps from a network of the shipped shape, untrained: its weights cost the
same.
"""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from mixdyn import DDIM, NoiseSchedule, learned, sample
from mixdyn.images import shapes
from mixdyn.support.provenance import usable_cores

from . import harness
from .learned import product

_STEP, _DRAWN = "training step", "DDIM-50"


def trainer(side: int, recipe: str, batch: int, channels: int | None) -> Any:
    """A run on shapes that has not begun."""
    from mixdyn.learned.image_training import IMAGE_RECIPES
    from mixdyn.learned.recipes import changed

    how = changed(IMAGE_RECIPES, recipe, batch=batch, channels=channels)
    return learned.ImageTrainer(shapes(256, side), NoiseSchedule.cosine(), how, 0)


def step_seconds(
    kept: bool, side: int, batch: int, channels: int | None, rounds: int, threads: int
) -> float:
    """Median seconds of a step of recipe `unet` in this process."""
    from mixdyn.learned import image_training

    learned.use_threads(threads)
    if not kept:
        image_training.keep_memory = lambda: False
    run = trainer(side, "unet", batch, channels)
    return harness.race({_STEP: lambda: run.advance(1)}, rounds)[_STEP].median


def operations(side: int, batch: int, channels: int | None) -> float:
    """Of the convolutions in a step: two for each weight and place, three times."""
    import torch

    network, seen = trainer(side, "unet", batch, channels).network, []

    def note(module: Any, _: Any, out: Any) -> None:
        seen.append(2.0 * module.weight.numel() * out.shape[-1] * out.shape[-2])

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(note)
    network(torch.zeros(1, side**2), torch.ones(1, dtype=torch.int64))
    return 3.0 * batch * sum(seen)


def draw_seconds(side: int, n: int, channels: int | None, threads: int) -> float:
    """Seconds of DDIM-50 of n images from a network of recipe `unet-short`."""
    from mixdyn.learned.image_checkpoints import save_image_checkpoint

    learned.use_threads(threads)
    run = trainer(side, "unet-short", 4, channels)
    run.advance(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        save_image_checkpoint(path, run, run.validation().measure(run.network))
        model = learned.ImageScore(path)
    sample(model, model.schedule, DDIM(2), n=min(n, 64), rng=1)
    return harness.seconds(lambda: sample(model, model.schedule, DDIM(50), n=n, rng=0))


def measure(small: bool) -> dict[str, Any]:
    """A step of training both ways, in turn; images drawn."""
    if not learned.available():
        return {"rows": [], "notes": ["Networks need the extra `learned`, which is missing."]}
    side, batch, channels, n = (24, 4, 8, 8) if small else (32, 64, None, 1_000)
    turns, rounds, threads = (1, 2, 1) if small else (3, 6, usable_cores())
    common = {"side": side, "batch": batch, "channels": channels, "rounds": rounds}
    times = [
        [
            harness.fresh(
                "benchmarks.images:step_seconds", {}, kept=kept, threads=threads, **common
            )
            for kept in (True, False)
        ]
        for _ in range(turns)
    ]
    ours, plain = (statistics.median(turn[k] for turn in times) for k in (0, 1))
    size = 256 if small else 3072
    multiply = product(size, "cpu", threads)
    best = harness.race({"product": multiply}, 2 if small else 5)["product"].low
    peak = threads * 2.0 * size**3 / best
    rate = operations(side, batch, channels) / ours
    drawn = harness.fresh(
        "benchmarks.images:draw_seconds", {}, side=side, n=n, channels=channels, threads=threads
    )
    what = f"{side} x {side}"
    rows = [
        {"task": f"{_STEP}, batch {batch}, {what}", "s": ours, "of_peak": rate / peak},
        {"task": "the same, memory not kept", "s": plain, "of_peak": rate / peak * ours / plain},
        {"task": f"{_DRAWN} of {n:,} images, {what}", "s": drawn, "of_peak": None},
    ]
    saved = statistics.median(turn[1] / turn[0] for turn in times)
    return {"rows": rows, "saved": saved, "cores": threads, "peak": peak}


def conclude(result: harness.Result) -> str:
    """Seconds, the share of the peak, and what keeping memory saves."""
    if not result["rows"]:
        return "Nothing was measured."
    step, _, drawn = result["rows"]
    return (
        f"On {result['cores']} cores a step of training takes {step['s']:.3g} s, "
        f"{100 * step['of_peak']:.2g} % of the peak of a matrix product, {result['saved']:.3g} "
        f"times as fast as without memory kept; {drawn['task']} take {drawn['s']:.3g} s."
    )


BENCHMARK = harness.Benchmark(
    question="What do training and drawing images cost?",
    measure=measure,
    conclude=conclude,
    columns={"task": "task", "s": "s", "of_peak": "share of the matrix peak"},
)

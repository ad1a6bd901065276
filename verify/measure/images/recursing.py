"""Training on own samples, on images: three generations, dropping by Hal, by chance or nothing.

Every generation is a network of one recipe. The first is trained on the images themselves and is
that of all filters; each later one on what a filter left of the samples of the one before. Filters
share starts, noise and initial networks. Recipes are short: what they show is how generations and
filters compare, not how well such images can be drawn.

`python -m verify.measure.images.recursing digits` goes on where it stopped and writes what there is
to `verify/data/saved/images/recursion-digits.json` after each generation.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixdyn import learned
from mixdyn.images.generators import ImageSet
from mixdyn.images.named import read_image_set
from mixdyn.problem.named import read_schedule
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import FileError
from mixdyn.support.files import make_folder, write_atomically, write_text

from ...data.saved import code_of
from ...data.saved.images import IMAGES
from .sampling import counted, packed, quantised, uniform
from .watching import HalWindows

FORMAT = "verify.image_recursion.1"
FILTERS = ("random", "hal", "none")
GENERATIONS = 3


@dataclass(frozen=True)
class Plan:
    """One recursion.

    images, schedule : by name. steps, batch, channels : of every training. n : samples of a
    generation. evaluations : of a sample, ancestral on a uniform grid. window : of times over which
    Hal is taken, as published. discard : share of the samples dropped. guidance : towards a class.
    """

    images: str
    schedule: str
    steps: int
    batch: int
    channels: int
    n: int
    evaluations: int
    window: tuple[int, int]
    discard: float
    guidance: float = 0.0

    def recipe(self) -> Any:
        """Of every generation."""
        return learned.ImageRecipe(
            "recursion", self.steps, self.batch, 1e-3, 1e-5, channels=self.channels
        )


PLANS: Mapping[str, Plan] = {
    "digits": Plan(
        *("digits", "linear:T=500,beta_end=0.04", 2_000, 64, 16, 1_500, 100, (150, 100), 0.1),
        guidance=1.0,
    ),
    "shapes": Plan(*("shapes:n=2000,side=24", "cosine", 1_000, 64, 16, 2_000, 50, (850, 700), 0.1)),
}


@dataclass(frozen=True)
class Generated:
    """Samples of one generation: pixels (n, side, side) in bytes, hal (n,), labels (n,) or None."""

    pixels: NDArray[np.uint8]
    hal: Array
    labels: IntArray | None

    def kept(self, filter_: str, discard: float, seed: int) -> NDArray[np.intp]:
        """The places (m,) of those that a filter leaves, of each class the same share."""
        classes = np.zeros(len(self.hal), np.int64) if self.labels is None else self.labels
        rng = np.random.default_rng(seed)
        order = {"hal": self.hal, "random": rng.random(len(self.hal))}
        if filter_ == "none":
            return np.arange(len(self.hal))
        left = []
        for label in np.unique(classes):
            (own,) = np.nonzero(classes == label)
            ranked = own[np.argsort(order[filter_][own], kind="stable")]
            left.append(ranked[: len(own) - round(discard * len(own))])
        return np.sort(np.concatenate(left))

    def as_images(self, name: str, chosen: NDArray[np.intp]) -> ImageSet:
        """Those samples as a training set."""
        pixels = (self.pixels[chosen] / 127.5 - 1.0).astype(np.float32)
        return ImageSet(name, pixels, labels=None if self.labels is None else self.labels[chosen])


def train_on(
    images: ImageSet, schedule: NoiseSchedule, plan: Plan, seed: int, path: Path
) -> learned.ImageScore:
    """The network in `path`, trained first where there is none."""
    from mixdyn.learned.image_checkpoints import save_image_checkpoint
    from mixdyn.learned.runs import train_to_file

    if not path.exists():
        trainer = learned.ImageTrainer(images, schedule, plan.recipe(), seed)
        train_to_file(trainer, path, save=save_image_checkpoint)
    return learned.ImageScore(path)


def draw(network: Path, plan: Plan, seed: int) -> Generated:
    """A generation's samples; of a network with classes, as many of each."""
    held = learned.load_image_checkpoint(network)
    classes = held.architecture.classes
    told = [None] if not classes else list(range(classes))
    found = [_draw_class(held, plan, label, plan.n // len(told), seed) for label in told]
    labels = np.repeat(np.arange(len(told)), plan.n // len(told)) if classes else None
    side = held.architecture.side
    pixels = np.concatenate([quantised(x, side) for x, _ in found])
    return Generated(pixels, np.concatenate([hal for _, hal in found]), labels)


def _draw_class(held: Any, plan: Plan, label: int | None, n: int, seed: int) -> tuple[Array, Array]:
    guided = {} if label is None else {"label": label, "guidance": plan.guidance}
    run = sample(
        learned.ImageScore(held, **guided),
        held.schedule,
        DDIM(spacing=uniform(held.schedule, plan.evaluations), eta=1.0),
        n=n,
        rng=seed,
        first=(label or 0) * n,
        observers=[HalWindows(held.schedule, (plan.window,))],
    )
    return np.asarray(run.x), run.observations[0][:, 0]


def recurse(
    name: str, filter_: str, folder: Path, seed: int = 0, plan: Plan | None = None
) -> list[Generated]:
    """All generations under one filter, those in the folder read and not made again."""
    plan = plan or PLANS[name]
    make_folder(folder)
    schedule = read_schedule(plan.schedule)
    images, found = read_image_set(plan.images), []
    for k in range(1, GENERATIONS + 1):
        stem = f"seed-{seed}-generation-{k}" + (f"-{filter_}" if k > 1 else "")
        network, samples = folder / f"{stem}.safetensors", folder / f"{stem}.npz"
        if not samples.exists():
            train_on(images, schedule, plan, seed, network)
            made = draw(network, plan, seed + 1000 * k)
            _keep(samples, made)
            sys.stdout.write(f"{stem}\n")
            sys.stdout.flush()
        found.append(_read(samples))
        left = found[-1].kept(filter_, plan.discard, seed + k)
        images = found[-1].as_images(f"{stem}, {filter_}", left)
    return found


def _keep(path: Path, made: Generated) -> None:
    labels = np.empty(0, np.int64) if made.labels is None else made.labels
    write_atomically(
        path, lambda handle: np.savez(handle, pixels=made.pixels, hal=made.hal, labels=labels)
    )


def _read(path: Path) -> Generated:
    with np.load(path) as held:
        labels = held["labels"] if len(held["labels"]) else None
        return Generated(held["pixels"], held["hal"], labels)


# -- the file ------------------------------------------------------------------------------------


def gather(name: str, folder: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """Every generation in the folder, as plain values."""
    plan, runs = PLANS[name], []
    for seed in seeds:
        for filter_ in FILTERS:
            made: list[dict[str, Any]] = []
            for k in range(1, GENERATIONS + 1):
                stem = f"seed-{seed}-generation-{k}" + (f"-{filter_}" if k > 1 else "")
                if not (path := folder / f"{stem}.npz").exists():
                    break
                made.append(_summary(name, _read(path), filter_, seed + k))
            if len(made) > 1:
                runs.append({"filter": filter_, "seed": seed, "generations": made})
    about = {"plan": asdict(plan), "hardware": f"CPU, {platform.machine()}"}
    about["command"] = f"python -m verify.measure.images.recursing {name}"
    about["code"] = code_of(Path(__file__))
    return {"format": FORMAT, "images": name, "about": about, "runs": runs}


def _summary(name: str, made: Generated, filter_: str, seed: int) -> dict[str, Any]:
    """One generation: Hal, what the filter kept, and counts of shapes or pixels of digits."""
    left = np.zeros(len(made.hal), np.int64)
    left[made.kept(filter_, PLANS[name].discard, seed)] = 1
    side = made.pixels.shape[1]
    common = {"hal": [float(f"{v:.4g}") for v in made.hal], "kept": left.tolist(), "side": side}
    if made.labels is not None:
        pixels = packed(made.pixels)
        return {"n": len(made.hal), **common, "labels": made.labels.tolist(), "pixels": pixels}
    seen = counted(made.pixels, side / 8, name)
    return {"n": len(made.hal), **common, **seen, "pixels": packed(made.pixels[:48])}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a recursion under each filter, or go on with it."""
    parser = argparse.ArgumentParser(
        prog="python -m verify.measure.images.recursing", description=__doc__
    )
    parser.add_argument("images", choices=sorted(PLANS))
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=FILTERS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folder", type=Path, default=None, help="of the networks, to go on from")
    parser.add_argument("--out", type=Path, default=IMAGES)
    arguments = parser.parse_args(argv)
    folder = arguments.folder or Path("runs") / f"images-{arguments.images}"
    learned.use_threads()
    try:
        for seed in arguments.seeds:
            for filter_ in arguments.filters:
                recurse(arguments.images, filter_, folder, seed)
                held = gather(arguments.images, folder, arguments.seeds)
                text = json.dumps(held, separators=(",", ":"), allow_nan=False)
                out = arguments.out / f"recursion-{arguments.images}.json"
                write_text(out, text.replace('{"n":', '\n{"n":') + "\n")
    except FileError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

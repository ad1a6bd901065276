"""Samples of every network for images under every sampler, drawn once, block by block, and saved.

An image takes a network of a third of a million weights over a millisecond a step on one core, and
DDPM a thousand steps. So counts are kept, in one file a network and sampler; with each block the
SHA-256 of its pixels, and of the first samples the pixels themselves.

`python -m verify.measure.images.sampling` goes on where it stopped, with the networks that are
there; `--folder` looks for them elsewhere, `--rounds` says how far to go.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import platform
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixdyn import learned
from mixdyn.images.counting import Parts, find_parts
from mixdyn.images.generators import KINDS
from mixdyn.learned.headers import read_about
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.retraining.generations import read_json
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, AdaptiveNoise, AnalyticNoise, CheckedNoise
from mixdyn.support.checks import Array
from mixdyn.support.errors import FileError
from mixdyn.support.files import write_text
from mixdyn.support.provenance import package_versions

from ...data.checkpoints.images import CHECKPOINTS
from ...data.saved import code_of
from ...data.saved.images import IMAGES
from .watching import Decisions, HalWindows

FORMAT = "verify.images.1"
# Windows of times over which Hal is taken, as published first: of shapes T = 1000, of digits 500.
WINDOWS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "shapes": ((850, 700), (990, 850), (700, 550), (550, 400), (400, 250), (250, 100), (100, 1)),
    "digits": ((150, 100), (500, 400), (400, 300), (300, 200), (200, 150), (100, 50), (50, 1)),
}
GUIDANCE = 1.0  # of digits
CLASSES = 10


@dataclass(frozen=True)
class Way:
    """How images are drawn from a network.

    sampler : of the run. block : images in a run, each a block of the file. watched : whether its
    nodes are looked at. rounds : how many blocks there are to be after each round.
    """

    name: str
    sampler: Callable[[], Any]
    block: int
    watched: bool
    rounds: tuple[int, ...]


_LEAST_SIGNAL = 1e-5  # of alpha_bar at the first node: a network's error is multiplied by its root


def uniform(schedule: NoiseSchedule, steps: int) -> TimeGrid:
    """The uniform grid, from the last time that has some signal on: a cosine schedule's last step
    has so little that eps says nothing of x_0."""
    first = int(np.flatnonzero(schedule.alpha_bar >= _LEAST_SIGNAL)[-1])
    below = [t for t in TimeGrid.uniform(schedule.T, steps).times.tolist() if t < first]
    return TimeGrid([first, *below], schedule.T)


_COSINE = NoiseSchedule.cosine()
WAYS: Mapping[str, tuple[Way, ...]] = {
    "triangles": (
        Way("ddim-50", DDIM, 64, True, (2, 4, 8, 16)),
        Way("ddpm", DDPM, 64, True, (1, 1, 2, 4)),
        Way("checked", CheckedNoise, 256, False, (1, 1, 1, 1)),
        Way("adaptive", AdaptiveNoise, 256, False, (1, 1, 1, 1)),
        Way("ddim-250", lambda: DDIM(250), 64, True, (0, 1, 2, 4)),
        Way("analytic", lambda: AnalyticNoise(covariance="average"), 256, False, (0, 1, 1, 1)),
    ),
    "shapes": (
        Way(
            "ancestral-250",
            lambda: DDIM(spacing=uniform(_COSINE, 250), eta=1.0),
            64,
            True,
            (4, 8, 8, 16),
        ),
        Way("ddim-50", lambda: DDIM(spacing=uniform(_COSINE, 50)), 64, True, (4, 8, 8, 16)),
    ),
    "digits": (Way("ddpm", DDPM, 64, True, (10, 20, 20, 30)),),
}
KEPT = {"triangles": 32, "shapes": 256, "digits": 1 << 20}  # images whose pixels are kept


def kind_of(network: str) -> str:
    """The set of images that a network of this name was trained on."""
    return network.partition("-")[0]


def draw(network: Path, way: Way, number: int) -> dict[str, Any]:
    """Block `number` of a network's images, as plain values."""
    kind, held = kind_of(network.stem), learned.load_image_checkpoint(network)
    told = {"label": number % CLASSES, "guidance": GUIDANCE} if kind == "digits" else {}
    model, side = learned.ImageScore(held, **told), held.architecture.side
    schedule, radius = held.schedule, side / 8
    watchers: list[Any] = []
    if way.watched and kind == "triangles":
        watchers.append(Decisions(schedule, side, radius))
    if way.watched and kind in WINDOWS:
        watchers.append(HalWindows(schedule, WINDOWS[kind]))
    seed = zlib.crc32(f"{network.stem} {way.name}".encode())
    run = sample(
        model,
        schedule,
        way.sampler(),
        n=way.block,
        rng=seed,
        first=number * way.block,
        observers=watchers,
    )
    pixels = quantised(np.asarray(run.x), side)
    seen = dict(zip((type(w).__name__ for w in watchers), run.observations, strict=True))
    return {
        "n": way.block,
        "n_eval": run.n_eval,
        "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        **({"label": told["label"]} if told else counted(pixels, radius, kind)),
        **_decided(*seen.get("Decisions", ())),
        **({"hal": _short(seen["HalWindows"])} if "HalWindows" in seen else {}),
        "pixels": packed(pixels[: max(KEPT[kind] - number * way.block, 0)]),
    }


def quantised(x: Array, side: int) -> NDArray[np.uint8]:
    """Images (n, side, side) in bytes, of rows of pixels in [-1, 1]; beyond is cut off."""
    scaled = np.rint(127.5 * (np.clip(x, -1.0, 1.0) + 1.0))
    return scaled.astype(np.uint8).reshape(-1, side, side)


def parts_of(pixels: NDArray[np.uint8], radius: float, kind: str) -> Parts:
    """The shapes in images in bytes."""
    kinds = ("triangle",) if kind == "triangles" else tuple(KINDS)
    return find_parts(pixels / 127.5 - 1.0, radius, kinds)


def counted(pixels: NDArray[np.uint8], radius: float, kind: str) -> dict[str, Any]:
    """How many of each shape images hold, and which hold a part that is none."""
    parts = parts_of(pixels, radius, kind)
    return {"counts": parts.counts().tolist(), "odd": parts.with_odd().astype(int).tolist()}


def _decided(*seen: Any) -> dict[str, Any]:
    """Per image the counts by level, and bits of the levels at which it is undecided."""
    if not seen:
        return {}
    counts, undecided = seen
    bits = undecided @ (1 << np.arange(undecided.shape[1]))
    return {"by_level": counts.tolist(), "undecided": bits.tolist()}


def _short(values: Array) -> list[list[float]]:
    return [[float(f"{v:.4g}") for v in row] for row in np.nan_to_num(values, nan=-1.0)]


def packed(pixels: NDArray[np.uint8]) -> str:
    """Bytes of images as text."""
    return base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode()


def unpacked(text: str, side: int) -> NDArray[np.uint8]:
    """The images (n, side, side) that `packed` wrote."""
    held = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(held, np.uint8).reshape(-1, side, side)


# -- files ---------------------------------------------------------------------------------------


def path_of(network: str, way: str, folder: Path = IMAGES) -> Path:
    """The file of a network's images under a sampler."""
    return folder / f"{network}--{way}.json"


def read_saved(path: Path) -> dict[str, Any]:
    """The blocks in a file. Raises FileError for one that is damaged."""
    held = read_json(path)
    if held.get("format") != FORMAT or not isinstance(held.get("blocks"), list):
        raise FileError(
            "a file of samples of images holds format, about and blocks",
            path,
            "Make it again with `python -m verify.measure.images.sampling`.",
        )
    return held


def missing(
    networks: Sequence[Path], rounds: int, folder: Path
) -> Iterator[tuple[Path, Way, int, Path]]:
    """The blocks that are not there yet, round by round."""
    for k in range(rounds):
        for network in networks:
            for way in WAYS[kind_of(network.stem)]:
                path = path_of(network.stem, way.name, folder)
                done = len(read_saved(path)["blocks"]) if path.exists() else 0
                for number in range(done, way.rounds[k]):
                    yield network, way, number, path


def extend(network: Path, way: Way, number: int, path: Path) -> None:
    """Draw one block and add it to its file."""
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    if path.exists():
        held = read_saved(path)
        if held["about"]["network_sha256"] != digest:
            raise FileError(
                "one file holds samples of one network", f"{path} of another", "Remove that file."
            )
    else:
        about = read_about(network)
        held = {
            "format": FORMAT,
            "about": {
                "network": network.stem,
                "network_sha256": digest,
                "images": about["images"],
                "side": about["architecture"]["side"],
                "steps": about["recipe"]["steps"],
                "seed": about["seed"],
                "sampler": repr(way.sampler()),
                "guidance": GUIDANCE if kind_of(network.stem) == "digits" else 0.0,
                "windows": WINDOWS.get(kind_of(network.stem), ()),
                "command": "python -m verify.measure.images.sampling",
                "hardware": f"CPU, {platform.machine()}",
                "versions": package_versions(("numpy", "torch")),
                "code": code_of(Path(__file__)),
            },
            "blocks": [],
        }
    held["blocks"].append(draw(network, way, number))
    text = json.dumps(held, separators=(",", ":"), allow_nan=False)
    write_text(path, text.replace('{"n":', '\n{"n":') + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Draw what is missing, of the networks that are there."""
    parser = argparse.ArgumentParser(
        prog="python -m verify.measure.images.sampling", description=__doc__
    )
    parser.add_argument("--folder", type=Path, default=CHECKPOINTS, help="of the networks")
    parser.add_argument("--rounds", type=int, default=4, choices=(1, 2, 3, 4), help="how far to go")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder to write to")
    arguments = parser.parse_args(argv)
    while True:
        found = [
            path
            for path in sorted(arguments.folder.glob("*-?.safetensors"))
            if kind_of(path.stem) in WAYS
        ]
        job = next(missing(found, arguments.rounds, arguments.out), None)
        if job is None:
            return 0
        try:
            extend(*job)
        except FileError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2
        sys.stdout.write(f"{job[3].name}: block {job[2] + 1}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

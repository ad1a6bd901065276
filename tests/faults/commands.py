"""The commands that are put to faults, each as small as it can be while it writes all it writes."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_TIMES = {"seconds", "origin", "command", "commit", "wall_s", "folder", "machine"}


@dataclass(frozen=True)
class Command:
    """words : from an output folder. own : files in it whose contents a finished run determines."""

    name: str
    words: Callable[[Path], list[str]]
    own: tuple[str, ...]

    def on(self, folder: Path) -> Callable[[], int]:
        """What runs it into that folder."""
        return lambda: _call(self.words(folder))

    def found(self, folder: Path) -> dict[str, Any]:
        """What it made, but for times: equal for equal runs."""
        paths = sorted(path for pattern in self.own for path in folder.glob(pattern))
        return {path.relative_to(folder).as_posix(): _content(path) for path in paths}


def _call(words: list[str]) -> int:
    """A command of ours, in this process; its exit status."""
    first, *rest = words
    if first in {"verify", "figures"}:
        from verify.__main__ import draw, run

        return run(rest) if first == "verify" else draw(rest)
    from mixdyn.cli.main import app

    try:
        app(words, prog_name="mixdyn")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return _plain(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".jsonl":
        rows = [json.dumps(_plain(json.loads(line))) for line in path.read_text().splitlines()]
        return sorted(rows)
    if path.suffix == ".npz":
        with np.load(path) as held:
            return {name: held[name].tobytes() for name in sorted(held.files)}
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return {name: value.tobytes() for name, value in sorted(load_file(path).items())}
    return path.read_bytes()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if name not in _TIMES}
    return [_plain(part) for part in value] if isinstance(value, list) else value


_NETWORK = ["--steps", "40", "--batch", "32", "--points", "200", "--hidden", "4"]
_MIXTURE = ["--mixture", "two_modes"]

COMMANDS = (
    Command(
        "verify",
        lambda out: ["verify", "G.5", "G.6", *_MIXTURE, "--jobs", "1", "--out", f"{out}"],
        ("rows/*.json",),
    ),
    Command(
        "train",
        lambda out: ["train", *_MIXTURE, *_NETWORK, "--out", f"{out / 'net.safetensors'}"],
        ("net.safetensors",),
    ),
    Command(
        "recurse",
        lambda out: ["recurse", *_MIXTURE, *_NETWORK, "--generations", "2", "--out", f"{out}"],
        ("generation-*.npz", "generation-*.json"),
    ),
    Command(
        "audit",
        lambda out: ["audit", "--gallery", f"{out}", "ddim", "ddpm", "--quiet"],
        ("samplers.jsonl", "samplers.md"),
    ),
    Command(
        "figures",
        lambda out: ["figures", "X3", *_MIXTURE, "--out", f"{out}"],
        ("figures/*.png", "figures/*.json"),
    ),
)


def warm(chosen: Sequence[Command] = COMMANDS) -> None:
    """Import what they import, once for all forks: each is run in one, which says what it has."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        for command in chosen:
            folder = Path(place, command.name)
            folder.mkdir()
            note = Path(place, f"{command.name} imports")
            if (pid := os.fork()) == 0:
                try:
                    for stream in (1, 2):
                        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
                    command.on(folder)()
                    note.write_text("\n".join(sys.modules))
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            for name in note.read_text().splitlines():
                with contextlib.suppress(ImportError):  # some are made by others, such as six.moves
                    importlib.import_module(name)

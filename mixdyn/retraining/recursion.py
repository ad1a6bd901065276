"""Recursive training: every generation learns from samples of the one before.

Generation 1 is trained on draws from the mixture, generation g + 1 on what a filter leaves of the
samples of generation g (arXiv 2406.09358 v2, section 6). The filter keeps all, a random share, or
the samples of smallest Hal, the variance of x0_hat over the last steps; the random one discards as
many as the other, so that the two differ in nothing but which.

A folder holds one recursion. A generation is finished once its JSON file exists, which is written
last; a broken-off run goes on behind the last finished one, and inside a half-done training.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .. import learned
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..run.observers import WindowVariance
from ..run.sampling import sample
from ..samplers.ddim import DDPM
from ..support.checks import Array, check_choice, check_integer, check_positive
from ..support.errors import FileError, InputError
from ..support.files import NPZ_FAULTS, make_folder, write_atomically
from ..support.numbers import dump_json
from .generations import Generation, read_json, read_summary, summarise, write_json

if TYPE_CHECKING:
    from ..learned.recipes import Recipe

Filter = Literal["none", "random", "hal"]
Progress = Callable[[int, str, int, int], None]

_FORMAT = "mixdyn.recursion.1"
_PLAN = "recursion.json"


@dataclasses.dataclass(frozen=True)
class RecursionPlan:
    """Everything that decides a recursion besides the number of generations.

    recipe.points is the number of samples a generation draws. discard in (0, 1) is the share that
    the filters "random" and "hal" drop before the next training; window is Hal's, in steps. Draws,
    networks and noise follow from `seed` and the generation alone, so recursions that differ in
    their filter share them.

    Raises InputError for an unknown filter, a share outside (0, 1), a window beyond the schedule.
    """

    mixture: GaussianMixture
    schedule: NoiseSchedule
    recipe: Recipe
    filter: Filter = "none"
    seed: int = 0
    discard: float = 0.1
    window: int = 4

    def __post_init__(self) -> None:
        check_choice(self.filter, get_args(Filter), "filter", "Choose one of them.")
        check_integer(self.seed, "seed", 0, 2**32 - 1)
        check_integer(self.window, "window", 2, self.schedule.T)
        if check_positive(self.discard, "discard") >= 1.0:
            raise InputError("discard must be below 1", self.discard, "Keep some samples.")
        if self.kept(self.recipe.points) < 1:
            raise InputError(
                "some samples must be left to train on",
                f"{self.recipe.points} samples, {self.discard:g} of them discarded",
                "Draw more or discard less.",
            )

    def kept(self, n: int) -> int:
        """How many of n samples the next generation is trained on."""
        return n if self.filter == "none" else n - round(self.discard * n)

    def stream(self, generation: int, use: int) -> int:
        """A seed of its own for one use in one generation: 0 draws, 1 training, 2 sampling, 3 the
        random filter. The same for every filter."""
        words = np.random.SeedSequence([self.seed, generation, use])
        return int(words.generate_state(1, np.uint64)[0]) >> 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file: by them a folder knows its recursion again."""
        return {
            "format": _FORMAT,
            "mixture_digest": self.mixture.digest,
            "schedule_digest": self.schedule.digest,
            "recipe": self.recipe.as_dict(),
            "filter": self.filter,
            "seed": self.seed,
            "discard": None if self.filter == "none" else self.discard,
            "window": self.window,
        }


def keep(plan: RecursionPlan, hal: Array, generation: int) -> NDArray[np.bool_]:
    """Which of n samples with the given Hal (n,) the next generation is trained on, (n,)."""
    n = len(hal)
    rank = np.arange(n)
    if plan.filter == "hal":
        rank = np.argsort(hal, kind="stable")
    elif plan.filter == "random":
        rank = np.random.default_rng(plan.stream(generation, 3)).permutation(n)
    kept = np.zeros(n, bool)
    kept[rank[: plan.kept(n)]] = True
    return kept


def recurse(
    plan: RecursionPlan,
    folder: Path,
    generations: int,
    *,
    device: str = "cpu",
    command: str = "",
    progress: Progress = lambda generation, stage, done, total: None,
) -> list[Generation]:
    """Run, or go on with, a recursion in `folder` up to a number of generations; what each made.

    progress sees (generation, "training" or "sampling", done, total). `command` is stored in the
    checkpoints. Raises FileError for a folder that cannot be written or holds another recursion.
    """
    learned.require()
    from ..learned.training import check_device

    check_device(device)
    count = check_integer(generations, "generations", 1, 999)
    _open_folder(plan, folder)
    found = []
    for index in range(1, count + 1):
        files = _Files(folder, index)
        if not files.summary.exists():
            _run_generation(plan, files, (device, command), progress)
        found.append(read_summary(files.summary))
    return found


@dataclasses.dataclass(frozen=True)
class _Files:
    """The files of one generation."""

    folder: Path
    index: int

    def _named(self, suffix: str, index: int | None = None) -> Path:
        return self.folder / f"generation-{self.index if index is None else index:03d}{suffix}"

    @property
    def network(self) -> Path:
        return self._named(".safetensors")

    @property
    def samples(self) -> Path:
        return self._named(".npz")

    @property
    def summary(self) -> Path:
        return self._named(".json")

    @property
    def parents(self) -> Path:
        """The samples of the generation before."""
        return self._named(".npz", self.index - 1)


def _open_folder(plan: RecursionPlan, folder: Path) -> None:
    """Create the folder, or check that what it holds is this recursion."""
    make_folder(folder)
    path, mine = folder / _PLAN, json.loads(dump_json(plan.as_dict()))
    if not path.exists():
        if any(folder.glob("generation-*")):
            raise FileError(
                f"a folder with generations must hold {_PLAN}", str(folder), "Choose another."
            )
        write_json(path, plan.as_dict())
        return
    held = read_json(path)
    differing = [key for key, value in mine.items() if held.get(key) != value]
    if differing:
        raise FileError(
            "a folder holds one recursion, which is continued as it was begun",
            f"{folder} differs in {', '.join(differing)}",
            "Choose another folder or give the values it was begun with.",
        )


def _run_generation(
    plan: RecursionPlan, files: _Files, how: tuple[str, str], progress: Progress
) -> None:
    """Train, sample, filter, write."""
    from ..learned.recursion import fit
    from ..learned.training import Trainer

    device, command = how
    index = files.index
    points = _training_set(plan, files)

    def begin() -> Trainer:
        problem = (plan.mixture, plan.schedule, plan.recipe)
        return Trainer(*problem, plan.stream(index, 1), device=device, points=points)

    fitted = fit(
        begin, files.network, command=command, progress=partial(progress, index, "training")
    )
    run = sample(
        fitted.score,
        plan.schedule,
        DDPM(),
        n=plan.recipe.points,
        rng=plan.stream(index, 2),
        observers=[WindowVariance(plan.schedule, plan.window)],
        progress=partial(progress, index, "sampling"),
    )
    x, hal = np.asarray(run.x), np.asarray(run.observations[0])
    kept = keep(plan, hal, index)
    arrays = {"x": x, "hal": hal, "kept": kept}
    write_atomically(files.samples, lambda handle: np.savez(handle, allow_pickle=False, **arrays))
    found = summarise(plan.mixture, index, len(points), (x, kept), fitted.excess)
    write_json(files.summary, dataclasses.asdict(found))


def _training_set(plan: RecursionPlan, files: _Files) -> Array:
    """(n, d) draws from the mixture, or what was kept of the generation before."""
    if files.index == 1:
        return plan.mixture.sample(plan.recipe.points, plan.stream(1, 0))
    try:
        with np.load(files.parents, allow_pickle=False) as held:
            points: Array = held["x"][held["kept"]]
    except (OSError, *NPZ_FAULTS) as error:
        raise FileError(
            "a finished generation must keep its samples for the next",
            f"{files.parents} ({type(error).__name__})",
            "Remove that generation's .json file to draw them again.",
        ) from None
    return points

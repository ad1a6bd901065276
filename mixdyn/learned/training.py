"""Training by denoising score matching: seeded, interruptible, resumed to the same bits."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_integer
from ..support.errors import ConvergenceError, FileError, InputError
from .architecture import Architecture, Quality
from .files import read_tensors, write_tensors
from .image_architecture import ImageArchitecture
from .networks import Network
from .objective import NoisyData, Validation, loss
from .recipes import Recipe

_SAVE_EVERY = 60.0  # seconds between saves of an unfinished run
_STATE_FORMAT = "mixdyn.training.1"


@dataclasses.dataclass(frozen=True)
class Report:
    """Where a run stands: steps done, running mean of the training loss, quality on fresh data."""

    step: int
    steps: int
    training_loss: float
    quality: Any


class Trainer:
    """One training run of `recipe` on `mixture` under `schedule`.

    The training set, the initial network and the order of the batches follow from `seed` alone
    (per device type; torch promises no equal bits between CPU and GPU). `device` is a torch
    device, "cpu" or "cuda". points (n, d): the training set itself, in place of draws from the
    mixture, against whose exact score the network's quality is still measured.
    """

    report_every = 500  # steps between looks at the network
    recipe: Any  # a Recipe here, of its own kind where other things are trained on
    data: Any

    def __init__(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        recipe: Recipe,
        seed: int,
        *,
        device: str = "cpu",
        points: Array | None = None,
    ) -> None:
        self.seed = check_integer(seed, "seed", 0, 2**63 - 1)
        self._given: dict[str, str] = {}
        if points is None:
            points = mixture.sample(recipe.points, self.seed)
        else:
            recipe = dataclasses.replace(recipe, points=len(points))
            digest = hashlib.sha256(np.ascontiguousarray(points).tobytes()).hexdigest()
            self._given = {"points_digest": digest}
        self.mixture, self.recipe = mixture, recipe
        self._begin(recipe.architecture(mixture.d), schedule, device)
        self.data = NoisyData(points, schedule, self.seed, self.device)
        self._take_loss(loss)

    def _begin(
        self, architecture: Architecture | ImageArchitecture, schedule: NoiseSchedule, device: str
    ) -> None:
        """The network as it is before the first step, and its optimiser."""
        self.schedule, self.device = schedule, check_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = architecture.build(schedule)
        self.network: Network = network.to(self.device)
        rate = self.recipe.learning_rate(0)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=rate, fused=True)
        self.step = 0

    def _take_loss(self, function: Callable[..., Tensor]) -> None:
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self._loss_count = 0
        # On a GPU a step of this small network is all launch overhead: replay it as one graph.
        on_gpu = self.device.type == "cuda"
        self._loss = torch.compile(function, mode="reduce-overhead") if on_gpu else function

    def advance(self, steps: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Take up to `steps` optimiser steps, never beyond the recipe's, fewer once `stop()`."""
        for _ in range(min(steps, self.recipe.steps - self.step)):
            if stop():
                return
            self.optimizer.param_groups[0]["lr"] = self.recipe.learning_rate(self.step)
            self.optimizer.zero_grad(set_to_none=True)
            value = self._loss(self.network, *self.data.batch(self.recipe.batch))
            value.backward()
            self.optimizer.step()
            self._loss_sum += value.detach()
            self._loss_count += 1
            self.step += 1

    def validation(self, *, final: bool = False) -> Any:
        """What measures the network on fresh data: on few now and then, on many at the end."""
        more = {"n": 1 << 18} if final else {}
        return Validation(self.mixture, self.schedule, self.seed + final, **more)

    @property
    def finished(self) -> bool:
        """Whether the recipe's steps are done."""
        return self.step >= self.recipe.steps

    def take_training_loss(self) -> float:
        """Mean training loss since the last call.

        Raises ConvergenceError when it is not finite.
        """
        mean = float(self._loss_sum) / max(self._loss_count, 1)
        self._loss_sum.zero_()
        self._loss_count = 0
        if not math.isfinite(mean):
            raise ConvergenceError(
                f"training diverged before step {self.step}: its loss is {mean}. "
                "Lower the learning rate."
            )
        return mean

    # -- an unfinished run on disk -------------------------------------------------------------

    def _trained_on(self) -> dict[str, object]:
        return {"mixture_digest": self.mixture.digest, **self._given}

    def _identity(self) -> dict[str, object]:
        return {
            "recipe": self.recipe.as_dict(),
            "seed": self.seed,
            "beta_digest": self.schedule.digest,
            "device": self.device.type,
            **self._trained_on(),
        }

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Write all that `load_state` needs to go on to the same bits."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value
        tensors["generator"] = self.data.generator.get_state()
        tensors["loss_sum"] = self._loss_sum
        counts = {"step": self.step, "loss_count": self._loss_count}
        write_tensors(path, tensors, {"format": _STATE_FORMAT, **self._identity(), **counts})

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Go on from a saved state of the same recipe, seed, mixture, schedule and device type.

        Raises FileError for any other file.
        """
        tensors, about = read_tensors(path)
        mine = {"format": _STATE_FORMAT, **self._identity()}
        differing = [key for key, value in mine.items() if about.get(key) != value]
        if differing:
            raise FileError(
                "an unfinished run can be resumed only as it was begun",
                f"{path} differs in {', '.join(differing)}",
                "Remove that file or give the values it was begun with.",
            )
        try:
            self._restore(tensors, about)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise FileError(
                "an unfinished run must hold every tensor of its network and optimiser",
                f"{path} ({error})",
                "Remove the file and train from the start.",
            ) from None

    def _restore(self, tensors: dict[str, torch.Tensor], about: dict[str, object]) -> None:
        state = {k[8:]: v for k, v in tensors.items() if k.startswith("network.")}
        self.network.load_state_dict(state)
        for name, parameter in self.network.named_parameters():
            # The fused optimiser wants its step count where the parameter is, and its moments in
            # the parameter's order of memory: in any other it takes the wrong numbers, silently.
            held = {key: tensors[f"adam.{key}.{name}"] for key in ("exp_avg", "exp_avg_sq")}
            moments = {k: torch.empty_like(parameter).copy_(v) for k, v in held.items()}
            count = tensors[f"adam.step.{name}"].to(self.device)
            self.optimizer.state[parameter] = {"step": count, **moments}
        self.data.generator.set_state(tensors["generator"])
        self._loss_sum = tensors["loss_sum"].to(self.device)
        self.step = check_integer(about["step"], "step", 1, self.recipe.steps)
        self._loss_count = check_integer(about["loss_count"], "loss_count", 0)


def check_device(name: str) -> torch.device:
    """`name` as a device that this machine has."""
    if name not in ("cpu", "cuda"):
        raise InputError("a device is 'cpu' or 'cuda'", repr(name), "Choose one.")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device 'cuda' needs a GPU that torch can see", "none", "Use --device cpu."
        )
    return torch.device(name)


def train(
    trainer: Trainer,
    *,
    partial: str | os.PathLike[str] | None = None,
    progress: Callable[[Report], None] | None = None,
) -> Quality:
    """Run `trainer` to its end and return the quality of the network on 2^18 fresh draws.

    With `partial`, a path, the run resumes from that file if it exists, is saved there every
    minute and on an interrupt, and removes it at the end. `progress` sees a Report every 500 steps.
    """
    path = None if partial is None else Path(partial)
    if path is not None and path.exists():
        trainer.load_state(path)
    quick_look = trainer.validation()
    saved_at = time.monotonic()
    with _interrupt_held_back() as stop:
        while not trainer.finished:
            trainer.advance(trainer.report_every - trainer.step % trainer.report_every, stop)
            due = stop() or time.monotonic() - saved_at > _SAVE_EVERY
            if path is not None and due and trainer.step > 0:
                trainer.save_state(path)
                saved_at = time.monotonic()
            if stop():
                raise KeyboardInterrupt
            loss_now, quality = trainer.take_training_loss(), quick_look.measure(trainer.network)
            if progress is not None:
                progress(Report(trainer.step, trainer.recipe.steps, loss_now, quality))
    quality = trainer.validation(final=True).measure(trainer.network)
    if path is not None:
        path.unlink(missing_ok=True)
    return quality


@contextlib.contextmanager
def _interrupt_held_back() -> Iterator[Callable[[], bool]]:
    """Tells whether an interrupt came, instead of raising it in the middle of a step.

    A second one is raised at once. Outside the main thread no handler can be set and none is.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(signum: int, frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(signum)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)

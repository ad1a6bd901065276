"""Checkpoints of networks for images, and such a network as a model."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_integer, check_points, check_real
from ..support.errors import FileError, InputError
from ..support.files import as_path
from .architecture import Tensors
from .checkpoints import check_tensors, clock_of, provenance, told_by
from .files import read_tensors, write_tensors
from .image_architecture import ImageArchitecture

if TYPE_CHECKING:
    from .image_training import HeldOutLoss, ImageTrainer
    from .unet import UNet

FORMAT = "mixdyn.images.1"
_PIXELS = 1 << 16  # in one call of a network on a core, about: more gain nothing


@dataclasses.dataclass(frozen=True, eq=False)
class ImageCheckpoint:
    """A loaded network for images.

    architecture, tensors : the network. schedule : what it was trained on. about : all else that
    the file says: recipe, seed, images and their digest, loss, commit, hardware, versions, command.
    """

    path: Path
    architecture: ImageArchitecture
    tensors: Tensors
    schedule: NoiseSchedule
    about: dict[str, Any]

    def build(self) -> UNet:
        """The network in torch: float32, on the CPU, in evaluation mode."""
        import torch

        with torch.random.fork_rng(devices=[]):
            network = self.architecture.build(self.schedule)
        network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in self.tensors.items()})
        return network.eval().requires_grad_(requires_grad=False)


def save_image_checkpoint(
    path: str | os.PathLike[str], trainer: ImageTrainer, quality: HeldOutLoss, *, command: str = ""
) -> None:
    """Write a trained network with its provenance, atomically."""
    about = {
        "format": FORMAT,
        "images": trainer.images.name,
        "images_digest": trainer.images.digest,
        **provenance(trainer, command),
        "loss": dataclasses.asdict(quality),
    }
    write_tensors(path, trainer.network.state_dict(), about)


def load_image_checkpoint(path: str | os.PathLike[str]) -> ImageCheckpoint:
    """Read and check a checkpoint of a network for images.

    Raises FileError when the file is broken, of another kind, or not what it says.
    """
    source = as_path(path)
    tensors, about = read_tensors(source, "np")
    if about.get("format") != FORMAT:
        raise FileError(
            f"a network for images has format {FORMAT}",
            f"format {about.get('format')!r} in {source}",
            "Train one with `mixdyn train --images`.",
        )
    with told_by(source):
        shape = ImageArchitecture(**about.pop("architecture"))
        schedule = clock_of(about)
        check_tensors(shape, tensors)
        return ImageCheckpoint(source, shape, tensors, schedule, about)


class ImageScore:
    """The score interface of a network for images: rows of side^2 pixels.

    checkpoint : of `mixdyn train --images`, loaded, or its path. label : a class 0..classes - 1 of
    a network that has some, None for the law of them all. guidance : w >= 0 of classifier-free
    guidance, (1 + w) eps(x, label) - w eps(x); 0 for none. device : "cpu" or "cuda".

    Raises InputError for a class out of range, guidance without a class.
    """

    own_threads = True

    def __init__(
        self,
        checkpoint: ImageCheckpoint | str | os.PathLike[str],
        *,
        label: int | None = None,
        guidance: float = 0.0,
        device: str = "cpu",
    ) -> None:
        from .evaluation import TorchNetwork
        from .training import check_device
        from .unet import Labelled

        held = checkpoint
        if not isinstance(held, ImageCheckpoint):
            held = load_image_checkpoint(held)
        self.schedule, self.architecture = held.schedule, held.architecture
        classes = held.architecture.classes
        if label is not None and classes == 0:
            raise InputError("a class needs a network with classes", label, "Leave it out.")
        self.label = label if label is None else check_integer(label, "label", 0, classes - 1)
        self.guidance = check_real(guidance, "guidance")
        if self.guidance < 0.0 or (self.guidance > 0.0 and label is None):
            raise InputError(
                "guidance is >= 0, towards a class", f"{guidance} and label {label}", "Name both."
            )
        network = held.build().to(check_device(device))
        rows = max(_PIXELS // self.d, 1)
        self._free = TorchNetwork(network, rows)
        told = None if label is None else Labelled(network, label + 1)
        self._told = self._free if told is None else TorchNetwork(told, rows)

    @property
    def d(self) -> int:
        """Pixels of an image."""
        return self.architecture.d

    def eps(self, x: ArrayLike, t: int) -> Array:
        """Noise prediction at x (n, side^2) and time t in 1..T."""
        from .image_training import memory_kept

        x, t = check_points(x, self.d), check_integer(t, "t", 1, self.schedule.T)
        with memory_kept():
            told = self._told.eps(x, t)
            if self.guidance == 0.0:
                return told
            return (1.0 + self.guidance) * told - self.guidance * self._free.eps(x, t)

    def score(self, x: ArrayLike, t: int) -> Array:
        """Score -eps/noise_std at x (n, side^2) and time t in 1..T."""
        eps = self.eps(x, t)
        return -eps / np.sqrt(self.schedule.noise_var[t])

"""Training on images: the loss of `objective`, classes left out now and then, memory kept.

Without a closed form of the best prediction a network is measured by its loss on images that it has
not seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..images import ImageSet
from ..problem.schedule import NoiseSchedule
from ..support.checks import check_integer, check_positive, check_real
from ..support.errors import InputError
from .image_architecture import ImageArchitecture
from .recipes import falling
from .training import Trainer
from .unet import UNet

_HELD_OUT, _LOOK = 2_000, 256  # images that the network is measured on at the end, now and then
_CHUNK = 64
# Of glibc's mallopt.
_MMAP_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -4, -3, -1, -2


@dataclasses.dataclass(frozen=True)
class ImageRecipe:
    """How a network for images is trained.

    steps, batch, lr_start, lr_end : as in `Recipe`. channels, condition : the network, see
    `ImageArchitecture`. unlabelled : share of the draws whose class is left out, so that the
    network learns to do without.

    Raises InputError for counts below one, rates that are not positive, a share outside [0, 1].
    """

    name: str
    steps: int
    batch: int
    lr_start: float
    lr_end: float
    channels: int = 32
    condition: int = 128
    unlabelled: float = 0.1

    def __post_init__(self) -> None:
        for field in ("steps", "batch"):
            check_integer(getattr(self, field), field, 1, 10**9)
        for field in ("lr_start", "lr_end"):
            check_positive(getattr(self, field), field)
        if not 0.0 <= check_real(self.unlabelled, "unlabelled") <= 1.0:
            raise InputError("unlabelled is a share in [0, 1]", self.unlabelled, "Correct it.")
        ImageArchitecture(8, self.channels, self.condition)

    def learning_rate(self, step: int) -> float:
        """Adam's learning rate at optimiser step 0..steps - 1."""
        return falling(self.lr_start, self.lr_end, step, self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return dataclasses.asdict(self)


# At 32 x 32 "unet" takes two CPU cores over an hour, "unet-short" one core 25 minutes; "unet-small"
# is for 8 x 8, minutes on one.
IMAGE_RECIPES = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            ImageRecipe("unet", 20_000, 64, 1e-3, 1e-5),
            ImageRecipe("unet-short", 6_000, 64, 1e-3, 1e-5, channels=24),
            ImageRecipe("unet-small", 12_000, 128, 1e-3, 1e-5, channels=24),
        )
    }
)


def keep_memory() -> bool:
    """Let the C library keep what it has freed; whether it could be told so.

    Large tensors are else mapped and unmapped at every step of a network for images, which takes
    ten times the computing itself. glibc alone; elsewhere nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    told = [mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_TOP_PAD, 2**28)]
    return all(told)


@contextlib.contextmanager
def memory_kept() -> Iterator[None]:
    """`keep_memory` inside the block alone: whatever else a process computes, and frees, would stay
    with it. Behind it the C library maps what is larger than 32 MB, as it does by itself in time.
    """
    kept = keep_memory()
    try:
        yield
    finally:
        if kept:
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MMAP_MAX, 65_536)
            mallopt(_MMAP_THRESHOLD, 2**25)
            mallopt(_TRIM_THRESHOLD, 2**26)
            mallopt(_TOP_PAD, 2**17)


@dataclasses.dataclass(frozen=True)
class HeldOutLoss:
    """The loss on images that were not trained on. loss : a mean over images, times and pixels;
    loss_std : its standard error. n : draws of an image, a time and its noise."""

    loss: float
    loss_std: float
    n: int


class NoisyImages:
    """A set of images with the noise added on the fly, as `objective.NoisyData`, and classes."""

    def __init__(
        self,
        images: ImageSet,
        schedule: NoiseSchedule,
        seed: int,
        device: torch.device,
        unlabelled: float = 0.0,
    ) -> None:
        self.pixels = torch.from_numpy(images.images).flatten(1).to(device)
        held = images.labels if images.labels is not None else np.full(len(images.images), -1)
        self.labels = torch.from_numpy(held + 1).to(device)
        self.alpha = torch.from_numpy(schedule.alpha.copy()).float().to(device)
        self.noise_std = torch.from_numpy(np.sqrt(schedule.noise_var)).float().to(device)
        self.unlabelled = unlabelled
        self.generator = torch.Generator(device).manual_seed(seed)

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(x_t (n, side^2), t (n,), label (n,), eps (n, side^2)) of draws with replacement."""
        options = {"generator": self.generator, "device": self.pixels.device}
        row = torch.randint(len(self.pixels), (size,), **options)
        t = torch.randint(1, len(self.alpha), (size,), **options)
        eps = torch.randn(size, self.pixels.shape[1], **options)
        told = torch.rand(size, **options) >= self.unlabelled
        x = self.alpha[t, None] * self.pixels[row] + self.noise_std[t, None] * eps
        return x, t, self.labels[row] * told, eps


def image_loss(network: UNet, x: Tensor, t: Tensor, label: Tensor, eps: Tensor) -> Tensor:
    """Mean squared error of the predicted noise, per pixel."""
    return (network(x, t, label) - eps).square().mean()


class HeldOut:
    """Images not trained on, with fixed times and noise."""

    def __init__(self, images: ImageSet, schedule: NoiseSchedule, seed: int, n: int) -> None:
        data = NoisyImages(images, schedule, seed, torch.device("cpu"))
        self.batches = [data.batch(min(_CHUNK, n - first)) for first in range(0, n, _CHUNK)]

    @torch.inference_mode()
    def measure(self, network: UNet) -> HeldOutLoss:
        """The network's loss."""
        device = next(network.parameters()).device
        parts = []
        for batch in self.batches:
            x, t, label, eps = (part.to(device) for part in batch)
            parts.append((network(x, t, label) - eps).square().mean(1).double().cpu())
        losses = torch.cat(parts)
        n = len(losses)
        return HeldOutLoss(float(losses.mean()), float(losses.std()) / n**0.5, n)


class ImageTrainer(Trainer):
    """One training run of `recipe` on `images` under `schedule`; all else as in `Trainer`."""

    report_every = 100

    def __init__(
        self,
        images: ImageSet,
        schedule: NoiseSchedule,
        recipe: ImageRecipe,
        seed: int,
        *,
        device: str = "cpu",
    ) -> None:
        self.seed = check_integer(seed, "seed", 0, 2**63 - 1)
        self.recipe, self.images = recipe, images
        shape = ImageArchitecture(images.side, recipe.channels, recipe.condition, images.classes)
        self._begin(shape, schedule, device)
        seen, self._unseen = images.held_out(_HELD_OUT, self.seed + 1)
        self.data = NoisyImages(seen, schedule, self.seed, self.device, recipe.unlabelled)
        self._take_loss(image_loss)
        keep_memory()

    def _trained_on(self) -> dict[str, object]:
        return {"images": self.images.name, "images_digest": self.images.digest}

    def validation(self, *, final: bool = False) -> HeldOut:
        """What measures the network on images that it has not seen."""
        n = _HELD_OUT if final else _LOOK
        return HeldOut(self._unseen, self.schedule, self.seed + 2 + final, n)

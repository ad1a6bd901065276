"""A small U-Net for images: three resolutions, two residual blocks on the way down, two up.

Predicts the noise like any network here: rows of side^2 pixels in, rows out. Its blocks are scaled
and shifted by the noise level and, where there are classes, by the class; class 0 of the embedding
stands for none, so that one network serves with and without (classifier-free guidance).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..problem.schedule import NoiseSchedule
from .image_architecture import GROUPS, ImageArchitecture
from .networks import Network


class _Block(nn.Module):  # type: ignore[misc]
    """Two convolutions about a normalisation that the condition scales and shifts."""

    def __init__(self, enter: int, leave: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, enter)
        self.first = nn.Conv2d(enter, leave, 3, padding=1)
        self.condition = nn.Linear(condition, 2 * leave)
        self.inner = nn.GroupNorm(GROUPS, leave)
        self.second = nn.Conv2d(leave, leave, 3, padding=1)
        self.skip = nn.Conv2d(enter, leave, 1) if enter != leave else nn.Identity()
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        inner = self.first(functional.silu(self.norm(h)))
        scale, shift = self.condition(e)[:, :, None, None].chunk(2, dim=1)
        inner = functional.silu(self.inner(inner) * (1 + scale) + shift)
        return self.skip(h) + self.second(inner)


class UNet(Network):
    """The network of `ImageArchitecture`."""

    def __init__(self, architecture: ImageArchitecture, schedule: NoiseSchedule) -> None:
        # As in FourierMLP: sinusoids of 50 log-SNR units; t = 0 is never asked for.
        log_snr = -np.log(np.concatenate([schedule.rho[1:2], schedule.rho[1:]]))
        super().__init__(architecture, 50.0 * log_snr)
        c, e = architecture.channels, architecture.condition
        self.time_first = nn.Linear(architecture.embedding, e)
        self.time_second = nn.Linear(e, e)
        if architecture.classes:
            self.label = nn.Embedding(architecture.classes + 1, e)
        self.enter = nn.Conv2d(1, c, 3, padding=1)
        self.down = nn.ModuleList([_Block(c, c, e), _Block(c, 2 * c, e)])
        self.shrink = nn.ModuleList([nn.Conv2d(w, w, 3, 2, 1) for w in (c, 2 * c)])
        self.middle = nn.ModuleList([_Block(2 * c, 2 * c, e), _Block(2 * c, 2 * c, e)])
        self.grow = nn.ModuleList([nn.Conv2d(2 * c, w, 3, padding=1) for w in (2 * c, c)])
        self.up = nn.ModuleList([_Block(4 * c, 2 * c, e), _Block(2 * c, c, e)])
        self.norm = nn.GroupNorm(GROUPS, c)
        self.leave = nn.Conv2d(c, 1, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Noise prediction (n, side^2); label (n,) of classes 1..classes, 0 for none."""
        side = self.architecture.side
        e = self.time_second(functional.silu(self.time_first(self.time_table[t])))
        if self.architecture.classes:
            e = e + self.label(torch.zeros_like(t) if label is None else label)
        e = functional.silu(e)
        h = self.enter(x.view(-1, 1, side, side).contiguous(memory_format=torch.channels_last))
        kept = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            h = block(h, e)
            kept.append(h)
            h = shrink(h)
        for block in self.middle:
            h = block(h, e)
        for grow, block in zip(self.grow, self.up, strict=True):
            wide = functional.interpolate(h, scale_factor=2.0, mode="nearest")
            h = block(torch.cat([grow(wide), kept.pop()], dim=1), e)
        return self.leave(functional.silu(self.norm(h))).reshape(x.shape)


class Labelled(nn.Module):  # type: ignore[misc]
    """A network of images at one class: a function of x and t alone."""

    def __init__(self, network: UNet, label: int) -> None:
        super().__init__()
        self.network, self.label = network, label

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise prediction (n, side^2)."""
        return self.network(x, t, torch.full_like(t, self.label))

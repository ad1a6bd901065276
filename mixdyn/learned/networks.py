"""The two networks: the residual MLP of the papers, and a wide form for many dimensions.

Both predict the noise from a state and its time. Whatever they need to know about time is a table
with one row for each t in 0..T, so at a single time the conditioning is computed once, not once a
sample.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..problem.schedule import NoiseSchedule
from ..support.checks import Array
from .architecture import Architecture, Weights, sinusoids

_SLOPE = 0.01  # of LeakyReLU below zero
_FOURIER_BANDWIDTH = 2.0  # standard deviation of the random frequencies, in cycles per unit of x


class Network(nn.Module):  # type: ignore[misc]
    """A noise predictor; `forward(x, t)` takes x (n, d) and t (n,) or (1,) of integers 1..T."""

    time_table: Tensor

    def __init__(self, architecture: Any, positions: Array) -> None:
        super().__init__()
        self.architecture = architecture
        table = torch.from_numpy(sinusoids(positions, architecture.embedding))
        self.register_buffer("time_table", table, persistent=False)

    def weights(self) -> Weights:
        """A copy of its tensors as arrays."""
        held = {key: value.cpu().numpy().copy() for key, value in self.state_dict().items()}
        return Weights(self.architecture, held)


class _Block(nn.Module):  # type: ignore[misc]
    """h + W_2 act(W_1 (norm(h) + e)): pre-norm, the time enters before the first linear map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        inner = self.first(self.norm(h) + e)
        return h + self.second(functional.leaky_relu(inner, _SLOPE))


class ResidualMLP(Network):
    """Residual MLP with a sinusoidal embedding of t (arXiv 2605.06831 v1, appendix F)."""

    def __init__(self, architecture: Architecture, schedule: NoiseSchedule) -> None:
        super().__init__(architecture, np.arange(schedule.T + 1.0))
        width = architecture.hidden
        self.time_first = nn.Linear(architecture.embedding, width)
        self.time_second = nn.Linear(width, width)
        self.enter = nn.Linear(architecture.d, width)
        self.blocks = nn.ModuleList([_Block(width) for _ in range(architecture.blocks)])
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, architecture.d)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise prediction (n, d)."""
        shared = len(t) == 1  # by all rows; else every time is embedded once and looked up
        e = self._embed(self.time_table[t] if shared else self.time_table)
        if not shared:
            e = functional.embedding(t, e)
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, e)
        return self.leave(functional.leaky_relu(self.norm(h), _SLOPE))

    def _embed(self, times: Tensor) -> Tensor:
        return self.time_second(functional.leaky_relu(self.time_first(times), _SLOPE))


class _ConditionedBlock(nn.Module):  # type: ignore[misc]
    """A residual block whose normalised input is scaled and shifted by the noise level."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.condition = nn.Linear(embedding, 2 * width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h: Tensor, features: Tensor) -> Tensor:
        scale, shift = self.condition(features).chunk(2, dim=-1)
        inner = self.first(self.norm(h) * (1 + scale) + shift)
        return h + self.second(functional.leaky_relu(inner, _SLOPE))


class FourierMLP(Network):
    """Fourier features of x and log-SNR conditioning in every block, for d = 8 and more."""

    frequencies: Tensor

    def __init__(self, architecture: Architecture, schedule: NoiseSchedule) -> None:
        # At t = 0 there is no noise and no finite log-SNR; the row exists but is never asked for.
        log_snr = -np.log(np.concatenate([schedule.rho[1:2], schedule.rho[1:]]))
        # Sinusoids of 50 log-SNR units resolve hundredths; the spread of log-SNR is about 20.
        super().__init__(architecture, 50.0 * log_snr)
        width, d = architecture.hidden, architecture.d
        frequencies = _FOURIER_BANDWIDTH / math.sqrt(d) * torch.randn(d, width // 2)
        self.register_buffer("frequencies", frequencies)
        self.enter = nn.Linear(d + 2 * (width // 2), width)
        self.blocks = nn.ModuleList(
            [_ConditionedBlock(width, architecture.embedding) for _ in range(architecture.blocks)]
        )
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, d)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise prediction (n, d)."""
        angle = 2 * math.pi * (x @ self.frequencies)
        h = self.enter(torch.cat([x, angle.sin(), angle.cos()], dim=1))
        features = self.time_table[t]
        for block in self.blocks:
            h = block(h, features)
        return self.leave(functional.leaky_relu(self.norm(h), _SLOPE))

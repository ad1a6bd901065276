"""The two networks: the residual MLP of the papers, and a wide form for many dimensions.

Both predict the noise from a state and its time. Whatever they need to know about time is a table
with one row for each t in 0..T, so at a single time the conditioning is computed once, not once a
sample.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..problem.schedule import NoiseSchedule
from ..support.checks import check_integer, check_memory, describe
from ..support.errors import InputError

Kind = Literal["mlp", "fourier"]
_SLOPE = 0.01  # of LeakyReLU below zero
_LARGEST = 8e9  # bytes
_LOWEST_FREQUENCY = 1e-4
_FOURIER_BANDWIDTH = 2.0  # standard deviation of the random frequencies, in cycles per unit of x


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The shape of a network.

    kind : "mlp", the residual MLP of arXiv 2605.06831 v1, appendix F (sinusoidal embedding of t);
        "fourier", its high-dimensional form (Fourier features of x, log-SNR conditioning of every
        block).
    d : dimension of the data. hidden : width. blocks : residual blocks. embedding : length of the
        time features, even.
    """

    kind: Kind = "mlp"
    d: int = 2
    hidden: int = 64
    blocks: int = 3
    embedding: int = 64

    def __post_init__(self) -> None:
        if self.kind not in ("mlp", "fourier"):
            raise InputError(
                "the kind of a network is 'mlp' or 'fourier'", describe(self.kind), "Choose one."
            )
        for name in ("d", "hidden", "blocks", "embedding"):
            check_integer(getattr(self, name), name, 1, 65536)
        if self.embedding % 2:
            raise InputError("embedding must be even", self.embedding, "Sine and cosine pair up.")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return dataclasses.asdict(self)

    def weights(self) -> int:
        """Numbers in the linear maps of the blocks and of the embedding: most of the network."""
        per_block = 2 * self.hidden + (2 * self.embedding if self.kind == "fourier" else 0)
        return self.hidden * (self.blocks * per_block + self.d)

    def build(self, schedule: NoiseSchedule) -> Network:
        """A freshly initialised float32 network (from torch's global generator).

        Raises MemoryLimitError beyond 8e9 bytes of weights and table of times.
        """
        table = 8.0 * (schedule.T + 1) * self.embedding
        size = 4.0 * self.weights() + table
        check_memory(size, _LARGEST, "a network", "Take a smaller one or a shorter schedule.")
        return (ResidualMLP if self.kind == "mlp" else FourierMLP)(self, schedule)


def _sinusoids(position: Tensor, length: int) -> Tensor:
    """(m, length): sines and cosines of `position` at geometrically spaced frequencies 1..1e-4."""
    half = length // 2
    exponent = torch.arange(half, dtype=torch.float64) / max(half - 1, 1)
    angle = position[:, None] * torch.exp(math.log(_LOWEST_FREQUENCY) * exponent)
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


class Network(nn.Module):  # type: ignore[misc]
    """A noise predictor; `forward(x, t)` takes x (n, d) and t (n,) or (1,) of integers 1..T."""

    time_table: Tensor

    def __init__(self, architecture: Architecture, table: Tensor) -> None:
        super().__init__()
        self.architecture = architecture
        self.register_buffer("time_table", table, persistent=False)

    def infer(self, x: Tensor, t: Tensor) -> Tensor:
        """`forward` at one time, t (1,), without gradients; a network may spare copies here."""
        prediction: Tensor = self(x, t)
        return prediction


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

    def infer(self, h: Tensor, e: Tensor) -> Tensor:
        """`forward` in place, for one time e (width,): the norm's bias takes e along."""
        norm = self.norm
        moved = norm.bias + e
        inner = functional.layer_norm(h, norm.normalized_shape, norm.weight, moved, norm.eps)
        inner = functional.leaky_relu_(self.first(inner), _SLOPE)
        return torch.addmm(h.add_(self.second.bias), inner, self.second.weight.t())


class ResidualMLP(Network):
    """Residual MLP with a sinusoidal embedding of t (arXiv 2605.06831 v1, appendix F)."""

    def __init__(self, architecture: Architecture, schedule: NoiseSchedule) -> None:
        times = torch.arange(schedule.T + 1, dtype=torch.float64)
        super().__init__(architecture, _sinusoids(times, architecture.embedding))
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

    def infer(self, x: Tensor, t: Tensor) -> Tensor:
        """`forward` at one time with half its passes over memory."""
        e, h = self._embed(self.time_table[t])[0], self.enter(x)
        for block in self.blocks:
            h = block.infer(h, e)
        return self.leave(functional.leaky_relu_(self.norm(h), _SLOPE))

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
        rho = torch.from_numpy(schedule.rho.copy())
        log_snr = -torch.log(torch.cat([rho[1:2], rho[1:]]))
        # Sinusoids of 50 log-SNR units resolve hundredths; the spread of log-SNR is about 20.
        super().__init__(architecture, _sinusoids(50.0 * log_snr, architecture.embedding))
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

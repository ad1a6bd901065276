"""What there is to know of a network without torch: its shape, its weights, how good it is."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_integer, check_memory, describe
from ..support.errors import InputError

if TYPE_CHECKING:
    from .networks import Network

Kind = Literal["mlp", "fourier"]
Tensors = dict[str, np.ndarray[Any, Any]]
_LARGEST = 8e9  # bytes
_LOWEST_FREQUENCY = 1e-4


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

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, by name."""
        width, d, m = self.hidden, self.d, self.embedding
        norm: dict[str, tuple[int, ...]] = {"norm": (width,)}
        found: dict[str, tuple[int, ...]] = {}
        square = (width, width)
        if self.kind == "mlp":
            outer = {"time_first": (width, m), "time_second": square, "enter": (width, d)}
            block = {**norm, "first": square, "second": square}
        else:
            found["frequencies"] = (d, width // 2)
            outer = {"enter": (width, d + 2 * (width // 2))}
            block = {"condition": (2 * width, m), "first": square, "second": square}
        blocks = {
            f"blocks.{k}.{name}": at for k in range(self.blocks) for name, at in block.items()
        }
        for name, shape in {**outer, **blocks, **norm, "leave": (d, width)}.items():
            found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        return found

    def build(self, schedule: NoiseSchedule) -> Network:
        """A freshly initialised float32 network (from torch's global generator).

        Raises MemoryLimitError beyond 8e9 bytes of weights and table of times, InputError for a
        schedule that ends without signal: what it would learn to predict there, eps, is x/noise_std
        and says nothing of the data.
        """
        if schedule.alpha[-1] == 0.0:
            raise InputError(
                "a network that predicts eps needs signal at every time",
                f"alpha = 0 at T = {schedule.T}",
                "Train on schedule.with_signal().",
            )
        table = 8.0 * (schedule.T + 1) * self.embedding
        size = 4.0 * self.weights() + table
        check_memory(size, _LARGEST, "a network", "Take a smaller one or a shorter schedule.")
        from .networks import FourierMLP, ResidualMLP

        return (ResidualMLP if self.kind == "mlp" else FourierMLP)(self, schedule)


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """The tensors of a network, by name."""

    architecture: Architecture
    tensors: Tensors

    def build(self, schedule: NoiseSchedule) -> Network:
        """The network in torch, on the CPU, in evaluation mode."""
        import torch

        with torch.random.fork_rng(devices=[]):
            network = self.architecture.build(schedule)
        network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in self.tensors.items()})
        return network.eval().requires_grad_(requires_grad=False)


@dataclasses.dataclass(frozen=True)
class Quality:
    """What a network loses on fresh data. All are means over samples, times and coordinates.

    loss : of the network. irreducible : of the exact posterior mean on the same draws. excess :
    mean squared distance between the two predictions. excess_std : its standard error. n : draws.
    """

    loss: float
    irreducible: float
    excess: float
    excess_std: float
    n: int


def sinusoids(position: Array, length: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(m, length): sines and cosines of `position` at geometrically spaced frequencies 1..1e-4."""
    half = length // 2
    exponent = np.arange(half) / max(half - 1, 1)
    angle = position[:, None] * np.exp(math.log(_LOWEST_FREQUENCY) * exponent)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)

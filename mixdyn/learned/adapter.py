"""A trained network as a model: float64 arrays in, float64 arrays out."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..mixture import GaussianMixture
from ..schedule import NoiseSchedule
from ..validation import Array, check_integer, check_points
from .checkpoints import Checkpoint, load_checkpoint
from .networks import Network
from .training import check_device

# Rows in one call: their hidden states stay in the second-level cache.
_CPU_ROWS, _GPU_ROWS = 4096, 1 << 20
_JACOBIAN_ROWS = 256


class LearnedScore:
    """The score interface of a trained network.

    Parameters
    ----------
    network : predicts eps; copied, so the original keeps its precision and place.
    schedule : the clock it was trained on.
    precision : "float32" as trained, or "float64" for derivatives and for checks of rounding.
    device : "cpu" or "cuda".

    A batch is computed in blocks of fixed size; single rows may differ in the last bits of float32
    between batch sizes, as with any matrix library.
    """

    def __init__(
        self,
        network: Network,
        schedule: NoiseSchedule,
        *,
        precision: Literal["float32", "float64"] = "float32",
        device: str = "cpu",
    ) -> None:
        self.schedule = schedule
        self.device = check_device(device)
        self.dtype = torch.float32 if precision == "float32" else torch.float64
        copy = network.architecture.build(schedule)
        copy.load_state_dict(network.state_dict())
        copy.to(device=self.device, dtype=self.dtype).eval().requires_grad_(requires_grad=False)
        self.network = copy

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        mixture: GaussianMixture | None = None,
        schedule: NoiseSchedule | None = None,
        device: str = "cpu",
    ) -> LearnedScore:
        """From a checkpoint file, checked against the mixture and schedule when given."""
        return cls.of(load_checkpoint(path, mixture=mixture, schedule=schedule), device=device)

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, device: str = "cpu") -> LearnedScore:
        """From a loaded checkpoint."""
        return cls(checkpoint.network, checkpoint.schedule, device=device)

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.network.architecture.d

    def in_double(self) -> LearnedScore:
        """The same network in float64."""
        return LearnedScore(
            self.network, self.schedule, precision="float64", device=self.device.type
        )

    def _time(self, t: int) -> Tensor:
        return torch.tensor([check_integer(t, "t", 1, self.schedule.T)], device=self.device)

    @torch.inference_mode()
    def eps(self, x: ArrayLike, t: int) -> Array:
        """Noise prediction at x (n, d) and time t in 1..T."""
        points, time = check_points(x, self.d), self._time(t)
        state = torch.from_numpy(points).to(device=self.device, dtype=self.dtype)
        rows = _CPU_ROWS if self.device.type == "cpu" else _GPU_ROWS
        out = torch.cat([self.network(block, time) for block in state.split(rows)])
        return out.double().cpu().numpy()

    def score(self, x: ArrayLike, t: int) -> Array:
        """Score -eps/noise_std at x (n, d) and time t in 1..T."""
        eps = self.eps(x, t)
        return -eps / np.sqrt(self.schedule.noise_var[t])

    def jacobian(self, x: ArrayLike, t: int) -> Array:
        """Derivative of the learned score at x (n, d), (n, d, d); row i is the gradient of its
        i-th component. Not symmetric: a learned score need not be a gradient."""
        points, time = check_points(x, self.d), self._time(t)
        state = torch.from_numpy(points).to(device=self.device, dtype=self.dtype)

        def at_one(row: Tensor) -> Tensor:
            return self.network(row[None], time)[0]

        rows = torch.func.vmap(torch.func.jacrev(at_one))
        parts = [rows(block) for block in state.split(_JACOBIAN_ROWS)]
        eps_jacobian = torch.cat(parts).double().cpu().numpy()
        return -eps_jacobian / np.sqrt(self.schedule.noise_var[t])

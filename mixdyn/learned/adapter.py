"""A trained network as a model: float64 arrays in, float64 arrays out."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_integer, check_points
from ..support.provenance import usable_cores
from .checkpoints import Checkpoint, load_checkpoint
from .networks import Network
from .training import check_device

# Rows in one call, at most: their hidden states stay in the second-level cache of a core.
_CPU_ROWS, _GPU_ROWS = 2048, 1 << 20
_WORTH_SHARING = 1024  # rows: fewer take one core less time than handing half of them over
_JACOBIAN_ROWS = 256


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """One thread for each core that this process may use; torch's own threads off in each.

    Where torch shares its OpenMP library with the engine's kernels, these undo in the main thread
    what `torch.set_num_threads` asked for; here they never run.
    """
    one_each = functools.partial(torch.set_num_threads, 1)
    return ThreadPoolExecutor(usable_cores(), "score", one_each)


def _block_rows(n: int) -> int:
    """Rows of a block on a CPU: an even number of equal blocks, where n rows are worth sharing."""
    if n < _WORTH_SHARING:
        return _WORTH_SHARING
    return -(-n // (2 * -(-n // (2 * _CPU_ROWS))))


class LearnedScore:
    """The score interface of a trained network.

    Parameters
    ----------
    network : predicts eps; copied, so the original keeps its precision and place.
    schedule : the clock it was trained on.
    precision : "float32" as trained, or "float64" for derivatives and for checks of rounding.
    device : "cpu" or "cuda".

    A batch is computed in blocks whose size depends on the batch alone, on a CPU one block a core.
    Single rows may differ in the last bits of float32 between batch sizes, as with any matrix
    library, not between numbers of cores.
    """

    own_threads = True  # the engine's threads rest while this model's work

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

    def eps(self, x: ArrayLike, t: int) -> Array:
        """Noise prediction at x (n, d) and time t in 1..T."""
        points, time = check_points(x, self.d), self._time(t)
        state = torch.from_numpy(points).to(device=self.device, dtype=self.dtype)
        on_cpu = self.device.type == "cpu"
        blocks = state.split(_block_rows(len(state)) if on_cpu else _GPU_ROWS)
        parts = (_pool().map if on_cpu else map)(lambda block: self._infer(block, time), blocks)
        return torch.cat(list(parts)).double().cpu().numpy()

    @torch.inference_mode()  # holds in the calling thread alone
    def _infer(self, block: Tensor, time: Tensor) -> Tensor:
        return self.network.infer(block, time)

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
        on_cpu = self.device.type == "cpu"
        parts = (_pool().map if on_cpu else map)(rows, state.split(_JACOBIAN_ROWS))
        eps_jacobian = torch.cat(list(parts)).double().cpu().numpy()
        return -eps_jacobian / np.sqrt(self.schedule.noise_var[t])

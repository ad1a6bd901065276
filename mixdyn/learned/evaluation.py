"""A network in torch, evaluated at many points: float64 arrays in, float64 arrays out."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ..support.checks import Array
from ..support.provenance import usable_cores
from .networks import Network

# Rows in one call, at most: their hidden states stay in the second-level cache of a core. Half as
# many take one core less time than handing half of them over.
_CPU_ROWS, _GPU_ROWS = 2048, 1 << 20
_JACOBIAN_ROWS = 256


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """One thread for each core that this process may use; torch's own threads off in each, whatever
    `torch.set_num_threads` asked for in another."""
    one_each = functools.partial(torch.set_num_threads, 1)
    return ThreadPoolExecutor(usable_cores(), "score", one_each)


def _block_rows(n: int, most: int = _CPU_ROWS) -> int:
    """Rows of a block on a CPU, `most` about the largest: an even number of equal blocks, where n
    rows are worth sharing."""
    if n < most // 2:
        return max(most // 2, 1)
    return -(-n // (2 * -(-n // (2 * most))))


class TorchNetwork:
    """A network as functions of arrays, in its own precision and on its device.

    A batch is computed in blocks whose size depends on the batch alone, on a CPU one block a core.
    Single rows may differ in the last bits between batch sizes, as with any matrix library, not
    between numbers of cores.
    """

    own_threads = True  # the engine's threads rest while torch's work

    def __init__(self, network: Network, rows: int = _CPU_ROWS) -> None:
        """rows : of a call on a CPU, about, at most."""
        self.network, first = network, next(network.parameters())
        self._rows = rows
        self._place = {"device": first.device, "dtype": first.dtype}
        self._on_cpu = first.device.type == "cpu"
        self._map = _pool().map if self._on_cpu else map

    def _arguments(self, x: Array, t: int) -> tuple[Tensor, Tensor]:
        time = torch.tensor([t], device=self._place["device"])
        return torch.from_numpy(x).to(**self._place), time

    def eps(self, x: Array, t: int) -> Array:
        """Noise prediction at x (n, d) and time t."""
        state, time = self._arguments(x, t)
        blocks = state.split(_block_rows(len(state), self._rows) if self._on_cpu else _GPU_ROWS)
        parts = self._map(lambda block: self._infer(block, time), blocks)
        return torch.cat(list(parts)).double().cpu().numpy()

    @torch.inference_mode()  # holds in the calling thread alone
    def _infer(self, block: Tensor, time: Tensor) -> Tensor:
        return self.network(block, time)

    def jacobian(self, x: Array, t: int) -> Array:
        """Its derivative (n, d, d): row i is the gradient of component i."""
        state, time = self._arguments(x, t)

        def at_one(row: Tensor) -> Tensor:
            return self.network(row[None], time)[0]

        rows = torch.func.vmap(torch.func.jacrev(at_one))
        parts = self._map(rows, state.split(_JACOBIAN_ROWS))
        return torch.cat(list(parts)).double().cpu().numpy()

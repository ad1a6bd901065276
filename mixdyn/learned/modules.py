"""A user's own torch module as a function of arrays."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..support.checks import Array


class ModuleFunction:
    """f(x, index) of a module that is called as module(x, t).

    x (n, d) goes to the module in the precision and on the device of its first parameter or buffer
    (float32 on the CPU where it has none), t as int64 (n,). It runs in evaluation mode and without
    gradients, and is left in the mode it was in.
    """

    own_threads = True  # the engine's threads rest while torch's work

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def _place(self) -> tuple[torch.device, torch.dtype]:
        tensors = itertools.chain(self.module.parameters(), self.module.buffers())
        first = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
        return first.device, first.dtype

    @torch.no_grad()
    def __call__(self, x: Array, index: int) -> Any:
        """What the module returns, as it is."""
        device, dtype = self._place()
        state: Tensor = torch.from_numpy(x).to(device, dtype, copy=True)
        with _evaluating(self.module):
            return self.module(state, torch.full((len(x),), index, device=device))


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, part by part back to what it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True

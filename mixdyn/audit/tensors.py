"""Arrays and noise of torch, between a driver and a library's sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ..affine.drivers import Draw
from ..support.checks import Array


def to_array(value: Any) -> Array:
    """A tensor as float64 (n, d)."""
    return np.asarray(value.detach().cpu().to(torch.float64).numpy())


def to_tensor(value: Array) -> Any:
    """A float64 tensor of its own memory."""
    return torch.from_numpy(np.array(value, dtype=np.float64))


class HandedNoise(TorchFunctionMode):  # type: ignore[misc]
    """While it is on, normals of torch are those of a `Draw`, whatever generator they ask for."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self._draw = draw

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace what randn, randn_like and normal_ return; every other function is torch's."""
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name not in ("randn", "randn_like", "normal_", "normal"):
            return out
        drawn = torch.from_numpy(self._draw(tuple(out.shape))).to(out.dtype)
        if name in ("normal_", "normal"):
            first = 1 if name == "normal_" else 0
            named, given = kwargs or {}, list(args[first : first + 2])
            mean = given[0] if given else named.get("mean", 0.0)
            std = given[1] if len(given) > 1 else named.get("std", 1.0)
            drawn = mean + std * drawn
        return out.copy_(drawn)

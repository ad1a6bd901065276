"""Arrays and noise of torch, between a driver and a library's sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..affine.drivers import Draw
from ..support.checks import Array


def to_array(value: Any) -> Array:
    """A tensor as float64 (n, d)."""
    return np.asarray(value.detach().cpu().to(torch.float64).numpy())


def to_tensor(value: Array) -> Any:
    """A float64 tensor of its own memory."""
    return torch.from_numpy(np.array(value, dtype=np.float64))


@contextmanager
def hidden_seed(seed: int) -> Iterator[Any]:
    """A generator that is the same each time, while torch's own random numbers have this seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(0)


@contextmanager
def handed_noise(draw: Draw) -> Iterator[None]:
    """While it is on, normals of torch are those of a `Draw`, whatever generator they ask for;
    those of images (n, channels, height, width) are drawn as states (n, d).

    Replaced in torch itself, for every thread, until the block ends, also by an error: to watch
    each call of torch, as its TorchFunctionMode does, takes longer than the samplers. A module that
    has imported such a function by name keeps torch's own: its runs then do not repeat, which
    `transcribe` refuses.
    """
    places = [(torch, name) for name in ("randn", "randn_like", "normal")]
    places.append((torch.Tensor, "normal_"))
    before = [getattr(place, name) for place, name in places]
    try:
        for (place, name), func in zip(places, before, strict=True):
            setattr(place, name, _handed(func, name, draw))
        yield
    finally:
        for (place, name), func in zip(places, before, strict=True):
            setattr(place, name, func)


def _handed(func: Callable[..., Any], name: str, draw: Draw) -> Callable[..., Any]:
    """A function of torch that draws normals, with those of `draw`."""

    def handed(*args: Any, **kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        shape = tuple(out.shape)
        flat = shape if len(shape) < 3 else tuple(out.flatten(1).shape)
        drawn = torch.from_numpy(draw(flat)).reshape(shape).to(out.dtype)
        if name in ("normal_", "normal"):
            first = 1 if name == "normal_" else 0
            given = list(args[first : first + 2])
            mean = given[0] if given else kwargs.get("mean", 0.0)
            std = given[1] if len(given) > 1 else kwargs.get("std", 1.0)
            drawn = mean + std * drawn
        return out.copy_(drawn)

    return handed


class BrownianPath:
    """f(a, b) = (W(b) - W(a))/sqrt|b - a| of one Brownian motion W in a scalar time, its values
    drawn as they are asked for: in place of a sampler's own tree, which draws hidden numbers."""

    def __init__(self, shape: tuple[int, ...], draw: Draw) -> None:
        self.shape, self._draw = shape, draw
        self._known: dict[float, Array] = {}

    def __call__(self, a: Any, b: Any) -> Any:
        """A tensor of normals, those of overlapping intervals with their correlation."""
        a, b = float(a), float(b)
        begin, end = self._at(a), self._at(b)
        return torch.from_numpy((end - begin) / abs(b - a) ** 0.5)

    def _at(self, t: float) -> Array:
        if t not in self._known:
            self._known[t] = self._new(t) if self._known else np.zeros(self.shape)
        return self._known[t]

    def _new(self, t: float) -> Array:
        below = max((s for s in self._known if s < t), default=None)
        above = min((s for s in self._known if s > t), default=None)
        xi = self._draw(self.shape)
        if below is None or above is None:
            near = above if below is None else below
            assert near is not None
            return self._known[near] + abs(t - near) ** 0.5 * xi
        share, length = (t - below) / (above - below), above - below
        middle = (1.0 - share) * self._known[below] + share * self._known[above]
        return middle + (share * (1.0 - share) * length) ** 0.5 * xi

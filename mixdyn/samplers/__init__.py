"""Discrete samplers, one file a family, each found by its `name`; nothing here runs one.

A new sampler is one file: a dataclass on `options.Options` with `name`, `grid` and `stepper`.
`plan`: steps as data. `step`: what carries states along them.
"""

from __future__ import annotations

from typing import Any

from ..support.finding import class_in
from .options import Sampler

__all__ = ["Sampler"]


def __getattr__(name: str) -> Any:
    return class_in(__name__, name)

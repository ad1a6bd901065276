"""What the figures show, measured: one file per experiment, each a function of a case.

A file that defines `run` is an experiment, and `OWN_MIXTURE = True` in it says that it builds its
mixtures itself. It returns plain named arrays; `store` keeps them with the recipe that made them.
Every experiment uses the engine for what it measures, `mixdyn.bounds` for bounds and
`mixdyn.oracles` for closed forms.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from .store import Experiment, Result, obtain


def _experiments() -> Iterator[Experiment]:
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "run"):
            yield Experiment(info.name, module.run, getattr(module, "OWN_MIXTURE", False))


EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {experiment.name: experiment for experiment in _experiments()}
)

__all__ = ["EXPERIMENTS", "Experiment", "Result", "obtain"]

"""mixdyn: diffusion samplers on Gaussian mixtures, where every score is exact.

Everything public is reachable as `mixdyn.NAME`; nothing heavier than NumPy is imported until a
name that needs it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "GaussianMixture": "mixture",
    "NoiseSchedule": "schedule",
    "TimeGrid": "schedule",
    "ExactScore": "score",
    "PerturbedScore": "score",
    "as_model": "score",
    "integrate_ode": "integrators",
    "integrate_sde": "integrators",
    "DDIM": "samplers",
    "DDPM": "samplers",
    "Hybrid": "samplers",
    "ExactReverse": "samplers",
    "AdaptiveNoise": "adaptive",
    "Retry": "retry",
    "ProbabilityFlow": "flow",
    "sample": "sampling",
    "invert": "inversion",
    "classify": "geometry",
    "MixdynError": "errors",
    "InputError": "errors",
}
_MODULES = (
    "bounds",
    "crossings",
    "divergence",
    "dynamics",
    "errors",
    "fields",
    "geometry",
    "integrators",
    "noise",
    "observers",
    "oracles",
    "presets",
    "samplers",
    "schedule",
    "score",
    "statistics",
    "validation",
)

__all__ = ["__version__", *_HOME, *_MODULES]  # noqa: PLE0604 (both are literals above)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

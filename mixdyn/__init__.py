"""mixdyn: diffusion samplers on Gaussian mixtures, where every score is exact.

Everything public is reachable as `mixdyn.NAME`; nothing heavier than NumPy is imported until a
name that needs it is used.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from typing import Any, ClassVar

__version__ = "0.1.0"

_HOME = {
    "GaussianMixture": "problem.mixture",
    "NoiseSchedule": "problem.schedule",
    "TimeGrid": "problem.schedule",
    "ExactScore": "score",
    "GuidedScore": "score",
    "PerturbedScore": "score",
    "as_model": "score",
    "integrate_ode": "solvers.integrators",
    "integrate_sde": "solvers.integrators",
    "sample": "run.sampling",
    "best_grid": "samplers.best_grid",
    "memorisation": "run.clones",
    "speciation": "run.clones",
    "rare_event": "run.rare",
    "invert": "samplers.inversion",
    "transcribe": "affine.impulses",
    "Plan": "affine.plan",
    "Price": "affine.sampler_price",
    "price": "affine.sampler_price",
    "classify": "geometry",
    "MixdynError": "support.errors",
    "InputError": "support.errors",
    "*": "samplers",  # any other name is a sampler of that folder
}
_MODULES = {
    "bounds": "bounds",
    "clones": "run.clones",
    "crossings": "geometry.dominance_times",
    "divergence": "run.path_cost",
    "dynamics": "geometry.dynamics",
    "errors": "support.errors",
    "fields": "solvers.field",
    "geometry": "geometry",
    "integrators": "solvers.integrators",
    "noise": "problem.noise",
    "observers": "run.observers",
    "oracles": "oracles",
    "presets": "problem.presets",
    "samplers": "samplers",
    "schedule": "problem.schedule",
    "score": "score",
    "statistics": "support.statistics",
    "testing": "testing",
    "validation": "support.checks",
}
# Modules that had another place in the last release, besides those above: import under the old name
# works, with a warning, until the next one.
_MOVED = {
    "adaptive": "samplers.adaptive",
    "calibration": "samplers.calibration",
    "cumulative": "problem.cumulative",
    "files": "support.files",
    "flow": "samplers.flow",
    "generations": "retraining.generations",
    "hull": "score.routes.low_rank",
    "inversion": "samplers.inversion",
    "lattice": "score.routes.spaced_axes",
    "mixture": "problem.mixture",
    "models": "learned.loading",
    "multistep": "solvers.multistep",
    "named": "problem.named",
    "plans": "samplers.plan",
    "provenance": "support.provenance",
    "quantities": "support.numbers",
    "recursion": "retraining.recursion",
    "references": "support.references",
    "retry": "samplers.retry",
    "sampling": "run.sampling",
    "schedule_tables": "problem.schedule_tables",
    "start": "run.start",
    "steppers": "samplers.step",
    "tableaus": "solvers.tableaus",
}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        named = [public for public in _HOME if public != "*"]
        return ["__version__", *named, *_MODULES, *_sampler_names()]
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{_MODULES[name]}", __name__)
    if name in _MOVED:
        return importlib.import_module(f".{name}", __name__)
    # A room that is not imported yet is asked for here first: it is no sampler.
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is None:
        from .support.finding import class_in

        return class_in(f"{__name__}.{_HOME['*']}", name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _sampler_names() -> list[str]:
    from .support.finding import classes_in

    return [kind.__name__ for kind in classes_in(f"{__name__}.samplers", "name", "stepper")]


def __dir__() -> list[str]:
    return sorted(__getattr__("__all__"))


class _OldNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """`import mixdyn.OLD` for a module that moved: the module itself, with a warning."""

    _homes: ClassVar = {
        f"{__name__}.{old}": f"{__name__}.{new}" for old, new in (_MODULES | _MOVED).items()
    }

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name in self._homes else None

    def create_module(self, spec: Any) -> Any:
        home = self._homes[spec.name]
        text = f"{spec.name} is {home} now; the old name goes with the next release"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        module = importlib.import_module(home)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: Any) -> None:
        module.__spec__ = module.__spec__.loader_state  # the import system had set the old name's


sys.meta_path.append(_OldNames())  # asked last: only where no file of that name exists

"""Methods of torchdiffeq.odeint on the probability flow of a process (mixdyn.audit.processes).

The settings of the process stand beside those of odeint. It is handed `steps` + 1 times, also where
a method chooses steps of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...affine.drivers import Draw, Driver
from ..calls import Model, TorchSampler, provenance
from ..processes import ODES, process_beside
from . import STEPS, Offer, needed

INSTALL = "pip install torchdiffeq==0.2.5"


def samplers() -> list[Offer]:
    """The methods of odeint, those that choose their steps with a tolerance at which they take some
    hundred evaluations: its own ask for ten thousands where a method is of second order."""
    methods = needed("torchdiffeq._impl.odeint", INSTALL).SOLVERS
    base = needed("torchdiffeq._impl.rk_common", INSTALL).RKAdaptiveStepsizeODESolver
    loose = {"rtol": 1e-3, "atol": 1e-3}
    return [(name, dict(loose) if base in kind.__mro__ else {}) for name, kind in methods.items()]


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of odeint with method=`name` and process="vp", or another."""
    library, steps = needed("torchdiffeq", INSTALL), steps or STEPS
    process, own = process_beside(name, {"odeint": library.odeint}, ODES, steps, settings)

    def play(x: Any, model: Model, draw: Draw) -> Any:
        import torch

        def field(t: Any, states: Any) -> Any:
            return process.velocity(states, float(t), model)

        return library.odeint(field, x, torch.from_numpy(process.times), method=name, **own)[-1]

    found = provenance("torchdiffeq", name, steps, settings)
    end = process.level(float(process.times[-1]))
    return TorchSampler(play, process.predicts, process.start_std, found, end)

"""Methods of torchdiffeq.odeint on the probability flow of a process (mixdyn.audit.processes).

The settings of the process stand beside those of odeint. It is handed `steps` + 1 times, also where
a method chooses steps of its own. Such a method finds its first step by a probe that no end bounds
(at t = 1 of the VP process, where data of unit variance hardly move, it asks far beyond the end, at
t = -23), and steps over the last time to interpolate back: levels that no process has. Here, unless
options say otherwise, its first step is the first interval and it lands on the last time.
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
    kinds = needed("torchdiffeq._impl.odeint", INSTALL).SOLVERS
    own_steps = needed("torchdiffeq._impl.rk_common", INSTALL).RKAdaptiveStepsizeODESolver
    process, own = process_beside(name, {"odeint": library.odeint}, ODES, steps, settings)
    adaptive = own_steps in getattr(kinds.get(name), "__mro__", ())

    def play(x: Any, model: Model, draw: Draw) -> Any:
        import torch

        def field(t: Any, states: Any) -> Any:
            return process.velocity(states, float(t), model)

        times = torch.from_numpy(process.times)
        if adaptive:  # a tensor: of a list it would not turn the sign round with that of the time
            within = {"first_step": times[0] - times[1], "step_t": times[-1:]}
            own["options"] = {**within, **(own.get("options") or {})}
        return library.odeint(field, x, times, method=name, **own)[-1]

    found = provenance("torchdiffeq", name, steps, settings)
    end = process.level(float(process.times[-1]))
    return TorchSampler(play, process.predicts, process.start_std, found, end)

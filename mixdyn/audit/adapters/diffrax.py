"""Explicit solvers of diffrax.diffeqsolve on the probability flow of a process
(mixdyn.audit.processes), at its `steps` + 1 times, in double precision.

Settings are those of the process and of the solver. What an evaluation gives twice is asked once,
where JAX finds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...affine.drivers import Ask, Draw, Driver
from ...score.protocol import Level
from ...support.checks import Array
from ...support.errors import MixdynError
from ..calls import guarded, named_in, provenance
from ..processes import ODES, Process, process_beside
from . import STEPS, Offer, kinds_in, needed

INSTALL = "pip install diffrax==0.7.2"


def samplers() -> list[Offer]:
    """Its kinds of explicit Runge-Kutta methods."""
    library = needed("diffrax", INSTALL)
    return [(name, {}) for name in kinds_in(library, library.AbstractERK)]


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of a solver, such as `Heun`, with process="vp", or another."""
    library, steps = needed("diffrax", INSTALL), steps or STEPS
    kind = named_in(
        "diffrax",
        library,
        name,
        lambda it: isinstance(it, type) and issubclass(it, library.AbstractSolver),
        "Heun",
    )
    process, own = process_beside(name, {"it": kind}, ODES, steps, settings)
    found = provenance("diffrax", name, steps, settings)
    return _Solver(lambda: guarded(kind, **own), process, found)


@dataclasses.dataclass(frozen=True)
class _Solver:
    made: Callable[[], Any]
    process: Process
    provenance: Mapping[str, Any]

    @property
    def predicts(self) -> str:
        return self.process.predicts

    @property
    def start_std(self) -> float:
        return self.process.start_std

    @property
    def end(self) -> Level:
        return self.process.level(float(self.process.times[-1]))

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        import diffrax
        import jax

        refused: list[MixdynError] = []  # JAX would make another exception of it

        def velocity(t: Any, states: Any) -> Array:
            if refused:
                return np.zeros_like(x)
            try:
                return self.process.velocity(np.array(states), float(t), ask)
            except MixdynError as error:
                refused.append(error)
                return np.zeros_like(x)

        def field(t: Any, states: Any, args: Any) -> Any:
            shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
            return jax.pure_callback(velocity, shape, t, states)

        # Not for this thread alone: JAX calls back from others.
        before = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)
        try:
            times = jax.numpy.asarray(self.process.times)
            solved = guarded(
                diffrax.diffeqsolve,
                diffrax.ODETerm(field),
                self.made(),
                t0=times[0],
                t1=times[-1],
                dt0=None,
                y0=jax.numpy.asarray(x),
                stepsize_controller=diffrax.StepTo(ts=times),
                max_steps=len(times),
            )
            ends = np.array(solved.ys[-1])
        finally:
            jax.config.update("jax_enable_x64", before)
        if refused:
            raise refused[0]
        return ends

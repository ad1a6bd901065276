"""Samplers of diffusionlab (DDMSampler, EulerSampler) on its processes (process="VPLinear" by
default) and schedules (schedule="uniform", or edm), in double precision.

The level is that of the process at the time handed over; the model answers with x_0. They start
from N(0, sigma^2) of time 1 and return the posterior mean at the last time but one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...affine.drivers import CLEAN, Ask, Draw, Driver
from ...score.protocol import Level
from ...support.checks import Array
from ..calls import guarded, named_in, provenance, sorted_out
from . import STEPS, Offer, kinds_in, needed

INSTALL = "pip install diffusionlab==4.0.1, which asks for Python 3.13"
_NO_SIGNAL = 1e-12


def samplers() -> list[Offer]:
    """Its kinds of Sampler, on each of its processes."""
    module = needed("diffusionlab.sampling.continuous", INSTALL)
    processes = needed("diffusionlab.processes.gaussian", INSTALL)
    base = needed("diffusionlab.sampling.base", INSTALL).Sampler
    return [
        (name, {"process": process})
        for name in kinds_in(module, base)
        for process in kinds_in(processes, processes.GaussianDiffusionProcess)
    ]


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of a sampler, `DDMSampler` or short `DDM`."""
    library, steps = needed("diffusionlab.sampling", INSTALL), steps or STEPS
    processes = needed("diffusionlab.processes.gaussian", INSTALL)
    name, given = f"{name.removesuffix('Sampler')}Sampler", dict(settings)
    places = (
        (needed("diffusionlab.sampling.continuous", INSTALL), name),
        (processes, given.pop("process", "VPLinear")),
        (
            needed("diffusionlab.sampling.schedules", INSTALL),
            f"{given.pop('schedule', 'uniform')}_schedule",
        ),
    )
    kind, process, laid = (
        named_in("diffusionlab", place, found, callable, "DDMSampler with process='VPLinear'")
        for place, found in places
    )
    calls = {"its process": process, "it": kind, "its schedule": laid}
    parts = sorted_out(name, calls, given)
    found = provenance("diffusionlab", name, steps, settings)
    return _Sampler(library, (process, kind, laid), parts, steps, found)


@dataclasses.dataclass(frozen=True)
class _Sampler:
    library: Any
    calls: tuple[Any, Any, Any]  # of process, sampler, schedule
    parts: list[dict[str, Any]]  # their settings
    steps: int
    provenance: Mapping[str, Any]

    predicts: ClassVar[str] = "x0"
    end: ClassVar[Level] = CLEAN

    @property
    def start_std(self) -> float:
        """Of the noise at time 1."""
        import jax

        process = guarded(self.calls[0], (1,), **self.parts[0])
        return _level(process, jax.numpy.ones(1)).noise_std

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        import jax

        process, kind, laid = self.calls

        class Started(process):  # type: ignore[misc,valid-type]
            def sample_from_terminal(self, key: Any, batch_size: int) -> Any:
                return jax.numpy.asarray(x), {}

        def predictor(states: Any, s: Any, t: Any, cond: Any, aux: Any) -> Any:
            answer = ask(np.array(states), _level(sampler.process, t))
            kinds = needed("diffusionlab.typing", INSTALL)
            return kinds.Prediction(value=jax.numpy.asarray(answer), kind="x_0")

        def normal(key: Any, shape: Any = (), *rest: Any, **named: Any) -> Any:
            return jax.numpy.asarray(draw(tuple(shape)))

        before = jax.config.jax_enable_x64, jax.random.normal
        jax.config.update("jax_enable_x64", True)
        jax.random.normal = normal
        try:
            sampler = guarded(kind, Started(x.shape[1:], **self.parts[0]), **self.parts[1])
            times = guarded(laid, self.steps, len(x), **self.parts[2])
            key = jax.random.key(0)
            return np.array(guarded(self.library.sample, key, sampler, predictor, len(x), times))
        finally:
            jax.config.update("jax_enable_x64", before[0])
            jax.random.normal = before[1]


def _level(process: Any, t: Any) -> Level:
    at = process.get_coefficients(t)
    # Where the cosine is zero, rounding has it beside: no signal is left there to divide by.
    alpha = float(at["alpha"][0])
    return Level(alpha if alpha > _NO_SIGNAL else 0.0, float(at["sigma"][0]) ** 2)

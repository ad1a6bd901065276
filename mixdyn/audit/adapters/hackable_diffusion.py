"""Gaussian steps of hackable-diffusion (DDIMStep, HeunStep, SdeStep, ...) in its DiffusionSampler,
on its noise schedules (schedule="RF" by default) and times (times="Uniform", or EDM), in double
precision and without compilation. They start from N(0, 1), its invariant law on every schedule.

The level is that of the schedule at the time handed over; the model answers with x_0. `steps` is
the library's num_steps, which counts points: a model is called once fewer. The end is at the last
point, t = 1e-6 by default.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...affine.drivers import Ask, Draw, Driver
from ...score.protocol import Level
from ...support.checks import Array
from ..calls import guarded, named_in, provenance, sorted_out
from . import STEPS, Offer, kinds_in, needed

INSTALL = "pip install hackable-diffusion==1.0.1, which asks for Python 3.12"
_LIBRARY = "hackable_diffusion.lib."
_NOISE = ("stoch_coeff", "churn")


def samplers() -> list[Offer]:
    """Its kinds of Gaussian steps; a setting without a default, which says how much noise is drawn,
    at 0 and 1."""
    module = needed(f"{_LIBRARY}sampling.gaussian_step_sampler", INSTALL)
    found: list[Offer] = []
    for name in kinds_in(module, module.SamplerStep):
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        open_ = [one.name for one in parameters if one.default is one.empty and one.name in _NOISE]
        found += [(name, {key: value}) for key in open_ for value in (0.0, 1.0)] or [(name, {})]
    return found


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of a step, `DDIMStep` or short `DDIM`."""
    name, given = f"{name.removesuffix('Step')}Step", dict(settings)
    places = (
        ("corruption.schedules", f"{given.pop('schedule', 'RF').removesuffix('Schedule')}Schedule"),
        ("sampling.gaussian_step_sampler", name),
        ("sampling.time_scheduling", f"{given.pop('times', 'Uniform')}TimeSchedule"),
    )
    example = "DDIMStep with schedule='RF'"
    schedule, kind, laid = (
        named_in("hackable_diffusion", needed(_LIBRARY + place, INSTALL), found, callable, example)
        for place, found in places
    )
    calls = {"its schedule": schedule, "it": kind, "its times": laid}
    of_schedule, own, of_times = sorted_out(name, calls, given)
    process = needed(_LIBRARY + "corruption.gaussian", INSTALL).GaussianProcess(
        schedule=guarded(schedule, **of_schedule)
    )
    points = {"time_schedule": guarded(laid, **of_times), "num_steps": steps or STEPS}
    ahead = {key: points[key] for key in points if key in inspect.signature(kind).parameters}
    sampler = needed(_LIBRARY + "sampling.sampling", INSTALL).DiffusionSampler(
        stepper=guarded(kind, corruption_process=process, **{**ahead, **own}),
        store_trajectory=False,
        **points,
    )
    return _Sampler(sampler, provenance("hackable-diffusion", name, steps or STEPS, settings))


@dataclasses.dataclass(frozen=True)
class _Sampler:
    sampler: Any
    provenance: Mapping[str, Any]

    predicts: ClassVar[str] = "x0"
    start_std: ClassVar[float] = 1.0

    @property
    def end(self) -> Level:
        """That of the last point."""
        import jax

        with jax.enable_x64(True):
            spec = jax.numpy.zeros((1, 1))
            points = self.sampler.time_schedule.all_step_infos(
                jax.random.PRNGKey(0), self.sampler.num_steps, spec
            )
            return self._level(points.time[-1])

    def _level(self, time: Any) -> Level:
        schedule, t = self.sampler.stepper.corruption_process.schedule, time.ravel()[:1]
        return Level(max(float(schedule.alpha(t)[0]), 0.0), float(schedule.sigma(t)[0]) ** 2)

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        import jax

        def inference(time: Any, xt: Any, conditioning: Any = None) -> Any:
            return {"x0": jax.numpy.asarray(ask(np.array(xt), self._level(time)))}

        def normal(key: Any, shape: Any = (), *rest: Any, **named: Any) -> Any:
            return jax.numpy.asarray(draw(tuple(shape)))

        def loop(body: Any, carry: Any, xs: Any) -> Any:
            # Without compilation, JAX's own would compile the slices of every single step.
            leaves, tree = jax.tree.flatten(xs)
            for parts in zip(*map(np.asarray, leaves), strict=True):
                carry, _ = body(carry, jax.tree.unflatten(tree, map(jax.numpy.asarray, parts)))
            return carry, None

        before = jax.random.normal, jax.lax.scan
        jax.random.normal, jax.lax.scan = normal, loop
        try:
            with jax.enable_x64(True), jax.disable_jit():
                start, key = jax.numpy.asarray(x), jax.random.PRNGKey(0)
                return np.array(guarded(self.sampler, inference, key, start)[0].xt)
        finally:
            jax.random.normal, jax.lax.scan = before

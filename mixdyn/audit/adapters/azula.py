"""Samplers of azula.sample on its noise schedules (schedule=VPSchedule by default, with its own
settings beside those of the sampler); the times are in the library's default precision.

The level is that of the schedule at the time handed over, with alpha^2 + sigma^2 as it is, and the
end that of the time `stop`, noise included. They start from the library's init().
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ...affine.drivers import Draw, Driver
from ...score.protocol import Level
from ..calls import Model, TorchSampler, guarded, named_in, provenance, sorted_out
from . import Offer, kinds_in, needed

INSTALL = "pip install azula==0.11.1"


def samplers() -> list[Offer]:
    """Its kinds of Sampler, each at its defaults and, where it has an eta, at eta = 1."""
    module = needed("azula.sample", INSTALL)
    found: list[Offer] = []
    for name in kinds_in(module, module.Sampler):
        found.append((name, {}))
        eta = inspect.signature(getattr(module, name)).parameters.get("eta")
        if eta is not None and eta.default != 1.0:
            found.append((name, {"eta": 1.0}))
    return found


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of a sampler, `DDIMSampler` or short `DDIM`."""
    library = needed("azula", INSTALL)
    samples, noises = needed("azula.sample", INSTALL), needed("azula.noise", INSTALL)
    name = f"{name.removesuffix('Sampler')}Sampler"
    kind = named_in("azula", samples, name, callable, "DDIMSampler")
    given = dict(settings)
    table = f"{given.pop('schedule', 'VP').removesuffix('Schedule')}Schedule"
    schedules = named_in("azula", noises, table, callable, "DDIMSampler with schedule='VP'")
    calls = {"its schedule": schedules, "it": kind, "every one": samples.Sampler}
    of_schedule, own, common = sorted_out(name, calls, given)
    schedule = guarded(schedules, **of_schedule)
    if steps is not None:
        common["steps"] = steps

    def level(t: Any) -> Level:
        alpha, sigma = schedule(t)
        return Level(float(alpha), float(sigma) ** 2)

    def made(model: Model | None) -> Any:
        class Denoiser(library.denoise.Denoiser):  # type: ignore[misc,name-defined]
            def forward(self, x: Any, t: Any) -> Any:
                assert model is not None
                return SimpleNamespace(mean=model(x, level(t)))

        denoiser = Denoiser()
        denoiser.schedule = schedule
        return guarded(kind, denoiser, silent=True, **own, **common)

    def play(x: Any, model: Model, draw: Draw) -> Any:
        return made(model)(x)

    times = made(None).timesteps
    first = level(times[0])
    start = math.sqrt(first.alpha**2 + first.noise_var)
    found = provenance("azula", name, steps, settings)
    return TorchSampler(play, "x0", start, found, level(times[-1]))

"""`samples` of smalldiffusion on its schedules (schedule="DDPM" by default, for ScheduleDDPM).

The model is asked at the sigma that it is handed, x = x_0 + sigma eps, and on the flow schedules
for the velocity at x = (1 - t) x_0 + t eps. It returns at the smallest sigma of the table, noise
included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...affine.drivers import Draw, Driver
from ...score.protocol import Level
from ..calls import Model, TorchSampler, guarded, named_in, provenance, sorted_out
from . import STEPS, Offer, kinds_in, needed

INSTALL = "pip install smalldiffusion==0.5.0"


def samplers() -> list[Offer]:
    """The one function `samples` in the three uses that its authors name (DDIM, DDPM, accelerated),
    the first on each of its schedules."""
    library = needed("smalldiffusion", INSTALL)
    tables = [name.removeprefix("Schedule") for name in kinds_in(library, library.Schedule)]
    uses: list[dict[str, Any]] = [{"mu": 0.5}, {"gam": 2.0}]
    return [("samples", given) for given in [*({"schedule": name} for name in tables), *uses]]


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of `samples`."""
    library, steps = needed("smalldiffusion", INSTALL), steps or STEPS
    samples = named_in("smalldiffusion", library, name, lambda it: it is library.samples, "samples")
    given = dict(settings)
    table = f"Schedule{given.pop('schedule', 'DDPM').removeprefix('Schedule')}"
    kind = named_in("smalldiffusion", library, table, callable, "samples with schedule='DDPM'")
    of_schedule, own = sorted_out(name, {"its schedule": kind, "it": samples}, given)
    schedule = guarded(kind, **{"N": 1000, **of_schedule})
    sigmas = guarded(schedule.sample_sigmas, steps)
    flow = isinstance(schedule, library.ScheduleFlow)

    def level(sigma: Any) -> Level:
        s = float(sigma)
        return Level(1.0 - s, s * s) if flow else Level(1.0, s * s)

    def play(x: Any, model: Model, draw: Draw) -> Any:
        import torch

        class Exact(torch.nn.Module, library.ModelMixin):  # type: ignore[misc,name-defined]
            def rand_input(self, batchsize: int) -> Any:
                return torch.randn((batchsize, *x.shape[1:]), dtype=x.dtype)

            def forward(self, states: Any, sigma: Any, cond: Any = None) -> Any:
                return model(states, level(sigma))

        on_cpu = library.diffusion.Accelerator(cpu=True)
        *_, end = samples(Exact(), sigmas, xt=x, accelerator=on_cpu, **own)
        return end

    found = provenance("smalldiffusion", name, steps, settings)
    predicts = "velocity" if flow else "eps"
    return TorchSampler(play, predicts, float(sigmas[0]), found, level(sigmas[-1]))

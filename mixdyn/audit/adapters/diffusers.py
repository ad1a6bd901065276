"""Schedulers of diffusers: set_timesteps, scale_model_input, step.

The model's input is at the level that the scheduler's own table gives for the timestep it hands
over. Tables of alphas_cumprod are read at integer timesteps as they are, between them linearly in
log sigma (`_at_timestep`); those without one have a rule each (`_RULES`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...affine.drivers import CLEAN, Ask, Draw, Driver
from ...score.protocol import Level
from ...support.checks import Array, check_real
from ...support.errors import InputError
from ..calls import guarded, sorted_out
from . import Offer, kinds_in, needed

INSTALL = "pip install diffusers==0.42.1"
_NATURAL = {
    "clip_sample": False,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
}
_VARIANTS: Mapping[str, tuple[Any, ...]] = {
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "eta": (1.0,),
    "use_karras_sigmas": (True,),
    "algorithm_type": ("sde-dpmsolver++",),
    "solver_order": (3,),
}
_UNSAID = {"IPNDMScheduler": "v_prediction"}  # it takes noise_std x + alpha output as the noise
_PREDICTS = {
    "epsilon": "eps",
    "sample": "x0",
    "v_prediction": "v",
    "flow_prediction": "velocity",
}


def samplers() -> list[Offer]:
    """Its schedulers of Gaussian diffusions, without clipping and on the linear table where they
    take one; and each with one setting changed, where that is another one."""
    module = needed("diffusers.schedulers", INSTALL)
    found: list[Offer] = []
    for name in kinds_in(module, module.SchedulerMixin):
        kind = getattr(module, name)
        if not (_schedules(kind) and _steps_states(kind)):
            continue
        made = inspect.signature(kind).parameters
        taken = {**made, **inspect.signature(kind.step).parameters}
        natural = {key: value for key, value in _NATURAL.items() if key in made}
        if "beta_start" not in made:  # its tables are its own
            natural.pop("beta_schedule", None)
        found.append((name, natural))
        found += [
            (name, {**natural, key: value})
            for key, values in _VARIANTS.items()
            for value in values
            if key in taken and taken[key].default != value
        ]
    return found


def _steps_states(kind: type[Any]) -> bool:
    """Whether `step` makes a state of a model's output, a timestep and a state, and needs not be
    told the next timestep."""
    taken = set(inspect.signature(kind.step).parameters)
    return {"model_output", "timestep", "sample"} <= taken and "prev_timestep" not in taken


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of a scheduler: settings of its constructor, of set_timesteps and of step."""
    library = needed("diffusers", INSTALL)
    kind = getattr(library, name, None)
    if kind is None or not _schedules(kind):
        raise InputError(
            "a scheduler of diffusers has step and set_timesteps",
            f"diffusers:{name}",
            "Name one, for example diffusers:DDIMScheduler.",
        )
    return _Scheduler(kind, steps, settings, library.__version__)


def _schedules(kind: Any) -> bool:
    calls = (getattr(kind, name, None) for name in ("step", "set_timesteps"))
    return isinstance(kind, type) and all(map(callable, calls))


class _Scheduler:
    """A scheduler, made anew for every run."""

    end = CLEAN

    def __init__(
        self, kind: type[Any], steps: int | None, settings: Mapping[str, Any], version: str
    ) -> None:
        self._kind, self._steps = kind, steps
        calls = {"it": kind, "set_timesteps": kind.set_timesteps, "step": kind.step}
        self._made, self._set, self._stepped = sorted_out(kind.__name__, calls, settings)
        scheduler = self._fresh()
        unsaid = _UNSAID.get(kind.__name__, "epsilon")
        asked = str(getattr(scheduler.config, "prediction_type", unsaid))
        self._preconditioned = hasattr(scheduler, "precondition_outputs")
        flow = "FlowMatch" in kind.__name__ or getattr(scheduler.config, "use_flow_sigmas", False)
        self.predicts = "velocity" if flow else _PREDICTS.get(asked, asked)
        if self._preconditioned:
            self.predicts = "x0"
        self.start_std = float(getattr(scheduler, "init_noise_sigma", 1.0))
        self._rule = _rule(scheduler, bool(flow))
        self.provenance = {
            "sampler": kind.__name__,
            "library": "diffusers",
            "version": version,
            "steps": steps,
            "settings": {name: repr(value) for name, value in settings.items()},
            "level": (self._rule.__doc__ or "").strip(),
        }

    def _fresh(self) -> Any:
        scheduler = guarded(self._kind, **self._made)
        count = {} if self._steps is None else {"num_inference_steps": self._steps}
        set_timesteps = guarded(getattr, scheduler, "set_timesteps")
        guarded(set_timesteps, **count, **self._set)
        return scheduler

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        from ..tensors import BrownianPath, HandedNoise

        scheduler = self._fresh()
        if hasattr(scheduler, "noise_sampler"):  # a tree, unless there is one already
            scheduler.noise_sampler = BrownianPath(x.shape, draw)
        with HandedNoise(draw):
            return self._walked(scheduler, x, ask)

    def repeats(self) -> bool:
        """Whether a seeded generator, where `step` takes one, names the end: whatever torch's own
        random numbers are."""
        from ..tensors import hidden_seed

        taken = "generator" in inspect.signature(self._kind.step).parameters
        x, ends = np.linspace(-1.0, 1.0, 8).reshape(4, 2), []
        for seed in (1, 2):
            with hidden_seed(seed) as generator:
                handed = {"generator": generator} if taken else {}
                ends.append(self._walked(self._fresh(), x, lambda x, at: 0.5 * x, **handed))
        return bool(np.array_equal(ends[0], ends[1], equal_nan=True))

    def _walked(self, scheduler: Any, x: Array, ask: Ask, **handed: Any) -> Array:
        from ..tensors import to_array, to_tensor

        state = to_tensor(x)
        scaling = getattr(scheduler, "scale_model_input", lambda states, t: states)
        for t in scheduler.timesteps:
            given = to_array(guarded(scaling, state, t))
            answer = to_tensor(self._answer(scheduler, given, t, ask))
            stepped = guarded(scheduler.step, answer, t, state, **handed, **self._stepped)
            state = stepped.prev_sample
        return to_array(state)

    def _answer(self, scheduler: Any, x: Array, t: Any, ask: Ask) -> Array:
        """What the network would return for its input x at timestep t."""
        at = self._rule(scheduler, check_real(float(t), "a timestep"))
        answer = ask(x, at)
        if not self._preconditioned:
            return answer
        # The network's own output F of x0 = c_skip y + c_out F, y = x/alpha in its frame.
        data, sigma = float(scheduler.config.sigma_data), math.sqrt(at.rho)
        total = sigma**2 + data**2
        c_out = sigma * data / math.sqrt(total)
        if scheduler.config.prediction_type == "v_prediction":
            c_out = -c_out
        found: Array = (answer - data**2 / total * (x / at.alpha)) / c_out
        return found


# -- levels --------------------------------------------------------------------------------------


def _at_timestep(scheduler: Any, t: float) -> Level:
    """alphas_cumprod at integer timesteps; linear in log sigma between them."""
    table = np.asarray(scheduler.alphas_cumprod.double())
    if not 0.0 <= t <= len(table) - 1:
        raise InputError(
            f"a model is asked at timesteps 0..{len(table) - 1} of the table",
            f"t = {t:.6g}",
            "Choose another number of steps or another spacing.",
        )
    if t == int(t):
        abar = float(table[int(t)])
        return Level(math.sqrt(abar), 1.0 - abar, abar)
    log_sigma = 0.5 * np.log((1.0 - table) / table)
    return Level.of_rho(math.exp(2.0 * np.interp(t, np.arange(len(table)), log_sigma)))


def _at_flow_time(scheduler: Any, t: float) -> Level:
    """x = (1 - s) x_0 + s eps at s = timestep/num_train_timesteps."""
    s = t / float(scheduler.config.num_train_timesteps)
    return Level(1.0 - s, s * s)


def _preconditioned_at(scheduler: Any, sigma: float) -> Level:
    data = float(scheduler.config.sigma_data)
    alpha = 1.0 / math.sqrt(sigma**2 + data**2)
    return Level(alpha, (alpha * sigma) ** 2)


def _at_log_sigma(scheduler: Any, t: float) -> Level:
    """sigma = exp(4 timestep), x = (x_0 + sigma eps)/sqrt(sigma^2 + sigma_data^2)."""
    return _preconditioned_at(scheduler, math.exp(4.0 * t))


def _at_angle(scheduler: Any, t: float) -> Level:
    """sigma = tan(pi timestep/2), x = (x_0 + sigma eps)/sqrt(sigma^2 + sigma_data^2)."""
    return _preconditioned_at(scheduler, math.tan(0.5 * math.pi * t))


def _on_circle(scheduler: Any, t: float) -> Level:
    """x = cos(pi timestep/2) x_0 + sin(pi timestep/2) eps."""
    angle = 0.5 * math.pi * t
    return Level(math.cos(angle), math.sin(angle) ** 2)


_RULES: Mapping[str, Callable[[Any, float], Level]] = {
    "EDMEulerScheduler": _at_log_sigma,
    "EDMDPMSolverMultistepScheduler": _at_log_sigma,
    "CosineDPMSolverMultistepScheduler": _at_angle,
    "IPNDMScheduler": _on_circle,
}


def _rule(scheduler: Any, flow: bool) -> Callable[[Any, float], Level]:
    name = type(scheduler).__name__
    if flow:
        return _at_flow_time
    if name in _RULES:
        return _RULES[name]
    if getattr(scheduler, "alphas_cumprod", None) is None:
        raise InputError(
            "a scheduler needs a table that names the level of a timestep",
            f"{name} without alphas_cumprod",
            "Write its rule beside those of the adapter.",
        )
    return _at_timestep

"""Schedulers of diffusers: set_timesteps, scale_model_input, step.

The model's input is at the level that the scheduler's own table gives for the timestep it hands
over. Tables of alphas_cumprod are read at integer timesteps as they are, between them linearly in
log sigma (`_at_timestep`); those without one have a rule each (`_RULES`).
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
import re
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
_DISTILLED = re.compile("LCM|FlowMatchLCM|TCD|SCM|CMStochastic")  # made for consistency maps
_FLOWS = re.compile("FlowMatch|FlowMap|LTXEuler")
_NATURAL = {
    "clip_sample": False,
    "clip_denoised": False,
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
    if name in _OLD:
        kind = getattr(
            needed(f"{library.__name__}.schedulers.deprecated.{_OLD[name]}", INSTALL), name
        )
    if name in _NOT_DRIVEN:
        raise InputError(
            "a scheduler is driven by the score of Gaussian diffusions, from noise to data",
            f"diffusers:{name}, {_NOT_DRIVEN[name]}",
            "Choose another.",
        )
    if kind is None or not (name in _WALKS or _schedules(kind)):
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
        self._step = getattr(kind, "step", None) or kind.step_pred
        calls = {"it": kind, "set_timesteps": kind.set_timesteps, "step": self._step}
        self._made, self._set, self._stepped = sorted_out(kind.__name__, calls, settings)
        if "intermediate_timesteps" in inspect.signature(kind.set_timesteps).parameters:
            self._set.setdefault("intermediate_timesteps", None)
        scheduler = self._fresh()
        unsaid = _UNSAID.get(kind.__name__, "epsilon")
        asked = str(getattr(scheduler.config, "prediction_type", unsaid))
        self._preconditioned = hasattr(scheduler, "precondition_outputs")
        flow = bool(_FLOWS.match(kind.__name__))
        flow |= bool(getattr(scheduler.config, "use_flow_sigmas", False))
        self.predicts = "velocity" if flow else _PREDICTS.get(asked, asked)
        if self._preconditioned:
            self.predicts = "x0"
        self.predicts, self._turned = _TURNED.get(kind.__name__, (self.predicts, _as_it_is))
        self.start_std = float(getattr(scheduler, "init_noise_sigma", 1.0))
        if kind.__name__ == "SCMScheduler":  # its pipeline scales the start
            self.start_std = float(scheduler.config.sigma_data)
        self._rule = _rule(scheduler, flow)
        self.provenance = {
            "sampler": kind.__name__,
            "library": "diffusers",
            "version": version,
            "steps": steps,
            "settings": {name: repr(value) for name, value in settings.items()},
            "level": (self._rule.__doc__ or "").strip(),
            "distilled": bool(_DISTILLED.match(kind.__name__)),
        }

    @property
    def table(self) -> int | None:
        """How many times its table has, where that is what names levels."""
        named = self._rule is _at_timestep
        return len(self._fresh().alphas_cumprod) if named else None

    def times(self, steps: int) -> Array:
        """Those of a grid of so many steps."""
        return np.asarray(self._laid(copy.copy(self._unset), steps).timesteps, dtype=np.float64)

    @functools.cached_property
    def _unset(self) -> Any:
        return guarded(self._kind, **self._made)

    def _fresh(self) -> Any:
        return self._laid(guarded(self._kind, **self._made), self._steps)

    def _laid(self, scheduler: Any, steps: int | None) -> Any:
        count = {} if steps is None else {"num_inference_steps": steps}
        set_timesteps = guarded(getattr, scheduler, "set_timesteps")
        guarded(set_timesteps, **count, **self._set)
        return scheduler

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        from ..tensors import BrownianPath, handed_noise

        scheduler = self._fresh()
        if hasattr(scheduler, "noise_sampler"):  # a tree, unless there is one already
            scheduler.noise_sampler = BrownianPath(x.shape, draw)
        with handed_noise(draw):
            return self._walked(scheduler, x, ask)

    def repeats(self) -> bool:
        """Whether a seeded generator, where `step` takes one, names the end: whatever torch's own
        random numbers are."""
        from ..tensors import hidden_seed

        taken = "generator" in inspect.signature(self._step).parameters
        x, ends = np.linspace(-1.0, 1.0, 8).reshape(4, 2), []
        for seed in (1, 2):
            with hidden_seed(seed) as generator:
                handed = {"generator": generator} if taken else {}
                ends.append(self._walked(self._fresh(), x, lambda x, at: 0.5 * x, **handed))
        return bool(np.array_equal(ends[0], ends[1], equal_nan=True))

    def _walked(self, scheduler: Any, x: Array, ask: Ask, **handed: Any) -> Array:
        from ..tensors import to_array, to_tensor

        scaling = getattr(scheduler, "scale_model_input", lambda states, t: states)

        def model(state: Any, t: Any) -> Any:
            given = to_array(guarded(scaling, state, t))
            return to_tensor(self._answer(scheduler, given, t, ask))

        walk = _WALKS.get(self._kind.__name__, _stepwise)
        return to_array(guarded(walk, scheduler, to_tensor(x), model, {**handed, **self._stepped}))

    def _answer(self, scheduler: Any, x: Array, t: Any, ask: Ask) -> Array:
        """What the network would return for its input x at timestep t."""
        at = self._rule(scheduler, check_real(float(t), "a timestep"))
        answer = ask(x, at)
        if not self._preconditioned:
            return self._turned(scheduler, x, at, answer)
        # The network's own output F of x0 = c_skip y + c_out F, y = x/alpha in its frame.
        data, sigma = float(scheduler.config.sigma_data), math.sqrt(at.rho)
        total = sigma**2 + data**2
        c_out = sigma * data / math.sqrt(total)
        if scheduler.config.prediction_type == "v_prediction":
            c_out = -c_out
        found: Array = (answer - data**2 / total * (x / at.alpha)) / c_out
        return found


# -- what a network returns ----------------------------------------------------------------------


def _as_it_is(scheduler: Any, x: Array, at: Level, answer: Array) -> Array:
    return answer


def _reversed(scheduler: Any, x: Array, at: Level, answer: Array) -> Array:
    return -answer


def _of_consistency(scheduler: Any, x: Array, at: Level, x0: Array) -> Array:
    """F of x0 = c_skip y + c_out F with its scalings at the boundary; y = x/alpha in its frame. At
    sigma_min it returns y whatever F is."""
    sigma = scheduler.sigmas[scheduler.step_index]
    c_skip, c_out = map(float, scheduler.get_scalings_for_boundary_condition(sigma))
    found: Array = (x0 - c_skip * (x / at.alpha)) / c_out if c_out else np.zeros_like(x0)
    return found


def _of_trigonometric_flow(scheduler: Any, x: Array, at: Level, x0: Array) -> Array:
    """F of x0 = cos(t) x - sin(t) F."""
    found: Array = (at.alpha * x - x0) / (at.noise_std / float(scheduler.config.sigma_data))
    return found


# By the scheduler: what it is driven by, and how its network's output is made of that.
_TURNED: Mapping[str, tuple[str, Callable[[Any, Array, Level, Array], Array]]] = {
    "CMStochasticIterativeScheduler": ("x0", _of_consistency),
    "SCMScheduler": ("x0", _of_trigonometric_flow),
    "MiniMaxH3Scheduler": ("velocity", _reversed),
    "ScoreSdeVeScheduler": ("score", _as_it_is),
    "KarrasVeScheduler": ("eps", _reversed),
}


# -- loops of their pipelines --------------------------------------------------------------------


def _stepwise(scheduler: Any, x: Any, model: Any, handed: Mapping[str, Any]) -> Any:
    for t in scheduler.timesteps:
        x = scheduler.step(model(x, t), t, x, **handed).prev_sample
    return x


def _up_to_the_last_time(scheduler: Any, x: Any, model: Any, handed: Mapping[str, Any]) -> Any:
    """The last of the times is that of the end."""
    of_rows = not hasattr(scheduler, "step_index")
    for t in scheduler.timesteps[:-1]:
        time = t.expand(len(x)) if of_rows else t
        x = scheduler.step(model(x, t), time, x, **handed).prev_sample
    return x


def _with_the_one_before(scheduler: Any, x: Any, model: Any, handed: Mapping[str, Any]) -> Any:
    """Each step is handed the time and the x_0 of the one before."""
    before, x0 = None, None
    for t in scheduler.timesteps:
        x, x0 = scheduler.step(model(x, t), x0, t, before, x, **handed)[:2]
        before = t
    return x


def _corrected(scheduler: Any, x: Any, model: Any, handed: Mapping[str, Any]) -> Any:
    """Correctors, then a predictor, whose mean is the end."""
    scheduler.set_sigmas(len(scheduler.timesteps))
    generator = {key: handed[key] for key in handed if key == "generator"}
    mean = x
    for k, t in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[k]
        for _ in range(scheduler.config.correct_steps):
            x = scheduler.step_correct(model(x, sigma), x, **generator).prev_sample
        stepped = scheduler.step_pred(model(x, sigma), t, x, **handed)
        x, mean = stepped.prev_sample, stepped.prev_sample_mean
    return mean


def _predicted(scheduler: Any, x: Any, model: Any, handed: Mapping[str, Any]) -> Any:
    """The mean of the last predictor is the end."""
    mean = x
    for t in scheduler.timesteps:
        x, mean = scheduler.step_pred(model(x, t), x, t, **handed)
    return mean


def _churned(scheduler: Any, x: Any, model: Any, handed: Mapping[str, Any]) -> Any:
    """Noise, a step of Euler and its correction; the times are places of its schedule."""
    generator = {key: handed[key] for key in handed if key == "generator"}
    for t in scheduler.timesteps:
        sigma = scheduler.schedule[t]
        then = scheduler.schedule[t - 1] if t > 0 else 0.0
        x, sigma = scheduler.add_noise_to_input(x, sigma, **generator)
        out = scheduler.step(model(x, sigma), sigma, then, x)
        if then:
            out = scheduler.step_correct(
                model(out.prev_sample, then), sigma, then, x, out.prev_sample, out.derivative
            )
        x = out.prev_sample
    return x


_WALKS: Mapping[str, Callable[[Any, Any, Any, Mapping[str, Any]], Any]] = {
    "SCMScheduler": _up_to_the_last_time,
    "DDPMWuerstchenScheduler": _up_to_the_last_time,
    "CogVideoXDPMScheduler": _with_the_one_before,
    "ScoreSdeVeScheduler": _corrected,
    "ScoreSdeVpScheduler": _predicted,
    "KarrasVeScheduler": _churned,
}
_OLD: Mapping[str, str] = {
    "ScoreSdeVpScheduler": "scheduling_sde_vp",
    "KarrasVeScheduler": "scheduling_karras_ve",
}
_TOKENS = "which draws discrete tokens"
_NOT_DRIVEN: Mapping[str, str] = {
    "AmusedScheduler": _TOKENS,
    "BlockRefinementScheduler": _TOKENS,
    "DiscreteDDIMScheduler": _TOKENS,
    "EntropyBoundScheduler": _TOKENS,
    "VQDiffusionScheduler": _TOKENS,
    "RePaintScheduler": "which is conditioned on an image and its mask",
    "DDIMInverseScheduler": "which goes from data to noise",
    "DPMSolverMultistepInverseScheduler": "which goes from data to noise",
    "HeliosScheduler": "whose stages change the size of its states",
    "HeliosDMDScheduler": "whose stages change the size of its states",
    "PiflowScheduler": "whose network returns several predictions a call",
    "RFD4ProteinaScheduler": "whose states are proteins",
}


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


def _at_250_log_sigma(scheduler: Any, t: float) -> Level:
    """sigma = exp(timestep/250), x = (x_0 + sigma eps)/sqrt(sigma^2 + sigma_data^2)."""
    return _preconditioned_at(scheduler, math.exp(t / 250.0))


def _on_ellipse(scheduler: Any, t: float) -> Level:
    """x = cos(timestep) x_0 + sigma_data sin(timestep) eps."""
    data = float(scheduler.config.sigma_data)
    return Level(max(math.cos(t), 0.0), (data * math.sin(t)) ** 2)


def _at_clean_time(scheduler: Any, t: float) -> Level:
    """x = timestep x_0 + (1 - timestep) eps."""
    return Level(t, (1.0 - t) ** 2)


def _at_cosine(scheduler: Any, t: float) -> Level:
    """abar by its own formula of the timestep."""
    import torch

    abar = float(scheduler._alpha_cumprod(torch.tensor([t]), "cpu"))
    return Level(math.sqrt(abar), 1.0 - abar, abar)


def _at_sigma(scheduler: Any, sigma: float) -> Level:
    """x = x_0 + sigma eps, asked at sigma."""
    return Level(1.0, sigma * sigma)


def _at_vp_time(scheduler: Any, t: float) -> Level:
    """abar = exp(-t beta_min - t^2 (beta_max - beta_min)/2)."""
    low, high = float(scheduler.config.beta_min), float(scheduler.config.beta_max)
    abar = math.exp(-t * low - 0.5 * t * t * (high - low))
    return Level(math.sqrt(abar), 1.0 - abar, abar)


_RULES: Mapping[str, Callable[[Any, float], Level]] = {
    "CMStochasticIterativeScheduler": _at_250_log_sigma,
    "SCMScheduler": _on_ellipse,
    "MiniMaxH3Scheduler": _at_clean_time,
    "DDPMWuerstchenScheduler": _at_cosine,
    "ScoreSdeVeScheduler": _at_sigma,
    "KarrasVeScheduler": _at_sigma,
    "ScoreSdeVpScheduler": _at_vp_time,
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

"""The one clock: noise schedules over times 0 (clean) to T (noise), and grids of those times.

`beta[0] = 0` and `alpha_bar[0] = 1`, so index t is the paper's t, never t - 1. A reverse grid is
an explicit decreasing list of times that ends at 0; nothing else in mixdyn works out a "previous"
time.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import (
    Array,
    IntArray,
    check_array,
    check_integer,
    check_nonnegative,
    check_positive,
    describe,
    frozen,
)
from ..support.errors import FileError, InputError
from ..support.files import read_parameters, write_parameters
from .checks import check_schedule
from .cumulative import Levels, cumulated
from .schedule_tables import betas_from_alphas_cumprod, betas_from_log_snr, betas_from_sigmas

# Longer than any schedule in use; refuses a slip such as T = 1e12 before the memory is asked for.
MAX_T = 10_000_000


class NoiseSchedule:
    """A discrete variance-preserving schedule beta_1..beta_T, each in (0, 1).

    Build it with `linear`, `scaled_linear`, `sigmoid`, `cosine`, from a table with `from_betas`,
    `from_alphas_cumprod`, `from_sigmas`, `from_log_snr`, or with `load`. Frozen, comparable by its
    betas, picklable. All arrays have shape (T + 1,), are read-only and indexed by the time t:

    beta, log_alpha_bar, alpha_bar (signal variance), alpha (its root), noise_var = 1 - alpha_bar,
    rho = noise_var/alpha_bar (noise variance in static coordinates y = x/alpha).

    `alpha_bar`, `alpha`, `noise_var` and `rho` are those of the stored betas to 2 ulp at every t,
    whatever the length and the kind (`cumulative`). `log_alpha_bar` is the running sum of
    log1p(-beta), which rounds by half an ulp of itself a step; the continuous clock is int beta =
    -log_alpha_bar.
    """

    __slots__ = ("__dict__", "_recipe", "beta", "log_alpha_bar")
    beta: Array
    log_alpha_bar: Array
    _recipe: dict[str, Any]

    def __init__(self, betas: ArrayLike, *, recipe: dict[str, Any] | None = None) -> None:
        values = _check_betas(betas)
        put = functools.partial(object.__setattr__, self)
        put("beta", frozen(np.concatenate([[0.0], values])))
        put("log_alpha_bar", frozen(np.cumsum(np.log1p(-self.beta))))
        put("_recipe", recipe or {"kind": "beta", "beta": self.beta[1:]})
        if self.log_alpha_bar[-1] < math.log(np.finfo(float).tiny):
            raise InputError(
                "alpha_bar must stay representable: -sum log(1 - beta) < 708",
                f"{-self.log_alpha_bar[-1]:.4g}",
                "Use smaller betas or fewer steps; the state is pure noise long before.",
            )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"NoiseSchedule is frozen: build a new one to change {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"NoiseSchedule is frozen: {name!r} cannot be deleted")

    @classmethod
    def linear(
        cls, T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02
    ) -> NoiseSchedule:
        """T betas evenly spaced from beta_start to beta_end (Ho et al., arXiv 2006.11239)."""
        steps = _check_length(T)
        first, last = check_positive(beta_start, "beta_start"), check_positive(beta_end, "beta_end")
        recipe = {"kind": "linear", "T": steps, "beta_start": first, "beta_end": last}
        return cls(np.linspace(first, last, steps), recipe=recipe)

    @classmethod
    def scaled_linear(
        cls, T: int = 1000, beta_start: float = 8.5e-4, beta_end: float = 0.012
    ) -> NoiseSchedule:
        """T betas whose roots are evenly spaced (Rombach et al., arXiv 2112.10752; the defaults are
        those of Stable Diffusion)."""
        steps = _check_length(T)
        first, last = check_positive(beta_start, "beta_start"), check_positive(beta_end, "beta_end")
        recipe = {"kind": "scaled_linear", "T": steps, "beta_start": first, "beta_end": last}
        return cls(np.linspace(math.sqrt(first), math.sqrt(last), steps) ** 2, recipe=recipe)

    @classmethod
    def sigmoid(
        cls, T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02
    ) -> NoiseSchedule:
        """beta_start + (beta_end - beta_start)/(1 + e^-u), u evenly spaced from -6 to 6 (Xu et al.,
        arXiv 2203.02923)."""
        steps = _check_length(T)
        first, last = check_positive(beta_start, "beta_start"), check_positive(beta_end, "beta_end")
        share = 1.0 / (1.0 + np.exp(-np.linspace(-6.0, 6.0, steps)))
        recipe = {"kind": "sigmoid", "T": steps, "beta_start": first, "beta_end": last}
        return cls(first + (last - first) * share, recipe=recipe)

    @classmethod
    def cosine(cls, T: int = 1000, max_beta: float = 0.999, s: float = 0.008) -> NoiseSchedule:
        """The squared-cosine alpha_bar of Nichol and Dhariwal (arXiv 2102.09672) with offset
        s >= 0, beta capped at `max_beta` as there."""
        steps = _check_length(T)
        cap, offset = check_positive(max_beta, "max_beta"), check_nonnegative(s, "s")
        # The level is sin^2 a_t with a_t = left unit, so that no difference need cancel in beta_t =
        # 1 - sin^2 a_t/sin^2 a_{t-1} = sin(a_{t-1} - a_t) sin(a_{t-1} + a_t)/sin^2 a_{t-1}.
        t, unit = np.arange(1, steps + 1), 0.5 * np.pi / ((1.0 + offset) * steps)
        # sin(pi - x) = sin x
        both = np.minimum(2 * (steps - t) + 1, 2 * t - 1 + 2.0 * offset * steps)
        betas = np.sin(unit) * np.sin(both * unit) / np.sin((steps - t + 1) * unit) ** 2
        recipe = {"kind": "cosine", "T": steps, "max_beta": cap}
        if offset != 0.008:  # the usual one is not written, as older files do not have it
            recipe["s"] = offset
        return cls(np.minimum(betas, cap), recipe=recipe)

    @classmethod
    def from_betas(cls, betas: ArrayLike) -> NoiseSchedule:
        """From the T values beta_1..beta_T (without the leading 0)."""
        return cls(betas)

    @classmethod
    def from_alphas_cumprod(cls, alphas_cumprod: ArrayLike) -> NoiseSchedule:
        """From the T values abar_1 > ... > abar_T of the signal variance, as `alphas_cumprod` of
        most public code holds them; abar_0 = 1 is not among them."""
        return cls._from_table("alphas_cumprod", alphas_cumprod, betas_from_alphas_cumprod)

    @classmethod
    def from_sigmas(cls, sigmas: ArrayLike) -> NoiseSchedule:
        """From noise levels of the variance-exploding or EDM parametrisation (arXiv 2206.00364):
        sigma^2 = rho, so abar = 1/(1 + sigma^2). Increasing, or decreasing with or without a final
        0. States here are x_t = y_t/sqrt(1 + sigma_t^2), y_t = x_0 + sigma_t eps being theirs."""
        return cls._from_table("sigmas", sigmas, betas_from_sigmas)

    @classmethod
    def from_log_snr(cls, log_snr: ArrayLike) -> NoiseSchedule:
        """From the T values log(abar/(1 - abar)) at times 1..T, strictly decreasing."""
        return cls._from_table("log_snr", log_snr, betas_from_log_snr)

    @classmethod
    def _from_table(
        cls, kind: str, values: ArrayLike, betas: Callable[[ArrayLike], Array]
    ) -> NoiseSchedule:
        table = frozen(check_array(values, kind, ndim=1).copy())
        return cls(betas(table), recipe={"kind": kind, kind: table})

    @property
    def T(self) -> int:
        """Number of steps; times run from 0 (clean) to T (noise)."""
        return len(self.beta) - 1

    @functools.cached_property
    def _levels(self) -> Levels:
        found = cumulated(self.beta[1:])
        clean = (1.0, 0.0, 0.0)
        return Levels(
            *(frozen(np.concatenate([[v], x])) for v, x in zip(clean, found, strict=True))
        )

    @property
    def alpha_bar(self) -> Array:
        """Signal variance: prod_{s <= t} (1 - beta_s)."""
        return self._levels.alpha_bar

    @functools.cached_property
    def alpha(self) -> Array:
        """Signal amplitude sqrt(alpha_bar)."""
        return frozen(np.sqrt(self.alpha_bar))

    @property
    def noise_var(self) -> Array:
        """1 - alpha_bar to full relative accuracy."""
        return self._levels.noise_var

    @property
    def rho(self) -> Array:
        """Noise variance in static coordinates, (1 - alpha_bar)/alpha_bar."""
        return self._levels.rho

    @property
    def parameters(self) -> dict[str, Any]:
        """Plain values that `from_parameters` turns back into this schedule, to the bit."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self._recipe.items()}

    def effective_variance(self, sigma: float) -> Array:
        """v_t = sigma^2 + rho_t, the variance of a mode in static coordinates, (T + 1,)."""
        return check_positive(sigma, "sigma") ** 2 + self.rho

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the betas: equal exactly for equal schedules."""
        h = hashlib.sha256(f"mixdyn.schedule.1:{self.T}".encode())
        h.update(self.beta.astype("<f8").tobytes())
        return h.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoiseSchedule) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(NoiseSchedule, recipe=self._recipe), (self.beta[1:],)

    def __repr__(self) -> str:
        kind = self._recipe["kind"]
        return f"NoiseSchedule(kind={kind!r}, T={self.T}, digest={self.digest[:12]})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to .toml or .npz: the kind and its parameters or its table."""
        write_parameters(path, self._recipe)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NoiseSchedule:
        """Read `kind`, the name of a constructor or of a table, and that kind's parameters from
        .toml or .npz."""
        every = frozenset({"kind"}).union(*(keys for _, keys in _KINDS.values()))
        values = read_parameters(path, every, frozenset({"kind"}))
        try:
            return cls.from_parameters(values)
        except InputError as error:
            raise FileError(error.rule, f"{error.received} in {path}", error.remedy) from None

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> NoiseSchedule:
        """From `kind` and that kind's values, as `parameters` gives them and files hold them."""
        values = dict(parameters)
        kind = values.pop("kind", None)
        known = _KINDS.get(kind) if isinstance(kind, str) else None
        if known is None or not set(values) <= known[1] or (kind in _TABLES and kind not in values):
            raise InputError(
                f"a schedule has kind {_listed(_KINDS)} with the keys {_key_table()}",
                f"kind {describe(kind)} with {sorted(values)}",
                "Correct the kind or its keys.",
            )
        if kind not in _TABLES:
            schedule: NoiseSchedule = known[0](**values)
            return schedule
        schedule = known[0](values[kind])
        if check_integer(values.get("T", schedule.T), "T", 1) != schedule.T:
            raise InputError(
                "T must equal the number of times in the table",
                values["T"],
                f"Set T = {schedule.T} or drop it.",
            )
        return schedule


# What builds each kind of schedule, and the keys that a file of that kind may have.
SCHEDULES: Mapping[str, Callable[..., NoiseSchedule]] = {
    "linear": NoiseSchedule.linear,
    "scaled_linear": NoiseSchedule.scaled_linear,
    "sigmoid": NoiseSchedule.sigmoid,
    "cosine": NoiseSchedule.cosine,
}
_TABLES: Mapping[str, Callable[..., NoiseSchedule]] = {
    "beta": NoiseSchedule.from_betas,
    "alphas_cumprod": NoiseSchedule.from_alphas_cumprod,
    "sigmas": NoiseSchedule.from_sigmas,
    "log_snr": NoiseSchedule.from_log_snr,
}
_KINDS = {
    **{
        kind: (make, frozenset(inspect.signature(make).parameters))
        for kind, make in SCHEDULES.items()
    },
    **{kind: (make, frozenset({"T", kind})) for kind, make in _TABLES.items()},
}


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


def _key_table() -> dict[str, list[str]]:
    return {kind: sorted(keys) for kind, (_, keys) in _KINDS.items()}


def _check_betas(betas: ArrayLike) -> Array:
    values = check_array(betas, "beta", ndim=1)
    if values.size == 0:
        raise InputError("a schedule needs at least one beta", "none", "Pass beta_1..beta_T.")
    inside = (values > 0) & (values < 1)
    if not inside.all():
        t = int(np.argmin(inside)) + 1
        raise InputError(
            "every beta must lie strictly between 0 and 1",
            f"beta_{t} = {values[t - 1]}",
            "beta is the noise variance added in one step.",
        )
    return values


class TimeGrid:
    """A decreasing list of times t_0 > t_1 > ... > t_S = 0, with t_0 <= T.

    Last-step rule: the last step goes to time 0, where the noise variance is zero, so it returns
    the predicted clean sample without noise, whatever the sampler.
    """

    __slots__ = ("_T", "_times")
    _T: int
    _times: IntArray

    def __init__(self, times: Iterable[int], T: int | None = None) -> None:
        # Python ints from here on: a NumPy array of floats is refused, not truncated.
        values = [check_integer(t, "every time", 0, MAX_T) for t in _as_list(times)]
        if len(values) < 2 or values[-1] != 0 or any(a <= b for a, b in _adjacent(values)):
            raise InputError(
                "a time grid must decrease strictly and end at 0",
                describe(values),
                "List the times from noise to data, e.g. [1000, 500, 1, 0].",
            )
        limit = values[0] if T is None else _check_length(T)
        if values[0] > limit:
            raise InputError(
                f"times must not exceed T = {limit}", values[0], "Start the grid at T or below."
            )
        array = np.array(values, dtype=np.int64)
        array.setflags(write=False)
        object.__setattr__(self, "_times", array)
        object.__setattr__(self, "_T", limit)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"TimeGrid is frozen: build a new one to change {name!r}")

    @classmethod
    def full(cls, T: int) -> TimeGrid:
        """T, T - 1, ..., 1, 0."""
        return cls(range(_check_length(T), -1, -1), T)

    @classmethod
    def uniform(cls, T: int, S: int) -> TimeGrid:
        """round(T (1 - k/S)) for k = 0..S: starts at T."""
        steps = _check_steps(T, S)
        return cls(np.rint(T * (steps - np.arange(steps + 1)) / steps).astype(int), T)

    @classmethod
    def trailing(cls, T: int, S: int) -> TimeGrid:
        """The times of `uniform`, under the name that diffusers gives them (arXiv 2305.08891): T,
        T - T/S, ... rounded. Counted as whole multiples, so that none is repeated or below 1."""
        return cls.uniform(T, S)

    @classmethod
    def linspace(cls, T: int, S: int) -> TimeGrid:
        """S noisy times from T to 1, as evenly spaced as whole times allow, then 0. One step starts
        at T."""
        steps = _check_steps(T, S)
        index = np.rint(np.linspace(0, T - 1, steps)) if steps > 1 else np.array([T - 1])
        times = 1 + index.astype(int)
        return cls([*_strictly_increasing(times, T)[::-1], 0], T)

    @classmethod
    def leading(cls, T: int, S: int) -> TimeGrid:
        """The first S of 1, 1 + T//S, 1 + 2 (T//S), ..., reversed, then 0: starts below T."""
        steps = _check_steps(T, S)
        return cls([*(np.arange(steps) * (T // steps) + 1)[::-1], 0], T)

    @classmethod
    def quadratic(cls, T: int, S: int) -> TimeGrid:
        """S noisy times, the k-th near 0.8 T (k/(S - 1))^2, dense near the data, then 0.

        0-based indices round(linspace(0, sqrt(0.8 T), S)^2), made strictly increasing (and pushed
        down from T where S is too large for that), plus 1. Starts near 0.8 T, as in the code of
        the DDIM paper (arXiv 2010.02502). One step starts at 0.8 T.
        """
        steps = _check_steps(T, S)
        root = math.sqrt(0.8 * T)
        index = np.rint(np.linspace(0 if steps > 1 else root, root, steps) ** 2).astype(int)
        return cls([*_strictly_increasing(index + 1, T)[::-1], 0], T)

    @classmethod
    def log_snr(cls, schedule: NoiseSchedule, S: int) -> TimeGrid:
        """S noisy times from T to 1, as evenly spaced in log(alpha_bar/(1 - alpha_bar)) as whole
        times allow, then 0."""
        steps = _check_steps(check_schedule(schedule).T, S)
        level = np.log(schedule.rho[1:])
        target = np.linspace(level[-1], level[0], steps)[::-1] if steps > 1 else level[-1:]
        times = np.rint(np.interp(target, level, np.arange(1.0, schedule.T + 1))).astype(int)
        return cls([*_strictly_increasing(times, schedule.T)[::-1], 0], schedule.T)

    @classmethod
    def from_times(cls, times: Iterable[int]) -> TimeGrid:
        """An explicit decreasing list of times ending at 0."""
        return cls(times)

    @property
    def times(self) -> IntArray:
        """(S + 1,) decreasing int64, the last is 0."""
        return self._times

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The steps as (t, s), t > s."""
        return list(_adjacent(self.times.tolist()))

    @property
    def steps(self) -> int:
        """Number of steps S."""
        return len(self.times) - 1

    def cut(self, start: int) -> TimeGrid:
        """The part from `start` (which must be a positive time of the grid) down to 0."""
        first = check_integer(start, "start", 1)
        if first not in self.times.tolist():
            gaps = np.abs(self.times - min(first, MAX_T))
            near = self.times[np.argsort(gaps, kind="stable")[:2]]
            raise InputError(
                "start must be a time of the grid",
                first,
                f"The nearest are {sorted(near.tolist())}.",
            )
        return TimeGrid(self.times[self.times <= first], self._T)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeGrid) and np.array_equal(self.times, other.times)

    def __hash__(self) -> int:
        return hash(self.times.tobytes())

    def __reduce__(self) -> tuple[Any, ...]:
        return TimeGrid, (self.times.tolist(), self._T)

    def __repr__(self) -> str:
        return f"TimeGrid({self.steps} steps from {self.times[0]} to 0)"


def _as_list(times: Iterable[int]) -> list[Any]:
    try:
        return list(times)
    except TypeError:
        raise InputError("times must be a list of integers", describe(times), "") from None


def _adjacent(values: list[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(values))


def _check_length(T: int) -> int:
    length = check_integer(T, "T", 1)
    if length > MAX_T:
        raise InputError(f"T must not exceed {MAX_T}", length, "Take a shorter schedule.")
    return length


def _check_steps(T: int, S: int) -> int:
    limit = _check_length(T)
    steps = check_integer(S, "the number of steps", 1)
    if steps > limit:
        raise InputError(
            f"the number of steps must not exceed T = {limit}",
            steps,
            "Take fewer steps or a longer schedule.",
        )
    return steps


def _strictly_increasing(times: IntArray, T: int) -> IntArray:
    """The nearest strictly increasing times within 1..T: push up, then down from T."""
    steps = len(times)
    offset = np.arange(steps)
    up = np.maximum.accumulate(np.maximum(times, 1) - offset) + offset
    return np.minimum(up, T - steps + 1 + offset)

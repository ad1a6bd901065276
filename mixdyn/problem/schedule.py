"""The one clock: noise schedules over times 0 (clean) to T (noise).

A schedule is a path x_t = a_t x_0 + b_t eps whose rho = (b/a)^2 rises with t. Nothing depends on
the path but through rho: x/a is the same on all paths that share it.

`beta[0] = 0` and `alpha_bar[0] = 1`, so index t is the paper's t, never t - 1. A reverse grid
(`time_grid`) is an explicit decreasing list of times that ends at 0; nothing else in mixdyn works
out a "previous" time.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
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
    check_flag,
    check_integer,
    check_nonnegative,
    check_positive,
    check_real,
    describe,
    frozen,
)
from ..support.errors import FileError, InputError
from ..support.files import read_parameters, write_parameters
from . import path_tables
from .cumulative import Levels, cumulated
from .schedule_tables import betas_from_alphas_cumprod, betas_from_log_snr, betas_from_sigmas
from .time_grid import TimeGrid, check_length

__all__ = ["SCHEDULES", "NoiseSchedule", "TimeGrid"]


class NoiseSchedule:
    """A discrete Gaussian path x_t = a_t x_0 + b_t eps at times t = 0 (clean) to T (noise).

    Variance-preserving, a^2 + b^2 = 1, with betas beta_1..beta_T in (0, 1): `linear`,
    `scaled_linear`, `sigmoid`, `cosine`, or from a table with `from_betas`, `from_alphas_cumprod`,
    `from_sigmas`, `from_log_snr`. Other paths: `sub_vp`, `ve`, `karras`, `flow_matching`, or any
    with `from_alphas_sigmas`. `load` reads all of them. The last level may have no signal: beta_T =
    1, a_T = 0. Frozen, comparable by its levels, picklable. All arrays have shape (T + 1,), are
    read-only and indexed by the time t:

    alpha (a_t), alpha_bar (signal variance a^2), noise_var (b^2; 1 - alpha_bar where variance is
    preserved), rho = noise_var/alpha_bar (noise variance in static coordinates y = x/alpha), scale
    = sqrt(a^2 + b^2), and beta and log_alpha_bar of the variance-preserving path of the same rho.

    On the variance-preserving path `alpha_bar`, `alpha`, `noise_var` and `rho` are those of the
    stored betas to 2 ulp at every t, whatever the length and the kind (`cumulative`).
    `log_alpha_bar` is the running sum of log1p(-beta), which rounds by half an ulp of itself a
    step; the continuous clock is int beta = -log_alpha_bar.
    """

    __slots__ = ("__dict__", "_path", "_recipe", "beta", "log_alpha_bar")
    beta: Array
    log_alpha_bar: Array
    _path: path_tables.Path | None
    _recipe: dict[str, Any]

    def __init__(
        self,
        betas: ArrayLike,
        *,
        recipe: dict[str, Any] | None = None,
        path: path_tables.Path | None = None,
    ) -> None:
        values = _check_betas(betas)
        put = functools.partial(object.__setattr__, self)
        put("beta", frozen(np.concatenate([[0.0], values])))
        with np.errstate(divide="ignore"):
            put("log_alpha_bar", frozen(np.cumsum(np.log1p(-self.beta))))
        put("_recipe", recipe or {"kind": "beta", "beta": self.beta[1:]})
        put("_path", path)
        if -math.inf < self.log_alpha_bar[-1] < math.log(np.finfo(float).tiny):
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
        cls,
        T: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
        zero_terminal_snr: bool = False,
    ) -> NoiseSchedule:
        """T betas evenly spaced from beta_start to beta_end (Ho et al., arXiv 2006.11239);
        zero_terminal_snr as in `with_zero_terminal_snr`."""
        steps = check_length(T)
        first, last = check_positive(beta_start, "beta_start"), check_positive(beta_end, "beta_end")
        recipe = {"kind": "linear", "T": steps, "beta_start": first, "beta_end": last}
        found = cls(np.linspace(first, last, steps), recipe=recipe)
        return (
            found.with_zero_terminal_snr()
            if check_flag(zero_terminal_snr, "zero_terminal_snr")
            else found
        )

    @classmethod
    def scaled_linear(
        cls,
        T: int = 1000,
        beta_start: float = 8.5e-4,
        beta_end: float = 0.012,
        zero_terminal_snr: bool = False,
    ) -> NoiseSchedule:
        """T betas whose roots are evenly spaced (Rombach et al., arXiv 2112.10752; the defaults are
        those of Stable Diffusion); zero_terminal_snr as in `with_zero_terminal_snr`."""
        steps = check_length(T)
        first, last = check_positive(beta_start, "beta_start"), check_positive(beta_end, "beta_end")
        recipe = {"kind": "scaled_linear", "T": steps, "beta_start": first, "beta_end": last}
        roots = np.linspace(math.sqrt(first), math.sqrt(last), steps)
        found = cls(roots**2, recipe=recipe)
        return (
            found.with_zero_terminal_snr()
            if check_flag(zero_terminal_snr, "zero_terminal_snr")
            else found
        )

    @classmethod
    def sigmoid(
        cls, T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02
    ) -> NoiseSchedule:
        """beta_start + (beta_end - beta_start)/(1 + e^-u), u evenly spaced from -6 to 6 (Xu et al.,
        arXiv 2203.02923)."""
        steps = check_length(T)
        first, last = check_positive(beta_start, "beta_start"), check_positive(beta_end, "beta_end")
        share = 1.0 / (1.0 + np.exp(-np.linspace(-6.0, 6.0, steps)))
        recipe = {"kind": "sigmoid", "T": steps, "beta_start": first, "beta_end": last}
        return cls(first + (last - first) * share, recipe=recipe)

    @classmethod
    def cosine(cls, T: int = 1000, max_beta: float = 0.999, s: float = 0.008) -> NoiseSchedule:
        """The squared-cosine alpha_bar of Nichol and Dhariwal (arXiv 2102.09672) with offset
        s >= 0, beta capped at `max_beta` as there; max_beta = 1 ends in no signal."""
        steps = check_length(T)
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
    def sub_vp(cls, T: int = 1000, beta_min: float = 0.1, beta_max: float = 20.0) -> NoiseSchedule:
        """a^2 = abar, b = 1 - abar of the variance-preserving diffusion whose beta rises from
        beta_min to beta_max over t/T in [0, 1] (Song et al., arXiv 2011.13456)."""
        return cls._named("sub_vp", T=check_length(T), beta_min=beta_min, beta_max=beta_max)

    @classmethod
    def ve(cls, T: int = 1000, sigma_min: float = 0.01, sigma_max: float = 50.0) -> NoiseSchedule:
        """a = 1, b in geometric progression from sigma_min to sigma_max (variance exploding, Song
        et al., arXiv 2011.13456)."""
        return cls._named("ve", T=check_length(T), sigma_min=sigma_min, sigma_max=sigma_max)

    @classmethod
    def karras(
        cls, T: int = 1000, sigma_min: float = 0.002, sigma_max: float = 80.0, power: float = 7.0
    ) -> NoiseSchedule:
        """a = 1, b^(1/power) evenly spaced from sigma_min to sigma_max: EDM (Karras et al., arXiv
        2206.00364, equation 5, whose rho is `power`)."""
        return cls._named(
            "karras", T=check_length(T), sigma_min=sigma_min, sigma_max=sigma_max, power=power
        )

    @classmethod
    def flow_matching(cls, T: int = 1000, shift: float = 1.0) -> NoiseSchedule:
        """a = 1 - u, b = u (Lipman et al., arXiv 2210.02747; rectified flow, arXiv 2209.03003), u =
        shift r/(1 + (shift - 1) r) at r = t/T (Esser et al., arXiv 2403.03206). The last level has
        no signal."""
        return cls._named("flow_matching", T=check_length(T), shift=shift)

    @classmethod
    def _named(cls, kind: str, **options: Any) -> NoiseSchedule:
        options = {k: v if k == "T" else check_positive(v, k) for k, v in options.items()}
        return cls._on_path(path_tables.NAMED[kind](**options), {"kind": kind, **options})

    @classmethod
    def from_alphas_sigmas(cls, alphas: ArrayLike, sigmas: ArrayLike) -> NoiseSchedule:
        """From a_1..a_T and b_1..b_T of any path; a number stands for T equal ones, so that
        from_alphas_sigmas(1, sigmas) are states of the variance-exploding or EDM parametrisation.

        sigmas/alphas must rise; all may run backwards, from noise to data with or without a final
        clean level, as samplers walk through them. a_T may be 0."""
        path = path_tables.check_path(alphas, sigmas)
        recipe = {"kind": "alphas_sigmas", "alphas": path.alpha, "sigmas": path.noise_std}
        return cls._on_path(path, recipe)

    @classmethod
    def _on_path(cls, path: path_tables.Path, recipe: dict[str, Any]) -> NoiseSchedule:
        checked = path_tables.check_path(*path)
        return cls(path_tables.betas_of(checked), recipe=recipe, path=checked)

    def with_zero_terminal_snr(self) -> NoiseSchedule:
        """The variance-preserving path whose alpha is this one's, shifted and stretched so that
        alpha_1 stays and alpha_T = 0 (Lin et al., arXiv 2305.08891, algorithm 1)."""
        alpha = self.as_variance_preserving().alpha[1:]
        moved = (alpha - alpha[-1]) * (alpha[0] / (alpha[0] - alpha[-1]))
        found = NoiseSchedule.from_alphas_cumprod(np.square(moved))
        recipe = {**self._recipe, "zero_terminal_snr": True}
        if self._recipe["kind"] not in ("linear", "scaled_linear"):
            return found
        return NoiseSchedule(found.beta[1:], recipe=recipe)

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
        0. States here are x_t = y_t/sqrt(1 + sigma_t^2), y_t = x_0 + sigma_t eps being theirs;
        from_alphas_sigmas(1, sigmas) has theirs."""
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

    @property
    def variance_preserving(self) -> bool:
        """Whether a^2 + b^2 = 1 by construction."""
        return self._path is None

    def as_variance_preserving(self) -> NoiseSchedule:
        """The variance-preserving path of the same rho; its states are x/scale of this one's."""
        return self if self._path is None else NoiseSchedule(self.beta[1:])

    def with_signal(self) -> NoiseSchedule:
        """The path up to its last level with signal."""
        if self.beta[-1] < 1.0:
            return self
        if self._path is None:
            return NoiseSchedule(self.beta[1:-1])
        return NoiseSchedule.from_alphas_sigmas(*(table[:-1] for table in self._path))

    @property
    def in_words(self) -> str:
        """What theory that knows rho alone makes of this path, in words; empty for the
        variance-preserving one with signal throughout."""
        cut = f" up to t = {self.T - 1}, the last with signal" if self.beta[-1] == 1.0 else ""
        if self._path is None:
            return f"the path{cut}" if cut else ""
        return f"the variance-preserving path of the same rho (X1){cut}"

    @functools.cached_property
    def _levels(self) -> Levels:
        clean = (1.0, 0.0, 0.0)
        if self._path is not None:
            a, b = self._path
            with np.errstate(divide="ignore"):
                found = Levels(np.square(a), np.square(b), np.square(b / a))
        elif self.beta[-1] == 1.0:
            found = Levels(*np.column_stack([cumulated(self.beta[1:-1]), (0.0, 1.0, math.inf)]))
        else:
            found = cumulated(self.beta[1:])
        return Levels(
            *(frozen(np.concatenate([[v], x])) for v, x in zip(clean, found, strict=True))
        )

    @property
    def alpha_bar(self) -> Array:
        """Signal variance a^2; prod_{s <= t} (1 - beta_s) where variance is preserved."""
        return self._levels.alpha_bar

    @functools.cached_property
    def alpha(self) -> Array:
        """Signal amplitude a."""
        if self._path is not None:
            return frozen(np.concatenate([[1.0], self._path.alpha]))
        return frozen(np.sqrt(self.alpha_bar))

    @property
    def noise_var(self) -> Array:
        """Noise variance b^2; 1 - alpha_bar to full relative accuracy where variance is
        preserved."""
        return self._levels.noise_var

    @property
    def rho(self) -> Array:
        """Noise variance in static coordinates, noise_var/alpha_bar; infinite without signal."""
        return self._levels.rho

    @functools.cached_property
    def scale(self) -> Array:
        """sqrt(a^2 + b^2), the standard deviation of states whose data have variance one."""
        if self._path is None:
            return frozen(np.ones(self.T + 1))
        return frozen(np.sqrt(self.alpha_bar + self.noise_var))

    def between(self, t: float) -> tuple[float, float]:
        """(a, b) at any real t in [0, T].

        Between nodes log a is linear in t where variance is preserved, as in arXiv 2206.00927
        (a constant beta; a itself where the interval ends without signal); on other paths a and b
        are, which is exact for flow matching and keeps rho increasing."""
        at = check_real(t, "t")
        if not 0.0 <= at <= self.T:
            raise InputError(f"t must lie in [0, T] = [0, {self.T}]", at, "Ask within the path.")
        low = min(int(at), self.T - 1)
        share, (first, last) = at - low, self.alpha[low : low + 2].tolist()
        noise = np.sqrt(self.noise_var[low : low + 2]).tolist()
        if share in (0.0, 1.0):
            return (first, noise[0]) if share == 0.0 else (last, noise[1])
        if self._path is not None:
            return first + share * (last - first), noise[0] + share * (noise[1] - noise[0])
        if last == 0.0:
            alpha = (1.0 - share) * first
            return alpha, math.sqrt((1.0 - alpha) * (1.0 + alpha))
        # n <- n + (1 - n) beta over the share of the step
        added = -math.expm1(share * math.log1p(-self.beta[low + 1]))
        noise_var = self.noise_var[low] + self.alpha_bar[low] * added
        return math.sqrt(self.alpha_bar[low] * (1.0 - added)), math.sqrt(noise_var)

    @property
    def parameters(self) -> dict[str, Any]:
        """Plain values that `from_parameters` turns back into this schedule, to the bit."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self._recipe.items()}

    def effective_variance(self, sigma: float) -> Array:
        """v_t = sigma^2 + rho_t, the variance of a mode in static coordinates, (T + 1,)."""
        return check_positive(sigma, "sigma") ** 2 + self.rho

    def nearest_times(self, rho: ArrayLike) -> IntArray:
        """The noisy times whose rho is nearest, by ratio, to levels rho (k,) > 0, (k,)."""
        wanted = check_array(rho, "rho", 1)
        if (wanted <= 0.0).any():
            raise InputError("levels of noise are > 0", wanted.min(), "Pass noise variances.")
        apart = np.abs(np.log(self.rho[1:]) - np.log(wanted)[:, None])
        return np.asarray(1 + apart.argmin(axis=1))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the betas, and the levels of another path: equal for equal schedules."""
        h = hashlib.sha256(f"mixdyn.schedule.1:{self.T}".encode())
        for table in (self.beta, *(self._path or ())):
            h.update(table.astype("<f8").tobytes())
        return h.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoiseSchedule) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        make = functools.partial(NoiseSchedule, recipe=self._recipe, path=self._path)
        return make, (self.beta[1:],)

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
        tables = _TABLES[kind][1] if known is not None and kind in _TABLES else ()
        if known is None or not set(tables) <= set(values) <= known[1]:
            raise InputError(
                f"a schedule has kind {_listed(_KINDS)} with the keys {_key_table()}",
                f"kind {describe(kind)} with {sorted(values)}",
                "Correct the kind or its keys.",
            )
        if not tables:
            schedule: NoiseSchedule = known[0](**values)
            return schedule
        schedule = known[0](*(values[key] for key in tables))
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
    "sub_vp": NoiseSchedule.sub_vp,
    "ve": NoiseSchedule.ve,
    "karras": NoiseSchedule.karras,
    "flow_matching": NoiseSchedule.flow_matching,
}
_TABLES: Mapping[str, tuple[Callable[..., NoiseSchedule], tuple[str, ...]]] = {
    "beta": (NoiseSchedule.from_betas, ("beta",)),
    "alphas_cumprod": (NoiseSchedule.from_alphas_cumprod, ("alphas_cumprod",)),
    "sigmas": (NoiseSchedule.from_sigmas, ("sigmas",)),
    "log_snr": (NoiseSchedule.from_log_snr, ("log_snr",)),
    "alphas_sigmas": (NoiseSchedule.from_alphas_sigmas, ("alphas", "sigmas")),
}
_KINDS = {
    **{
        kind: (make, frozenset(inspect.signature(make).parameters))
        for kind, make in SCHEDULES.items()
    },
    **{kind: (make, frozenset({"T", *keys})) for kind, (make, keys) in _TABLES.items()},
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
    inside[-1] |= len(values) > 1 and values[-1] == 1.0
    if not inside.all():
        t = int(np.argmin(inside)) + 1
        raise InputError(
            "every beta must lie strictly between 0 and 1, the last may be 1 (no signal)",
            f"beta_{t} = {values[t - 1]}",
            "beta is the noise variance added in one step.",
        )
    return values

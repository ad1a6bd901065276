"""The score interface: what a sampler needs to know about a target, exact or learned.

A *model* is any object with `eps(x, t)`: x (n, d) float64, t a Python int in 1..T, returns (n, d),
the noise prediction. With x_t = alpha_t x_0 + noise_std_t eps the four usual parametrisations are

    score = -eps / noise_std          x0 = (x - noise_std eps)/alpha
    v = alpha eps - noise_std x0      (so x = alpha x0 + noise_std eps, v its quarter turn)

They are converted here and nowhere else.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeGuard, get_args, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from . import kernels
from .hull import find_hull
from .lattice import lattice_rows
from .problem.checks import check_mixture, check_schedule
from .problem.mixture import GaussianMixture
from .problem.schedule import NoiseSchedule
from .support.checks import (
    Array,
    IntArray,
    check_array,
    check_callable,
    check_integer,
    check_points,
    describe,
    refuse_masked,
    without_gradient,
)
from .support.errors import InputError

Predicts = Literal["eps", "x0", "v", "score"]
Precision = Literal["double", "single"]
# In single precision states of this size keep every exponent finite; a sigma must be this many
# times the farthest mean, so that float32 resolves the mode.
LARGEST_SINGLE, SMALLEST_SHARE_SINGLE = 1e8, 64 * float(np.finfo(np.float32).eps)


@runtime_checkable
class ScoreModel(Protocol):
    """Anything that predicts the noise."""

    def eps(self, x: Array, t: int, /) -> Array:
        """Noise prediction at x (n, d) and integer time t in 1..T."""
        ...


class Level(NamedTuple):
    """Signal and noise amplitude at one time: x_t = alpha x_0 + noise_std eps."""

    alpha: float
    noise_std: float


def level(schedule: NoiseSchedule, t: int) -> Level:
    """The amplitudes at time t in 1..T."""
    index = check_integer(t, "t", 1, check_schedule(schedule).T)
    return Level(float(schedule.alpha[index]), float(np.sqrt(schedule.noise_var[index])))


def to_eps(value: Array, x: Array, at: Level, predicts: Predicts) -> Array:
    """Noise prediction from any parametrisation."""
    if predicts == "eps":
        return value
    if predicts == "score":
        return -at.noise_std * value
    if predicts == "x0":
        return (x - at.alpha * value) / at.noise_std
    if predicts == "v":
        # alpha^2 + noise_std^2 = 1, so (x, v) is a rotation of (x0, eps).
        return at.noise_std * x + at.alpha * value
    raise _unknown(predicts)


def from_eps(eps: Array, x: Array, at: Level, predicts: Predicts) -> Array:
    """Any parametrisation from the noise prediction."""
    if predicts == "eps":
        return eps
    if predicts == "score":
        return -eps / at.noise_std
    if predicts == "x0":
        return (x - at.noise_std * eps) / at.alpha
    if predicts == "v":
        return (eps - at.noise_std * x) / at.alpha
    raise _unknown(predicts)


def _unknown(predicts: object) -> InputError:
    return InputError(
        f"predicts must be one of {', '.join(get_args(Predicts))}",
        describe(predicts),
        "Say what the network returns.",
    )


class ExactScore:
    """The exact model of a mixture under a schedule (every marginal p_t is a mixture).

    `product` says whether the mixture was recognised as a product of 1-D mixtures (on a line it is
    one, with one sigma); evaluation then costs the sum, not the product, of the axis sizes, and an
    axis of equally spaced modes costs one exponential, however many they are (see `lattice`).
    Otherwise `hull` is the affine hull of the means where its dimension is small beside d (see
    `hull`). Both equal the general path to rounding; `detect_product` and `detect_hull` leave them
    out.

    `precision="single"` computes `eps` and `score`, and steps the DDIM family, in float32. States
    still come and go as float64 and the noise is the same, rounded; all other predictions, and the
    passes over the data along a hull, stay double. A noiseless run then costs half, on equally
    spaced axes two thirds, a noisy one 0.6 to 0.85; one evaluation alone gains nothing. It errs by
    at most

        eps32 (2 + sqrt(N)) (|x| + max|alpha mu|)/sigma_t^2 max(1, q),  eps32 = 2^-23,

    in the score, q the largest |x - alpha mu_k|^2/(2 sigma_t^2) among the modes that matter: twice
    the worst that was measured over N = 2..3000 modes. Samples of the standard 5 x 5 grid then end
    3e-5 sigma from those in double (99 %; those that start between two basins further), no other
    class or mode among 40,000.

    Raises InputError for an unknown precision, and in single for means, sigmas or states beyond
    1e8, for a sigma below 64 spacings of float32 at the farthest mean, and (a run) for a step with
    a factor beyond 1e8.
    Source: arXiv 2605.06831 v1, section 3.
    """

    def __init__(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        *,
        detect_product: bool = True,
        detect_hull: bool = True,
        precision: Precision = "double",
    ) -> None:
        self.mixture = check_mixture(mixture)
        self.schedule = check_schedule(schedule)
        self.precision = precision
        self.axes = padded_axes(mixture) if detect_product else None
        self._rows: dict[int, Any] = {}
        self.hull = find_hull(mixture) if detect_hull and self.axes is None else None
        self._check_precision()

    def _check_precision(self) -> None:
        if self.precision not in get_args(Precision):
            raise InputError(
                f"precision must be one of {', '.join(get_args(Precision))}",
                describe(self.precision),
                "float64 is 'double', float32 'single'.",
            )
        evaluated = self.mixture if self.hull is None else self.hull.projected
        largest, sigma = float(np.abs(evaluated.means).max()), evaluated.sigmas
        smallest = SMALLEST_SHARE_SINGLE * max(largest, 1.0)
        outside = max(largest, sigma.max()) > LARGEST_SINGLE or sigma.min() < smallest
        if self.precision == "single" and outside:
            raise InputError(
                f"single precision needs means and sigma up to {LARGEST_SINGLE:g} in size and a "
                f"sigma >= {smallest:.3g}, 64 spacings of float32 at the farthest mean",
                f"means up to {largest:.3g}, sigma from {sigma.min():.3g} to {sigma.max():.3g}",
                "Use precision='double', or centre the mixture.",
            )

    @property
    def dtype(self) -> type[np.float32 | np.float64]:
        """What its kernels compute in."""
        return np.float32 if self.precision == "single" else np.float64

    def rounded(self, x: Array) -> Any:
        """States (n, d) in the precision of the kernels: x itself in double. InputError in single
        beyond 1e8."""
        if self.precision == "single":
            check_array(x, "x", ndim=2, largest=LARGEST_SINGLE)
        return np.asarray(x, self.dtype)

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.mixture.d

    @property
    def product(self) -> bool:
        """Whether evaluation uses the product structure."""
        return self.axes is not None

    @functools.cached_property
    def along(self) -> ExactScore:
        """The exact score along the hull: that of the projected mixture."""
        if self.hull is None:
            raise TypeError("only a mixture with a hull has a projection")
        return ExactScore(
            self.hull.projected, self.schedule, detect_hull=False, precision=self.precision
        )

    def marginal(self, t: int) -> GaussianMixture:
        """p_t for t in 0..T."""
        index = check_integer(t, "t", 0, self.schedule.T)
        return self.mixture.diffused(
            float(self.schedule.alpha_bar[index]), noise_var=float(self.schedule.noise_var[index])
        )

    def variances(self, t: int) -> Array:
        """(N,) variances of the modes at time t, in x units."""
        sch = self.schedule
        return sch.alpha_bar[t] * np.square(self.mixture.sigmas) + sch.noise_var[t]

    def lattice(self, t: IntArray) -> Any:
        """The rows (S, axes of two modes or more, W) of `lattice.lattice_rows` at times t (S,), in
        the precision of the kernels."""
        if self.axes is None:
            raise TypeError("only a product mixture has axes")
        present = [np.isfinite(log_weights) for log_weights in self.axes[1]]
        axes = [
            (values[here], log_weights[here])
            for values, log_weights, here in zip(*self.axes, present, strict=True)
            if here.sum() > 1
        ]
        alpha, var = self.schedule.alpha[t], np.array([self.variances(one)[0] for one in t])
        return lattice_rows(axes, alpha, kernels.bits(0.5 / var), self.dtype)

    def _lattice_at(self, t: int) -> Any:
        """One row of `lattice`, kept: making it takes longer than evaluating a few states."""
        if t not in self._rows:
            self._rows[t] = self.lattice(np.array([t]))[0]
        return self._rows[t]

    def _scaled_pull(self, x: Array, t: int, scale: float) -> Array:
        """scale * sum_k gamma_k (alpha mu_k - x) var_ref/var_k, var_ref the smallest variance."""
        if self.hull is not None:
            z = self.hull.project(x, self.schedule.alpha[t])
            along = self.along._scaled_pull(z, t, scale)
            return self.hull.lift(x, along + scale * z, -scale, (self.schedule.alpha[t], 0.0))
        states, var = self.rounded(x), self.variances(t)
        alpha_t = self.schedule.alpha[t]
        if self.axes is not None:
            values, log_weights = self.axes
            out = np.empty_like(states)
            h, lattice = self.dtype(kernels.bits(0.5 / var[0])), self._lattice_at(t)
            log_weights = log_weights.astype(self.dtype, copy=False)
            axes = (values, alpha_t, h, log_weights)
            kernels.product_pull(states, *axes, self.dtype(scale), lattice, out)
        else:
            log_weights = np.log(self.mixture.weights)
            table = kernels.mode_table(alpha_t * self.mixture.means, var, log_weights)
            out = kernels.scaled_pull(states, table, scale)
        return out.astype(np.float64, copy=False)

    def eps(self, x: ArrayLike, t: int) -> Array:
        """E[eps | x_t = x], (n, d)."""
        points, at = check_points(x, self.d), level(self.schedule, t)
        return self._scaled_pull(points, t, float(-at.noise_std / self.variances(t).min()))

    def score(self, x: ArrayLike, t: int) -> Array:
        """grad log p_t(x), (n, d), for t in 0..T (time 0 has a score but no noise)."""
        if self.precision == "double":
            return self.marginal(t).score(x)
        index = check_integer(t, "t", 0, self.schedule.T)
        scale = 1.0 / float(self.variances(index).min())
        return self._scaled_pull(check_points(x, self.d), index, scale)

    def x0(self, x: ArrayLike, t: int) -> Array:
        """E[x_0 | x_t = x], (n, d): sum_k gamma_k (noise_var mu_k + alpha sigma_k^2 x)/sigma_t,k^2.

        Direct, not through eps: (x - noise_std eps)/alpha loses digits where alpha is small.
        """
        points = check_points(x, self.d)
        _ = level(self.schedule, t)
        var = self.variances(t)
        gamma = self.responsibilities(points, t) / var
        alpha_t, nu = self.schedule.alpha[t], self.schedule.noise_var[t]
        out = np.zeros_like(points)
        # Mode by mode: a matrix product's bits depend on how many rows it has.
        for k, (mu, sigma) in enumerate(zip(self.mixture.means, self.mixture.sigmas, strict=True)):
            out += gamma[:, k, None] * (nu * mu + alpha_t * sigma**2 * points)
        return out

    def v(self, x: ArrayLike, t: int) -> Array:
        """alpha eps - noise_std x0, (n, d)."""
        at = level(self.schedule, t)
        return at.alpha * self.eps(x, t) - at.noise_std * self.x0(x, t)

    def log_density(self, x: ArrayLike, t: int) -> Array:
        """log p_t(x), (n,)."""
        return self.marginal(t).log_density(x)

    def responsibilities(self, x: ArrayLike, t: int) -> Array:
        """Posterior mode probabilities given x_t = x, (n, N)."""
        return self.marginal(t).responsibilities(x)

    def jacobian(self, x: ArrayLike, t: int) -> Array:
        """Hessian of log p_t, (n, d, d)."""
        return self.marginal(t).score_jacobian(x)


def is_exact(model: object) -> TypeGuard[ExactScore]:
    """Whether `model` is the exact score itself: a subclass may have changed what it predicts."""
    return type(model) is ExactScore


def lent(array: Array) -> Array:
    """A copy for code that is not ours, to write on or to keep: our own states never go out."""
    return array.copy()


def is_ours(value: object) -> bool:
    """Whether its class is of this package: it writes on nothing that it is given, and guards what
    it calls. A user's subclass is not ours."""
    return type(value).__module__.partition(".")[0] == __package__


def checked_eps(model: ScoreModel, x: Array, t: int) -> Array:
    """The model's noise prediction, which must be finite and shaped like x.

    A model that is not ours may write on what it is given, and hand back the same buffer at every
    call: it gets a copy of x, and what it returns is copied.
    """
    if is_ours(model):
        eps = np.ascontiguousarray(model.eps(x, t), dtype=np.float64)
    else:
        eps = output_array(model.eps(lent(x), t), "a model's eps").copy()
    if eps.shape != x.shape or not np.isfinite(eps).all():
        raise InputError(
            f"a model's eps must be finite and of shape {x.shape}",
            f"shape {eps.shape} at t = {t} with {np.count_nonzero(~np.isfinite(eps))} "
            "non-finite entries",
            "Check the model's range and its index base.",
        )
    return eps


def output_array(value: Any, name: str) -> Array:
    """What a model returned as a float64 array.

    An array, a tensor of another library with or without a gradient, an output object that holds
    one as `.sample` (as diffusers' do), or a tuple of one of these. InputError for anything else.
    """
    held = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    inner = getattr(held, "sample", None)
    held = without_gradient(held if inner is None or callable(inner) else inner)
    refuse_masked(held, name)
    try:
        array = np.asarray(held)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, tensors with no NumPy form
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise InputError(
            f"{name} must be an array of real numbers, or an object with one as .sample",
            f"{describe(value)} of type {_kind_of(value)}",
            "Return an array or a tensor like the state.",
        )
    return array.astype(np.float64, copy=False)


def _kind_of(value: Any) -> str:
    dtype = f" of {value.dtype}" if isinstance(value, np.ndarray) else ""
    return f"{type(value).__name__}{dtype}"


def padded_axes(mixture: GaussianMixture) -> tuple[Array, Array] | None:
    """(values, log2 weights), each (d, M), of a product mixture; short axes end in weight zero."""
    axes = mixture.product_axes()
    if axes is None:
        return None
    width = max(len(values) for values, _ in axes)
    values = np.zeros((len(axes), width))
    log_weights = np.full((len(axes), width), -np.inf)
    for j, (axis, weights) in enumerate(axes):
        values[j, : len(axis)] = axis
        log_weights[j, : len(axis)] = kernels.bits(np.log(weights))
    return values, log_weights


class PerturbedScore:
    """A model plus a known score error: s = s_model + e(x, t), e (n, d) in score units."""

    def __init__(
        self,
        model: GaussianMixture | ScoreModel,
        schedule: NoiseSchedule,
        error: Callable[[Array, int], ArrayLike],
    ) -> None:
        self.model = model_for(model, check_schedule(schedule))
        self.schedule = schedule
        self.error = check_callable(error, "error", "Pass a function e(x, t).")

    @property
    def d(self) -> int:
        """Dimension of the data, where the model knows it."""
        return self.model.d  # type: ignore[attr-defined,no-any-return]

    def eps(self, x: Array, t: int) -> Array:
        """eps_model - noise_std e(x, t)."""
        at, eps = level(self.schedule, t), checked_eps(self.model, x, t)
        return eps - at.noise_std * _same_shape(self.error(lent(x), t), x, "error")


class _AdaptedModel:
    def __init__(
        self, f: Callable[[Array, int], ArrayLike], predicts: Predicts, schedule: Any, shift: int
    ) -> None:
        self._f, self._predicts, self._schedule, self._shift = f, predicts, schedule, shift
        self.own_threads = bool(getattr(f, "own_threads", False))

    def eps(self, x: Array, t: int) -> Array:
        value = _same_shape(self._f(lent(x), t - self._shift), x, "the model")
        if self._predicts == "eps":
            return value
        return to_eps(value, x, level(self._schedule, t), self._predicts)


def as_model(
    f: Callable[[Array, int], ArrayLike],
    *,
    predicts: Predicts = "eps",
    schedule: NoiseSchedule | None = None,
    index_base: Literal[0, 1] = 1,
) -> ScoreModel:
    """A model from a function f(x, index) that predicts eps, x0, v or the score.

    f takes x (n, d) float64 and an int; it may return a NumPy array, a tensor of another library,
    with or without a gradient, or an output object with one of these as `.sample`. A torch module
    gets tensors in its own precision and on its own device, x (n, d) and the index as int64 (n,),
    and runs without dropout and gradients.

    `index_base` is the index f gives to the first noisy time: 1 as in mixdyn, or 0 as in most
    public code, where arrays are indexed t - 1. All but eps need the schedule to convert.
    """
    if not callable(f):
        raise InputError("f must be callable as f(x, t)", describe(f), "Pass a function.")
    if predicts not in get_args(Predicts):
        raise _unknown(predicts)
    if predicts != "eps" and not isinstance(schedule, NoiseSchedule):
        raise InputError(
            f"a model that predicts {predicts} needs its schedule",
            describe(schedule),
            "Pass schedule=.",
        )
    shift = 1 - check_integer(index_base, "index_base", 0, 1)
    if is_torch_module(f):
        # By name: the exact score does not rest on torch, and who gets here has loaded it.
        f = importlib.import_module(f"{__package__}.learned.modules").ModuleFunction(f)
    return _AdaptedModel(f, predicts, schedule, shift)


def is_torch_module(value: object) -> bool:
    """Whether `value` is a torch module; torch is not loaded for the answer."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def is_model(value: object) -> TypeGuard[ScoreModel]:
    """Whether `value` is an object, no class, with a method eps(x, t)."""
    eps = getattr(value, "eps", None)
    return not isinstance(value, type) and callable(eps) and takes_two(eps)


def takes_two(function: Callable[..., object]) -> bool:
    """Whether f(x, t) is a possible call; a function that hides its signature may be."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _same_shape(value: ArrayLike, x: Array, name: str) -> Array:
    # A copy: the function may use its buffer again.
    array = output_array(value, name).copy()
    if array.shape != x.shape:
        raise InputError(
            f"{name} must return one row per point, shape {x.shape}",
            f"shape {array.shape}",
            "Return an array like its input.",
        )
    return array


@functools.singledispatch
def model_for(model: object, schedule: NoiseSchedule) -> ScoreModel:
    """The model that `sample` runs: a mixture stands for its exact score."""
    if not is_model(model):
        raise InputError(
            "a model is a GaussianMixture or an object with eps(x, t)",
            describe(model),
            "Adapt a function with as_model.",
        )
    return model


@model_for.register
def _(model: GaussianMixture, schedule: NoiseSchedule) -> ScoreModel:
    return ExactScore(model, schedule)

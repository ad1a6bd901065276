"""Gaussian mixtures with isotropic modes: p = sum_k w_k N(mu_k, sigma_k^2 I).

`diffused` closes the family: every marginal of the forward diffusion is again such a mixture.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import (
    LARGEST,
    SMALLEST,
    Array,
    check_alpha_bar,
    check_array,
    check_integer,
    check_memory,
    check_nonnegative,
    check_points,
    check_real_array,
    describe,
    frozen,
)
from ..support.errors import FileError, InputError
from ..support.files import read_parameters, write_parameters

_KEYS = frozenset({"means", "sigma", "weights", "allow_duplicates"})


class GaussianMixture:
    """An immutable mixture of N isotropic Gaussians in d dimensions.

    Parameters
    ----------
    means : (N, d) finite floats, in the units of the data.
    sigma : standard deviation > 0, one for all modes or an (N,) array. Fitted variances are no
        standard deviations, and of shape (N,) nothing tells them apart: see `from_sklearn`.
    weights : (N,) positive floats, equal when omitted; normalised unless their sum is already
        within 4 ulp of 1 (so that loading what was saved changes no bit).
    allow_duplicates : accept two modes with the same mean and sigma. They describe a valid
        density but no pair geometry, and are nearly always a slip in a file.

    Raises
    ------
    InputError : a shape, sign or finiteness rule is broken, or two modes coincide.
    """

    __slots__ = ("__dict__", "_allow_duplicates", "means", "sigma", "weights")
    means: Array
    sigma: float | Array
    weights: Array
    _allow_duplicates: bool

    def __init__(
        self,
        means: ArrayLike,
        sigma: float | ArrayLike,
        weights: ArrayLike | None = None,
        *,
        allow_duplicates: bool = False,
    ) -> None:
        _refuse_fitted(means)
        mu = check_array(means, "means", ndim=2, largest=LARGEST)
        if mu.size == 0:
            raise InputError(
                "means must hold at least one mode in at least one dimension",
                f"shape {mu.shape}",
                "Pass an (N, d) array.",
            )
        if not isinstance(allow_duplicates, bool | np.bool_):
            raise InputError(
                "allow_duplicates must be true or false", describe(allow_duplicates), "Choose one."
            )
        put = functools.partial(object.__setattr__, self)
        put("means", frozen(mu + 0.0))  # + 0.0 turns -0.0 into 0.0: equal mixtures, equal digests
        put("sigma", _check_sigma(sigma, len(mu)))
        put("weights", _check_weights(weights, len(mu)))
        put("_allow_duplicates", bool(allow_duplicates))
        if not allow_duplicates:
            self._refuse_duplicates()

    @classmethod
    def from_sklearn(cls, fitted: Any) -> GaussianMixture:
        """The mixture that scikit-learn's GaussianMixture (or its Bayesian kin) was fitted to.

        Takes `means_`, `weights_` and the square roots of `covariances_`, which are variances, for
        every `covariance_type` whose modes are isotropic to rounding: "spherical" always, "diag",
        "full" and "tied" in one dimension, beyond it only where they are multiples of I.

        Raises InputError for anything that is not fitted, and for modes that are not isotropic.
        """
        names = ("means_", "covariances_", "weights_")
        if isinstance(fitted, type) or not all(hasattr(fitted, name) for name in names):
            raise InputError(
                "from_sklearn takes a fitted mixture of scikit-learn",
                describe(fitted),
                "Call its fit first: it then has means_, covariances_ and weights_.",
            )
        means = check_array(fitted.means_, "means_", ndim=2, largest=LARGEST)
        sigmas = np.sqrt(_isotropic_variances(fitted.covariances_, *means.shape))
        return cls(means, sigmas, fitted.weights_)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"GaussianMixture is frozen: build a new one to change {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"GaussianMixture is frozen: {name!r} cannot be deleted")

    def _refuse_duplicates(self) -> None:
        rows = np.column_stack([self.means, self.sigmas])
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        if len(first) < self.N:
            inverse = inverse.reshape(-1)
            second = next(k for k in range(self.N) if first[inverse[k]] != k)
            raise InputError(
                "modes must differ in mean or sigma",
                f"modes {first[inverse[second]]} and {second} both at {self.means[second]}",
                "Merge them into one mode with the sum of their weights.",
            )

    # -- identity ----------------------------------------------------------------------------

    @property
    def N(self) -> int:
        """Number of modes."""
        return self.means.shape[0]

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.means.shape[1]

    @property
    def has_common_sigma(self) -> bool:
        """Whether all modes share one sigma (then `sigma` is a float)."""
        return isinstance(self.sigma, float)

    @functools.cached_property
    def sigmas(self) -> Array:
        """(N,) standard deviations, one per mode."""
        return frozen(np.broadcast_to(np.asarray(self.sigma), (self.N,)).copy())

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over shape, means, sigma and weights: equal exactly for equal mixtures."""
        h = hashlib.sha256(f"mixdyn.mixture.1:{self.means.shape}".encode())
        for part in (self.means, self.sigmas, self.weights):
            h.update(part.astype("<f8").tobytes())
        return h.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GaussianMixture) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        build = functools.partial(GaussianMixture, allow_duplicates=self._allow_duplicates)
        return build, (self.means, self.sigma, self.weights)

    def __repr__(self) -> str:
        span = self.sigma if isinstance(self.sigma, float) else "per mode"
        return f"GaussianMixture(N={self.N}, d={self.d}, sigma={span}, digest={self.digest[:12]})"

    # -- structure ---------------------------------------------------------------------------

    @functools.cached_property
    def _axes(self) -> list[tuple[Array, Array]] | None:
        return _product_axes(self) if self.has_common_sigma else None

    def product_axes(self) -> list[tuple[Array, Array]] | None:
        """Per coordinate (values (n_j,), weights (n_j,)) if the mixture is a product of 1-D
        mixtures (means on a full grid, product weights to 8 ulp, one sigma), else None."""
        return self._axes

    def diffused(self, alpha_bar: float, *, noise_var: float | None = None) -> GaussianMixture:
        """The marginal p_t at signal level `alpha_bar` in (0, 1].

        `noise_var` replaces 1 - alpha_bar where the caller knows it to more digits
        (`NoiseSchedule.noise_var`). Source: arXiv 2605.06831 v1, section 3.
        """
        abar = check_alpha_bar(alpha_bar)
        nu = 1.0 - abar if noise_var is None else check_nonnegative(noise_var, "noise_var")
        if nu == 0.0 and abar == 1.0:
            return self
        var = abar * np.square(self.sigmas) + nu
        sigma_t = float(np.sqrt(var[0])) if self.has_common_sigma else np.sqrt(var)
        return self.rescaled(math.sqrt(abar), sigma_t)

    def rescaled(self, factor: float, sigma: float | ArrayLike) -> GaussianMixture:
        """The same modes and weights, means times a factor in (0, 1], at another sigma. Neither is
        checked again, nor whether modes coincide: after scaling that is no slip."""
        law = object.__new__(GaussianMixture)
        put = functools.partial(object.__setattr__, law)
        put("means", self.means if factor == 1.0 else frozen(factor * self.means + 0.0))
        put("sigma", _check_sigma(sigma, self.N))
        put("weights", self.weights)
        put("_allow_duplicates", True)
        return law

    # -- density -----------------------------------------------------------------------------

    def log_density(self, x: ArrayLike) -> Array:
        """log p(x): x (n, d) -> (n,)."""
        from .. import kernels

        return kernels.log_density(check_points(x, self.d), *self._kernel_arguments)

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x) = sum_k gamma_k (mu_k - x)/sigma_k^2: x (n, d) -> (n, d).

        Source: arXiv 2605.06831 v1, section 3 (with one variance per mode allowed).
        """
        from .. import kernels

        return kernels.score(check_points(x, self.d), *self._kernel_arguments)

    def responsibilities(self, x: ArrayLike) -> Array:
        """Posterior mode probabilities gamma_k(x): x (n, d) -> (n, N), rows sum to one."""
        from .. import kernels

        return kernels.responsibilities(check_points(x, self.d), *self._kernel_arguments)

    def score_jacobian(self, x: ArrayLike) -> Array:
        """Hessian of log p: x (n, d) -> (n, d, d), symmetric.

        sum_k gamma_k [s_k s_k^T - I/sigma_k^2] - s s^T with s_k = (mu_k - x)/sigma_k^2, evaluated
        with centred s_k - s so that it keeps its digits where one mode dominates.
        """
        from .. import kernels

        return kernels.score_jacobian(check_points(x, self.d), *self._kernel_arguments)

    @functools.cached_property
    def _kernel_arguments(self) -> tuple[Array, Array, Array]:
        return self.means, frozen(np.square(self.sigmas)), frozen(np.log(self.weights))

    # -- samples and files -------------------------------------------------------------------

    def sample(
        self,
        n: int,
        rng: int | np.random.SeedSequence | np.random.Generator | None = None,
        *,
        memory_limit: float = 8e9,
    ) -> Array:
        """n independent draws, (n, d). `rng` is a seed, a SeedSequence, a Generator, or None for
        fresh entropy. Raises MemoryLimitError for draws beyond `memory_limit` bytes."""
        count = check_integer(n, "n", 1)
        check_memory(8.0 * count * self.d, memory_limit, "the draws", "Draw them in parts.")
        if isinstance(rng, int | np.integer | bool | np.bool_):
            rng = check_integer(rng, "rng", 0, 2**64 - 1)
        elif not isinstance(rng, np.random.Generator | np.random.SeedSequence | None):
            raise InputError(
                "rng must be an int, a SeedSequence, a Generator or None",
                describe(rng),
                "Pass an integer seed.",
            )
        generator = np.random.default_rng(rng)
        k = generator.choice(self.N, size=count, p=self.weights / self.weights.sum())
        z = generator.standard_normal((count, self.d))
        return self.means[k] + self.sigmas[k, None] * z

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to .toml or .npz (by ending); `load` gives back the same bits."""
        values = {"means": self.means, "sigma": self.sigma, "weights": self.weights}
        if self._allow_duplicates:
            values["allow_duplicates"] = True  # type: ignore[assignment]
        write_parameters(path, values)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GaussianMixture:
        """Read `means`, `sigma` and optionally `weights` from a .toml or .npz file.

        sigma is final: nothing is rescaled. Unknown keys are errors.
        """
        values = read_parameters(path, _KEYS, frozenset({"means", "sigma"}))
        try:
            return cls(**values)
        except FileError:
            raise
        except InputError as error:
            raise FileError(error.rule, f"{error.received} in {path}", error.remedy) from None


def _refuse_fitted(value: object) -> None:
    if hasattr(value, "covariances_") or hasattr(value, "covariance_type"):
        raise InputError(
            "means are an (N, d) array",
            f"a {type(value).__name__} of scikit-learn",
            "Use GaussianMixture.from_sklearn(fitted): its covariances are variances.",
        )


def _isotropic_variances(covariances: ArrayLike, n_modes: int, d: int) -> Array:
    """(N,) variances from scikit-learn's covariances: (N,), (N, d), (N, d, d) or (d, d)."""
    given = check_real_array(covariances, "covariances_")
    if given.shape == (n_modes,):
        return given
    if given.shape == (n_modes, d):
        matrices = given[:, :, None] * np.eye(d)
    else:
        matrices = np.broadcast_to(given, (n_modes, d, d)) if given.shape == (d, d) else given
    if matrices.shape != (n_modes, d, d):
        raise InputError(
            f"covariances_ of {n_modes} modes in {d} dimensions have shape (N,), (N, d), (N, d, d) "
            "or (d, d)",
            f"shape {given.shape}",
            "Pass the fitted object as scikit-learn left it.",
        )
    variances = np.trace(matrices, axis1=1, axis2=2) / d
    off = np.abs(matrices - variances[:, None, None] * np.eye(d)).max(axis=(1, 2))
    if (off > 64 * d * np.finfo(float).eps * variances).any():
        k = int(np.argmax(off / variances))
        raise InputError(
            "modes must be isotropic: every covariance a multiple of the identity",
            f"mode {k}, off by {off[k] / variances[k]:.3g} of its variance",
            'Fit with covariance_type="spherical".',
        )
    return variances


def _check_sigma(sigma: float | ArrayLike, n_modes: int) -> float | Array:
    _refuse_fitted(sigma)
    given = check_real_array(sigma, "sigma")
    if given.ndim > 1:
        plain = ", else a.ravel()" if given.size in (1, n_modes) else ""
        raise InputError(
            f"modes must be isotropic: sigma is one number or a ({n_modes},) array of standard "
            "deviations",
            f"an array of shape {given.shape}",
            "If these are variances, as fitted covariances are, "
            "GaussianMixture.from_sklearn(fitted) takes their roots; in one dimension pass "
            f"np.sqrt(a).ravel(){plain}.",
        )
    values = check_array(np.atleast_1d(given), "sigma", ndim=1, largest=LARGEST)
    if given.ndim == 1 and len(values) != n_modes:
        raise InputError(
            f"sigma must be one number or one for each of the {n_modes} modes",
            f"{len(values)} values",
            "Match the number of rows of means.",
        )
    if (values < SMALLEST).any():
        raise InputError(
            f"sigma must be > 0 (and at least {SMALLEST:g})",
            describe(float(values.min())),
            "A point mass has no score: choose a small positive sigma.",
        )
    if (values == values[0]).all():
        return float(values[0])
    return frozen(values.copy())


def _check_weights(weights: ArrayLike | None, n_modes: int) -> Array:
    if weights is None:
        return frozen(np.full(n_modes, 1.0 / n_modes))
    values = check_array(weights, "weights", ndim=1, largest=LARGEST)
    if len(values) != n_modes:
        raise InputError(
            f"weights must hold one number for each of the {n_modes} modes",
            f"{len(values)} values",
            "Match the number of rows of means.",
        )
    if (values <= 0).any():
        raise InputError(
            "weights must be > 0",
            describe(float(values.min())),
            "Drop modes of weight zero; weights need not sum to one.",
        )
    total = math.fsum(values)
    already = abs(total - 1.0) <= 4 * np.finfo(float).eps
    normalised = values.copy() if already else values / total
    if (normalised < np.finfo(float).tiny).any():
        raise InputError(
            "weights must stay representable after normalisation",
            f"a ratio of {values.min() / total} to their sum",
            "Drop the negligible modes.",
        )
    return frozen(normalised)


def _product_axes(mixture: GaussianMixture) -> list[tuple[Array, Array]] | None:
    axes = [np.unique(column, return_inverse=True) for column in mixture.means.T]
    sizes = [len(values) for values, _ in axes]
    if math.prod(sizes) != mixture.N:
        return None
    cell = np.zeros(mixture.N, np.int64)
    for (_, inverse), size in zip(axes, sizes, strict=True):
        cell = cell * size + inverse.reshape(-1)
    # Constant coordinates get no axis of the table: NumPy allows 64 axes, a mixture any d.
    table = np.bincount(cell, mixture.weights, mixture.N).reshape([n for n in sizes if n > 1])
    if (table == 0).any():  # a cell missing, so some other is taken twice
        return None
    every = range(table.ndim)
    marginals = [table.sum(axis=tuple(j for j in every if j != i)) for i in every]
    product = functools.reduce(np.multiply.outer, marginals, np.ones(()))
    if (np.abs(product - table) > 8 * np.finfo(float).eps * table).any():
        return None
    varying = iter(marginals)
    weights = [next(varying) if n > 1 else np.ones(1) for n in sizes]
    return [(frozen(values), frozen(w)) for (values, _), w in zip(axes, weights, strict=True)]

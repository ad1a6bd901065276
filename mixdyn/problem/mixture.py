"""Gaussian mixtures p = sum_k w_k N(mu_k, Sigma_k), isotropic (sigma_k^2 I) or of any covariances.

`diffused` closes the family: every marginal of the forward diffusion is again such a mixture.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import (
    LARGEST,
    Array,
    IntArray,
    check_alpha_bar,
    check_array,
    check_integer,
    check_memory,
    check_nonnegative,
    check_points,
    describe,
    frozen,
)
from ..support.errors import FileError, InputError, NotApplicableError
from ..support.files import read_parameters, write_parameters
from .checks import check_sigma, check_weights, refuse_fitted
from .covariance import KEYWORDS, Covariance, read_covariance
from .data_sets import DATA_KEYS, split_data
from .fitted import fit, fitted_parameters

if TYPE_CHECKING:
    from .densities import Anisotropic, Isotropic

_KEYS = frozenset({"means", "sigma", "weights", "allow_duplicates", *KEYWORDS})
FILE_KEYS = _KEYS | DATA_KEYS


class GaussianMixture:
    """An immutable mixture of N Gaussians in d dimensions.

    Parameters
    ----------
    means : (N, d) finite floats, in the units of the data.
    sigma : standard deviation, one for all modes or an (N,) array; 0 is a point mass (Dirac), which
        has a density where there is noise. Fitted variances are no standard deviations, and of
        shape (N,) nothing tells them apart: see `from_sklearn`.
    weights : (N,) positive floats, equal when omitted; normalised unless their sum is already
        within 4 ulp of 1 (so that loading what was saved changes no bit).
    allow_duplicates : accept two modes with the same mean and sigma. They describe a valid
        density but no pair geometry, and are nearly always a slip in a file.
    covariance, variances, factors : in place of sigma: covariance matrices (d, d) of all modes or
        (N, d, d), positive semidefinite; or variances (d,) or (N, d) along the coordinate axes; or
        factors (N, d, r) beside sigma, Sigma_k = F_k F_k^T + sigma_k^2 I. In one dimension they
        are sigmas. `covariance` of the mixture is then a `Covariance`, else None, and what needs
        isotropic modes says so: `sigma` and `sigmas` raise NotApplicableError.

    Raises
    ------
    InputError : a shape, sign or finiteness rule is broken, a matrix is not symmetric or not
        positive semidefinite, or two modes coincide.
    """

    __slots__ = ("__dict__", "_allow_duplicates", "_sigma", "covariance", "means", "weights")
    means: Array
    weights: Array
    covariance: Covariance | None
    _sigma: float | Array
    _allow_duplicates: bool

    def __init__(
        self,
        means: ArrayLike,
        sigma: float | ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        allow_duplicates: bool = False,
        covariance: ArrayLike | None = None,
        variances: ArrayLike | None = None,
        factors: ArrayLike | None = None,
    ) -> None:
        refuse_fitted(means)
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
        given = {"covariance": covariance, "variances": variances, "factors": factors}
        ellipsoids = read_covariance(mu.shape, sigma, given)
        if ellipsoids is not None and mu.shape[1] == 1:
            sigma, ellipsoids = np.sqrt(ellipsoids.largest), None
        # + 0.0 turns -0.0 into 0.0: equal mixtures, equal digests.
        self._put(frozen(mu + 0.0), check_weights(weights, len(mu)), ellipsoids)
        if ellipsoids is None:
            object.__setattr__(self, "_sigma", check_sigma(sigma, len(mu)))
        object.__setattr__(self, "_allow_duplicates", bool(allow_duplicates))
        if not allow_duplicates:
            self._refuse_duplicates()

    def _put(self, means: Array, weights: Array, covariance: Covariance | None) -> None:
        """The parts without their checks; duplicates are let pass."""
        put = functools.partial(object.__setattr__, self)
        put("means", means)
        put("weights", weights)
        put("covariance", covariance)
        put("_allow_duplicates", True)

    @classmethod
    def from_sklearn(cls, fitted: Any) -> GaussianMixture:
        """The mixture that scikit-learn's GaussianMixture (or its Bayesian kin) was fitted to.

        Takes `means_`, `weights_` and `covariances_`, which are variances. Modes that are isotropic
        to rounding ("spherical" always) have the square roots as their sigma.

        Raises InputError for anything that is not fitted.
        """
        return cls(**fitted_parameters(fitted))

    @classmethod
    def from_data(cls, data: ArrayLike, bandwidth: float = 0.0) -> GaussianMixture:
        """One mode of equal weight at each row of data (N, d), of standard deviation `bandwidth`
        (>= 0): the kernel density estimate; of 0 the data themselves, whose score at a level with
        noise is the one that memorises. Equal rows stay apart."""
        points = check_array(data, "data", ndim=2, largest=LARGEST)
        if points.size == 0:
            raise InputError(
                "data must hold at least one point in at least one dimension",
                f"shape {points.shape}",
                "Pass an (N, d) array, a point a row.",
            )
        return cls(points, check_nonnegative(bandwidth, "bandwidth"), allow_duplicates=True)

    @classmethod
    def fit(
        cls, data: ArrayLike, n_modes: int, covariance: str = "full", *, seed: int = 0
    ) -> GaussianMixture:
        """The mixture of `n_modes` modes that scikit-learn's expectation maximisation finds in data
        (n, d); covariance "full", "tied", "diag" or "spherical". MissingExtraError without it."""
        return cls.from_sklearn(fit(data, n_modes, covariance, seed))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"GaussianMixture is frozen: build a new one to change {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"GaussianMixture is frozen: {name!r} cannot be deleted")

    def _refuse_duplicates(self) -> None:
        if (first := self.equal_modes) is not None:
            second = next(k for k in range(self.N) if first[k] != k)
            raise InputError(
                f"modes must differ in mean or {self._spread_name}",
                f"modes {first[second]} and {second} both at {self.means[second]}",
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
    def sigma(self) -> float | Array:
        """Standard deviation of isotropic modes, one for all or (N,); else NotApplicableError."""
        if self.covariance is None:
            return self._sigma
        low, high = self.std_range
        raise NotApplicableError(
            "this needs isotropic modes, one sigma in every direction",
            f"{self.N} modes with {self.covariance.kind}, standard deviations {low:.4g} to "
            f"{high:.4g}",
            "Use a mixture with sigma.",
        )

    @property
    def has_common_sigma(self) -> bool:
        """Whether all modes are isotropic and share one sigma (then `sigma` is a float)."""
        return self.covariance is None and isinstance(self._sigma, float)

    @functools.cached_property
    def smallest_var(self) -> float:
        """The smallest variance of a mode in any direction."""
        return float(np.square(self.sigmas).min()) if (c := self.covariance) is None else c.smallest

    @property
    def std_range(self) -> tuple[float, float]:
        """The smallest and the largest standard deviation of a mode in any direction."""
        if (c := self.covariance) is None:
            return float(self.sigmas.min()), float(self.sigmas.max())
        return math.sqrt(c.smallest), math.sqrt(c.largest.max())

    @property
    def _spread_name(self) -> str:
        return "sigma" if self.covariance is None else self.covariance.kind

    @functools.cached_property
    def sigmas(self) -> Array:
        """(N,) standard deviations, one per mode."""
        return frozen(np.broadcast_to(np.asarray(self.sigma), (self.N,)).copy())

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over shape, means, sigma or covariances as given, and weights: equal exactly for
        equal mixtures."""
        spread, kind = ([self.sigmas], "1") if self.covariance is None else self.covariance.identity
        h = hashlib.sha256(f"mixdyn.mixture.{kind}:{self.means.shape}".encode())
        for part in (self.means, *spread, self.weights):
            h.update(part.astype("<f8").tobytes())
        return h.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GaussianMixture) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.covariance is not None:
            return _restored, (self.means, self.weights, self.covariance, self._allow_duplicates)
        build = functools.partial(GaussianMixture, allow_duplicates=self._allow_duplicates)
        return build, (self.means, self.sigma, self.weights)

    def __repr__(self) -> str:
        span = self.sigma if self.has_common_sigma else "per mode"
        head = f"GaussianMixture(N={self.N}, d={self.d}, {self._spread_name}="
        return f"{head}{span}, digest={self.digest[:12]})"

    @functools.cached_property
    def equal_modes(self) -> IntArray | None:
        """(N,) of every mode the first that equals it in mean and spread; None where all differ."""
        spread = self.sigmas if self.covariance is None else self.covariance.rows(self.N)
        rows = np.column_stack([self.means, spread])
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        return None if len(first) == self.N else first[inverse.reshape(-1)]

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
        return self.at_level(math.sqrt(abar), abar, nu)

    def at_level(self, alpha: float, signal_var: float, noise_var: float) -> GaussianMixture:
        """The law of alpha x + sqrt(noise_var) xi, unchecked: signal_var is alpha^2."""
        if self.covariance is not None:
            return _restored(
                self.means if alpha == 1.0 else frozen(alpha * self.means + 0.0),
                self.weights,
                self.covariance.at(signal_var, noise_var),
                True,
            )
        var = signal_var * np.square(self.sigmas) + noise_var
        sigma_t = float(np.sqrt(var[0])) if self.has_common_sigma else np.sqrt(var)
        return self.rescaled(alpha, sigma_t)

    def subset(self, modes: Sequence[int]) -> GaussianMixture:
        """The law given that the mode is one of these (indices in 0..N-1): their weights, scaled to
        sum to one."""
        chosen = list(modes)
        weights = self.weights[chosen]
        if self.covariance is None:
            spread: dict[str, Any] = {"sigma": self.sigmas[chosen]}
        else:
            spread = self.covariance.data_of(chosen)
        allowed = self._allow_duplicates
        return type(self)(self.means[chosen], weights=weights, allow_duplicates=allowed, **spread)

    def rescaled(self, factor: float, sigma: float | ArrayLike) -> GaussianMixture:
        """Isotropic modes of the same weights, means times a factor in (0, 1], at another sigma.
        Neither is checked again, nor whether modes coincide: after scaling that is no slip."""
        means = self.means if factor == 1.0 else frozen(factor * self.means + 0.0)
        law = object.__new__(GaussianMixture)
        law._put(means, self.weights, None)
        object.__setattr__(law, "_sigma", check_sigma(sigma, self.N))
        return law

    # -- density -----------------------------------------------------------------------------

    def log_density(self, x: ArrayLike) -> Array:
        """log p(x): x (n, d) -> (n,)."""
        return self.pointwise.log_density(check_points(x, self.d))

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x) = sum_k gamma_k Sigma_k^-1 (mu_k - x): x (n, d) -> (n, d).

        Source: arXiv 2605.06831 v1, section 3 (with one variance per mode allowed).
        """
        return self.pointwise.score(check_points(x, self.d))

    def responsibilities(self, x: ArrayLike) -> Array:
        """Posterior mode probabilities gamma_k(x): x (n, d) -> (n, N), rows sum to one."""
        return self.pointwise.responsibilities(check_points(x, self.d))

    def score_jacobian(self, x: ArrayLike) -> Array:
        """Hessian of log p: x (n, d) -> (n, d, d), symmetric.

        sum_k gamma_k [s_k s_k^T - Sigma_k^-1] - s s^T with s_k = Sigma_k^-1 (mu_k - x), evaluated
        with centred s_k - s so that it keeps its digits where one mode dominates.
        """
        return self.pointwise.score_jacobian(check_points(x, self.d))

    def squared_distances(self, x: ArrayLike) -> Array:
        """Squared Mahalanobis distances of points x (n, d) from all modes, (n, N)."""
        return self.pointwise.squared_lengths(check_points(x, self.d))

    @functools.cached_property
    def pointwise(self) -> Isotropic | Anisotropic:
        """What these four are computed by. NotApplicableError for point masses: they have none."""
        from .densities import Anisotropic, Isotropic

        log_weights = frozen(np.log(self.weights))
        if self.covariance is not None:
            return Anisotropic(self.means, self.covariance, log_weights)
        return Isotropic(self.means, frozen(np.square(self.sigmas)), log_weights)

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
        return self.from_normals(k, generator.standard_normal((count, self.d)))

    def from_normals(self, k: IntArray, z: Array) -> Array:
        """Draws (n, d) from modes k (n,), of standard normals z (n, d)."""
        if self.covariance is None:
            return self.means[k] + self.sigmas[k, None] * z
        factors = self.covariance.functions(np.sqrt)
        if len(self.covariance.directions) == 0:
            return self.means[k] + factors[0][k] * z
        out = self.means[k]
        for mode in np.unique(k):
            out[k == mode] += self.covariance.applied(int(mode), z[k == mode], factors)
        return out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to .toml or .npz (by ending); `load` gives back the same bits."""
        spread: dict[str, Any] = {"sigma": self.sigma} if (c := self.covariance) is None else c.data
        values = {"means": self.means, "weights": self.weights} | spread
        if self._allow_duplicates:
            values["allow_duplicates"] = True
        write_parameters(path, values)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GaussianMixture:
        """Read `means`, what says their spread, and optionally `weights` from a .toml or .npz file.

        sigma is final: nothing is rescaled. Unknown keys are errors. A data set is `data` (N, d) in
        place of all these (or the one array of numpy.savez(path, X)), with a `bandwidth` if any:
        see `from_data`. `labels` (N,) are for `mixdyn check` and no part of the mixture.
        """
        values = read_parameters(path, FILE_KEYS, frozenset())
        points = split_data(values, path)
        values.pop("labels", None)
        if points is None and "means" not in values:
            raise FileError(
                f"a file of this kind has the keys {sorted(_KEYS)}, or data",
                f"missing keys ['means'] in {path}",
                "Add them.",
            )
        try:
            return cls(**values) if points is None else cls.from_data(*points)
        except FileError:
            raise
        except InputError as error:
            raise FileError(error.rule, f"{error.received} in {path}", error.remedy) from None


def _restored(
    means: Array, weights: Array, covariance: Covariance, allow_duplicates: bool
) -> GaussianMixture:
    law = object.__new__(GaussianMixture)
    law._put(frozen(means), frozen(weights), covariance)
    object.__setattr__(law, "_allow_duplicates", allow_duplicates)
    return law


def _product_axes(mixture: GaussianMixture) -> list[tuple[Array, Array]] | None:
    axes, sizes = [], [1]
    for column in mixture.means.T:
        axes.append(np.unique(column, return_inverse=True))
        sizes.append(len(axes[-1][0]))
        if math.prod(sizes) > mixture.N:  # of scattered modes two columns tell
            return None
    sizes = sizes[1:]
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

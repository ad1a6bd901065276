"""Covariances of modes that are not isotropic, by their eigenvectors, which no noise changes.

Sigma_k = U_k diag(lambda_k) U_k^T + rest_k (I - U_k U_k^T), U_k (d, r) with orthonormal columns. At
a level the marginal has signal_var Sigma_k + noise_var I: the same U_k, other eigenvalues.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import (
    LARGEST,
    SMALLEST,
    Array,
    check_array,
    check_real_array,
    frozen,
    without_gradient,
)
from ..support.errors import InputError
from .spectrum import eigenpairs

KEYWORDS = ("covariance", "variances", "factors")
_LARGEST = LARGEST  # of a variance: its root is below that of a sigma
_EPS = float(np.finfo(float).eps)
_SYMMETRIC = 64  # units in the last place of the largest entry


@dataclasses.dataclass(frozen=True, eq=False)
class Covariance:
    """The covariances of N modes in d dimensions.

    kind : the keyword by which they were given; given : its array; sigma : (N,) standard deviations
    beside "factors", else None. directions (M, r, d): rows of U_k^T, M = N, 1 where all modes share
    them, 0 where they are the coordinate axes. clean (N, r): eigenvalues along them, and across
    (N,) beyond them, of signal_var = 1 and noise_var = 0; the covariances themselves are signal_var
    times that plus noise_var.
    """

    kind: str
    given: Array
    sigma: Array | None
    directions: Array
    clean: Array
    across: Array | None = None
    signal_var: float = 1.0
    noise_var: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if isinstance(value := getattr(self, field.name), np.ndarray):
                frozen(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Covariance, tuple(getattr(self, f.name) for f in dataclasses.fields(self))

    @property
    def values(self) -> Array:
        """(N, r) eigenvalues along the directions."""
        return self._at_level(self.clean)

    @property
    def rest(self) -> Array | None:
        """(N,) variances across them, where r < d."""
        return None if self.across is None else self._at_level(self.across)

    @functools.cached_property
    def smallest(self) -> float:
        """The smallest variance of any mode in any direction."""
        least = float(self.values.min())
        return least if self.rest is None else min(least, float(self.rest.min()))

    @functools.cached_property
    def largest(self) -> Array:
        """(N,) the largest variance of each mode."""
        most = self.values.max(axis=1)
        return most if self.rest is None else np.maximum(most, self.rest)

    @property
    def shared(self) -> bool:
        """Whether all modes have the same eigenvectors, or the coordinate axes."""
        return len(self.directions) <= 1 and self.across is None

    @functools.cached_property
    def common(self) -> bool:
        """Whether all modes have one covariance."""
        same = self.shared or bool((self.given == self.given[:1]).all())
        alike = [self.clean] if self.across is None else [self.clean, self.across]
        return same and all(bool((part == part[:1]).all()) for part in alike)

    def _at_level(self, variances: Array) -> Array:
        return self.signal_var * variances + self.noise_var

    def at(self, signal_var: float, noise_var: float) -> Covariance:
        """signal_var times these plus noise_var I."""
        return dataclasses.replace(
            self,
            signal_var=signal_var * self.signal_var,
            noise_var=signal_var * self.noise_var + noise_var,
        )

    def total(self, f: Any, d: int) -> Array:
        """(N,) sum over the d directions of f of the variance: log det Sigma_k where f is log."""
        along, across = self.functions(f)
        beyond = 0.0 if across is None else (d - along.shape[1]) * across
        return np.asarray(along.sum(axis=1) + beyond)

    def matrices(self, d: int) -> Array:
        """(N, d, d) covariance matrices, of what was given."""
        given, eye, signal, noise = self.given, np.eye(d), self.signal_var, self.noise_var
        if self.kind == "variances":
            clean = np.broadcast_to(given, self.clean.shape)[:, :, None] * eye
        elif self.sigma is not None:
            clean = given @ given.transpose(0, 2, 1) + np.square(self.sigma)[:, None, None] * eye
        else:
            clean = np.broadcast_to(given, (len(self.clean), d, d))
        return np.asarray(signal * clean + noise * eye)

    def functions(self, f: Any) -> tuple[Array, Array | None]:
        """f of the eigenvalues: what `applied` takes."""
        return f(self.values), None if self.rest is None else f(self.rest)

    def regression(self, signal_var: float, noise_var: float) -> tuple[Any, Any]:
        """What `applied` takes for C^-1 and for Sigma C^-1, C = signal_var Sigma + noise_var I: the
        posterior mean of clean data is affine in the state by these."""

        def inverse(variance: Array) -> Array:
            return 1.0 / (signal_var * variance + noise_var)

        return self.functions(inverse), self.functions(lambda v: v * inverse(v))

    def applied(self, k: int, vectors: Array, factors: tuple[Array, Array | None]) -> Array:
        """U_k diag(factors_k) U_k^T v + rest_k (I - U_k U_k^T) v of vectors v (n, d), factors
        (N, r) and (N,); bits of a row do not depend on the others."""
        from .. import kernels

        along, across = factors
        if len(self.directions) == 0:
            return vectors * along[k]
        rows = self.directions[min(k, len(self.directions) - 1)]
        rest = 0.0 if across is None else float(across[k])
        none = np.zeros(vectors.shape[1])
        inside = kernels.project(vectors, none, rows)
        if across is None:
            return np.asarray(
                kernels.lift(none[None].repeat(len(vectors), 0), 0.0, none, rows, along[k] * inside)
            )
        beyond = kernels.lift(vectors, 1.0, none, rows, -inside)
        return np.asarray(kernels.lift(beyond, rest, none, rows, along[k] * inside))

    @functools.cached_property
    def data(self) -> dict[str, Array]:
        """The arrays of `given` and `sigma` by keyword; of covariances at a level theirs."""
        if self.signal_var == 1.0 and self.noise_var == 0.0:
            held = {self.kind: self.given}
            return held if self.sigma is None else held | {"sigma": self.sigma}
        if self.sigma is not None:
            root = np.sqrt(self.signal_var)
            return {"factors": root * self.given, "sigma": np.sqrt(self._at_level(self.sigma**2))}
        if self.kind == "variances":
            return {"variances": self._at_level(self.given)}
        eye = self.noise_var * np.eye(self.given.shape[-1])
        return {"covariance": self.signal_var * self.given + eye}

    def data_of(self, modes: list[int]) -> dict[str, Array]:
        """`data` of some modes; what all share stays one array."""
        shared = {"covariance": 2, "variances": 1}
        held = self.data.items()
        return {name: a if a.ndim == shared.get(name) else a[modes] for name, a in held}

    def rows(self, n_modes: int) -> Array:
        """(N, ...) what tells two modes apart."""
        shared = {"covariance": 2, "variances": 1}
        parts = [part for name, part in self.data.items() if part.ndim != shared.get(name)]
        flat = [part.reshape(n_modes, -1) for part in parts]
        return np.concatenate([np.empty((n_modes, 0)), *flat], axis=1)

    @property
    def identity(self) -> tuple[list[Array], str]:
        """What a digest is taken of: arrays, and a word for their kind and shapes."""
        parts = list(self.data.values())
        return parts, f"2:{self.kind}:{[part.shape for part in parts]}"


def read_covariance(
    shape: tuple[int, ...], sigma: Any, given: dict[str, ArrayLike | None]
) -> Covariance | None:
    """The covariance that the one keyword given says, of means of this shape (N, d); None where
    `sigma` alone does.

    Raises InputError unless exactly one of sigma, covariance and variances is given, or factors
    with sigma; for wrong shapes, asymmetric or indefinite matrices and negative variances.
    """
    named = [name for name in KEYWORDS if given[name] is not None]
    said = (["sigma"] if sigma is not None else []) + named
    if said == ["sigma"]:
        return None
    if said not in (["covariance"], ["variances"], ["sigma", "factors"]):
        raise InputError(
            "modes take one of sigma, covariance, variances, or factors with sigma",
            " and ".join(said) or "none of them",
            "For low rank plus isotropic pass both factors and sigma >= 0; else leave one.",
        )
    kind = named[0]
    n_modes, d = shape
    values = check_real_array(given[kind], kind)  # type: ignore[arg-type]
    if kind == "covariance":
        return _of_matrices(values, n_modes, d, _unit(given[kind]))
    if kind == "variances":
        return _of_axes(values, n_modes, d)
    return _of_factors(values, n_modes, d, sigma)


def _unit(values: Any) -> float:
    """The spacing of numbers at 1 of the type in which an array came: what was computed in single
    precision is symmetric and semidefinite to its rounding."""
    dtype = np.asarray(without_gradient(values)).dtype
    own = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
    return max(own, _EPS)


def _finite(values: Array, name: str, shapes: list[tuple[int | str, ...]], largest: float) -> Array:
    """A finite copy of one of these shapes, -0.0 as 0.0; a word in a shape is any size."""
    fits = any(
        values.ndim == len(shape)
        and all(isinstance(a, str) or a == b for a, b in zip(shape, values.shape, strict=True))
        for shape in shapes
    )
    if not fits:
        told = " or ".join(str(shape).replace("'", "") for shape in shapes)
        raise InputError(
            f"{name} must have shape {told}", f"shape {values.shape}", "Match means (N, d)."
        )
    return check_array(values, name, values.ndim, largest=largest) + 0.0


def _of_axes(values: Array, n_modes: int, d: int) -> Covariance:
    given = _finite(values, "variances", [(d,), (n_modes, d)], _LARGEST)
    bad = (given < 0.0) | ((given > 0.0) & (given < SMALLEST))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"variances must be 0 or at least {SMALLEST:g}",
            f"{given[where]} at index {where}",
            "Square standard deviations; zero is a point mass along that axis.",
        )
    clean = np.broadcast_to(given, (n_modes, d)).copy()
    return Covariance("variances", given, None, np.empty((0, 0, d)), clean)


def _of_matrices(values: Array, n_modes: int, d: int, unit: float) -> Covariance:
    given = _finite(values, "covariance", [(d, d), (n_modes, d, d)], _LARGEST)
    stack = given.reshape(-1, d, d)
    gap = np.abs(stack - stack.transpose(0, 2, 1))
    size = np.abs(stack).max(axis=(1, 2))
    apart = gap > _SYMMETRIC * unit * size[:, None, None]
    if apart.any():
        k, i, j = (int(at) for at in np.argwhere(apart)[0])
        raise InputError(
            "a covariance must be symmetric",
            f"{stack[k, i, j]} at {(k, i, j)[3 - given.ndim :]} and {stack[k, j, i]} across",
            "Take 0.5 * (S + S.T).",
        )
    stack = 0.5 * (stack + stack.transpose(0, 2, 1))
    pairs = []
    for k, one in enumerate(stack):
        found, rows = eigenpairs(one)
        if unit > _EPS and found.min() < 0.0:  # what is kept is semidefinite in double
            found, _ = _nonnegative(found, rows, unit, k, given.ndim)
            nearest = (rows.T * found) @ rows
            stack[k] = 0.5 * (nearest + nearest.T)
            found, rows = eigenpairs(stack[k])
        pairs.append(_nonnegative(found, rows, _EPS, k, given.ndim))
    clean = np.array([found for found, _ in pairs])
    directions = np.array([rows for _, rows in pairs])
    if given.ndim == 2:
        clean = clean.repeat(n_modes, axis=0)
    return Covariance("covariance", stack.reshape(given.shape), None, directions, clean)


def _nonnegative(found: Array, rows: Array, unit: float, k: int, ndim: int) -> tuple[Array, Array]:
    """Eigenvalues, those as 0 that only the rounding of the matrix's entries makes negative."""
    largest = float(found.max())
    whose = f" of mode {k}" if ndim == 3 else ""
    if found.min() < -4 * len(found) * unit * largest or largest < 0.0:
        raise InputError(
            "a covariance must be positive semidefinite",
            f"an eigenvalue {found.min():.6g} beside {largest:.6g}{whose}",
            "Correct the matrix; zero eigenvalues are allowed.",
        )
    if 0.0 < largest < SMALLEST:
        raise InputError(
            f"a covariance must be 0 or have an eigenvalue of at least {SMALLEST:g}",
            f"a largest one {largest:.6g}{whose}",
            "Choose larger units; zero is a point mass.",
        )
    return np.where(found < SMALLEST, 0.0, found), rows


def _of_factors(values: Array, n_modes: int, d: int, sigma: Any) -> Covariance:
    given = _finite(values, "factors", [(n_modes, d, "r")], np.sqrt(_LARGEST))
    r = given.shape[2]
    if not 1 <= r <= d:
        raise InputError(f"factors take 1 to d = {d} columns", r, "Pass covariance for more.")
    std = np.atleast_1d(check_real_array(sigma, "sigma"))
    fits = std.shape in ((1,), (n_modes,))
    bad = check_array(std, "sigma", 1, largest=LARGEST) if fits else np.empty(0)
    bad = bad[(bad < SMALLEST) & (bad != 0.0)]
    if not fits or bad.size:
        raise InputError(
            f"sigma beside factors must be one number or one for each of the {n_modes} modes, 0 or "
            f"at least {SMALLEST:g}",
            float(bad.min()) if bad.size else f"shape {std.shape}",
            "Pass the standard deviation across the factors.",
        )
    std = np.broadcast_to(std, (n_modes,)).copy()
    _, singular, rows = np.linalg.svd(given.transpose(0, 2, 1), full_matrices=False)
    # Below the rounding of the largest it is of lower rank, as far as the factors tell.
    told = singular > d * _EPS * singular.max(axis=1, keepdims=True)
    singular = np.where(told, singular, 0.0)
    clean = np.square(singular) + np.square(std)[:, None]
    across = np.square(std) if r < d else None
    return Covariance("factors", given, std, np.ascontiguousarray(rows), clean, across)

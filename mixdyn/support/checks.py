"""Validators that check a value and return it in the form the rest of mixdyn uses."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable
from types import UnionType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, MemoryLimitError, printable

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Coordinates up to LARGEST and sigmas down to SMALLEST keep every squared distance, and its ratio
# to every variance, a finite double.
LARGEST, SMALLEST = 1e75, 1e-75
_PIECE = 1 << 15  # doubles that stay in the second-level cache


def frozen(array: Array) -> Array:
    """The same array, read-only from here on."""
    array.setflags(write=False)
    return array


def describe(value: object) -> str:
    """A short text of `value` for an error message: arrays by shape, the rest by repr."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of shape {value.shape}"
    text = printable(value) if isinstance(value, int) else " ".join(repr(value).split())
    return text if len(text) <= 120 else text[:117] + "..."


def check_array(values: ArrayLike, name: str, ndim: int, *, largest: float = math.inf) -> Array:
    """`values` as a finite C-contiguous float64 array with `ndim` axes, no entry beyond `largest`
    in size. Booleans are refused like in `check_integer`."""
    array = check_real_array(values, name)
    if array.ndim != ndim:
        raise InputError(
            f"{name} must have {ndim} ax{'i' if ndim == 1 else 'e'}s",
            f"shape {array.shape}",
            "Reshape it first.",
        )
    limit = min(largest, sys.float_info.max)
    if not _all_within(array, limit):
        where = tuple(int(i) for i in np.argwhere(~(np.abs(array) <= limit))[0])
        finite = bool(np.isfinite(array[where]))
        raise InputError(
            f"{name} must be at most {largest:g} in size" if finite else f"{name} must be finite",
            f"{array[where]} at index {where}",
            "Choose smaller units." if finite else "Remove NaN and infinite entries.",
        )
    return array


def _all_within(array: Array, limit: float) -> bool:
    """Whether every entry is a number of at most `limit` in size; a C-contiguous array is read
    once, piece by piece: temporary arrays of its size cost more than the comparisons."""
    flat = array.reshape(-1)
    pieces = (flat[first : first + _PIECE] for first in range(0, flat.size, _PIECE))
    # Comparisons with NaN are false.
    return all(piece.max() <= limit and piece.min() >= -limit for piece in pieces)


def check_real_array(values: ArrayLike, name: str) -> Array:
    """`values` as a C-contiguous float64 array of any shape, finite or not. Tensors of other
    libraries come along, with or without a gradient; masked entries are refused."""
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.c_contiguous:
        return values  # by far the most frequent, and nothing else is one of these
    refuse_masked(values, name)
    try:
        array = np.asarray(without_gradient(values))
        if array.dtype == object:
            array = _long_integers(array, name)
        if array.dtype.kind not in "iuf" or _holds_boolean(values):
            raise TypeError
        array = np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)
    except InputError:
        raise
    except (TypeError, ValueError):
        raise InputError(
            f"{name} must be a rectangular array of real numbers",
            describe(values),
            "Pass nested lists of floats or a NumPy array.",
        ) from None
    return array


def _holds_boolean(values: object) -> bool:
    """Whether a boolean hides among the numbers of nested lists: NumPy would read it as 0 or 1."""
    if isinstance(values, list | tuple):
        return any(map(_holds_boolean, values))
    return isinstance(values, bool | np.bool_) or (
        isinstance(values, np.ndarray) and values.dtype.kind == "b"
    )


def check_limit(value: Any, name: str) -> float:
    """`value` as a number > 0 that may be infinite: no limit."""
    return math.inf if value == math.inf else check_positive(value, name)


def refuse_masked(values: object, name: str) -> None:
    """A plain array has no mask: what was masked would count as data."""
    parts = values if isinstance(values, list | tuple) else [values]
    if any(np.ma.is_masked(part) for part in parts):
        raise InputError(
            f"{name} must have no masked entries",
            f"masked entries in {describe(values)}",
            "Drop them first, or fill them: numpy.ma.compress_rows(a), a.filled(value).",
        )


def _long_integers(array: NDArray[np.object_], name: str) -> Array:
    """Integers beyond 64 bits, which NumPy keeps as objects, as floats."""
    numbers = array.ravel().tolist()
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise TypeError
    try:
        return np.array([float(n) for n in numbers]).reshape(array.shape)
    except OverflowError:
        longest = max((n for n in numbers if isinstance(n, int)), key=abs)
        raise InputError(
            f"{name} must hold real numbers at most {np.finfo(np.float64).max:.4g} in size",
            describe(longest),
            "Choose smaller units.",
        ) from None


def without_gradient(value: Any) -> Any:
    """A tensor of another library outside its graph and on the CPU; anything else as it is."""
    if not callable(getattr(value, "detach", None)):
        return value
    plain = value.detach().cpu()
    # bfloat16 and the like have no NumPy form; every float that narrow is a float32 exactly.
    narrow = plain.is_floating_point() and plain.element_size() < 4
    return plain.float() if narrow else plain


def check_kind(value: object, kind: type | UnionType, name: str, remedy: str) -> Any:
    """`value`, which must be an instance of `kind`."""
    if not isinstance(value, kind):
        kinds = kind.__args__ if isinstance(kind, UnionType) else (kind,)
        what = " or ".join(k.__name__ for k in kinds)
        raise InputError(
            f"{name} must be a {what}",
            f"{describe(value)} of type {type(value).__name__}",
            remedy,
        )
    return value


def check_flag(value: object, name: str) -> bool:
    """`value`, which must be True or False themselves: any other would be read as one of them."""
    flag: bool = check_kind(value, bool, name, "Write True or False.")
    return flag


def check_points(x: ArrayLike, d: int, name: str = "x") -> Array:
    """`x` as an (n, d) float64 array with n >= 1, entries at most LARGEST in size."""
    points = check_array(x, name, ndim=2, largest=LARGEST)
    if points.shape[1] != d or points.shape[0] == 0:
        raise InputError(
            f"{name} must have shape (n, {d}) with n >= 1",
            f"shape {points.shape}",
            "Pass one row per point, one column per coordinate of the mixture.",
        )
    return points


def check_real(value: Any, name: str) -> float:
    """`value` as a finite float; booleans and strings are refused."""
    try:
        number = math.nan if isinstance(value, str | bytes | bool | np.bool_) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} must be a finite real number", describe(value), "Pass a float.")
    return number


def check_positive(value: Any, name: str) -> float:
    """`value` as a float > 0."""
    number = check_real(value, name)
    if number <= 0.0:
        raise InputError(f"{name} must be > 0", describe(value), "Pass a positive number.")
    return number


def check_nonnegative(value: Any, name: str) -> float:
    """`value` as a float >= 0."""
    number = check_real(value, name)
    if number < 0.0:
        raise InputError(f"{name} must be >= 0", describe(value), "Pass zero or a positive number.")
    return number


def check_integer(value: Any, name: str, low: int, high: int | None = None) -> int:
    """`value` as an int with low <= value <= high; booleans and floats are refused."""
    span = f">= {low}" if high is None else f"in {low}..{high}"
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        raise InputError(
            f"{name} must be an integer {span}", describe(value), f"Choose {name} {span}."
        )
    return number


def check_callable(value: Any, name: str, remedy: str) -> Any:
    """`value`, which must be callable."""
    if not callable(value):
        raise InputError(f"{name} must be callable", describe(value), remedy)
    return value


def check_choice(value: Any, choices: Iterable[str], name: str, remedy: str) -> Any:
    """`value`, which must be one of the words in `choices`."""
    if value not in (words := list(choices)):
        raise InputError(f"{name} must be one of {', '.join(words)}", describe(value), remedy)
    return value


def check_memory(size: float, limit: float, what: str, remedy: str) -> None:
    """Refuse what would hold more than `limit` bytes before any is asked for."""
    if size > check_limit(limit, "memory_limit"):
        raise MemoryLimitError(f"{what} must fit {limit:.3g} bytes", f"{size:.3g} bytes", remedy)


def check_alpha_bar(value: Any, name: str = "alpha_bar") -> float:
    """`value` as a signal level in (0, 1]."""
    number = check_real(value, name)
    if not 0.0 < number <= 1.0:
        raise InputError(
            f"{name} must lie in (0, 1]", describe(value), "1 is clean data, near 0 pure noise."
        )
    return number


def check_decreasing(values: ArrayLike, name: str) -> Array:
    """`values` as a strictly decreasing 1-D array of positive numbers, at least two of them."""
    array = check_array(values, name, ndim=1)
    if array.size < 2 or not (np.diff(array) < 0).all() or array[-1] <= 0:
        raise InputError(
            f"{name} must be at least two positive numbers, strictly decreasing",
            describe(array),
            "Order it from noise to data and drop repeated values.",
        )
    return array

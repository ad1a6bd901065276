"""The residual MLP of a trained model from its arrays, without the library that trained it.

By the kernel of `mixdyn.kernels`, in either precision; its derivative in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np

from .. import kernels
from ..support.checks import Array

_TIMES = 64  # kept: those of a chain that is run again and again
_ROWS = 512  # at a time for the derivative: their hidden states stay in the second-level cache


class ResidualNetwork:
    """The noise that a residual MLP predicts at one time.

    Parameters
    ----------
    tensors : weights and biases by the names that training gives them: `enter` (H, d), `leave` (d,
        H), a final `norm`, `blocks.k.norm`, `.first` and `.second` (H, H), and `time_first`,
        `time_second` behind the features of a time.
    features : (T + 1, m), of the times.
    precision : of the prediction. A sample's bits do not depend on what is computed beside it, nor
        on the number of threads.
    """

    own_threads = False

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray[Any, Any]],
        features: np.ndarray[Any, Any],
        precision: Literal["float32", "float64"],
    ) -> None:
        self._real, self._features = np.dtype(precision), features
        self._tensors = held = {key: value.astype(np.float64) for key, value in tensors.items()}
        count = sum(key.startswith("blocks.") and key.endswith("norm.bias") for key in held)

        def each(name: str) -> Array:
            return np.stack([held[f"blocks.{k}.{name}"] for k in range(count)])

        # What a norm adds and scales goes into the map behind it, and the time as well.
        self._of_time = each("first.weight")
        self._constant = each("first.bias") + np.einsum(
            "kij,kj->ki", self._of_time, each("norm.bias")
        )
        self._first = self._of_time * each("norm.weight")[:, None]
        self._second, self._second_bias = each("second.weight"), each("second.bias")
        self._weights = self._packed()
        self._times = lru_cache(_TIMES)(self._at)

    def _packed(self) -> kernels.Weights:
        held, real = self._tensors, self._real
        packed, padded = (partial(f, real=real) for f in (kernels.packed, kernels.padded))
        entered = np.column_stack([held["enter.weight"], held["enter.bias"]])
        return kernels.Weights(
            enter=packed(held["enter.weight"]),
            enter_bias=padded(held["enter.bias"]),
            opening=packed(self._first[0] @ (entered - entered.mean(axis=0))),
            first=packed(self._first[1:]),
            second=packed(self._second),
            second_bias=padded(self._second_bias),
            scale=held["norm.weight"].astype(real),
            shift=held["norm.bias"].astype(real),
            leave=packed(held["leave.weight"]),
            leave_bias=padded(held["leave.bias"]),
        )

    def eps(self, x: Array, t: int) -> Array:
        """The prediction at x (n, d) and a time t in 0..T, (n, d)."""
        out, times = np.empty(x.shape), kernels.padded(self._times(t), self._real)
        kernels.residual_mlp(x.astype(self._real, order="C"), self._weights, times, out)
        return out

    def jacobian(self, x: Array, t: int) -> Array:
        """Its derivative in double, (n, d, d): row i is the gradient of component i."""
        return np.moveaxis(self._with_slopes(x, t)[1:], 0, 2)

    def _at(self, t: int) -> Array:
        """(L, H): what the first map of each block adds at time t."""
        held = self._tensors
        inner = held["time_first.weight"] @ self._features[t] + held["time_first.bias"]
        embedded = held["time_second.weight"] @ _leaky(inner[None])[0] + held["time_second.bias"]
        return self._constant + self._of_time @ embedded

    def _with_slopes(self, x: Array, t: int) -> Array:
        """(1 + d, n, d): the prediction, and its derivative by every coordinate of x."""
        held, times, directions = self._tensors, self._times(t), np.eye(x.shape[1])
        out = np.empty((1 + len(directions), *x.shape))
        for begin in range(0, len(x), _ROWS):
            rows = x[begin : begin + _ROWS]
            along = np.broadcast_to(directions[:, None], (len(directions), *rows.shape))
            h = _mapped(
                np.concatenate([rows[None], along]), held["enter.weight"], held["enter.bias"]
            )
            for k, shift in enumerate(times):
                inner = _leaky(_mapped(_normed(h), self._first[k], shift))
                h += _mapped(inner, self._second[k], self._second_bias[k])
            last = _normed(h) * held["norm.weight"]
            last[0] += held["norm.bias"]
            out[:, begin : begin + _ROWS] = _mapped(
                _leaky(last), held["leave.weight"], held["leave.bias"]
            )
        return out


# Of stacks (1 + k, n, H): values, and k derivatives.


def _mapped(stack: Array, weight: Array, bias: Array) -> Array:
    moved = stack @ weight.T
    moved[0] += bias
    return moved


def _leaky(stack: Array) -> Array:
    return stack * np.where(stack[0] > 0.0, 1.0, kernels.SLOPE)


def _normed(stack: Array) -> Array:
    """Without the norm's own scale and shift."""
    normed = stack - stack.mean(axis=-1, keepdims=True)
    normed /= np.sqrt(np.square(normed[0]).mean(axis=-1, keepdims=True) + kernels.NORM_EPS)
    value, slopes = normed[0], normed[1:]
    slopes -= value * (value * slopes).mean(axis=-1, keepdims=True)
    return normed

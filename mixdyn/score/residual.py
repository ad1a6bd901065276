"""The residual MLP of a trained model from its arrays, without the library that trained it.

In single precision by the kernel of `mixdyn.kernels`; in double, and its derivative, in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from .. import kernels
from ..support.checks import Array

_ROWS = 512  # at a time in double: their hidden states stay in the second-level cache


class ResidualNetwork:
    """The noise that a residual MLP predicts at one time.

    Parameters
    ----------
    tensors : weights and biases by the names that training gives them: `enter` (H, d), `leave` (d,
        H), a final `norm`, `blocks.k.norm`, `.first` and `.second` (H, H), and `time_first`,
        `time_second` behind the features of a time.
    features : (T + 1, m), of the times.
    precision : of the prediction. In "float32" a sample's bits do not depend on what is computed
        beside it, nor on the number of threads.
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray[Any, Any]],
        features: np.ndarray[Any, Any],
        precision: Literal["float32", "float64"],
    ) -> None:
        self.own_threads = precision == "float64"  # NumPy's
        self._features = features
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
        self._weights = self._packed() if precision == "float32" else None

    def _packed(self) -> kernels.Weights:
        held, packed, padded = self._tensors, kernels.packed, kernels.padded
        entered = np.column_stack([held["enter.weight"], held["enter.bias"]])
        return kernels.Weights(
            enter=packed(held["enter.weight"]),
            enter_bias=padded(held["enter.bias"]),
            opening=packed(self._first[0] @ (entered - entered.mean(axis=0))),
            first=packed(self._first[1:]),
            second=packed(self._second),
            second_bias=padded(self._second_bias),
            scale=held["norm.weight"].astype(np.float32),
            shift=held["norm.bias"].astype(np.float32),
            leave=packed(held["leave.weight"]),
            leave_bias=padded(held["leave.bias"]),
        )

    def eps(self, x: Array, t: int) -> Array:
        """The prediction at x (n, d) and a time t in 0..T, (n, d)."""
        if self._weights is None:
            return self._in_double(x, t, np.empty((0, x.shape[1])))[0]
        out, times = np.empty(x.shape), kernels.padded(self._times(t))
        kernels.residual_mlp(x.astype(np.float32, order="C"), self._weights, times, out)
        return out

    def jacobian(self, x: Array, t: int) -> Array:
        """Its derivative in double, (n, d, d): row i is the gradient of component i."""
        moved = self._in_double(x, t, np.eye(x.shape[1]))[1:]
        return np.moveaxis(moved, 0, 2)

    def _times(self, t: int) -> Array:
        """(L, H): what the first map of each block adds at time t."""
        held = self._tensors
        inner = held["time_first.weight"] @ self._features[t] + held["time_first.bias"]
        embedded = held["time_second.weight"] @ _leaky(inner[None])[0] + held["time_second.bias"]
        return self._constant + self._of_time @ embedded

    def _in_double(self, x: Array, t: int, directions: Array) -> Array:
        """(1 + k, n, d): the prediction, and its derivatives along directions (k, d)."""
        held, times = self._tensors, self._times(t)
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

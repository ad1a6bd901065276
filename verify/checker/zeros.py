"""Certificates of zeros of a network, and their checker: Krawczyk's test once more, in balls.

Nothing of the prover is used: values and slopes go through the layers as balls of python-flint, one
after another, on the box that the certificate states. A certificate is plain data, for JSON:
{"digest": of the weights, "t": time, "zeros": [{"center": [hex, ...], "radius": hex, "kind":
"saddle" | "sink" | "source"}, ...]}, doubles in hexadecimal, which loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Array]
_BITS = 128
_EPS, _SLOPE = 1e-5, 0.01


def digest_of(tensors: Tensors) -> str:
    """Of the names and numbers of all tensors."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        whole.update(name.encode())
        whole.update(np.ascontiguousarray(tensors[name]).astype("<f8").tobytes())
    return whole.hexdigest()[:16]


def certificate(
    tensors: Tensors, t: int, centers: Array, radii: Array, kinds: list[str]
) -> dict[str, Any]:
    """Of zeros near centers (n, d), each alone within its radius (n,) in every coordinate."""
    zeros = [
        {"center": [c.hex() for c in center], "radius": radius.hex(), "kind": kind}
        for center, radius, kind in zip(centers.tolist(), radii.tolist(), kinds, strict=True)
    ]
    return {"digest": digest_of(tensors), "t": t, "zeros": zeros}


def is_proof(
    held: Mapping[str, Any], tensors: Tensors, features: np.ndarray[Any, Any]
) -> list[bool]:
    """Whether each zero of a certificate is one, alone and of the stated kind, for the network with
    these tensors and features (T + 1, m) of the times; all False for another network."""
    from flint import ctx

    if held["digest"] != digest_of(tensors):
        return [False] * len(held["zeros"])
    with ctx.workprec(_BITS):
        network = _Network(tensors, features[held["t"]].astype(float).tolist())
        return [_holds(network, zero) for zero in held["zeros"]]


def _holds(network: _Network, zero: Mapping[str, Any]) -> bool:
    from flint import arb, arb_mat

    center = [float.fromhex(c) for c in zero["center"]]
    radius, d = float.fromhex(zero["radius"]), len(zero["center"])
    value = network([arb(c) for c in center])[0]
    _, slopes = network([arb(c, radius) for c in center])
    middle = np.array([[float(slopes[i, k].mid()) for k in range(d)] for i in range(d)])
    if not np.isfinite(middle).all() or np.linalg.matrix_rank(middle) < d:
        return False
    inverse = arb_mat(np.linalg.inv(middle).tolist())
    step, rest = inverse * value, inverse * slopes
    for i in range(d):
        reach = abs(step[i, 0])
        for k in range(d):
            reach += abs(rest[i, k] - (1 if i == k else 0)) * arb(radius)
        if not reach < radius:
            return False
    return zero["kind"] == _kind(slopes, d)


def _kind(slopes: Any, d: int) -> str:
    if d > 2:
        return "unknown"
    trace = sum((slopes[k, k] for k in range(1, d)), slopes[0, 0])
    determinant = slopes.det()
    if d == 2 and determinant < 0:
        return "saddle"
    if determinant > 0 if d == 2 else True:
        if trace > 0:
            return "sink"
        if trace < 0:
            return "source"
    return "unknown"


class _Network:
    """Value and derivative at one time: stacks (m, 1 + d), the value first."""

    def __init__(self, tensors: Tensors, features: list[float]) -> None:
        from flint import arb_mat

        self._maps = {
            name.removesuffix(".weight"): (
                arb_mat(tensors[name].astype(float).tolist()),
                tensors[name.replace("weight", "bias")].astype(float).tolist(),
            )
            for name in tensors
            if name.endswith(".weight") and tensors[name].ndim == 2
        }
        self._norms = {
            name.removesuffix(".weight"): (
                tensors[name].astype(float).tolist(),
                tensors[name.replace("weight", "bias")].astype(float).tolist(),
            )
            for name in tensors
            if name.endswith("norm.weight")
        }
        e = self._map("time_first", arb_mat([[f] for f in features]))
        self._time = self._map("time_second", self._leaky(e))
        self._blocks = sum(name.endswith(".second") for name in self._maps)

    def __call__(self, x: list[Any]) -> tuple[Any, Any]:
        """The prediction (d, 1) and its derivative (d, d), anywhere in balls x."""
        from flint import arb_mat

        d = len(x)
        start = arb_mat([[x[i], *(float(i == k) for k in range(d))] for i in range(d)])
        h = self._map("enter", start)
        for k in range(self._blocks):
            inner = self._norm(f"blocks.{k}.norm", h)
            for i in range(inner.nrows()):
                inner[i, 0] += self._time[i, 0]
            inner = self._map(f"blocks.{k}.first", inner)
            h = h + self._map(f"blocks.{k}.second", self._leaky(inner))
        out = self._map("leave", self._leaky(self._norm("norm", h)))
        value = arb_mat([[out[i, 0]] for i in range(d)])
        return value, arb_mat([[out[i, 1 + k] for k in range(d)] for i in range(d)])

    def _map(self, name: str, stack: Any) -> Any:
        weight, bias = self._maps[name]
        out = weight * stack
        for i, b in enumerate(bias):
            out[i, 0] += b
        return out

    def _leaky(self, stack: Any) -> Any:
        from flint import arb, arb_mat

        slope, rows = arb(_SLOPE), []
        for row in stack.tolist():
            at = row[0]
            factor = arb(1) if at > 0 else slope if at < 0 else slope.union(arb(1))
            rows.append([factor * entry for entry in row])
        return arb_mat(rows)

    def _norm(self, name: str, stack: Any) -> Any:
        from flint import arb, arb_mat

        m, columns = stack.nrows(), stack.ncols()
        means = [sum((stack[i, k] for i in range(m)), arb(0)) / m for k in range(columns)]
        c = [[stack[i, k] - means[k] for k in range(columns)] for i in range(m)]
        root = (sum((row[0] * row[0] for row in c), arb(0)) / m + arb(_EPS)).sqrt()
        y = [row[0] / root for row in c]
        met = [sum((y[i] * c[i][k] for i in range(m)), arb(0)) / m for k in range(columns)]
        scale, shift = self._norms[name]
        return arb_mat(
            [
                [y[i] * scale[i] + shift[i]]
                + [(c[i][k] - y[i] * met[k]) / root * scale[i] for k in range(1, columns)]
                for i in range(m)
            ]
        )

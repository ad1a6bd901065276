"""Intervals contain the exact results, in balls of 300 bits, and are narrow."""

import numpy as np
import pytest

from mixdyn.proof import Interval, dot

flint = pytest.importorskip("flint")
BITS, N = 300, 2000


def _numbers(seed: int, low: float, high: float, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    plain = rng.uniform(low, high, N - 8)
    edges = [low, high, 0.5 * (low + high), *rng.uniform(low, high, 5)]
    return scale * np.concatenate([plain, edges])


def _exact(values: np.ndarray, function) -> list:
    with flint.ctx.workprec(BITS):
        return [function(flint.arb(float(x))) for x in values]


def _check(found: Interval, exact: list, rtol: float, atol: float) -> None:
    with flint.ctx.workprec(BITS):
        inside = [
            lo <= x <= hi
            for lo, hi, x in zip(found.lo.tolist(), found.hi.tolist(), exact, strict=True)
        ]
    assert all(inside)
    size = np.array([float(x.mid()) for x in exact])
    assert np.all(found.hi - found.lo <= rtol * np.abs(size) + atol)


FUNCTIONS = {
    "exp": (lambda x: x.exp(), lambda x: x.exp(), (-740.0, 700.0), 6e-15, 2e-323),
    "exp near 0": (lambda x: x.exp(), lambda x: x.exp(), (-0.4, 0.4), 6e-15, 0.0),
    "log": (lambda x: x.log(), lambda x: x.log(), (1e-3, 5.0), 1e-14, 1e-14),
    "log far out": (lambda x: x.log(), lambda x: x.log(), (1e-300, 1e300), 1e-14, 1e-14),
    "tanh": (lambda x: x.tanh(), lambda x: x.tanh(), (-3.0, 3.0), 2e-14, 2e-14),
    "logistic": (lambda x: x.logistic(), lambda x: 1 / (1 + (-x).exp()), (-40, 40), 2e-14, 0.0),
    "square root": (lambda x: x.sqrt(), lambda x: x.sqrt(), (0.0, 9.0), 1e-15, 1e-323),
    "reciprocal": (lambda x: 1.0 / x, lambda x: 1 / x, (0.1, 9.0), 3e-15, 0.0),
    "square": (lambda x: x.square(), lambda x: x * x, (-2.0, 2.0), 1e-15, 1e-323),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_doubles_is_enclosed_to_some_ulp(name):
    ours, exact, ends, rtol, atol = FUNCTIONS[name]
    x = _numbers(1, *ends)
    _check(ours(Interval.of(x)), _exact(x, exact), rtol, atol)


@pytest.mark.parametrize("operation", ["add", "sub", "mul", "truediv"])
def test_an_operation_on_boxes_contains_those_on_their_points(operation):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, N)) * 10.0 ** rng.uniform(-8, 8, (2, N))
    wide = 10.0 ** rng.uniform(-18, -1, (2, N))
    boxes = [Interval(c - w * abs(c), c + w * abs(c)) for c, w in zip((x, y), wide, strict=True)]
    name = f"__{operation}__"
    found = getattr(boxes[0], name)(boxes[1])
    u = rng.uniform(size=(2, N))
    points = [np.clip(b.lo + t * (b.hi - b.lo), b.lo, b.hi) for b, t in zip(boxes, u, strict=True)]
    with flint.ctx.workprec(BITS):
        for lo, hi, a, b in zip(*(v.tolist() for v in (found.lo, found.hi, *points)), strict=True):
            assert lo <= getattr(flint.arb(a), name)(flint.arb(b)) <= hi


def test_sums_and_matrix_products_contain_the_exact_ones_despite_cancellation():
    rng = np.random.default_rng(3)
    a = rng.normal(size=(40, 60)) * 10.0 ** rng.uniform(-6, 6, (40, 60))
    x = rng.normal(size=(30, 60))
    a[:, 30:] = -a[:, :30] * (1 + 1e-15 * rng.normal(size=(40, 30)))
    x[:, 30:] = x[:, :30]
    found, total = dot(a, Interval.of(x)), Interval.of(a).sum()
    with flint.ctx.workprec(BITS):
        exact = flint.arb_mat(x.tolist()) * flint.arb_mat(a.T.tolist())
        for i in range(30):
            for j in range(40):
                assert float(found.lo[i, j]) <= exact[i, j] <= float(found.hi[i, j])
        for row, lo, hi in zip(a.tolist(), total.lo.tolist(), total.hi.tolist(), strict=True):
            assert lo <= sum((flint.arb(v) for v in row), flint.arb(0)) <= hi
    assert np.all(found.hi - found.lo <= 1e-13 * (np.abs(x) @ np.abs(a).T))


def test_what_is_not_known_is_nan_and_proves_nothing():
    with np.errstate(invalid="ignore", divide="ignore"):
        unknown = [1.0 / Interval(np.array([-1.0]), np.array([1.0])), Interval.of([-1.0]).log()]
        unknown.append(Interval.of([np.nan]).exp())
    assert not any((one.lo > 0).any() or (one.hi < 0).any() for one in unknown)
    beyond = Interval.of([710.0]).exp()
    assert np.isfinite(beyond.lo).all()
    assert beyond.hi == np.inf

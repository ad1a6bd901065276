"""What a network does to boxes, against the same network of real numbers in balls of 300 bits and
against itself in doubles at many points."""

import math

import numpy as np
import pytest

from mixdyn.learned import LearnedScore
from mixdyn.learned.architecture import sinusoids
from mixdyn.proof.forms import centred, exact, norm_of, values
from mixdyn.proof.network import EnclosedNetwork
from mixdyn.proof.tubes import Steps, tube
from mixdyn.proof.zeros import Kind, zeros_near
from verify.data.checkpoints import CHECKPOINTS

flint = pytest.importorskip("flint")
LINE, PLANE = "modes-1-2-3-100k-0", "grid-reduced-0"
DOUBLE = 1e-10  # what doubles may be off by in one evaluation, far above their 1e-13


def network(name: str) -> tuple[EnclosedNetwork, LearnedScore]:
    score = LearnedScore.load(CHECKPOINTS / f"{name}.safetensors")
    features = sinusoids(np.arange(score.schedule.T + 1.0), score.weights.architecture.embedding)
    return EnclosedNetwork(score.weights.tensors, features), score.in_double()


def _linear(tensors, name, x):
    weight = tensors[f"{name}.weight"].astype(float).tolist()
    bias = tensors[f"{name}.bias"].astype(float).tolist()
    return flint.arb_mat(weight) * x + flint.arb_mat([[b] for b in bias])


def _leaky(x):
    return flint.arb_mat([[a if a > 0 else a * flint.arb(0.01)] for a in x.entries()])


def _norm(tensors, name, x):
    entries = x.entries()
    mean = sum(entries, flint.arb(0)) / len(entries)
    apart = [a - mean for a in entries]
    square = sum((a * a for a in apart), flint.arb(0)) / len(entries) + flint.arb(1e-5)
    root = square.sqrt()
    scale, shift = (tensors[f"{name}.{part}"].astype(float).tolist() for part in ("weight", "bias"))
    return flint.arb_mat([[a / root * s + b] for a, s, b in zip(apart, scale, shift, strict=True)])


def in_balls(score: LearnedScore, x: list[float], t: int) -> list:
    """The network of real numbers, written down a second time."""
    tensors = score.weights.tensors
    features = sinusoids(np.array([float(t)]), score.weights.architecture.embedding)[0]
    with flint.ctx.workprec(300):
        e = flint.arb_mat([[float(f)] for f in features])
        e = _linear(tensors, "time_second", _leaky(_linear(tensors, "time_first", e)))
        h = _linear(tensors, "enter", flint.arb_mat([[c] for c in x]))
        for k in range(3):
            name = f"blocks.{k}"
            inner = _linear(tensors, f"{name}.first", _norm(tensors, f"{name}.norm", h) + e)
            h = h + _linear(tensors, f"{name}.second", _leaky(inner))
        return _linear(tensors, "leave", _leaky(_norm(tensors, "norm", h))).entries()


@pytest.mark.parametrize("name", [LINE, PLANE])
@pytest.mark.parametrize("t", [1, 100, 801])
def test_points_of_a_box_are_where_its_form_says(name, t):
    net, score = network(name)
    rng = np.random.default_rng(t)
    x = rng.normal(size=(net.d, 40))
    radius = 10.0 ** rng.uniform(-9, -2, 40)
    form = net.eps(centred(x - radius, x + radius), t)
    inside = x + radius * rng.uniform(-1.0, 1.0, x.shape)
    box = values(form)
    for k in range(40):
        for point, low, high in (
            (x, form.of(0).low, form.of(0).high),
            (inside, box.low, box.high),
        ):
            found = in_balls(score, point[:, k].tolist(), t)
            with flint.ctx.workprec(300):
                assert all(low[i, k] <= value <= high[i, k] for i, value in enumerate(found)), (
                    k,
                    radius[k],
                )
    # Points are enclosed to many digits.
    assert np.quantile(form.rad[0], 0.9) < 1e-9


@pytest.mark.parametrize("name", [LINE, PLANE])
@pytest.mark.parametrize("t", [1, 57, 801])
def test_derivatives_in_a_box_are_where_its_form_says(name, t):
    net, score = network(name)
    rng = np.random.default_rng(t + 1)
    x, radius = rng.normal(size=(net.d, 250)), 10.0 ** rng.uniform(-6, -2, 250)
    form = net.eps(centred(x - radius, x + radius), t)
    widths = np.einsum("jjn->jn", centred(x - radius, x + radius).mid[1:])
    for _ in range(7):
        at = x + radius * rng.uniform(-1.0, 1.0, x.shape)
        slopes = score._function.jacobian(np.ascontiguousarray(at.T), t)  # (n, d, d)
        want = np.moveaxis(slopes, (0, 1, 2), (2, 1, 0)) * widths[:, None]
        spare = DOUBLE * (1.0 + np.abs(want))
        assert (np.abs(want - form.mid[1:]) <= form.rad[1:] + spare).all()
        value = score.eps(np.ascontiguousarray(at.T), t).T
        box = values(form)
        assert (value >= box.low - DOUBLE).all()
        assert (value <= box.high + DOUBLE).all()


def test_slopes_are_known_to_a_percent_in_boxes_a_thousandth_wide():
    net, _ = network(LINE)
    x = np.linspace(-2.0, 3.0, 200)[None]
    form = net.eps(centred(x - 5e-4, x + 5e-4), 200)
    assert np.median(form.rad[1] / np.abs(form.mid[1])) < 0.01


def test_a_norm_is_not_underestimated_and_close():
    rng = np.random.default_rng(3)
    for shape in ((5, 5), (64, 64), (64, 2), (2, 64)):
        matrix = rng.normal(size=shape)
        found, want = norm_of(matrix), float(np.linalg.norm(matrix, 2))
        assert want <= found <= want * (1.0 + 1e-6)


class _Cubic:
    """eps = x^3, for which a step x - eps is known."""

    def eps(self, form, t):
        from mixdyn.proof.forms import Ball, multiply

        at = values(form)
        square = multiply(at, at)
        slope = multiply(form.of(slice(1, None)), Ball(3.0 * square.mid, 3.0 * square.rad))
        center = form.of(0)
        cube = multiply(center, multiply(center, center))
        return Ball(
            np.concatenate([cube.mid[None], slope.mid]),
            np.concatenate([cube.rad[None], slope.rad]),
        )


def test_a_tube_of_a_map_that_turns_is_its_range():
    # x - x^3 rises to 2/(3 sqrt 3) at 1/sqrt 3 and falls beyond.
    steps = Steps(np.array([1]), np.array([1.0]), np.array([-1.0]))
    found = tube(_Cubic(), steps, (np.array([0.0, 0.0]), np.array([0.5, 1.0])))
    top = 2.0 / (3.0 * math.sqrt(3.0))
    np.testing.assert_allclose(found.low[-1], [0.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(found.high[-1], [0.375, top], atol=1e-4)
    assert found.monotone[0].tolist() == [True, False]
    assert found.high[-1][1] >= top
    slack = tube(_Cubic(), steps, (np.array([0.0]), np.array([0.5])), slack=0.1)
    np.testing.assert_allclose([slack.low[-1][0], slack.high[-1][0]], [-0.1, 0.475], atol=1e-5)


def test_zeros_are_proved_where_they_are_and_nowhere_else():
    zeros = zeros_near(_Cubic(), np.array([[1e-3]]), 1)
    assert not zeros.proved[0]  # a triple zero is not proved to be alone by this test

    class Shifted(_Cubic):
        def eps(self, form, t):
            from mixdyn.proof.forms import Ball

            cube = super().eps(form, t)
            mid = cube.mid.copy()
            mid[0] -= 8.0
            return Ball(mid, cube.rad + 1e-14)

    found = zeros_near(Shifted(), np.array([[2.0 + 1e-7], [1.0]]), 1)
    assert found.proved.tolist() == [True, False]
    assert abs(found.center[0, 0] - 2.0) < found.radius[0] < 1e-5
    assert found.kind.tolist() == [Kind.SINK, Kind.UNKNOWN]


def test_doubles_are_forms_without_radius():
    net, _ = network(LINE)
    point = net.eps(exact(np.zeros((1, 1, 3))), 5)
    assert point.mid.shape == (1, 1, 3)
    assert (point.rad > 0.0).all()

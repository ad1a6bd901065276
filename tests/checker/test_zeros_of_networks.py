"""The checker accepts what is proved of a network's zeros, and nothing that is tampered with."""

import copy
import json

import numpy as np
import pytest

from mixdyn.learned import LearnedScore
from mixdyn.learned.architecture import sinusoids
from mixdyn.proof.network import EnclosedNetwork
from mixdyn.proof.zeros import Kind, zeros_near
from verify.checker.zeros import certificate, is_proof
from verify.data.checkpoints import CHECKPOINTS

pytest.importorskip("flint")
T = 6


@pytest.fixture(scope="module")
def proved():
    """A network, and the certificate of three of its zeros: of a midpoint and of two modes."""
    score = LearnedScore.load(CHECKPOINTS / "grid-reduced-0.safetensors")
    tensors, length = score.weights.tensors, score.weights.architecture.embedding
    features = sinusoids(np.arange(score.schedule.T + 1.0), length)
    points = score.schedule.alpha[T] * 0.70709 * np.array([[0.5, 0.0], [0.0, 0.0], [1.0, 1.0]])
    double = score.in_double()
    for _ in range(30):
        slopes = double._function.jacobian(points, T)
        step = np.linalg.solve(slopes, double.eps(points, T)[:, :, None])[:, :, 0]
        points = points - np.clip(step, -0.01, 0.01)
    zeros = zeros_near(EnclosedNetwork(tensors, features), points, T)
    assert zeros.proved.all()
    kinds = [Kind(k).name.lower() for k in zeros.kind.tolist()]
    assert set(kinds) == {"saddle", "sink"}
    data = json.loads(json.dumps(certificate(tensors, T, zeros.center, zeros.radius, kinds)))
    return data, tensors, features


def test_it_accepts_what_is_proved(proved):
    assert is_proof(*proved) == [True, True, True]


def changed(data, field, change):
    found = copy.deepcopy(data)
    for zero in found["zeros"]:
        zero[field] = change(zero[field])
    return found


TAMPERED = {
    "a center three radii off": lambda d: changed(
        d, "center", lambda c: [(float.fromhex(x) + 3e-7).hex() for x in c]
    ),
    "a box too small for its own rounding": lambda d: changed(d, "radius", lambda _: (1e-18).hex()),
    "a box too wide to hold one zero": lambda d: changed(d, "radius", lambda _: (0.1).hex()),
    "no radius": lambda d: changed(d, "radius", lambda _: (0.0).hex()),
    "another kind": lambda d: changed(
        d, "kind", lambda k: {"saddle": "sink", "sink": "saddle"}.get(k, "sink")
    ),
    "a kind that is none": lambda d: changed(d, "kind", lambda _: "unknown"),
    "another time": lambda d: d | {"t": T + 1},
    "other weights": lambda d: d | {"digest": "0" * 16},
}


@pytest.mark.parametrize("name", TAMPERED)
def test_it_rejects_what_is_tampered_with(proved, name):
    data, tensors, features = proved
    assert not any(is_proof(TAMPERED[name](data), tensors, features))


def test_it_rejects_another_network(proved):
    data, tensors, features = proved
    other = dict(tensors)
    other["leave.bias"] = tensors["leave.bias"] + np.float32(1e-3)
    assert not any(is_proof(data, other, features))

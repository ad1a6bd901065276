"""Bounds on where DDIM ends on a line are accepted, and none that is tampered with."""

import copy
import json

import pytest

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from verify import checker
from verify.measure.proved_ends import certificate, proved_on_line

pytest.importorskip("flint")
LINE = GaussianMixture([[-1.0], [0.2], [1.5]], 0.05, [0.5, 0.2, 0.3])
MOST, LEAST = 0, 1


@pytest.fixture(scope="module")
def proved():
    """Two bounds of one line, from starts about its three modes."""
    clock = NoiseSchedule.linear(200, 0.001, 0.1)
    grid = TimeGrid.quadratic(200, 30)
    found = proved_on_line(LINE, clock, grid, 0.3, 0.3)
    assert 0.0 < found.least < found.most < 1.001 * found.least
    return json.loads(json.dumps(certificate({"line": found}, clock, grid)))


def test_it_accepts_what_is_proved(proved):
    assert checker.check(proved) == []
    assert len(proved["statements"]) == 2


def _times(number: str, factor: float) -> str:
    return (factor * float.fromhex(number)).hex()


def _row(k: int, key: str, change):
    def tamper(data):
        row = data["statements"][k]
        row[key] = change(row[key])

    return tamper


def _start(k: int, mode: int, end: int, by: float):
    def tamper(data):
        start = data["statements"][k]["starts"][mode]
        start[end] = (float.fromhex(start[end]) + by).hex()

    return tamper


def _steps(change):
    return lambda data: data.__setitem__("steps", change(data["steps"]))


TAMPERED = {
    "less outside than is proved": _row(MOST, "bound", lambda x: _times(x, 0.999)),
    "more outside than is proved": _row(LEAST, "bound", lambda x: _times(x, 1.001)),
    "a smaller radius": _row(MOST, "radius", lambda x: _times(x, 0.999)),
    "a larger radius": _row(LEAST, "radius", lambda x: _times(x, 1.001)),
    "no radius": _row(LEAST, "radius", lambda _: (0.0).hex()),
    "the other side": _row(MOST, "side", lambda _: "at_least"),
    "starts that reach too far": _start(MOST, 1, 2, 1e-4),
    "starts that reach too far below": _start(MOST, 2, 1, -1e-4),
    "starts that do not reach": _start(LEAST, 0, 2, -1e-4),
    "starts inside out": _row(MOST, "starts", lambda rows: [[v, b, a] for v, a, b in rows]),
    "starts counted twice": _row(MOST, "starts", lambda rows: [*rows, rows[-1]]),
    "a mode left out": _row(LEAST, "starts", lambda rows: rows[:-1]),
    "starts of a value that is none": _row(
        MOST, "starts", lambda rows: [[(0.3).hex(), *rows[0][1:]], *rows[1:]]
    ),
    "a start that is no number": _start(MOST, 0, 1, float("nan")),
    "another width": _row(MOST, "sigma", lambda x: _times(x, 1.5)),
    "another weight": _row(MOST, "weights", lambda w: [_times(w[0], 2.0), *w[1:]]),
    "a negative weight": _row(LEAST, "weights", lambda w: [_times(w[0], -1.0), *w[1:]]),
    "a weight too few": _row(LEAST, "weights", lambda w: w[:-1]),
    "another mode": _row(LEAST, "values", lambda v: [*v[:-1], (1.6).hex()]),
    "a step left out": _steps(lambda steps: steps[:3] + steps[4:]),
    "steps towards noise": _steps(lambda steps: steps[::-1]),
    "a statement left out": lambda data: data["statements"].pop(),
    "a kind that does not exist": lambda data: data.__setitem__("kind", "circles"),
    "the kind of another certificate": lambda data: data.__setitem__("kind", "terms"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_it_rejects_what_was_tampered_with(proved, name):
    data = copy.deepcopy(proved)
    TAMPERED[name](data)
    assert checker.check(data)

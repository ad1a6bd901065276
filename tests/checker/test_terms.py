"""The checker, which shares nothing with the prover, accepts what is proved and nothing else."""

import ast
import copy
import json
from pathlib import Path

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.proof import Law, Statement, certificate
from mixdyn.proof.statement import least, most, of_law, v, z
from verify import checker

GRID = presets.grid()
LENGTH = float(np.linalg.norm(GRID.means[12] - GRID.means[13]))
LAW = Law.of(GRID, 0.5 * (GRID.means[12] + GRID.means[13]), LENGTH * np.eye(2)[::-1])
LEVELS = (LENGTH**2 / 100.0, LENGTH**2 / 56.0)
RECTANGLE = of_law("log_powers", 12, 1, 18, 1, 13, -1, 17, -1)


def _statements() -> list[Statement]:
    """One of every kind of term, some with many leaves."""
    slope, field = of_law("jacobian", 0, 0), of_law("field", 0)
    margin = least([most([of_law("log_ratio", q, k) for q in (12, 13)]) for k in (7, 8, 17, 18)])
    wide = (-0.012, 0.012)
    return [
        Statement.over("slope", LAW, slope - 1.0, wide, wide, LEVELS),
        Statement.over("powers", LAW, 1e-6 + RECTANGLE, (-9.0, 9.0), (-9.0, 9.0), LEVELS),
        Statement.over("out", LAW, field, 0.01, wide, LEVELS),
        Statement.over("margin", LAW, margin - 7.0, (-0.5, 0.5), (-0.2, 0.2), LEVELS),
        Statement.over("pull", LAW, 0.1 - of_law("mean", 1).apply("abs"), wide, wide, LEVELS),
        Statement.over(
            "spread", LAW, 0.26 * LENGTH**4 - of_law("covariance", 0, 0), wide, wide, LEVELS
        ),
        Statement.over(
            "plain", LAW, 0.3 + z(0).apply("tanh") - v.apply("sqrt"), wide, wide, LEVELS
        ),
    ]


@pytest.fixture(scope="module")
def proved() -> dict:
    stated = _statements()
    found = [one.decide() for one in stated]
    assert all(found)
    return json.loads(json.dumps(certificate(stated, found)))


def test_it_accepts_what_is_proved(proved, tmp_path, capsys):
    assert checker.check(proved) == []
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proved))
    assert checker.main([str(file)]) == 0
    assert "accepted" in capsys.readouterr().out


def _hex(x: float) -> str:
    return float(x).hex()


def _row(data: dict, name: str) -> dict:
    return next(row for row in data["statements"] if row["name"] == name)


def _set(name: str, key: str, value):
    return lambda data: _row(data, name).__setitem__(key, value)


def _side(name: str, k: int, *ends: float):
    return lambda data: _row(data, name)["box"].__setitem__(k, [_hex(end) for end in ends])


def _many(name: str, change):
    """Change the tree of a row."""
    return lambda data: _row(data, name).__setitem__("tree", change(_row(data, name)["tree"]))


def _law(key: str, change):
    def tamper(data):
        law = data["laws"][0]
        law[key] = change(law[key])

    return tamper


def _without_far_modes(data):
    """A law whose modes have moved: two of the others lie on the pair's segment."""
    data["laws"][0]["means"][7] = data["laws"][0]["centre"]


TAMPERED = {
    "a wider box along the pair": _side("slope", 0, -0.2, 0.2),
    "a box moved to a mode": _side("slope", 0, 0.45, 0.5),
    "more levels": _side("slope", 2, LENGTH**2 / 1e4, LENGTH**2 / 3.0),
    "levels from 0": _side("slope", 2, 0.0, LEVELS[1]),
    "a box inside out": _side("slope", 1, 0.012, -0.012),
    "a box of one side less": lambda data: _row(data, "slope")["box"].pop(),
    "an end that is no number": _side("slope", 2, LEVELS[0], float("nan")),
    "the other wall": _side("out", 0, -0.01, -0.01),
    "the sign of a term": _set("slope", "term", ["neg", ["jacobian", 0, 0]]),
    "a larger margin": _set(
        "margin", "term", ["sub", _statements()[3].term.tree[1], ["number", _hex(20.0)]]
    ),
    "a sharper constant": _set(
        "spread", "term", ["sub", ["number", _hex(0.2 * LENGTH**4)], ["covariance", 0, 0]]
    ),
    "powers that do not cancel": _set("powers", "term", ["log_powers", 12, 1, 18, 1, 13, -1]),
    "powers of no rectangle": _set("powers", "term", ["log_powers", 12, 1, 18, 1, 13, -2]),
    "a function that does not exist": _set("plain", "term", ["eval", ["v"]]),
    "an axis that does not exist": _set("pull", "term", ["mean", 2]),
    "a tree cut short": _many("slope", lambda tree: tree[:-1]),
    "a leaf too many": _many("slope", lambda tree: tree + "."),
    "no tree": _set("slope", "tree", ""),
    "a cut along no axis": _many("out", lambda tree: "7.."),
    "a statement left out": lambda data: data["statements"].pop(0),
    "a statement twice under one name": lambda data: data["statements"].append(
        {**data["statements"][0], "name": "out"}
    ),
    "a claim without a proof": lambda data: data["proves"].append("all modes are stable"),
    "another format": lambda data: data.__setitem__("format", 2),
    "a law that does not exist": _set("slope", "law", 3),
    "a mode moved onto the segment": _without_far_modes,
    "a weight of a million": _law("weights", lambda w: [_hex(1e6), *w[1:12], _hex(1e6), *w[13:]]),
    "a negative weight": _law("weights", lambda w: [*w[:12], _hex(-0.04), *w[13:]]),
    "another centre": _law("centre", lambda c: [_hex(0.0), _hex(0.3)]),
    "axes that are longer": _law(
        "axes", lambda rows: [[_hex(8 * float.fromhex(x)) for x in row] for row in rows]
    ),
    "weights of fewer modes": _law("weights", lambda w: w[:-1]),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_it_rejects_what_was_tampered_with(proved, name):
    data = copy.deepcopy(proved)
    TAMPERED[name](data)
    assert checker.check(data)


def test_it_imports_nothing_of_ours():
    files = sorted(Path(checker.__file__).parent.glob("*.py"))
    assert len(files) > 3
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1  # from the checker itself
            elif isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
    assert not [name for name in imported if name.partition(".")[0] in {"mixdyn", "verify"}]
    assert "flint" in imported


def _nested(data: dict) -> None:
    term = ["v"]
    for _ in range(400):
        term = ["neg", ["neg", term]]
    data["statements"][0]["term"] = term


@pytest.mark.parametrize("text", [None, "", "{", "[" * 100_000, "[1]", "3", b"\xff\xfe"])
def test_a_file_that_is_no_certificate_is_rejected_in_one_line(text, tmp_path, capsys):
    """No file, half a file, nested too deep, other data, bytes that are no text."""
    file = tmp_path / "proof.json"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert checker.main([str(file)]) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"{file}: it cannot be read: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "tamper",
    [_law("centre", lambda row: ["0x1p5000", *row[1:]]), _nested],
    ids=["a number that is no double", "a term nested too deep"],
)
def test_a_certificate_beyond_numbers_and_stacks_is_rejected(proved, tamper):
    data = copy.deepcopy(proved)
    tamper(data)
    assert "it cannot be read" in checker.check(data)[0]


def test_a_certificate_of_nothing_is_rejected_and_says_so(proved):
    nothing = {**proved, "proves": [], "statements": []}
    assert checker.check(nothing)[0].startswith("it proves nothing")


def test_no_certificate_is_not_accepted(capsys):
    assert checker.main([]) == 2
    assert capsys.readouterr().err.startswith("error: ")

"""The same options in every command that works on something, and refusals that cost nothing."""

import json
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from mixdyn.cli import app
from mixdyn.support.usage import PRINTED, as_asked, is_quiet, with_json_value

OF_ALL = ("--seed", "--out", "--json", "--quiet", "--threads")
HEAVY = ("numba", "scipy.special", "matplotlib", "torch", "sympy", "hypothesis")
FOUND = typer.main.get_command(app).commands


def help_of(name):
    return re.sub(r"\x1b\[[0-9;]*m", "", CliRunner().invoke(app, [name, "--help"]).output)


WORKING = sorted(FOUND)


def test_the_commands_that_are_found_are_those_that_exist():
    assert set(WORKING) > {"verify", "derive", "figures", "audit", "check", "sample", "train"}
    assert set(WORKING) > {"recurse", "price", "presets", "warmup"}


@pytest.mark.parametrize("name", WORKING)
def test_a_command_takes_what_all_take(name):
    words = set(re.findall(r"--[a-z-]+", help_of(name)))
    assert set(OF_ALL) <= words


@pytest.mark.parametrize("name", WORKING)
@pytest.mark.parametrize(
    "wrong",
    [["--colour", "red"], ["--seed", "x"], ["--threads", "no"], ["--json", "absent/x.json"]],
    ids=" ".join,
)
def test_a_refusal_is_one_line_and_leaves_nothing(name, wrong, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    needed = {"sample": ["--out", "s.npz"], "price": [], "check": ["grid"]}
    needed |= {"train": ["--mixture", "grid", "--out", "m.safetensors"], "audit": ["ddim"]}
    needed |= {"recurse": ["--mixture", "grid", "--out", "r"]}
    with pytest.raises(SystemExit) as left:
        app([name, *needed.get(name, []), *wrong], prog_name="mixdyn")
    said = capfd.readouterr()
    assert left.value.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_of_any_command_loads_nothing_heavy():
    code = (
        "import sys\nfrom mixdyn.cli import app\n"
        f"for name in {WORKING!r}:\n"
        "    try:\n        app([name, '--colour', 'red'], prog_name='mixdyn')\n"
        "    except SystemExit as left:\n        assert left.code == 2\n"
        f"    print(name, *[heavy for heavy in {HEAVY} if heavy in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == WORKING


NAMELESS = [["verify", "Z.9"], ["verify", "--search", "Z.9"], ["figures", "Z.9"], ["derive", "Z.9"]]
NAMELESS += [["verify", "Z.9", "--random", "9", "--workers", "2"], ["verify", "--certify", "Z.9"]]


def test_a_name_of_nothing_is_refused_before_what_has_names_is_imported():
    named = ("claims.", "figures.", "derivations.segment", *HEAVY)
    code = (
        "import sys\nfrom mixdyn.cli import app\n"
        f"for words in {NAMELESS!r}:\n"
        "    try:\n        app(words, prog_name='mixdyn')\n"
        "    except SystemExit as left:\n        assert left.code == 2\n"
        f"    print(*[m for m in sys.modules if any(part in m for part in {named})])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
    assert ran.stderr.count("received 'Z.9'") == ran.stderr.count("\n") == len(NAMELESS)


# -- what the options do -------------------------------------------------------------------------


def test_json_takes_a_file_or_prints():
    for words in (["--json"], ["--json", "--seed", "1"], ["--json", "T4.2"], ["--json", "m.toml"]):
        assert with_json_value(words) == ["--json", PRINTED, *words[1:]]
    for words in (["--json", "a.json"], ["--json", "b/c"], ["--json", PRINTED], ["x"], []):
        assert with_json_value(words) == words
    assert with_json_value(["a", "--json"]) == ["a", "--json", PRINTED]


def test_what_is_asked_of_a_command_ends_with_it(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    import os

    with as_asked(quiet=True, threads=2):
        assert is_quiet()
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "2"
    assert not is_quiet()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_quiet_prints_nothing_and_json_goes_where_it_is_asked(tmp_path):
    path = tmp_path / "found.json"
    asked = ["check", "line:n=2", "--samples", "4", "--steps", "5"]
    quiet = CliRunner().invoke(app, [*asked, "--quiet", "--json", str(path)])
    assert (quiet.exit_code, quiet.output) == (0, "")
    printed = CliRunner().invoke(app, [*asked, "--json", "--threads", "1"])
    assert json.loads(printed.stdout) == json.loads(path.read_text())
    written = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out.json")])
    assert "In words" in written.stdout
    assert (tmp_path / "out.json").read_text() == path.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--mixture", "nope", "--out", "m.safetensors"],
        ["train", "--images", "nope", "--out", "m.safetensors"],
        ["train", "--mixture", "grid", "--schedule", "nope", "--out", "m.safetensors"],
        ["recurse", "--mixture", "nope", "--out", "r"],
    ],
    ids=" ".join,
)
def test_what_is_trained_is_found_before_torch_comes(words, tmp_path):
    code = (
        "import sys\nfrom mixdyn.cli import app\n"
        f"try:\n    app({words!r}, prog_name='mixdyn')\n"
        "except SystemExit as left:\n    print(left.code, 'torch' in sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["2", "False"]
    assert "received 'nope'" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_that_does_not_answer_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="needs mixdyn[cluster]")
    monkeypatch.chdir(tmp_path)
    nobody = ["--scheduler", "tcp://127.0.0.1:9"]
    verify, sample = ["verify", "G.5", "--random", "3"], ["sample", "--mixture", "grid"]
    for words in (verify, [*sample, "--out", "x.json"], ["audit", "--gallery", "cards", "ddim"]):
        said = CliRunner().invoke(app, [*words, *nobody])
        assert said.exit_code == 2
        assert "must answer at its address" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_has_a_name_is_json(tmp_path):
    printed = CliRunner().invoke(app, ["presets", "--json", "--seed", "1", "--threads", "1"])
    found = json.loads(printed.stdout)
    assert [row["name"].partition(":")[0] for row in found["mixtures"]][:2] == [
        "grid",
        "rotated_grid",
    ]
    out = tmp_path / "presets.json"
    quiet = CliRunner().invoke(app, ["presets", "--quiet", "--out", str(out)])
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert json.loads(out.read_text()) == found


def test_a_derivation_is_json_of_its_outcome(capsys):
    from derivations.__main__ import main

    assert main(["--json", "tube", "--seed", "1", "--threads", "1"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["derivations"]
    assert found["name"] == "tube"
    assert main(["tube", "--quiet"]) == 0
    assert capsys.readouterr().out == ""

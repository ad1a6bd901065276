"""`mixdyn recurse`: a table per generation, a folder that goes on, one line for bad input."""

import json

import pytest
from typer.testing import CliRunner

from mixdyn.cli import app

TINY = ["--steps", "20", "--batch", "32", "--points", "60", "--hidden", "16", "--threads", "1"]
CLOCK = ["--schedule", "linear:T=30,beta_start=0.001,beta_end=0.4"]


@pytest.fixture
def mixture(tmp_path):
    path = tmp_path / "pair.toml"
    path.write_text("means = [[-1.0, 0.3], [1.0, 0.3]]\nsigma = 0.1\n")
    return ["--mixture", str(path)]


def invoke(*words):
    return CliRunner().invoke(app, ["recurse", *map(str, words)])


def test_a_recursion_goes_on_where_it_stopped_and_prints_every_generation(mixture, tmp_path):
    words = [
        *mixture,
        *CLOCK,
        *TINY,
        "--filter",
        "hal",
        "--discard",
        "0.25",
        "--out",
        tmp_path / "r",
    ]
    first = invoke(*words, "--generations", "1", "--json")
    assert first.exit_code == 0, first.output
    (one,) = json.loads(first.stdout)["generations"]
    assert (one["trained_on"], one["n"], one["of_modes"]) == (60, 60, 2)
    written = (tmp_path / "r" / "generation-001.npz").stat().st_mtime_ns
    both = json.loads(invoke(*words, "--generations", "2", "--json").stdout)
    assert both["generations"][0] == one
    assert both["generations"][1]["trained_on"] == 45
    assert both["recipe"] == "reduced, changed"
    assert (tmp_path / "r" / "generation-001.npz").stat().st_mtime_ns == written
    table = invoke(*words, "--generations", "2")
    assert "Generations, filter hal" in table.stdout
    assert "of 2" in table.stdout


def test_a_checkpoint_says_what_to_type_to_make_it_again(mixture, tmp_path):
    from mixdyn.learned.headers import read_about

    invoke(*mixture, *CLOCK, *TINY, "--generations", "1", "--seed", "5", "--out", tmp_path / "r")
    command = read_about(tmp_path / "r" / "generation-001.safetensors")["command"]
    assert command.startswith("mixdyn recurse --mixture")
    for words in ("--filter none", "--seed 5", "--points 60", "--window 4", "--out r"):
        assert words in command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--discard", "1.5", "--filter", "hal"], "discard must be below 1"),
        (["--recipe", "best"], "recipe must be one of reduced, full"),
        (["--generations", "0"], "generations must be an integer"),
        (["--window", "31"], "window must be an integer"),
        (["--hidden", "0"], "hidden must be an integer"),
        (["--seed", "-1"], "seed must be an integer"),
        (["--schedule", "linear:T=0"], "T must be"),
        (["--device", "abacus"], "a device is 'cpu' or 'cuda'"),
    ],
)
def test_bad_input_is_one_clear_line(mixture, tmp_path, words, message):
    done = invoke(*mixture, *CLOCK, *TINY, "--out", tmp_path / "r", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_file_in_place_of_the_folder_is_refused(mixture, tmp_path):
    (tmp_path / "r").write_text("")
    done = invoke(*mixture, *CLOCK, *TINY, "--out", tmp_path / "r")
    assert done.exit_code == 2
    assert "folder must be creatable" in done.stderr

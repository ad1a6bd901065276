"""A checkpoint brings its own mixture and schedule where none is named."""

import json

import numpy as np
import pytest
import safetensors.torch
from torch import nn
from typer.testing import CliRunner

from mixdyn.cli import app
from mixdyn.learned.files import read_tensors, write_tensors
from mixdyn.learned.loading import trained_on
from mixdyn.support.errors import FileError
from verify.ledger import cases
from verify.ledger.case import Profile


def _run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_sample_takes_the_problem_of_the_checkpoint(checkpoint_file, problem, tmp_path):
    out = tmp_path / "s.npz"
    done = _run("sample", "--model", checkpoint_file, "-n", 9, "--steps", 5, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    mixture, schedule = problem
    with np.load(out) as held:
        assert held["mixture_digest"] == mixture.digest
        assert held["schedule_digest"] == schedule.digest
    assert json.loads(done.stdout)["mixture"]["source"] == str(checkpoint_file)


def test_another_problem_is_still_refused(checkpoint_file, tmp_path):
    for option in (["--mixture", "grid"], ["--schedule", "linear"]):
        done = _run("sample", "--model", checkpoint_file, "--out", tmp_path / "s.npz", *option)
        assert done.exit_code == 2
        assert "that it was trained on" in done.stderr


def test_without_a_checkpoint_a_mixture_must_be_named(tmp_path):
    done = _run("sample", "--out", tmp_path / "s.npz")
    assert done.exit_code == 2
    assert "a checkpoint brings its own" in done.stderr


def test_the_ledger_takes_the_problem_of_the_checkpoint(checkpoint_file, problem):
    case = cases.user(None, None, 0, Profile.QUICK, str(checkpoint_file))
    assert (case.mixture, case.schedule) == problem


def test_a_checkpoint_that_does_not_say_is_refused(checkpoint_file):
    tensors, about = read_tensors(checkpoint_file)
    for key in ("mixture", "schedule"):
        path = checkpoint_file.with_name(f"no_{key}.safetensors")
        write_tensors(path, tensors, {k: v for k, v in about.items() if k != key})
        with pytest.raises(FileError, match="must say what mixture and schedule"):
            trained_on(str(path))


def test_a_checkpoint_is_placed_on_a_device(checkpoint_file, tmp_path):
    arguments = ["sample", "--model", checkpoint_file, "-n", 9, "--steps", 5]
    arguments += ["--out", tmp_path / "s.npz"]
    assert _run(*arguments, "--device", "cpu").exit_code == 0
    refused = _run(*arguments, "--device", "tpu")
    assert refused.exit_code == 2
    assert "a device is 'cpu' or 'cuda'" in refused.stderr


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}], ids=["nothing", "other text"])
@pytest.mark.parametrize(
    "named",
    [["--mixture", "grid", "--schedule", "linear"], ["--mixture", "grid"], []],
    ids=["both named", "a mixture", "none"],
)
def test_tensors_of_a_foreign_network_are_described_by_their_shapes(tmp_path, named, metadata):
    parts = nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    layers = nn.Sequential(*parts)
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file(layers.state_dict(), path, metadata)
    refused = _run("sample", *named, "--model", path, "--out", tmp_path / "s.npz")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "by its shapes an MLP 3-64-64-2 of unknown activation" in refused.stderr
    assert "a torch module serves as it is" in refused.stderr

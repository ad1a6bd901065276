"""`mixdyn train --seeds`: each network is the one that its seed trains alone."""

import json

import pytest
from typer.testing import CliRunner

from mixdyn.cli import app, training_sweep
from mixdyn.sweeps.executors import Here

pytest.importorskip("torch", reason="needs mixdyn[learned]")
WORDS = ["train", "--mixture", "two_modes", "--steps", "20", "--batch", "16", "--points", "50"]
WORDS += ["--hidden", "4", "--json"]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(training_sweep, "executor_for", lambda *given: Here())


def invoked(*more):
    return CliRunner().invoke(app, [*WORDS, *map(str, more)])


def weights(path):
    from safetensors.numpy import load_file

    return {name: value.tobytes() for name, value in load_file(path).items()}


def test_networks_of_several_seeds_are_those_trained_alone(tmp_path):
    result = invoked("--seeds", 2, "--seed", 4, "--out", tmp_path / "net.safetensors")
    assert result.exit_code == 0, result.output
    networks = json.loads(result.stdout)["networks"]
    assert [network["seed"] for network in networks] == [4, 5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net-4.safetensors", "net-5.safetensors"]
    assert invoked("--seed", 5, "--out", tmp_path / "one.safetensors").exit_code == 0
    assert weights(tmp_path / "net-5.safetensors") == weights(tmp_path / "one.safetensors")


def test_finished_networks_are_not_trained_over(tmp_path):
    (tmp_path / "net-0.safetensors").write_bytes(b"of someone else")
    result = invoked("--seeds", 2, "--out", tmp_path / "net.safetensors")
    assert result.exit_code == 2
    assert (tmp_path / "net-0.safetensors").read_bytes() == b"of someone else"
    assert [p.name for p in tmp_path.iterdir()] == ["net-0.safetensors"]

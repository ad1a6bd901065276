"""`mixdyn price`: what it prints and writes, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import mixdyn
from mixdyn import DDIM, DDPM, presets
from mixdyn.cli import app
from mixdyn.problem.schedule import NoiseSchedule

SHORT = "linear:T=12,beta_start=0.01,beta_end=0.5"
SCHEDULE = NoiseSchedule.linear(T=12, beta_start=0.01, beta_end=0.5)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tilted.py").write_text("def f(x, t):\n    return 0.9 * x\n")
    start = ("price", "--mixture", "line", "--schedule", SHORT)
    return lambda *options: CliRunner().invoke(app, [*start, *map(str, options)])


def test_the_numbers_are_the_library_s(run):
    result = run("--json", "--sampler", "ddim", "--eta", 1, "--steps", 6)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    found = mixdyn.price(presets.line(), SCHEDULE, DDIM(6, eta=1.0))
    assert told["steps"] == found.steps
    assert told["start"] == found.start
    assert told["by_step"] == found.by_step.tolist()
    assert told["learning"] == 0.0
    assert all(a < w for a, w in zip(told["least_weights"], told["weights"], strict=True))


def test_a_model_has_its_learning_priced(run):
    result = run("--model", "tilted:f", "-n", 200, "--out", "p.json")
    assert result.exit_code == 0, result.output
    assert "learning" in result.stdout
    told = json.loads(Path("p.json").read_text(encoding="utf-8"))
    assert told["learning"] > 0.0
    assert told["learning_error"] > 0.0
    assert told["steps"] == mixdyn.price(presets.line(), SCHEDULE, DDPM()).steps


def test_the_price_of_a_sampler_without_noise_is_infinite_in_words(run):
    result = run("--sampler", "ddim", "--steps", 6)
    assert result.exit_code == 0, result.output
    assert "infinite" in result.stdout
    assert "No mode can be lost" not in result.stdout
    told = json.loads(run("--sampler", "ddim", "--steps", 6, "--json").stdout)
    assert told["steps"] is None
    assert told["least_weights"] is None


def test_the_spacing_of_the_least_price_is_known_here_and_in_sample(run):
    options = ("--sampler", "ddim", "--eta", 1, "--steps", 5, "--spacing", "price")
    told = json.loads(run(*options, "--json").stdout)
    assert told["total"] < json.loads(run(*options[:-1], "quadratic", "--json").stdout)["total"]
    start = ["sample", "--mixture", "line", "--schedule", SHORT, "--spacing", "price"]
    drawn = CliRunner().invoke(app, [*start, "--steps", "5", "-n", "4", "--out", "s.npz"])
    assert drawn.exit_code == 0, drawn.output


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--sampler", "nope"), "--sampler is"),
        (("-n", 1), "n must be"),
        (("--out", "no/such/p.json"), "no/such"),
        (("--sampler", "diffusers:DDPMScheduler", "--eta", 1.0), "takes --steps alone"),
        (
            (
                "--predicts",
                "x0",
            ),
            "--predicts",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run, options, rule):
    result = run(*options)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert rule in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("sampler", ["analytic", "checked", "adaptive"])
def test_samplers_whose_noise_depends_on_the_state_are_refused_as_such(run, sampler):
    result = run("--sampler", sampler, "--steps", 6)
    assert result.exit_code == 2
    assert "noise does not depend on the state" in result.stderr
    assert "judge it by sampling" in result.stderr


def test_a_price_that_guarantees_nothing_does_not_say_that_no_mode_is_lost(run):
    result = run("--sampler", "ddim", "--eta", 1, "--steps", 2)
    assert result.exit_code == 0, result.output
    assert "No mode can be lost" not in result.stdout
    assert "less than a millionth" in result.stdout
    little = run("--sampler", "exact", "--steps", 6)
    assert "No mode can be lost" in little.stdout
    alone = run("--mixture", "grid:side=1", "--sampler", "ddim", "--eta", 1, "--steps", 6)
    assert "mode is lost" not in alone.stdout
    assert "No mode" not in alone.stdout


def test_points_at_one_place_cost_no_steps(run):
    np.savez("same.npz", data=np.ones((7, 2)))
    result = run("--mixture", "same.npz", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["steps"] == pytest.approx(0.0, abs=1e-12)


def test_more_draws_than_memory_holds_are_refused_in_a_line(run):
    np.savez("full.npz", means=np.eye(2), covariance=[[0.2, 0.1], [0.1, 0.3]])
    for options in (("--mixture", "full.npz"), ("--model", "tilted:f")):
        result = run(*options, "-n", 10**12)
        assert result.exit_code == 2, result.output
        assert "Lower n." in result.stderr

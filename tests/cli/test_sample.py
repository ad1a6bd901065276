"""`mixdyn sample`: what it writes, prints and leaves behind."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn import presets
from mixdyn.cli import app
from mixdyn.cli import sampling as sampling_module
from mixdyn.geometry import classify
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, ExactReverse, Hybrid
from mixdyn.samplers.flow import ProbabilityFlow
from mixdyn.score import GuidedScore

SHORT = "linear:T=12,beta_start=0.01,beta_end=0.5"
SCHEDULE = NoiseSchedule.linear(T=12, beta_start=0.01, beta_end=0.5)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call `mixdyn ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def _draw(run, *options):
    result = run("sample", "--mixture", "line", "--schedule", SHORT, "--out", "s.npz", *options)
    assert result.exit_code == 0, result.output
    with np.load("s.npz", allow_pickle=False) as archive:
        return result, dict(archive)


@pytest.mark.parametrize(
    ("options", "sampler"),
    [
        (["--steps", 4], DDIM(4)),
        (["--steps", 4, "--eta", 0.5, "--spacing", "uniform"], DDIM(4, "uniform", 0.5)),
        (["--sampler", "ddpm"], DDPM()),
        (["--sampler", "hybrid", "--z", 2, "--steps", 4], Hybrid(2, DDIM(4))),
        (["--sampler", "ode", "--steps", 6], ProbabilityFlow(6)),
        (["--sampler", "exact"], ExactReverse()),
        (["--sampler", "exact", "--steps", 3], ExactReverse(DDIM(3).grid(SCHEDULE))),
    ],
)
def test_the_file_holds_the_bits_of_the_library_call_with_the_same_seed(run, options, sampler):
    _, archive = _draw(run, "-n", 5, "--seed", 7, *options)
    expected = sample(presets.line(), SCHEDULE, sampler, n=5, rng=7)
    np.testing.assert_array_equal(archive["x"], expected.x)
    np.testing.assert_array_equal(archive["times"], expected.times)
    np.testing.assert_array_equal(archive["codes"], classify(presets.line(), expected.x))
    assert archive["n_eval"] == expected.n_eval
    assert archive["seed"] == 7


def test_a_start_time_cuts_the_grid(run):
    _, archive = _draw(run, "-n", 2, "--sampler", "ddpm", "--start", 5)
    np.testing.assert_array_equal(archive["times"], [5, 4, 3, 2, 1, 0])


def test_the_summary_beside_the_samples_is_what_json_prints(run, tmp_path):
    result, archive = _draw(run, "-n", 6, "--steps", 3, "--json")
    summary = json.loads((tmp_path / "s.json").read_text())
    assert json.loads(result.stdout) == summary
    assert summary["mixture"]["digest"] == presets.line().digest == archive["mixture_digest"]
    assert summary["schedule"]["digest"] == SCHEDULE.digest == archive["schedule_digest"]
    assert (summary["n"], summary["seed"], summary["n_eval"]) == (6, 0, 3)
    assert summary["samples_file"] == "s.npz"


def test_counts_shares_and_intervals_agree_with_the_codes(run):
    result, archive = _draw(run, "-n", 8, "--steps", 1, "--json")
    rows = json.loads(result.stdout)["classes"]
    assert [row["name"] for row in rows] == ["true_mode", "interpolation", "invalid"]
    for code, row in enumerate(rows):
        count = int((archive["codes"] == code).sum())
        assert (row["count"], row["share"]) == (count, count / 8)
        # Clopper-Pearson at 95 %: the ends of an all-or-nothing count are (0.025)^(1/8).
        if count == 0:
            assert row["high"] == pytest.approx(1 - 0.025**0.125, rel=1e-12)
        if count == 8:
            assert row["low"] == pytest.approx(0.025**0.125, rel=1e-12)
        assert row["low"] <= row["share"] <= row["high"]


def test_a_terminal_reader_gets_a_table_and_the_file_names(run):
    result, _ = _draw(run, "-n", 3, "--steps", 2)
    assert "true mode" in result.stdout
    assert "wrote s.npz and s.json" in result.stdout


def test_no_progress_is_drawn_where_stderr_is_no_terminal(run):
    result, _ = _draw(run, "-n", 3, "--steps", 2)
    lines = result.stderr.splitlines()
    assert [line for line in lines if not line.startswith("warning: N(0, I)")] == []


MODULE = """
from mixdyn import presets
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.score import ExactScore

exact = ExactScore(presets.line(), NoiseSchedule.linear(T=12, beta_start=0.01, beta_end=0.5))

def noise(x, t):
    return exact.eps(x, t)

def clean_from_zero(x, index):
    return exact.x0(x, index + 1)
"""


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "toy_models:noise"],
        ["--model", "toy_models:exact"],
        ["--model", "toy_models:clean_from_zero", "--predicts", "x0", "--index-base", 0],
    ],
)
def test_a_named_model_that_equals_the_exact_score_gives_the_same_samples(run, tmp_path, options):
    (tmp_path / "toy_models.py").write_text(MODULE)
    _, archive = _draw(run, "-n", 4, "--sampler", "ddpm", *options)
    expected = sample(presets.line(), SCHEDULE, DDPM(), n=4, rng=0)
    np.testing.assert_allclose(archive["x"], expected.x, rtol=1e-9)


def test_an_interrupt_leaves_no_file_and_exit_code_130(run, tmp_path, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(sampling_module, "sample", interrupted)
    result = run("sample", "--mixture", "line", "--out", "s.npz")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_writing_keeps_the_previous_files(run, tmp_path, monkeypatch):
    _draw(run, "-n", 3, "--steps", 2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted(handle, **_arrays):
        handle.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(sampling_module.np, "savez", interrupted)
    result = run("sample", "--mixture", "line", "--schedule", SHORT, "--steps", 2, "--out", "s.npz")
    assert result.exit_code == 130
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_start_that_is_not_pure_noise_is_said_on_stderr_and_kept_in_the_summary(run, tmp_path):
    mixture = GaussianMixture([[-1.0], [1.0]], 0.05, [0.9, 0.1])
    mixture.save(tmp_path / "two.toml")
    short = ["sample", "--mixture", tmp_path / "two.toml", "--out", tmp_path / "x.npz", "-n", 50]
    result = run(*short, "--schedule", "linear:T=100", "--sampler", "ode")
    assert result.exit_code == 0
    line = next(line for line in result.stderr.splitlines() if line.startswith("warning: "))
    assert "N(0, I) is not p_t at the start t = 100" in line
    assert "mode 1 of weight 0.1 gets 0.1958 with noise (ddpm, exact), 0.2577 without" in line
    kept = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["start_error"]
    assert kept["words"] in line
    assert kept["flow"][1] == pytest.approx(0.2577, abs=1e-4)
    assert "warning" not in run(*short).stderr


def test_guidance_runs_the_guided_score_and_judges_by_the_class(run):
    options = ["--guidance", 2, "--label", "0,2", "--steps", 4, "-n", 60]
    result, archive = _draw(run, *options, "--json")
    guided = GuidedScore(presets.line(), SCHEDULE, [0, 2], 2.0)
    expected = sample(guided, SCHEDULE, DDIM(4), n=60, rng=0)
    np.testing.assert_array_equal(archive["x"], expected.x)
    summary = json.loads(result.stdout)
    assert summary["model"] == "exact scores (two), guided towards 0,2 with weight 2"
    assert summary["modes"]["weights"] == [0.5, 0.0, 0.5]
    counts = summary["modes"]["counts"]
    assert summary["modes"]["elsewhere"] == counts[1]
    told, _ = _draw(run, *options)
    assert "guided towards 0,2" in " ".join(told.output.split())


def test_guidance_of_weight_minus_one_asks_for_all_modes(run):
    options = ("sample", "--mixture", "line", "-n", 300, "--out", "g.npz", "--json", "--label", 0)
    told = json.loads(run(*options, "--guidance", -1).stdout)
    assert told["modes"]["weights"] == presets.line().weights.tolist()
    assert told["modes"]["elsewhere"] == 0


@pytest.mark.parametrize("weight", [1e300, 1e6])
def test_guidance_that_makes_a_run_diverge_says_so(run, tmp_path, weight):
    np.savez(tmp_path / "wide.npz", means=[[0.0, 0], [3, 0], [0, 3]], sigma=[0.1, 0.5, 1.0])
    options = ("sample", "--mixture", "wide.npz", "-n", 20, "--out", "g.npz", "--label", 0)
    result = run(*options, "--guidance", weight)
    assert result.exit_code == 2, result.output
    assert "smaller" in result.stderr
    assert "weight" in result.stderr
    assert "units" not in result.stderr
    assert not (tmp_path / "g.npz").exists()


def test_points_have_no_spread_in_widths(run):
    np.savez("points.npz", data=[[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    result = run(
        "sample", "--mixture", "points.npz", "-n", 50, "--out", "p.npz", "--sampler", "ddpm"
    )
    assert "Spread within" not in result.stdout
    told = json.loads(Path("p.json").read_text(encoding="utf-8"))["modes"]
    assert sum(told["counts"]) == 50
    assert told["spreads"] == [None, None, None]
    assert told["spread"] is None

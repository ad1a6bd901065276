"""`mixdyn sample --workers`: the counts of a run in one piece, whatever happens on the way."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn.cli import app, sharding
from mixdyn.sweeps.executors import Here, Processes
from mixdyn.sweeps.store import RowStore

N = 2500
WORDS = ["sample", "--mixture", "line", "--schedule", "linear:T=12,beta_start=0.01,beta_end=0.5"]
WORDS += ["--steps", "4", "--eta", "1.0", "-n", str(N), "--seed", "3"]


def invoked(*more):
    result = CliRunner().invoke(app, [*WORDS, *map(str, more)])
    assert result.exit_code == 0, result.output


@pytest.fixture
def small(monkeypatch):
    """Shards of a thousand doubles, done here."""
    monkeypatch.setattr(sharding, "_DOUBLES", 1000)
    monkeypatch.setattr(sharding, "executor_for", lambda *given: Here())


def told(path):
    return {k: v for k, v in json.loads(path.read_text()).items() if k not in {"seconds"}}


def test_shards_count_what_one_piece_counts(tmp_path, small):
    invoked("--out", tmp_path / "one.npz")
    invoked("--out", tmp_path / "many.json", "--workers", 2)
    one, many = told(tmp_path / "one.json"), told(tmp_path / "many.json")
    for name in ("classes", "n", "n_eval", "steps", "first_time", "start_error", "seed"):
        assert many[name] == one[name]
    assert many["modes"]["counts"] == one["modes"]["counts"]
    np.testing.assert_allclose(many["modes"]["spreads"], one["modes"]["spreads"], rtol=1e-12)
    assert many["samples_file"] is None
    assert [path.name for path in tmp_path.glob("many*")] == ["many.json"], "no rows are left"


def test_an_unfinished_run_goes_on_to_the_same_bits(tmp_path, small, monkeypatch):
    invoked("--out", tmp_path / "whole.json", "--workers", 1)
    drawn = []

    class Broken(Here):
        def run(self, work, shards):
            for k, done in enumerate(super().run(work, shards)):
                drawn.append(done.shard.name)
                if k == 1:
                    raise KeyboardInterrupt
                yield done

    monkeypatch.setattr(sharding, "executor_for", lambda *given: Broken())
    result = CliRunner().invoke(
        app, [*WORDS, "--out", str(tmp_path / "part.json"), "--workers", "1"]
    )
    assert result.exit_code == 130
    monkeypatch.setattr(sharding, "executor_for", lambda *given: Here())
    with RowStore(tmp_path / "part.sweep") as store:
        assert len(store) == 1
    invoked("--out", tmp_path / "part.json", "--workers", 1)
    whole, part = told(tmp_path / "whole.json"), told(tmp_path / "part.json")
    for name in ("summary_file",):
        del whole[name], part[name]
    assert part == whole


def test_samples_are_not_kept_and_that_is_said(tmp_path):
    result = CliRunner().invoke(app, [*WORDS, "--out", str(tmp_path / "s.npz"), "--workers", "2"])
    assert result.exit_code == 2
    assert ".json" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_processes_count_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(sharding, "_DOUBLES", 1000)
    monkeypatch.setattr(sharding, "executor_for", lambda *given: Here())
    invoked("--out", tmp_path / "here.json", "--workers", 2)
    monkeypatch.setattr(sharding, "executor_for", lambda *given: Processes(2))
    invoked("--out", tmp_path / "there.json", "--workers", 2)
    here, there = told(tmp_path / "here.json"), told(tmp_path / "there.json")
    del here["summary_file"], there["summary_file"]
    assert there == here

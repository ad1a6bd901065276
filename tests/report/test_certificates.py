"""`--certify` proves what claims state on a problem, and keeps what the checker accepts."""

import json
import sys

import pytest
from typer.testing import CliRunner

from mixdyn.cli.main import app as mixdyn
from verify import checker
from verify.__main__ import app
from verify.report import certificates


def _kept(folder, claim_id):
    """The one certificate of a claim."""
    (file,) = (folder / "certificates").glob(f"{claim_id}.user-*.json")
    return json.loads(file.read_text())


def test_claims_are_proved_on_a_mixture_given_and_their_certificates_accepted(tmp_path):
    asked = ["A4.1", "C4.3", "G.5", "--certify", "--mixture", "grid", "--out", str(tmp_path)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0, found.output
    assert "A4.1: 1 of 1 proved" in found.output
    assert "C4.3: 4 of 4 proved" in found.output
    files = sorted((tmp_path / "certificates").iterdir())
    assert [file.name.partition("-")[0] for file in files] == ["A4.1.user", "C4.3.user"]
    for file in files:
        assert checker.check(json.loads(file.read_text())) == []


def test_a_budget_that_is_spent_leaves_statements_undecided_and_unproved(tmp_path):
    asked = ["C4.6", "--certify", "--mixture", "grid", "--budget", "1e-9", "--out", str(tmp_path)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0
    assert "undecided" in found.output
    assert len(_kept(tmp_path, "C4.6")["statements"]) < 150


def test_proofs_on_two_mixtures_stand_side_by_side(tmp_path):
    for mixture in ("grid", "ring"):
        asked = ["A4.1", "--certify", "--mixture", mixture, "--out", str(tmp_path)]
        assert CliRunner().invoke(app, asked).exit_code == 0
    files = sorted((tmp_path / "certificates").iterdir())
    assert len(files) == 2
    assert all(checker.check_file(str(file)) == [] for file in files)


def test_bounds_on_where_a_sampler_ends_are_kept_and_accepted_too(tmp_path):
    asked = ["M1", "--certify", "--mixture", "two_modes", "--out", str(tmp_path)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0, found.output
    assert "M1, DDIM, 50 steps: " in found.output
    files = sorted((tmp_path / "certificates").iterdir())
    assert len(files) == 2
    assert all(checker.check_file(str(file)) == [] for file in files)


def test_an_interrupt_keeps_what_is_proved(tmp_path, monkeypatch):
    def stop(claim_id, stated, seconds, stage):
        yield stated[0].decide()
        raise KeyboardInterrupt

    monkeypatch.setattr(certificates, "_decided", stop)
    asked = ["C4.3", "--certify", "--mixture", "grid", "--out", str(tmp_path)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 130
    kept = _kept(tmp_path, "C4.3")
    assert len(kept["proves"]) == 1
    assert checker.check(kept) == []


@pytest.mark.parametrize("wrong", [["--budget", "0"], ["--budget", "nan"]])
def test_a_budget_is_positive(tmp_path, wrong):
    found = CliRunner().invoke(app, ["C4.3", "--certify", "--mixture", "grid", *wrong])
    assert found.exit_code == 2
    assert "--budget" in found.output


@pytest.mark.parametrize("beside", [["--random", "3"], ["--figures"], ["--record"]])
def test_proofs_are_of_one_problem_and_nothing_beside(tmp_path, beside):
    asked = ["C4.3", "--certify", "--out", str(tmp_path), *beside]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 2
    assert "--certify proves" in found.output
    assert not list(tmp_path.iterdir())


def test_check_goes_on_to_the_proofs_and_does_not_mix_them_with_json(tmp_path, monkeypatch):
    asked = []
    module = sys.modules["mixdyn.cli.main"]
    monkeypatch.setattr(module, "run_beside", lambda *given: asked.append(given) or 0)
    run = ["check", "two_modes", "--samples", "8", "--certify"]
    assert CliRunner().invoke(mixdyn, run).exit_code == 0
    assert asked == [("verify", ["--certify", "--mixture", "two_modes", "--schedule", "linear"])]
    assert CliRunner().invoke(mixdyn, [*run, "--quiet"]).exit_code == 0
    assert asked[1][1][-1] == "--quiet"
    refused = CliRunner().invoke(mixdyn, [*run, "--json"])
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    "beside",
    [
        ["--json"],
        ["--random", "2"],
        ["--subjects", "diffusers"],
        ["--search", "A4.1"],
        ["--figures"],
        ["--record"],
        ["--random", "2", "--workers", "2"],
        ["--jobs", "1"],
        ["--fresh"],
        ["--profile", "full"],
    ],
    ids=" ".join,
)
def test_what_proofs_do_not_heed_is_refused_beside_them(tmp_path, beside):
    asked = ["A4.1", "--certify", "--out", str(tmp_path / "proofs"), *beside]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 2
    assert found.stderr.startswith("error: --certify proves claims on one problem")
    assert not (tmp_path / "proofs").exists()


def test_a_budget_without_proofs_is_refused(tmp_path):
    found = CliRunner().invoke(app, ["A4.1", "--budget", "3", "--out", str(tmp_path / "proofs")])
    assert found.exit_code == 2
    assert "no --certify beside it" in found.stderr
    assert not (tmp_path / "proofs").exists()


def test_proofs_keep_quiet_when_asked(tmp_path):
    asked = ["A4.1", "--certify", "--quiet", "--mixture", "grid", "--out", str(tmp_path)]
    found = CliRunner().invoke(app, asked)
    assert (found.exit_code, found.output) == (0, "")
    assert checker.check(_kept(tmp_path, "A4.1")) == []

"""`mixdyn audit`: its card, its files, and what a user can hand over wrongly."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn.cli import app

MODULE = """
import numpy as np

def euler(model, x, rng, steps=20, low=0.01, scale=1.0):
    sigmas = np.append(np.geomspace(80.0, low, steps), 0.0)
    for now, then in zip(sigmas[:-1], sigmas[1:]):
        x = x + (x - scale * model(x, now)) / now * (then - now)
    return x

def raises(model, x, rng):
    return model(x, 1.0) / {}["nothing"]

def exits(model, x, rng):
    raise SystemExit(3)

def nothing(model, x, rng):
    model(x, 1.0)

def words(model, x, rng):
    model(x, 1.0)
    return "done"

def narrow(model, x, rng):
    return model(x, 1.0)[:, :1]

def nan(model, x, rng):
    return model(x, 1.0) * np.nan

def backwards(model, x, rng):
    return model(x, -1.0)

def silent(model, x, rng):
    return x
"""
ASKS = ["--set", "level=sigma", "--set", "predicts=x0"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audited_samplers.py").write_text(MODULE)
    (tmp_path / "mine.toml").write_text("means = [[0.0, 0.0], [1.0, 0.0]]\nsigma = 0.05\n")
    np.savez("spectrum.npz", eigenvalues=np.geomspace(1.0, 1e-3, 20))
    np.savez("other.npz", values=np.ones(3))
    return tmp_path


def _run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_a_function_of_a_user_gets_its_card_in_all_three_forms(folder):
    files = ["--json", "card.json", "--html", "card.html"]
    problem = ["--mixture", "mine.toml", "--spectrum", "spectrum.npz"]
    done = _run("audited_samplers:euler", "--steps", 12, *ASKS, *problem, *files)
    assert done.exit_code == 0, done.stderr
    card = json.loads((folder / "card.json").read_text())
    assert card["sampler"] == "audited_samplers:euler"
    assert (card["steps"], card["n_eval"], card["affine"], card["seeded"]) == (12, 12, True, True)
    assert len(card["mixture"]["weights"]) == 2
    assert set(card["errors"]) == {"grid", "pairing", "solver"}
    assert "errors apart" in done.stdout
    assert card["grids"] is None
    assert card["words"][0] in " ".join(done.stdout.split())
    assert card["words"][1] in (folder / "card.html").read_text()
    for part in ("Gaussian data", "Clock", "Mixture", "trapped", "In words"):
        assert part in done.stdout


def test_settings_and_specs_reach_the_sampler(folder):
    specs = ["audited_samplers:euler,low=0.5", "audited_samplers:euler,low=0.001"]
    done = _run("--compare", *specs, *ASKS, "--steps", 10, "--json", "cards.json")
    assert done.exit_code == 0, done.stderr
    coarse, fine = json.loads((folder / "cards.json").read_text())["cards"]
    assert coarse["clock"][-1]["asked"] == pytest.approx(0.5)
    assert fine["clock"][-1]["asked"] == pytest.approx(0.001)
    assert coarse["response"][0]["gain"] < fine["response"][0]["gain"]
    assert "low=0.5" in done.stdout
    assert "In words" not in done.stdout


def test_a_gallery_of_two_is_kept_and_told(folder):
    asked = [
        "audited_samplers:euler,level=sigma,predicts=x0",
        "audited_samplers:raises,predicts=x0",
    ]
    done = _run("--gallery", "cards", *asked)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == [
        "cards/samplers.jsonl",
        "cards/samplers.md",
        "cards/samplers.html",
    ]
    assert done.stderr.splitlines() == [
        "1/2 audited_samplers:euler level=sigma predicts=x0: 5 rows, 5 new",
        "2/2 audited_samplers:raises predicts=x0: 5 rows, 5 new, 5 of them a failure",
    ]
    page = (folder / "cards" / "samplers.md").read_text()
    assert "| `audited_samplers:euler` | 50 |" in page
    assert "| `audited_samplers:raises` | KeyError" in page
    assert "<h2>audited_samplers:euler</h2>" in (folder / "cards" / "samplers.html").read_text()
    again = _run("--gallery", "cards", *asked)
    assert "5 rows, 0 new" in again.stderr
    assert (folder / "cards" / "samplers.md").read_text() == page
    quiet = _run("--gallery", "cards", *asked, "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["audited_samplers:raises", *ASKS], "KeyError"),
        (["audited_samplers:exits", *ASKS], "SystemExit in UserFunction.run: 3"),
        (["audited_samplers:nothing", *ASKS], "real numbers; received None"),
        (["audited_samplers:words", *ASKS], "real numbers; received 'done'"),
        (["audited_samplers:narrow", *ASKS], "shape (2, 1) with 0 non-finite entries in its end"),
        (["audited_samplers:nan", *ASKS], "4 non-finite entries in its end"),
        (["audited_samplers:backwards"], "names a time 1..1000"),
        (["audited_samplers:silent"], "asks its model"),
        (["audited_samplers:heun"], "AttributeError"),
        (["no_such_module:sampler"], "ModuleNotFoundError"),
        (["dim"], "must be one of"),
        ([], "an audit names samplers"),
        (["--gallery", "mine.toml"], "must be creatable"),
        (["ddim", "--steps", "0"], "steps"),
        (["ddim", "--set", "eta"], "key=value"),
        (["ddim", "--set", "seed=3"], "key=value"),
        (["ddim", "--mixture", "nothing.toml"], "nothing.toml"),
        (["ddim", "--spectrum", "other.npz"], "eigenvalues"),
        (["ddim", "--out", "card.txt"], ".json"),
        (["ddim", "--html", "nowhere/card.html"], "no such folder"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(folder, arguments, rule):
    done = _run(*arguments)
    assert done.exit_code == 2
    assert rule in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""

"""What the README prints for things of one's own runs as printed."""

import re
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mixdyn.cli import app
from verify.ledger.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.partition("  #")[0].split("#")[0].strip() for line in README.splitlines()]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the README's files, from where its commands are given."""
    for code in re.findall(r"```(?:python|toml)\n(.*?)```", README, re.DOTALL):
        (tmp_path / re.match(r"# (\w+\.\w+)", code)[1]).write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("my_model", "my_sampler"):
        sys.modules.pop(name, None)


def command(begin):
    """The only one of the README that begins so."""
    (found,) = {line for line in COMMANDS if line.startswith(begin)}
    return found


def run(begin, *more):
    words = shlex.split(command(begin))
    result = CliRunner().invoke(app, [*words[1:], *more])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_readme_is_short():
    assert README.count("\n") <= 120


def test_a_sampler_of_ones_own_has_a_card(here):
    assert "In words" in run("mixdyn audit my_sampler:euler")


def test_a_mixture_of_ones_own_is_explained(here):
    assert "Mixture: 3 modes in 1 dimension," in run("mixdyn check mine.toml", "--samples", "8")


@pytest.mark.slow
def test_a_model_of_ones_own_is_judged(here):
    begin = "mixdyn verify E.12 X13 --model my_model:model"
    words = [word for word in shlex.split(command(begin)) if word != "X13"]
    ran = CliRunner().invoke(app, [*words[1:], "--jobs", "1"])
    assert ran.exit_code == 0, ran.output
    assert re.search(r"E\.12 +user +✓ holds +learned", ran.stdout)


def test_the_claim_of_ones_own_is_that_of_its_page(tmp_path):
    begin, _, path = command("sed -n").partition(" > ")
    assert (ROOT / path).parent.is_dir()
    ran = subprocess.run(begin, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    page = (ROOT / "docs" / "your_claim.md").read_text(encoding="utf-8")
    assert [ran.stdout] == re.findall(r"```python\n(.*?)```", page, re.DOTALL)

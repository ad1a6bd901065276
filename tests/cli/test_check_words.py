"""`mixdyn check` says first what it means, of any mixture, and explains what it prints."""

import re

import pytest
from typer.testing import CliRunner

from mixdyn.cli import app
from mixdyn.cli.symbols import SYMBOLS, symbols_in

ONE = "means = [[0.0, 1.0]]\nsigma = 0.1\n"
TWO = "means = [[0.0], [1.0]]\nsigma = 0.05\nweights = [0.7, 0.3]\n"


@pytest.fixture(params=[ONE, TWO], ids=["one mode", "two modes"])
def said(request, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(request.param)
    result = CliRunner().invoke(app, ["check", str(path), "--samples", "8"])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_words_stand_before_the_first_table(said):
    assert said.index("\nIn words\n- ") < said.index("┏")
    assert said.startswith("Mixture: ")


def test_every_symbol_of_a_table_is_explained_at_the_end(said):
    above, _, below = said.partition("\nSymbols\n")
    explained = re.findall(r"^- ([^:]+): ", below, re.MULTILINE)
    assert list(symbols_in(above)) == explained
    letters = re.findall(r"\b(?:tau_\d|kappa|sigma|rho|alpha_bar|w_i|p_t|KL|nats|d|T|l)\b", above)
    assert set(letters) <= set(explained) <= set(SYMBOLS)


def test_a_symbol_is_a_word_of_its_own():
    assert list(symbols_in("l / sigma, level")) == ["sigma", "l"]
    assert list(symbols_in("labels and values")) == []

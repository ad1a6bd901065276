"""The adversary draws its own problems: what would fix them beside it is refused in one line."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from verify.__main__ import app


@pytest.mark.parametrize(
    "extra", [["G.5"], ["--random", "2"], ["--figures"], ["--mixture", "m.toml"]]
)
def test_search_refuses_what_it_would_ignore(extra, tmp_path):
    result = CliRunner().invoke(app, ["--search", "D.1", "--out", str(tmp_path / "out"), *extra])
    assert result.exit_code == 2
    assert "--search draws its own problems" in result.output
    assert not (tmp_path / "out").exists()


def test_an_interrupted_search_says_where_its_findings_are_and_that_it_starts_over(
    tmp_path, monkeypatch
):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("verify.search.adversary.search", interrupted)
    result = CliRunner().invoke(app, ["--search", "D.1", "--out", str(tmp_path)])
    assert result.exit_code == 130
    assert f"is in {tmp_path / 'search'}" in result.output
    assert "starts over" in result.output
    assert "goes on" not in result.output

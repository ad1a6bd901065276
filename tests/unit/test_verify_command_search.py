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

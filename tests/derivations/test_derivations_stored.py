"""Stored outcomes count only for the sources and the SymPy that produced them."""

import dataclasses
import shutil
import subprocess
import sys

import pytest

from derivations import __main__ as command
from derivations import catalogue, document, stored

pytestmark = pytest.mark.slow
NAMES = catalogue.names()


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_outcome_is_current_and_closed(name):
    outcome = stored.lookup(name)
    assert outcome is not None, "run python -m derivations --record"
    assert outcome.closed
    assert outcome.rejected >= 1
    assert stored.has_closed(name)


def test_nothing_is_recorded_for_a_derivation_that_is_gone():
    assert set(stored.read()) == set(NAMES)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    folder = tmp_path / "derivations"
    shutil.copytree(stored.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(stored, "FOLDER", folder)
    monkeypatch.setattr(stored, "RECORD", folder / "recorded.json")
    return folder


@pytest.mark.parametrize(
    "changed", ["segment/tube_invariance", "segment/gronwall", "algebra/chain", "algebra/sums"]
)
def test_an_edit_of_the_file_or_of_what_it_imports_voids_the_outcome(copied, changed):
    assert stored.has_closed("tube_invariance")
    path = copied / f"{changed}.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert stored.lookup("tube_invariance") is None
    assert not stored.has_closed("tube_invariance")


def test_an_edit_of_an_unrelated_derivation_voids_nothing_else(copied):
    path = copied / "errors/rectangle.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert stored.lookup("rectangle") is None
    assert stored.has_closed("tube_invariance")


def test_another_version_of_sympy_voids_the_outcome(copied, monkeypatch):
    monkeypatch.setattr(stored, "sympy_version", lambda: "0.0")
    assert stored.lookup("tube") is None


def test_an_open_derivation_has_not_closed(copied):
    rows = stored.read()
    rows["tube"] = dataclasses.replace(rows["tube"], closed=False)
    stored.write(rows)
    assert stored.read() == rows
    assert stored.lookup("tube") is not None
    assert not stored.has_closed("tube")


def test_reading_outcomes_does_not_import_sympy():
    code = "import sys; from derivations import stored; stored.has_closed('tube');"
    code += " sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=stored.FOLDER.parent).returncode == 0


# -- command and document ------------------------------------------------------------------------


def test_the_command_prints_a_derivation_found_by_id_or_name(capsys):
    assert command.main(["T4.2"]) == 0
    by_id = capsys.readouterr().out
    assert command.main(["tube.py"]) == 0
    by_name = capsys.readouterr().out
    assert "Convergence to the tube" in by_id
    assert by_id.splitlines()[:-1] == by_name.splitlines()[:-1]


def test_an_unknown_name_ends_with_status_two_and_the_known_names(capsys):
    assert command.main(["T9.9"]) == 2
    error = capsys.readouterr().err
    assert "'T9.9'" in error
    assert "tube" in error


@pytest.fixture(scope="module")
def outcomes():
    return stored.read()


def test_the_markdown_document_holds_every_derivation_in_order(outcomes):
    text = document.markdown(outcomes)
    places = [text.index(f"### {catalogue.load(n).id} · {catalogue.load(n).title}") for n in NAMES]
    assert places == sorted(places)
    for chapter in catalogue.chapters():
        assert chapter.title in text
    assert text.count("$$") % 2 == 0
    assert "DOES NOT CLOSE" not in text


def test_the_html_document_is_self_contained_and_typeset(outcomes, tmp_path):
    paths = document.write(tmp_path / "out", outcomes)
    page = next(p for p in paths if p.suffix == ".html").read_text()
    assert page.count("<math") > 500
    for reference in ("src=", "@import", "url(", "<script", "<link"):
        assert reference not in page
    for name in NAMES:
        assert f'id="{name}"' in page
        assert f'href="#{name}"' in page
    assert "$" not in page
    assert "\\frac" not in page


def test_an_open_derivation_is_shown_as_open(outcomes):
    broken = {**outcomes, "tube": dataclasses.replace(outcomes["tube"], closed=False, residual="R")}
    assert "DOES NOT CLOSE, residual R" in document.markdown(broken)
    assert "<b>NO</b>" in document.page(broken)

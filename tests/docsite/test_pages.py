"""The site's pages are made of what exists, and what is missing is said."""

import inspect
import json
import runpy

import pytest

import mixdyn
from docsite import gallery, notebook, pages, reference
from verify.report.figures import FIGURES

# -- the reference -------------------------------------------------------------------------------


def test_every_public_name_has_a_place_in_the_reference():
    shown = {path for paths in reference.names().values() for path in paths}
    for name in mixdyn.__all__:
        value = getattr(mixdyn, name)
        if inspect.ismodule(value):
            assert f"mixdyn.{name}" in reference.names()
        elif not name.startswith("__"):
            assert reference.path_of(value) in shown
    for path in shown:
        assert reference.path_of(reference.resolve(path)) == path


def test_a_public_name_or_method_that_says_nothing_is_found(monkeypatch):
    assert reference.undocumented() == []
    monkeypatch.setattr(mixdyn.GaussianMixture.sample, "__doc__", None)
    monkeypatch.setattr(mixdyn.classify, "__doc__", " ")
    assert reference.undocumented() == [
        "mixdyn.geometry.classes.classify",
        "mixdyn.problem.mixture.GaussianMixture.sample",
    ]


def test_a_docstring_becomes_markdown_without_loss():
    docstrings = pytest.importorskip("docsite.docstrings", exc_type=ImportError)
    text = (
        "What.\n\nParameters\n----------\nx, y : (n, d) a_i * b,\n    in x units.\nn : how many.\n"
    )
    assert docstrings.to_markdown(text) == (
        "What.\n\n\n**Parameters**\n\n- `x, y`: (n, d) a\\_i \\* b, in x units.\n- `n`: how many.\n"
    )


# -- texts, figures, examples --------------------------------------------------------------------


@pytest.mark.parametrize("source", pages.PAGES)
def test_links_of_a_text_lead_to_pages_or_to_files_that_are_copied(source):
    there = {path.name for path in (pages.ROOT / "docs").iterdir()} | set(pages.PAGES.values())
    copied = pages.shown_by(source)
    assert all(path.is_file() for path in copied.values())
    for found in pages._LINK.finditer(pages.as_page(source)):
        assert found[2] in there or found[2] in copied, found[2]


def test_the_gallery_has_every_figure_and_shows_those_that_are_drawn(tmp_path):
    (tmp_path / "fig_x3.svg").write_text("<svg/>")
    found = gallery.drawn([tmp_path])
    assert found == {"X3": tmp_path / "fig_x3.svg"}
    page, shown = gallery.figures(found)
    assert shown == {"figures/fig_x3.svg": tmp_path / "fig_x3.svg"}
    assert page.count("\n## ") == len(FIGURES)
    assert page.count("](figures/") == 2


def test_every_picture_that_is_kept_for_the_gallery_is_a_figures():
    stems = {path.stem for path in (pages.ROOT / "docs" / "figures").glob("*.*")}
    assert stems <= {spec.stem for spec in FIGURES.values()}
    assert len(gallery.drawn()) > len(FIGURES) / 2


def test_the_gallery_has_cards():
    assert "<html" in gallery.cards()


@pytest.mark.parametrize("path", sorted((pages.ROOT / "examples").glob("*.py")), ids=str)
def test_an_example_prints_what_it_says_that_it_prints(path, capsys):
    runpy.run_path(str(path), run_name="__main__")
    text = path.read_text(encoding="utf-8")
    _, marked, said = text.partition("\n# prints\n")
    assert marked
    assert f"## {text.splitlines()[0].strip(chr(34)).rstrip('.')}\n" in pages.examples()
    assert capsys.readouterr().out.splitlines() == [line[2:] for line in said.splitlines()]


# -- the notebook --------------------------------------------------------------------------------

SMALL = "# %% [markdown]\n# # Two\n#\n# words\n\n# %%\na = 1\nprint(a)\na + 1\n\n# %%\nb = a\n"


def test_a_notebook_shows_what_its_cells_printed_and_their_last_value(tmp_path):
    (tmp_path / "small.py").write_text(SMALL)
    cells = notebook.execute(notebook.read(tmp_path / "small.py"), "small")
    assert [cell.text for cell in cells] == ["", "1\n2\n", ""]
    assert notebook.page(cells).startswith("# Two\n\nwords\n\n```python\na = 1")
    kept = json.loads(notebook.ipynb(cells))
    assert [cell["cell_type"] for cell in kept["cells"]] == ["markdown", "code", "code"]
    assert kept["cells"][1]["outputs"][0]["text"] == ["1\n", "2\n"]


def test_a_cell_that_raises_stops_the_notebook(tmp_path):
    (tmp_path / "small.py").write_text("# %%\n1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        notebook.execute(notebook.read(tmp_path / "small.py"), "small")


@pytest.mark.compiled
def test_the_first_hour_leads_from_a_mixture_to_a_card():
    pytest.importorskip("torch", exc_type=ImportError)
    cells = notebook.execute(notebook.read(pages.ROOT / "docs" / "first_hour.py"), "first_hour")
    words = [cell.source.partition("\n")[0] for cell in cells if cell.words]
    steps = ["mixture", "sampler", "hallucination", "claim", "card"]
    page = notebook.page(cells)
    assert words[0] == "# The first hour"
    assert [page.index(f"\n## A {step}\n") for step in steps] == sorted(
        page.index(f"\n## A {step}\n") for step in steps
    )
    shares = [eval(cell.text.splitlines()[-1]) for cell in cells if "interpolation" in cell.text]
    exact, learned, noisy = (share["interpolation"] for share in shares)
    assert exact == 0.0
    assert 0.01 < learned < 0.05
    assert noisy < learned / 10
    assert "X99 on two modes: holds, 60 of 60 noise levels" in page
    assert "its control, a fifth: fails" in page
    assert sum(bool(cell.picture) for cell in cells) == 2

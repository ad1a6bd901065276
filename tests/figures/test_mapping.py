"""Figures are found in their folder, name the claims that they show and are asked for by these."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from mixdyn.support.errors import FileError, InputError
from verify.drawing.palette import LOOKS, PALETTE
from verify.drawing.spec import FigureSpec
from verify.ledger import cases
from verify.ledger.registry import load_claims
from verify.ledger.sources import ROOT
from verify.report import figure_names
from verify.report.figures import FIGURES, draw_figures, select

FILES = {path.stem: path for path in ROOT.glob("verify/papers/*/figures/[a-z]*.py")}
CLAIMS = {entry.claim.id for entry in load_claims()}


def origin(spec) -> str:
    return Path(inspect.getfile(spec.draw)).stem


def test_every_figure_file_is_drawn():
    assert {origin(spec) for spec in FIGURES.values()} == set(FILES)


def test_no_two_figures_share_an_id_a_file_or_what_they_redraw():
    for names in ("id", "stem", "source"):
        assert len({getattr(spec, names).upper() for spec in FIGURES.values()}) == len(FIGURES)


def test_every_figure_says_whose_it_is():
    what = r"(Figures? \w.*|Appendi(x|ces) \w.*|Proposition 4\.7)"
    paper = rf"{what} of (2605\.06831|2406\.09358|2405\.14250)"
    for spec in FIGURES.values():
        assert re.fullmatch(
            rf"{paper}(, on trained networks)?|Our own, of result X\d+.*", spec.source
        )


def test_a_figure_is_found_by_its_id_its_file_and_its_source():
    for spec in FIGURES.values():
        assert select([spec.stem]) == [spec] == select([spec.source])
        assert spec in select([spec.id.lower()])


def test_a_claim_names_the_figures_that_show_it_the_first_by_its_own_id_and_no_other():
    drawn = {claim for spec in FIGURES.values() for claim in spec.claims}
    assert drawn <= CLAIMS
    for claim in drawn:
        found = select([claim])
        assert all(claim in spec.claims for spec in found)
        assert sum(not spec.part for spec in found) == 1


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("F3", ["F3"]),
        ("m5", ["M5", "M5 paths"]),
        ("M7", ["M6"]),
        ("x8-elsewhere", ["X8 elsewhere"]),
        ("e.13", ["E.13"]),
        ("p4.7(1)", ["P4.7 (1)"]),
        ("Figure 3 of 2605.06831", ["M1"]),
    ],
)
def test_asked_for_by_a_claim_a_figure_of_that_claim_is_drawn(name, figures):
    assert [spec.id for spec in select([name])] == figures


def test_no_name_selects_every_figure_in_order():
    assert [spec.id for spec in select([])] == list(FIGURES)
    assert next(iter(FIGURES)) == "A4.1"


@pytest.mark.parametrize("name", ["3", "99", "G.5"])
def test_a_papers_bare_number_and_a_claim_without_a_figure_are_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match=rf"F3: Figure 3 of 2605.06831.*received '{name}'"):
        select(["F3", name])


def test_a_caption_that_shows_a_synthetic_score_says_so():
    shown = {"M1", "X4", "X7", "D.1", "E.16 synthetic"}
    for spec in FIGURES.values():
        assert ("synthetic" in spec.caption) == (spec.id in shown), spec.id


@pytest.mark.parametrize("stem", FILES)
def test_a_figure_imports_one_measurement_and_nothing_that_measures(stem):
    tree = ast.parse(FILES[stem].read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = {n.module for n in imported if n.level == 0 and n.module.split(".")[0] == "mixdyn"}
    known = {"mixdyn.geometry", "mixdyn.support.numbers", "mixdyn.support.checks"}
    assert ours <= known | {"mixdyn.support.statistics"}
    spreads = [n for n in imported if n.module == "mixdyn.support.statistics"]
    assert all(a.name == "DISPLAY_STDS" for n in spreads for a in n.names)  # of a shown interval
    needed = {getattr(s.measure, "func", s.measure) for s in FIGURES.values() if origin(s) == stem}
    names = {a.name for n in imported if (n.module or "").startswith("verify.") for a in n.names}
    assert names - {"BLURRED"} == {measure.__name__ for measure in needed}


def test_looks_differ_in_colour_and_in_marker():
    assert len({look.color for look in LOOKS.values()}) == len(LOOKS)
    assert len({look.marker for look in LOOKS.values()}) == len(LOOKS)
    assert {look.color for look in LOOKS.values()} <= set(PALETTE)


def test_a_folder_that_cannot_be_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    (tmp_path / "figures").write_text("in the way")
    monkeypatch.setattr(FigureSpec, "result", lambda self, case: pytest.fail("measured"))
    with pytest.raises(FileError, match="folder must be creatable"):
        draw_figures(["D.1"], cases.standard(), tmp_path)


def test_no_name_of_a_figure_is_refused_for_want_of_being_written():
    for spec in FIGURES.values():
        figure_names.check([*spec.claims, spec.id, spec.stem, spec.source, spec.id.lower()])

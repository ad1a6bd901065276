"""The list of figures is complete, and every way to name one leads to it."""

import ast
import re
from pathlib import Path

import pytest

import verify.figures
from mixdyn.support.errors import InputError
from verify.experiments import EXPERIMENTS
from verify.figures import FIGURES, figure_for_claim, select
from verify.figures.style import LOOKS, PALETTE
from verify.ledger.registry import load_claims, reading_order

FOLDER = Path(verify.figures.__file__).parent
FILES = sorted(path.stem for path in FOLDER.glob("fig_*.py"))


def test_every_figure_file_is_listed_under_its_own_name():
    assert sorted(spec.stem for spec in FIGURES.values()) == FILES
    assert list(FIGURES) == [spec.id for spec in FIGURES.values()]


def test_every_experiment_is_drawn_and_every_figure_names_known_ones():
    needed = {name for spec in FIGURES.values() for name in spec.experiments}
    assert needed == set(EXPERIMENTS)


def test_every_experiment_file_is_listed():
    folder = EXPERIMENTS["steps"].path.parent
    shared = {"__init__", "store", "common", "blurred"}
    assert {path.stem for path in folder.glob("*.py")} - shared == set(EXPERIMENTS)


def test_no_two_figures_answer_to_one_name():
    names = [n for s in FIGURES.values() for n in (s.id, s.stem, s.source, *s.aliases)]
    assert len({name.upper() for name in names}) == len(names)


def test_every_figure_says_whose_it_is_in_words_that_name_it():
    paper = r"(Figures? \w.*|Appendi(x|ces) \w.*|Proposition 4\.7) of (2605\.06831|2406\.09358)"
    for spec in FIGURES.values():
        assert re.fullmatch(
            rf"{paper}(, on trained networks)?|Our own, of result X\d+.*", spec.source
        )
        assert select([spec.source]) == [spec] == select([spec.stem])
        assert spec.name.startswith(spec.source)


ENTRIES = [entry.claim.id for entry in load_claims()]


def test_the_id_of_a_claim_names_its_figure_and_never_another_claims():
    drawn = [claim for spec in FIGURES.values() for claim in spec.claims]
    assert set(drawn) <= set(ENTRIES)
    for claim in drawn:
        assert [claim in spec.claims for spec in select([claim])] == [True]


@pytest.mark.parametrize(
    ("name", "claim"),
    [("F3", "F3"), ("M-2", "M2"), ("m4", "M4"), ("E.13", "E.13"), ("p4.7(1)", "P4.7 (1)")],
)
def test_where_a_papers_number_reads_like_a_claims_id_the_claim_is_meant(name, claim):
    assert [claim in spec.claims for spec in select([name])] == [True]


@pytest.mark.parametrize(
    ("name", "figure"),
    [("3", "3"), ("e.9", "4"), ("E.15", "5"), ("fig_x3_basin", "X3"), ("1b", "2"), ("E.7", "E.6")],
)
def test_a_figure_is_found_by_id_paper_number_or_file(name, figure):
    assert [spec.id for spec in select([name])] == [figure]


def test_no_name_selects_every_figure_in_order():
    assert [spec.id for spec in select([])] == list(FIGURES)


def test_an_unknown_figure_is_refused_with_the_known_ones():
    with pytest.raises(
        InputError, match=r"named by a claim .*Figure 3 of 2605.06831 \(M1\).*received '99'"
    ):
        select(["3", "99"])


def test_claims_lead_to_their_figure_and_others_to_none():
    assert figure_for_claim("P5.1") == "E.14"
    assert figure_for_claim("X4") == "5"
    assert figure_for_claim("P4.7 (2)") == "X3"
    assert figure_for_claim("G.5") is None


def test_every_claim_named_by_a_figure_is_a_well_formed_id_of_one_figure():
    claims = [claim for spec in FIGURES.values() for claim in spec.claims]
    for claim in claims:
        reading_order(claim)
    assert len(set(claims)) == len(claims)


def test_a_caption_that_shows_a_synthetic_score_says_so():
    shown = {"steps", "radius", "eta", "diagonals", "ablations"}
    for spec in FIGURES.values():
        assert ("synthetic" in spec.caption) == bool(shown & set(spec.experiments)), spec.id


@pytest.mark.parametrize("stem", FILES)
def test_a_figure_reads_saved_results_and_measures_nothing(stem):
    allowed = {
        "mixdyn.geometry",
        "mixdyn.support.numbers",
        "mixdyn.support.checks",
        "verify.experiments",
    }
    tree = ast.parse((FOLDER / f"{stem}.py").read_text())
    imported = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None
    }
    project = {name for name in imported if name.split(".")[0] in ("mixdyn", "verify")}
    assert project <= allowed


def test_looks_differ_in_colour_and_in_marker():
    assert len({look.color for look in LOOKS.values()}) == len(LOOKS)
    assert len({look.marker for look in LOOKS.values()}) == len(LOOKS)
    assert {look.color for look in LOOKS.values()} <= set(PALETTE)

"""The developer's command that compares the rows of two commits sees a difference, and no other."""

import pytest

from tests import same_rows
from tests.same_rows import by_place, differences

ROW = {
    "id": "G.1",
    "case": "standard",
    "basis": "exact",
    "verdict": "holds",
    "measured": 1.0,
    "seconds": 2.0,
    "origin": "computed",
    "mutants": [{"name": "a wrong factor", "excess": 2.0}],
}


def found(*changed):
    return list(differences(by_place([ROW]), by_place(list(changed))))


def test_rows_that_differ_in_their_seconds_are_the_same():
    assert found({**ROW, "seconds": 9.0, "origin": "kept"}) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"measured": 1.0 + 2**-52}, "measured"),
        ({"measured": None}, "measured"),
        ({"measured": 1}, "measured"),
        ({"verdict": "fails"}, "verdict"),
        ({"origin": "stored measurement"}, "origin"),
        ({"mutants": [{"name": "a wrong factor", "excess": 2.5}]}, "mutants[0].excess"),
        ({"mutants": []}, "mutants[0]"),
        ({"note": "new"}, "note"),
    ],
)
def test_any_other_field_is_named_by_its_path(change, path):
    ((place, _, _),) = found({**ROW, **change})
    assert place == f".G.1 on standard, exact.{path}"


def test_a_row_more_and_a_row_less_are_differences():
    assert [place for place, _, _ in found(ROW, ROW)] == [".G.1 on standard, exact'"]
    assert [place for place, _, _ in found()] == [".G.1 on standard, exact"]


def test_controls_of_a_row_that_measured_nothing_do_not_count():
    silent = {**ROW, "verdict": "not applicable"}
    rows = by_place([silent]), by_place([{**silent, "mutants": []}])
    assert not list(differences(*rows))


def test_a_witness_may_name_the_comparison_that_the_row_names():
    row = {**ROW, "quantity": "growth", "witness": {"k": 3}}
    named, other = ({"quantity": name, "k": 3} for name in ("growth", "decay"))
    assert not list(differences(*(by_place([r]) for r in (row, {**row, "witness": named}))))
    assert list(differences(*(by_place([r]) for r in (row, {**row, "witness": other}))))


def test_the_status_is_1_where_a_field_differs(monkeypatch, capsys):
    monkeypatch.setattr(same_rows, "git", lambda *words: "0" * 40)
    monkeypatch.setattr(same_rows, "rows_of_commit", lambda commit, words: [ROW])
    monkeypatch.setattr(same_rows, "ledger_rows", lambda checkout, words: [ROW])
    assert same_rows.main(["G.1"]) == 0
    monkeypatch.setattr(same_rows, "ledger_rows", lambda checkout, words: [{**ROW, "n": 3}])
    assert same_rows.main(["G.1", "--random", "2"]) == 1
    assert "exact.n\n  Ellipsis\n  3\n" in capsys.readouterr().out


def test_a_revision_that_git_does_not_know_is_no_difference(capsys):
    with pytest.raises(SystemExit) as left:
        same_rows.git("rev-parse", "--verify", "no-such-revision")
    assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err

"""The suite's own rules and tools."""

import ast
from pathlib import Path

import pytest

from tests import same_rows
from tests.same_rows import by_place, differences

# -- missing extras fail on request, and false alarms are budgeted ---------------------------------


ROOT = Path(__file__).parents[2]
PACKAGES = [*(ROOT / "mixdyn").rglob("__init__.py"), *(ROOT / "verify").rglob("__init__.py")]
MISSING = "Skipped: could not import 'torch': No module named 'torch'"
ELSEWHERE = "Skipped: not on this machine"


@pytest.fixture
def rules(pytestconfig):
    """The module tests/conftest.py as pytest loaded it."""
    return pytestconfig.pluginmanager.get_plugin(str(Path(__file__).parents[1] / "conftest.py"))


def skipped(reason, whole_file):
    where = ("test_it.py", 1, reason)
    if whole_file:
        return pytest.CollectReport("test_it.py", "skipped", where, [])
    return pytest.TestReport("test_it.py::test", (*where[:2], ""), {}, "skipped", where, "call")


@pytest.mark.parametrize("whole_file", [False, True])
@pytest.mark.parametrize(
    ("required", "reason", "outcome"),
    [
        ("1", MISSING, "failed"),
        ("0", MISSING, "skipped"),
        (None, MISSING, "skipped"),
        ("1", ELSEWHERE, "skipped"),
    ],
)
def test_a_skip_for_a_missing_extra_fails_where_everything_is_required(
    rules, required, reason, outcome, whole_file, monkeypatch
):
    monkeypatch.delenv(rules.REQUIRE_ALL, raising=False)
    if required is not None:
        monkeypatch.setenv(rules.REQUIRE_ALL, required)
    report = skipped(reason, whole_file)
    rules._refuse_missing_extra(report)
    assert report.outcome == outcome
    assert (reason in report.longrepr) or outcome == "skipped"


def test_an_implausible_result_fails_and_a_plausible_one_passes(plausible):
    plausible(1e-8)
    with pytest.raises(AssertionError, match=r"p-value 1e-10 below 1e-09"):
        plausible(1e-10)


def test_one_test_cannot_spend_more_than_its_share(plausible):
    with pytest.raises(AssertionError, match="one test may spend 1e-8"):
        plausible(0.5, level=2e-8)


def test_the_suite_cannot_spend_more_than_its_budget(false_alarm_budget):
    fresh = type(false_alarm_budget)()
    for _ in range(100):
        fresh.draw(1e-8)
    with pytest.raises(pytest.fail.Exception, match="would spend"):
        fresh.draw(1e-8)


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_the_first_line_of_a_folder_says_what_lives_there(path):
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first, *rest = said.splitlines()
    assert first.endswith("."), "one sentence on one line"
    assert not any(rest[:1]), "the first line is a paragraph of its own"


# -- rows of two commits ---------------------------------------------------------------------------


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

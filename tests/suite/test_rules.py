"""The suite's own rules: missing extras fail on request, and false alarms are budgeted."""

import ast
from pathlib import Path

import pytest

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

"""The report as a reader meets it: its top, its table, its rows, on a phone and from a keyboard."""

import json
import re
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from mixdyn import presets
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import FileError
from tests import toys
from verify import __main__ as command
from verify.ledger import registry, store
from verify.ledger.case import Case
from verify.ledger.recorded import find_drift, record
from verify.ledger.relations import Equality, Outcome, Upper, compare
from verify.ledger.runner import run_claim
from verify.ledger.sources import ROOT
from verify.ledger.verdict import Basis, Finding, Origin
from verify.report import document as report
from verify.report.legend import BASES, MARKS, VERDICTS, words_on_controls

DOC = toys.doc("The midpoint of a toy.")
VOID = {"meta", "input", "br", "link", "img"}


class Node:
    def __init__(self, tag, attrs, parent):
        self.tag, self.attrs, self.parent = tag, dict(attrs), parent
        self.children, self.words = [], []

    def all(self, tag):
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.all(tag)

    @property
    def text(self):
        return " ".join(" ".join(w if isinstance(w, str) else w.text for w in self.words).split())

    def above(self):
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


class Tree(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.root = self.here = Node("root", [], None)
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        node = Node(tag, attrs, self.here)
        self.here.children.append(node)
        self.here.words.append(node)
        if tag not in VOID:
            self.here = node

    def handle_endtag(self, tag):
        assert self.here.tag == tag, f"{self.here.tag} closed as {tag}"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.words.append(data)


def entry(claim_id, value, bases=(Basis.EXACT,), mutant=3.0, note=""):
    claim = toys.claim(claim_id, DOC, basis=bases)

    def judge(case, x, basis):
        found = compare("x", Upper(atol=1e-3), x, 2.0), compare("y", Equality(atol=0.25), 1.0, 1.0)
        return claim.judge(case, Finding(found, witness=lambda c: {"x": 1}, note=note), basis)

    values = dict(zip(bases, value if isinstance(value, tuple) else (value,) * 9, strict=False))
    return toys.entry(
        claim,
        lambda case: [judge(case, values[b], b) for b in bases],
        lambda case: {f"raised, {b}": judge(case, mutant, b) for b in bases},
    )


PROBLEMS = [
    Case("standard", presets.two_modes(), NoiseSchedule.linear(T=50), origin="two modes"),
    Case("random-1", presets.line(), NoiseSchedule.linear(T=50), origin="a line"),
]
BOTH = (Basis.EXACT, Basis.SAMPLED)


def document(*entries, changes=None):
    rows = [v.as_row() for case in PROBLEMS for e in entries for v in run_claim(e, case)]
    return report.build_document(entries, PROBLEMS, rows, changes or {"standard": []})


def page(*entries, **options):
    return Tree(report.render(document(*entries, **options), "report.html.j2")).root


def find(root, name):
    def walk(node):
        for child in node.children:
            if child.attrs.get("id") == name:
                yield child
            yield from walk(child)

    return next(walk(root))


@pytest.fixture
def mixed():
    return page(entry("G.8", (1.0, 2.5), BOTH), entry("G.9", 1.0))


def test_the_table_has_the_titles_that_its_filter_promises(mixed):
    table = find(mixed, "verdicts")
    heads = [th.text for th in next(table.all("thead")).all("th")]
    title = heads.index("Title")
    lines = list(next(table.all("tbody")).all("tr"))
    assert len(lines) == 6
    for line in lines:
        cells = list(line.all("td"))
        assert len(cells) == len(heads)
        assert cells[title].text == "The midpoint of a toy"


def test_every_column_sorts_from_the_keyboard(mixed):
    for head in next(find(mixed, "verdicts").all("thead")).all("th"):
        buttons = list(head.all("button"))
        assert [b.text for b in buttons] == ([head.text] if head.text else [])
        assert all(b.attrs["type"] == "button" for b in buttons)
    script = (ROOT / "verify/report/templates" / "table.js").read_text(encoding="utf-8")
    assert 'querySelector("button")' in script


def test_failing_rows_stand_open_and_where_none_fails_the_first_does(mixed):
    def opened(name):
        rows = [d for d in find(mixed, name).all("details") if "id" in d.attrs]
        return {d.attrs["id"]: "open" in d.attrs for d in rows}

    assert opened("claim-G.8") == {
        "G.8-standard-exact": False,
        "G.8-standard-sampled": True,
        "G.8-random-1-exact": False,
        "G.8-random-1-sampled": True,
    }
    assert opened("claim-G.9") == {"G.9-standard-exact": True, "G.9-random-1-exact": False}


def test_a_row_shows_that_it_opens():
    style = (ROOT / "verify/report/templates" / "style.css").read_text(encoding="utf-8")
    closed, opened = (
        re.search(rf'{re.escape(head)} > summary::before {{ content: "(.)"', style)
        for head in ("details", "details[open]")
    )
    assert closed
    assert opened
    assert closed[1] != opened[1]


def test_the_words_the_problems_and_what_fails_are_explained_before_anything_else(mixed):
    first = next(n for n in next(mixed.all("body")).children if n.tag in ("section", "h2", "div"))
    assert first.attrs["id"] == "legend"
    text = first.text
    for words in [*VERDICTS.values(), *BASES.values(), "two modes", "a line"]:
        assert words in text
    assert "two modes. Every verdict is the recorded one, failures included." in text
    assert "a line. No verdicts of it are recorded." in text
    listed = [item.text for item in first.all("li")]
    assert listed == [
        "✗ fails G.8 on standard (sampled): The midpoint of a toy",
        "✗ fails G.8 on random-1 (sampled): The midpoint of a toy",
    ]


def test_changed_verdicts_are_named_at_the_top():
    root = page(entry("G.9", 1.0), changes={"standard": ["standard: G.9 [exact] was a, is b"]})
    assert "1 recorded verdicts changed" in find(root, "legend").text
    assert "standard: G.9 [exact] was a, is b" in find(root, "legend").text


def test_every_table_lies_in_a_box_that_scrolls(mixed):
    tables = list(mixed.all("table"))
    assert len(tables) > 10
    for table in tables:
        assert any(node.attrs.get("class") == "scroll" for node in table.above())


def test_badges_of_one_cell_say_their_evidence(mixed):
    line = next(tr for tr in mixed.all("tr") if tr.text.startswith("G.8"))
    badges = [
        (a.text, a.attrs["title"]) for a in line.all("a") if "verdict" in a.attrs.get("class", "")
    ]
    assert badges == [("✓ exact", "holds, exact"), ("✗ sampled", "fails, sampled")] * 2
    assert {text[0] for text, _ in badges} <= set(MARKS.values())


def test_a_row_says_what_it_could_have_seen_and_by_how_much_its_controls_fail():
    root = page(entry("G.9", 1.0, mutant=2.04))
    row = find(root, "G.9-standard-exact")
    assert "Could have seen 0.001 beyond the bound" in row.text
    tables = [[[c.text for c in tr.children] for tr in t.all("tr")] for t in row.all("table")]
    compared = next(t for t in tables if t[0][0] == "Comparison")
    place = compared[0].index("could have seen")
    assert [line[place] for line in compared[1:]] == ["0.001", "0.25"]
    control = next(t for t in tables if t[0][0] == "Negative control")
    assert control[1:] == [["raised, exact", "fails", "40"]]
    assert "Fails narrowly: raised, exact, by 40 tolerances." in row.text


def test_the_summary_counts_rows_with_a_narrow_control_and_names_the_others():
    found = document(entry("G.8", 1.0, mutant=2.04), entry("G.9", 1.0, BOTH, mutant=9.0))
    facts = found["header"]["controls"]
    assert (facts["narrow"], facts["rows"]) == (2, 6)
    both = ["standard", "random-1"]
    assert facts["none"] == {"G.9 exact": both, "G.9 sampled": both}
    sentence = words_on_controls(facts)
    assert sentence == (
        "Rows with a negative control that fails within 100 tolerances: 2 of 6; "
        "none: G.9 exact, G.9 sampled."
    )
    assert sentence in report.render(found, "report.html.j2")
    assert sentence in report.render(found, "report.md.j2")


def test_a_kept_row_and_a_stored_measurement_are_told_apart_in_the_table():
    found = document(entry("G.8", 1.0), entry("G.9", 1.0))
    found["rows"][0]["origin"], found["rows"][1]["origin"] = Origin.KEPT, Origin.STORED
    table = find(Tree(report.render(found, "report.html.j2")).root, "verdicts")
    lines = list(next(table.all("tbody")).all("tr"))
    last = [list(line.all("td"))[-1].text.partition(" ")[2] for line in lines]
    assert last == ["kept", "stored measurement", "", ""]


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, tmp_path):
    for function in (find_drift, record):
        monkeypatch.setattr(function, "__defaults__", (tmp_path / "recorded",))

    def invoke(*entries):
        monkeypatch.setattr(registry, "load_claims", lambda _: list(entries))
        words = ["--random", "0", "--jobs", "1", "--out", str(tmp_path / "out")]
        return CliRunner().invoke(command.app, words)

    return invoke


def refuse(*arguments):
    raise FileError("an output file must be writable", "x (No space left on device)", "Free some.")


def test_on_a_full_disk_the_verdicts_are_printed_all_the_same(run, monkeypatch, tmp_path):
    with monkeypatch.context() as full:
        full.setattr(report, "write_text", refuse)
        found = run(entry("G.9", 2.5))
    assert found.exit_code == 2
    assert "fails" in found.output
    assert found.output.index("G.9") < found.output.index("No space left on device")
    again = run(entry("G.9", 2.5))
    assert (again.exit_code, "kept" in again.output) == (0, True)


def test_a_row_that_cannot_be_kept_costs_neither_the_others_nor_the_report(
    run, monkeypatch, tmp_path
):
    monkeypatch.setattr(store, "write_text", refuse)
    found = run(entry("G.8", 1.0), entry("G.9", 2.5))
    assert found.exit_code == 0
    assert "warning: 2 finished claims could not be kept" in found.output
    rows = json.loads((tmp_path / "out" / "verify.json").read_text(encoding="utf-8"))["rows"]
    assert [row["verdict"] for row in rows] == [Outcome.HOLDS, Outcome.FAILS]

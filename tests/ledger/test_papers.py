"""A paper is a folder: what stands in one is in the ledger and among the figures, unregistered."""

import re
import sys

import pytest

import verify.papers
from tests import toys
from verify.ledger import registry
from verify.ledger.runner import run_claim
from verify.report import figures

CLAIM = '''r"""{doc}"""

from verify.ledger.claim import Claim
from verify.ledger.sides import Side, Tolerance

CLAIM = Claim.from_docstring(__doc__, id="{id}", short="one and two", does_not_show="the rest")


@CLAIM.exact()
def one(case, value=1.0):
    yield Side("one", value, at_most=2.0, tolerance=Tolerance(rtol=1e-9))


CLAIM.must_fail(one, "three", value=3.0)
'''
FIGURE = """from verify.drawing.spec import FigureSpec

FIGURE = FigureSpec(("Q2",), "Figure 1", "Two", "", lambda case: {}, lambda result: None)
"""


@pytest.fixture
def paper(tmp_path, monkeypatch):
    folder = tmp_path / "newest_2711_00001"
    for room in ("claims", "figures"):
        (folder / room).mkdir(parents=True)
        (folder / room / "__init__.py").touch()
    header = "from verify.ledger.paper import Paper\n\nPAPER = Paper('Newest', place=9)\n"
    (folder / "__init__.py").write_text(header)
    for name in ("Q10", "Q2"):
        text = CLAIM.format(doc=toys.doc(), id=name)
        (folder / "claims" / f"{name.lower()}_toy.py").write_text(text)
    (folder / "figures" / "toy.py").write_text(FIGURE)
    monkeypatch.setattr(verify.papers, "__path__", [*verify.papers.__path__, str(tmp_path)])
    yield folder
    for name in [name for name in sys.modules if name.startswith(f"verify.papers.{folder.name}")]:
        del sys.modules[name]


def test_a_new_folder_brings_its_claims_and_figures_in_its_place(paper):
    entries = registry.load_claims()
    assert [entry.claim.id for entry in entries][-2:] == ["Q2", "Q10"]
    assert [spec.id for spec in figures.found()][-1] == "Q2"
    (row,) = run_claim(entries[-1], toys.case())
    assert (row.verdict, [c.verdict for c in row.mutants]) == ("holds", ["fails"])


def test_two_files_with_one_id_are_refused(paper):
    text = CLAIM.format(doc=toys.doc(), id="Q2")
    (paper / "claims" / "q2_again.py").write_text(text)
    with pytest.raises(registry.InputError, match="every claim has one file"):
        registry.load_claims()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("yield Side", "yield Sides", None),  # a fault of the row itself: its row says `error`
        ("short=", "shrot=", r"must be importable.*q10_toy\.py \(TypeError"),
        ('does_not_show="the rest"', "", r"must be importable.*q10_toy\.py .*does_not_show"),
        ("@CLAIM.exact()", "@CLAIM.exact", r"must be importable.*q10_toy\.py"),
        (
            "CLAIM = Claim",
            "raise SystemExit(0)\nCLAIM = Claim",
            r"must be importable.*q10_toy\.py \(SystemExit",
        ),
        ("value=3.0", "valeu=3.0", "changes keywords of one.*The function takes case, value"),
        ('CLAIM.must_fail(one, "three", value=3.0)', "", "ships a negative control"),
        ('short="one', 'derivation="derivations/nope.py", short="one', "names its derivation"),
        ("CLAIM.must_fail", "CLAIM.exact()(lambda case: ())\nCLAIM.must_fail", "one row on each"),
        (
            'must_fail(one, "three", value=3.0)',
            "must_fail_narrowly(one, 'all', 1.0, value=abs)",
            "has a place {}",
        ),
        ("CLAIM.must_fail(", "CLAIM.must_fail(one, 'three', value=4.0)\nCLAIM.must_fail(", "a new"),
    ],
)
def test_a_fault_in_a_claim_file_is_one_line_that_names_it(paper, old, new, said):
    path = paper / "claims" / "q10_toy.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    if said is None:
        (row,) = run_claim(registry.load_claims()[-1], toys.case())
        assert row.verdict == "error"
        return
    with pytest.raises(registry.InputError) as caught:
        registry.load_claims()
    assert re.search(said, str(caught.value)), caught.value


def test_a_paper_without_its_header_is_refused_and_one_without_figures_is_not(paper):
    (paper / "figures" / "toy.py").unlink()
    (paper / "figures" / "__init__.py").unlink()
    (paper / "figures").rmdir()
    assert list(figures.found())
    (paper / "__init__.py").write_text("")
    for name in [name for name in sys.modules if name.startswith(f"verify.papers.{paper.name}")]:
        del sys.modules[name]
    with pytest.raises(registry.InputError, match="defines PAPER"):
        registry.load_claims()


def test_the_page_on_claims_can_be_followed_to_the_letter(paper):
    page = (registry.ROOT / "docs" / "your_claim.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (paper / "claims" / "x_99_tail.py").write_text(code, encoding="utf-8")
    (entry,) = registry.select(registry.load_claims(), ["X99"])
    (row,) = run_claim(entry, toys.case())
    assert (row.verdict, [c.verdict for c in row.mutants]) == ("holds", ["fails"])

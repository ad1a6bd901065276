"""A paper is a folder: what stands in one is in the ledger and among the figures, unregistered."""

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

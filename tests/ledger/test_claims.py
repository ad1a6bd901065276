"""How findings become verdicts, and what a claim's docstring must say. A paper is a folder: what
stands in one is in the ledger and among the figures, unregistered.
"""

import json
import re
import sys

import numpy as np
import pytest

import verify.papers
from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import InputError
from mixdyn.support.numbers import (
    Log10,
    dump_json,
    number_from_log,
    plain,
    read_number,
    show_number,
)
from tests import toys
from verify.ledger import registry
from verify.ledger.case import Case, Profile
from verify.ledger.claim import PARTS, parse_docstring, parse_hypotheses
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Equality, Outcome, Upper, compare
from verify.ledger.runner import run_claim
from verify.ledger.sources import ROOT
from verify.ledger.verdict import Basis, Finding, Hypothesis, Verdict
from verify.report import figures

# -- findings and docstrings ----------------------------------------------------------------------


DOC = toys.doc()
CONTRACT = {
    *("id", "case", "title", "statement", "source", "verdict", "basis", "relation", "measured"),
    *("bound", "truth", "sharper_bound", "tightness", "hypotheses", "applicable_share"),
    *("nonvacuous_share", "n", "seed", "interval", "seconds", "witness", "figure", "derivation"),
    *("mutants", "model", "origin", "does_not_show"),
}


@pytest.fixture
def claim():
    return toys.claim()


@pytest.fixture
def case():
    return toys.case()


def holding(value=1.0):
    return compare("x", Upper(atol=1e-9), value, 2.0)


def test_a_row_has_every_key_of_the_contract_and_is_strict_json(claim, case):
    row = claim.judge(case, Finding([holding(np.inf)], witness=lambda c: {"at": np.pi})).as_row()
    assert set(row) >= CONTRACT
    text = json.dumps(row, allow_nan=False)
    assert json.loads(text)["measured"] is None


def test_the_verdict_is_the_worst_comparison_and_the_row_shows_it(claim, case):
    bad = compare("bad", Upper(atol=1e-9), 3.0, 2.0)
    unknown = compare("unknown", Equality(atol=1.0), np.nan, 1.0)
    for order in ([holding(), bad, unknown], [unknown, holding(), bad]):
        verdict = claim.judge(case, Finding(order))
        assert (verdict.verdict, verdict.quantity) == (Outcome.FAILS, "bad")
    assert claim.judge(case, Finding([holding(), unknown])).verdict is Outcome.INCONCLUSIVE


def test_true_but_empty_is_vacuous_and_false_stays_false(claim, case):
    assert claim.judge(case, Finding([holding()], nonvacuous_share=0.0)).verdict is Outcome.VACUOUS
    assert claim.judge(case, Finding([holding(3.0)], nonvacuous_share=0.0)).verdict is Outcome.FAILS


def test_a_claim_whose_hypotheses_never_hold_is_not_applicable(claim, case):
    never = Hypothesis.from_slack("small", np.array([-1.0, -3.0]))
    verdict = claim.judge(case, Finding([holding()], hypotheses=[never]))
    assert (verdict.verdict, verdict.measured) == (Outcome.NOT_APPLICABLE, None)
    assert (never.held_share, never.worst_gap) == (0.0, 3.0)
    assert "small on 0 %" in verdict.note


def test_a_hypothesis_that_the_docstring_does_not_state_is_refused(claim, case):
    with pytest.raises(InputError, match="docstring"):
        claim.judge(case, Finding([holding()], hypotheses=[Hypothesis("secret", 1.0)]))


def test_the_docstring_is_parsed_into_its_parts():
    parts = parse_docstring(DOC)
    assert tuple(parts) == ("Title", *PARTS)
    assert parts["Title"] == "A toy"
    assert parse_hypotheses(parts["Hypotheses"]) == {
        "small": "it is small.",
        "round_one": "it is round.",
    }


@pytest.mark.parametrize(
    "doc",
    [
        DOC.replace("Measured: one.\n", ""),
        DOC.replace("Measured: one.", "Measured:"),
        DOC.replace("Measured: one.\nPredicted: two.", "Predicted: two.\nMeasured: one."),
        DOC.replace("Evidence", "Measured"),
        DOC.replace("v1, Lemma G.1", ""),
        "",
    ],
)
def test_a_docstring_with_a_part_missing_doubled_or_out_of_order_is_refused(doc):
    with pytest.raises(InputError):
        parse_docstring(doc)


def test_obstacles_name_the_modes_and_the_sigmas(case):
    needy = toys.claim(needs=(modes(3), one_sigma))
    assert "3 or more" in needy.obstacle(case.mixture)
    uneven = GaussianMixture([[0.0], [1.0], [2.0]], [0.1, 0.2, 0.1])
    assert "0.1 to 0.2" in needy.obstacle(uneven)
    assert needy.obstacle(presets.line()) is None


@pytest.mark.parametrize(
    ("means", "sigma", "digits"),
    [
        ([[1000.0], [1002.0]], 1e-8, "4.9 of the 7"),
        ([[0.0, 1e9], [1.0, 0.0]], 1e-8, "0.0 of the 7"),
    ],
)
def test_no_claim_is_judged_on_coordinates_rounded_by_more_than_its_digits(
    claim, means, sigma, digits
):
    far = GaussianMixture(means, sigma)
    assert f"{digits} digits" in claim.obstacle(far)
    assert "move the origin" in claim.obstacle(far)
    near = GaussianMixture([[-1.0], [1.0]], 1e-8)  # the same modes, seen from between them
    for mixture in (near, presets.grid(), presets.farthest_point(64), presets.line(sigma=1e-5)):
        assert claim.obstacle(mixture) is None


def test_a_claim_about_pairs_names_the_modes_that_share_a_mean(claim):
    twice = GaussianMixture([[1.0], [0.0], [2.0], [0.0]], [0.1, 0.1, 0.1, 0.2])
    pairs = toys.claim(needs=(modes(2),))
    assert "modes 1 and 3 share one mean" in pairs.obstacle(twice)
    assert claim.obstacle(twice) is None


def test_streams_differ_by_use_and_seed_but_not_by_order(case):
    other = Case("toy", case.mixture, case.schedule, seed=1)
    assert case.stream("a") == Case("toy", case.mixture, case.schedule).stream("a")
    assert len({case.stream("a"), case.stream("b"), other.stream("a")}) == 3


def test_the_profile_changes_sizes_and_the_digest_ignores_it(case):
    full = Case("toy", case.mixture, case.schedule, profile=Profile.FULL)
    assert (case.pick(1, 2), full.pick(1, 2)) == (1, 2)
    assert case.digest == full.digest
    assert case.digest != Case("toy", presets.line(), case.schedule).digest


def test_numbers_beyond_double_range_keep_their_exponent():
    row = plain({"bound": Log10(-1042.3), "big": Log10(400.0), "nan": float("nan")})
    assert row == {
        "bound": 0.0,
        "log10_bound": -1042.3,
        "big": None,
        "log10_big": 400.0,
        "nan": None,
    }
    assert read_number(row, "bound") == Log10(-1042.3)
    assert show_number(Log10(-1042.3)) == "5.01e-1043"
    assert show_number(Log10(-3.0)) == "0.001"
    assert json.loads(dump_json({"x": np.arange(3)})) == {"x": [0, 1, 2]}


@pytest.mark.parametrize("entry", registry.load_claims(), ids=lambda e: e.claim.id)
def test_every_claim_file_states_its_result_and_typesets(entry):
    from verify.report.typeset import to_markup

    doc = entry.claim.doc
    for part in ("Title", "Statement", "Measured", "Predicted", "Evidence"):
        assert doc[part].count("$") % 2 == 0, f"unbalanced $ in {part}"
        assert "$" not in to_markup(doc[part])
    assert parse_hypotheses(doc["Hypotheses"]) or doc["Hypotheses"].startswith("none")
    assert len(entry.claim.does_not_show) > 20
    name = re.sub(r"[^a-z0-9]", "", entry.claim.id.lower().replace("'", "prime"))
    assert entry.path.stem.replace("_", "").startswith(name), "the file is named after the claim"
    if entry.claim.derivation is not None:
        assert (ROOT / entry.claim.derivation).is_file()


def test_a_verdict_is_frozen():
    verdict = Verdict("G.9", "toy", "", "", "", Outcome.HOLDS, Basis.EXACT)
    with pytest.raises(AttributeError):
        verdict.verdict = Outcome.FAILS


def stored(values):
    """What a reader of the strict JSON text finds."""
    return json.loads(dump_json(values))


def test_a_list_with_a_number_beyond_doubles_stores_its_exponents():
    row = stored({"interval": [Log10(-400.0), 0.5], "near": [0.25, 0.5]})
    assert row["interval"] == [0.0, 0.5]
    assert row["log10_interval"] == [-400.0, None]
    assert "log10_near" not in row
    deep = stored({"witness": {"sizes": ((Log10(-500.0),), [1.0])}})
    assert deep["witness"]["log10_sizes"] == [[-500.0], None]


@pytest.mark.parametrize("log_value", [-5000.0, -745.2, -720.0, 720.0, 5000.0])
def test_what_comes_from_a_logarithm_never_underflows_without_its_exponent(log_value):
    row = stored({"value": number_from_log(log_value)})
    assert row["log10_value"] == pytest.approx(log_value / np.log(10.0))
    assert number_from_log(-10.0) == np.exp(-10.0)
    assert number_from_log(-np.inf) == 0.0


KEYS = ("measured", "bound", "truth", "sharper_bound", "tightness", "value", "interval")


def zeros_without_exponent(row, path=""):
    """Where a row of JSON data has a 0.0 (or null for an infinity) under a key that is a measured
    number, without the exponent beside it."""
    if isinstance(row, list):
        return [
            z for k, item in enumerate(row) for z in zeros_without_exponent(item, f"{path}[{k}]")
        ]
    if not isinstance(row, dict):
        return []
    here = [
        f"{path}/{key}"
        for key in KEYS
        if row.get(key) == 0.0 and not isinstance(row[key], bool) and f"log10_{key}" not in row
    ]
    deeper = [z for key, item in row.items() for z in zeros_without_exponent(item, f"{path}/{key}")]
    return here + deeper


def test_the_paper_trap_a_thousand_sigma_deep_is_stored_without_an_underflow(ledger):
    case = Case("deep", GaussianMixture([[0.0], [1.0], [3.0]], 1e-3), NoiseSchedule.linear())
    (found,) = ledger.rows("P4.7 (2)", case, controls=False).values()
    row = json.loads(dump_json(found.as_row()))
    assert row["log10_bound"] < -1000.0
    assert row["log10_tightness"] < -1000.0
    left = zeros_without_exponent(row)
    assert not left


def test_a_row_cannot_apply_more_often_than_the_hypothesis_that_held_least_often(claim, case):
    asked = [Hypothesis("small", 0.5), Hypothesis("round_one", 0.024)]
    for share in (1.0, 0.5, 0.025):
        with pytest.raises(InputError, match="held least often"):
            Finding(comparisons=[holding()], hypotheses=asked, applicable_share=share)
    together = Finding(comparisons=[holding()], hypotheses=asked, applicable_share=0.01)
    assert claim.judge(case, together).applicable_share == 0.01
    without = Finding(comparisons=[holding()], hypotheses=asked)
    assert claim.judge(case, without).applicable_share == 0.024
    rounded = [Hypothesis("small", 0.3)]
    Finding(comparisons=[holding()], hypotheses=rounded, applicable_share=0.1 + 0.2)


# -- papers ----------------------------------------------------------------------------------------


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
        text = CLAIM.format(doc=toys.doc(Hypotheses="none."), id=name)
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

"""Every derivation closes exactly, wrong variants are rejected for a reason, stored outcomes count
for their sources and SymPy alone, and a constant changed by 1 % is noticed (all: tests.mutants).
"""

import ast
import dataclasses
import shutil
import subprocess
import sys

import mpmath
import pytest
import sympy as sp
from sympy.core.function import UndefinedFunction

from derivations import __main__ as command
from derivations import catalogue, document, stored
from derivations.algebra.chain import Chain, Gap, Growth, Same
from derivations.algebra.rewriting import EXPAND, RATIONAL
from tests.derivations.sampling import evaluate, written_out
from tests.mutants import sites
from tests.mutants.exempt import EXEMPT

pytestmark = pytest.mark.slow


NAMES = catalogue.names()


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_the_derivation_has_residual_exactly_zero(name):
    derivation = catalogue.load(name)
    assert derivation.residual() == 0
    assert isinstance(derivation.residual(), sp.Integer)


@pytest.mark.parametrize("name", NAMES)
def test_no_wrong_variant_closes_and_each_is_false_at_its_witness(name):
    derivation = catalogue.load(name)
    assert derivation.proof.wrong, "a derivation ships at least one wrong variant"
    for wrong in derivation.proof.wrong:
        assert wrong.chain.residual() != 0
        values = {k: _table(v) for k, v in wrong.witness.items()}
        constant = {k: v for k, v in values.items() if isinstance(k, UndefinedFunction)}
        numbers = {k: v for k, v in values.items() if k not in constant}
        start, end = (
            evaluate(_with_constants(side, constant), numbers) for side in written_out(wrong.chain)
        )
        scale = max(abs(start), abs(end))
        if wrong.chain.relation == "=":
            assert abs(start - end) > 1e-3 * scale
        else:
            assert start - end > 1e-4 * scale


def _with_constants(expr, constant):
    """The expression with undefined functions that are constant."""
    for function, value in constant.items():
        expr = expr.replace(function, lambda *_, value=value: sp.Float(value)).doit()
    return expr


def _table(value):
    if isinstance(value, list):
        return mpmath.matrix(value)
    return value if isinstance(value, int) else mpmath.mpf(value)


@pytest.mark.parametrize("name", NAMES)
def test_no_link_compares_an_expression_with_itself(name):
    for chain in catalogue.load(name).proof.chains:
        assert chain.links, "a chain without links states nothing"
        source = chain.start
        for link in chain.links:
            assert source != link.target
            source = link.target


@pytest.mark.parametrize("name", NAMES)
def test_what_a_derivation_exports_says_what_it_proves(name):
    derivation = catalogue.load(name)
    assert len(derivation.statement) == len(derivation.proof.chains)
    for relation, chain in zip(derivation.statement, derivation.proof.chains, strict=True):
        assert relation.lhs == chain.start
        assert relation.rhs == chain.end
    assert derivation.title
    assert derivation.prose
    assert derivation.latex
    assert derivation.general
    assert derivation.source


def test_the_catalogue_lists_every_derivation_once_and_ids_are_unique():
    files = [p.stem for p in stored.FOLDER.glob("*/[a-z]*.py") if p.parent.name != "algebra"]
    assert sorted(files) == sorted(NAMES)
    ids = [i for name in NAMES for i in (catalogue.load(name).id, *catalogue.load(name).also)]
    assert len(set(ids)) == len(ids)
    assert [catalogue.find(catalogue.load(name).id) for name in NAMES] == list(NAMES)
    assert catalogue.find("x2") == "tube"


@pytest.mark.parametrize("name", NAMES)
def test_a_derivation_imports_sympy_and_its_siblings_alone(name):
    for path in stored.sources(name):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            else:
                continue
            for module in modules:
                top = module.partition(".")[0]
                assert top in {"sympy", "mpmath"} or top in sys.stdlib_module_names


def test_a_derivation_comes_after_those_it_uses():
    place = {name: k for k, name in enumerate(NAMES)}
    for name in NAMES:
        used = {p.stem for p in stored.sources(name)} & set(NAMES) - {name}
        assert all(place[other] < place[name] for other in used), name


# -- the checks themselves can fail --------------------------------------------------------------

X = sp.Symbol("x", real=True)
P = sp.Symbol("p", nonnegative=True)


def test_a_chain_with_a_false_equality_does_not_close():
    assert Chain("", (X + 1) ** 2).equals(X**2 + 1, EXPAND, "").residual() != 0


def test_a_true_inequality_with_a_gap_of_unknown_sign_does_not_close():
    right = Chain("", 2 * X).at_most(X**2 + 1, (X - 1) ** 2, EXPAND, "")
    assert right.residual() == 0
    assert Chain("", X - 1).at_most(X, sp.S.One + 0 * X, EXPAND, "").residual() == 0
    assert Chain("", sp.S.Zero).at_most(X, X, EXPAND, "").residual() != 0


def test_growth_needs_the_value_at_the_origin_and_the_slope():
    def claim(start, slope, origin=sp.S.Zero):
        growth = Growth(P, origin, P, Gap(slope, RATIONAL), RATIONAL)
        return Chain("", start).at_most_growing(sp.exp(P), growth, "").residual()

    assert claim(sp.S.One, sp.exp(P)) == 0
    assert claim(2 * sp.S.One, sp.exp(P)) != 0  # false at the origin
    assert claim(sp.S.One + P, sp.exp(P)) != 0  # the slope is not what was given


def test_a_chain_is_an_inequality_once_one_link_is():
    chain = Chain("", X).equals(X + 0 * X + 0, EXPAND, "").at_most(X + 1, sp.S.One, EXPAND, "")
    assert chain.relation == "<="
    assert isinstance(chain.links[0].evidence, Same)


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_outcome_is_current_and_closed(name):
    outcome = stored.lookup(name)
    assert outcome is not None, "run python -m derivations --record"
    assert outcome.closed
    assert outcome.rejected >= 1
    assert stored.has_closed(name)


def test_nothing_is_recorded_for_a_derivation_that_is_gone():
    assert set(stored.read()) == set(NAMES)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    folder = tmp_path / "derivations"
    shutil.copytree(stored.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(stored, "FOLDER", folder)
    monkeypatch.setattr(stored, "RECORD", folder / "recorded.json")
    return folder


@pytest.mark.parametrize(
    "changed", ["segment/tube_invariance", "segment/gronwall", "algebra/chain", "algebra/sums"]
)
def test_an_edit_of_the_file_or_of_what_it_imports_voids_the_outcome(copied, changed):
    assert stored.has_closed("tube_invariance")
    path = copied / f"{changed}.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert stored.lookup("tube_invariance") is None
    assert not stored.has_closed("tube_invariance")


def test_an_edit_of_an_unrelated_derivation_voids_nothing_else(copied):
    path = copied / "errors/rectangle.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert stored.lookup("rectangle") is None
    assert stored.has_closed("tube_invariance")


def test_another_version_of_sympy_voids_the_outcome(copied, monkeypatch):
    monkeypatch.setattr(stored, "sympy_version", lambda: "0.0")
    assert stored.lookup("tube") is None


def test_an_open_derivation_has_not_closed(copied):
    rows = stored.read()
    rows["tube"] = dataclasses.replace(rows["tube"], closed=False)
    stored.write(rows)
    assert stored.read() == rows
    assert stored.lookup("tube") is not None
    assert not stored.has_closed("tube")


def test_reading_outcomes_does_not_import_sympy():
    code = "import sys; from derivations import stored; stored.has_closed('tube');"
    code += " sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=stored.FOLDER.parent).returncode == 0


# -- command and document ------------------------------------------------------------------------


def test_the_command_prints_a_derivation_found_by_id_or_name(capsys):
    assert command.main(["T4.2"]) == 0
    by_id = capsys.readouterr().out
    assert command.main(["tube.py"]) == 0
    by_name = capsys.readouterr().out
    assert "Convergence to the tube" in by_id
    assert by_id.splitlines()[:-1] == by_name.splitlines()[:-1]


def test_an_unknown_name_ends_with_status_two_and_the_known_names(capsys):
    assert command.main(["T9.9"]) == 2
    error = capsys.readouterr().err
    assert "'T9.9'" in error
    assert "tube" in error


@pytest.fixture(scope="module")
def outcomes():
    return stored.read()


def test_the_markdown_document_holds_every_derivation_in_order(outcomes):
    text = document.markdown(outcomes)
    places = [text.index(f"### {catalogue.load(n).id} · {catalogue.load(n).title}") for n in NAMES]
    assert places == sorted(places)
    for chapter in catalogue.chapters():
        assert chapter.title in text
    assert text.count("$$") % 2 == 0
    assert "DOES NOT CLOSE" not in text


def test_the_html_document_is_self_contained_and_typeset(outcomes, tmp_path):
    paths = document.write(tmp_path / "out", outcomes)
    page = next(p for p in paths if p.suffix == ".html").read_text()
    assert page.count("<math") > 500
    for reference in ("src=", "@import", "url(", "<script", "<link"):
        assert reference not in page
    for name in NAMES:
        assert f'id="{name}"' in page
        assert f'href="#{name}"' in page
    assert "$" not in page
    assert "\\frac" not in page


def test_an_open_derivation_is_shown_as_open(outcomes):
    broken = {**outcomes, "tube": dataclasses.replace(outcomes["tube"], closed=False, residual="R")}
    assert "DOES NOT CLOSE, residual R" in document.markdown(broken)
    assert "<b>NO</b>" in document.page(broken)


ROOT = stored.FOLDER.parent


def test_ten_mutants_spread_over_the_formulas_are_all_noticed():
    command = [sys.executable, "-m", "tests.mutants", "--count", "10"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "10 of 10 mutants noticed" in run.stdout


def test_no_exemption_is_stale_or_without_a_reason():
    keys = {site.key for site in sites.all_sites()}
    assert set(EXEMPT) <= keys
    assert all(EXEMPT.values())
    exempt = [site for site in sites.all_sites() if site.key in EXEMPT]
    assert len(exempt) < len(sites.all_sites()) / 2


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(x):\n    return 6.0 * x / 8\n", [6.0, 8.0]),
        ("def f(x):\n    return x[1:, 0].sum(axis=1)\n", []),
        ("TOLERANCE = 1e-9\n", []),
        ("LOG = 0.5 * math.log(2.0)\n", [0.5, 2.0]),
        ("def f(x):\n    return g(-0.25, power=2)\n", [0.25]),
        ("def f(x, n=3):\n    for _ in range(200):\n        x = x**2\n", [2.0]),
        ("def f(k):\n    return k > 4.0\n", [4.0]),
        ("def f(n):\n    return 2.0 / math.factorial(2 * n + 1)\n", [2.0]),
        ("def f(x):\n    return g(len(x) - 2, 2 * math.ceil(x) + 1, 2.0 * x)\n", [2.0]),
    ],
)
def test_constants_of_formulas_are_told_from_structure(tmp_path, monkeypatch, source, found):
    path = tmp_path / "m.py"
    path.write_text(source)
    monkeypatch.setattr(sites, "ROOT", tmp_path)
    assert [site.value for site in sites.sites(path)] == found


def test_every_formula_module_is_searched():
    searched = {path.relative_to(ROOT).as_posix() for path in sites.files()}
    assert {
        "mixdyn/geometry/dynamics.py",
        "mixdyn/geometry/dominance_times.py",
        "mixdyn/bounds/tube.py",
    } <= searched
    assert {f"mixdyn/oracles/{n}.py" for n in ("flow", "reverse", "linear")} <= searched

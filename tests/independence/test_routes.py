"""The routes to the truth share nothing: closed forms and bounds import no engine, and the symbolic
route agrees with the doubles and covers every formula.
"""

import ast
import types
from pathlib import Path

import pytest

import mixdyn
from mixdyn import bounds, crossings, dynamics, oracles
from tests.derivations import compare_bounds, compare_engine, compare_oracles

# -- sources ---------------------------------------------------------------------------------------


ROOT = Path(mixdyn.__file__).parent
FORBIDDEN_ATTRIBUTES = {
    "score", "responsibilities", "log_density", "score_jacobian", "diffused", "product_axes",
    "sample", "_axes", "pointwise", "at_level",
}  # fmt: skip
DYNAMIC = {"getattr", "__import__", "exec", "eval", "vars"}
ALLOWED_SIBLINGS = {"mixdyn.support.errors", "mixdyn.support.checks", "mixdyn.problem.checks"}
TOP_LEVEL = {"numpy", "numpy.typing", "scipy.special"}
LAZY = {"scipy.stats", "scipy.optimize", "scipy.integrate", "scipy.interpolate", "flint"}


def _package_files(package: str) -> list[Path]:
    files = [*ROOT.glob(f"{package}.py"), *(ROOT / package).glob("**/*.py")]
    return sorted(files)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    prefix = "." * node.level + (node.module or "")
    if prefix in ("scipy", "..", "mixdyn"):
        return [f"{prefix}{'' if prefix == '..' else '.'}{alias.name}" for alias in node.names]
    return [prefix]


def violations(source: str) -> list[str]:
    """Every forbidden attribute and import in the source of an oracle or a bound."""
    tree = ast.parse(source)
    found = []
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Attribute) and statement.attr in FORBIDDEN_ATTRIBUTES:
            found.append(f".{statement.attr}")
        if isinstance(statement, ast.Name) and statement.id in DYNAMIC:
            found.append(statement.id)
    typing_only = {
        inner
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    top = set(tree.body)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom) or node in typing_only:
            continue
        found += [name for name in _imported(node) if not _allowed(name, node in top)]
    return found


def _allowed(name: str, top_level: bool) -> bool:
    if name.startswith("mixdyn"):
        return name in ALLOWED_SIBLINGS
    if name.startswith("."):
        return not name.startswith("..")
    if any(name == lazy or name.startswith(lazy + ".") for lazy in LAZY):
        return not top_level
    standard = {"__future__", "typing", "dataclasses", "math", "itertools", "functools"}
    return name in TOP_LEVEL | standard or name == "collections.abc"


@pytest.mark.parametrize("package", ["oracles", "bounds"])
def test_closed_forms_read_only_data_and_import_only_errors_and_validation(package):
    files = _package_files(package)
    assert files, f"no source found for {package}"
    assert {str(f): violations(f.read_text()) for f in files} == {str(f): [] for f in files}


@pytest.mark.parametrize("package", ["oracles", "bounds"])
def test_relative_imports_stay_inside_their_own_package(package):
    for file in _package_files(package):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                assert (ROOT / package / f"{node.module}.py").exists()


@pytest.mark.parametrize(
    "source",
    [
        "mixture.score(x)",
        "y = f(mixture.diffused(0.5))",
        "from ..kernels import score",
        "from .. import bounds",
        "from ..errors import InputError\nfrom mixdyn import bounds",
        "from mixdyn import GaussianMixture",
        "from ..bounds import growth_exponent",
        "from mixdyn.geometry.dynamics import mean_field",
        "import mixdyn.score",
        "from scipy import stats",
        "from scipy.optimize import brentq",
        "import flint",
        "getattr(mixture, 'sc' + 'ore')(x)",
        "def f():\n    from ..samplers import sample",
    ],
)
def test_the_import_check_sees_each_kind_of_violation(source):
    assert violations(source)


def test_the_import_check_lets_allowed_sources_pass():
    source = (
        "from mixdyn.support.errors import InputError\n"
        "from mixdyn.support.checks import check_points\n"
        "from scipy.special import erf\nfrom .inputs import real\n"
        "def f(mixture):\n    from scipy.optimize import brentq\n    import flint\n"
        "    return mixture.means, mixture.sigma, mixture.weights, mixture.N, mixture.d"
    )
    assert violations(source) == []


# -- derivations -----------------------------------------------------------------------------------


COMPARISONS = [
    comparison
    for module in (compare_bounds, compare_oracles, compare_engine)
    for comparison in module.COMPARISONS
]
# Public names that carry no formula of their own.
NO_FORMULA = {
    "NEVER",  # a marker
    "steps_left",  # counts nodes of a grid
    "times_of",  # looks for nodes of a grid
    "Trap",  # the record of trap_radius
    "PaperTrap",  # the record of paper_trap
    "SaddleBox",  # the record of saddle_box
    "LevelError",  # the record of first_order_levels
    # Quadratures: tests/oracles/test_chain_law.py holds them against others and against runs.
    *("AxisLaw", "chain_law", "log_away_probability", "log_gap_probability"),
    "log_middle_probability",
    # Quadratures: tests/score/test_information.py and test_best_grid.py hold them against others.
    *("channel_mmse", "channel_nats", "grid_price"),
}


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda c: c.__name__)
def test_doubles_agree_with_the_derived_formula_at_fifty_digits(comparison):
    comparison()


@pytest.mark.parametrize("module", [bounds, oracles, dynamics, crossings], ids=lambda m: m.__name__)
def test_every_public_formula_is_compared_with_its_derivation(module):
    covered = {function for comparison in COMPARISONS for function in comparison.covers}
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    public = {name: getattr(module, name) for name in names if name not in NO_FORMULA}
    assert public
    missing = [
        name
        for name, value in public.items()
        if not isinstance(value, types.ModuleType) and value not in covered
    ]
    assert not missing, f"no derivation is compared with {missing}"


def test_no_two_comparisons_share_a_name():
    names = [comparison.__name__ for comparison in COMPARISONS]
    assert len(set(names)) == len(names)

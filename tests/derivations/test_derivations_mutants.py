"""A constant of a formula changed by 1 % does not stay unnoticed; all mutants: tests.mutants."""

import subprocess
import sys

import pytest

from derivations import stored
from tests.mutants import sites
from tests.mutants.exempt import EXEMPT

pytestmark = pytest.mark.slow
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

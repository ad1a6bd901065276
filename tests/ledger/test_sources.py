"""What a row or a result depends on is what its file imports, found without any list."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from verify.data.saved import RESULTS, code_of, words_on_code
from verify.ledger.sources import ROOT, digest_of, packages_of, sources_of
from verify.measure import retraining
from verify.report.figures import FIGURES

PLACES = {
    path.stem: path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "verify/papers").glob("*/claims/[a-z]*.py"))
}
CLAIMS = list(PLACES)
# What figures draw, by the file that measures it; one that reads shipped data stores nothing.
MEASURED = {
    measured.source.stem: measured.source.relative_to(ROOT)
    for measured in (getattr(spec.measure, "func", spec.measure) for spec in FIGURES.values())
    if hasattr(measured, "source")
}
LEARNED = {"f_1_gap", "f_5_learned_radius", "x_11_insurance", "rate_sweeps", "hal_paths"}
EXACT = {"g_1_marginal", "g_5_chi_square", "x_5_two_mode_bound", "t_4_2_tube", "x_9_orders"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of everything that can matter; every test leaves it as it was."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("mixdyn", "verify", "derivations"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    return folder


def digests(tree):
    """Of every claim's rows and of every measurement for a figure."""
    judges = [tree / f"verify/ledger/{name}.py" for name in ("runner", "rows")]
    claims = {n: digest_of(tree / PLACES[n], *judges, root=tree) for n in CLAIMS}
    return claims | {n: digest_of(tree / path, root=tree) for n, path in MEASURED.items()}


def edit(path):
    with path.open("ab") as handle:
        handle.write(b"\n# another state\n")


def changed_by(tree, path):
    before, content = digests(tree), (tree / path).read_bytes()
    edit(tree / path)
    after = digests(tree)
    (tree / path).write_bytes(content)
    return {name for name in before if before[name] != after[name]}


def test_no_two_files_depend_on_the_same(tree):
    found = digests(tree)
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(
    ("path", "stale"),
    [
        (PLACES["g_5_chi_square"], {"g_5_chi_square"}),
        ("verify/measure/midpoint/basin.py", {"basin", "weights"}),
        (
            "verify/measure/interpolation/detector.py",
            {"m_5_detector", "hal_paths", "hal_populations"},
        ),
        *((f"verify/ledger/{n}.py", set(CLAIMS)) for n in ("runner", "rows", "controls")),
        ("mixdyn/support/errors.py", {*CLAIMS, *MEASURED}),
        ("mixdyn/cli/main.py", set()),
        ("verify/data/checkpoints/README.md", set()),
        *((f"verify/report/{name}.py", set()) for name in ("document", "graph", "screen")),
        *((f"verify/ledger/{name}.py", set()) for name in ("store", "registry", "recorded")),
        ("verify/search/adversary.py", set()),
        ("verify/__main__.py", set()),
        ("verify/drawing/style.py", set()),
        ("verify/papers/ddim_hallucinates_2605_06831/figures/radius.py", set()),
        ("derivations/recorded.json", set()),
    ],
)
def test_editing_a_file_makes_exactly_what_imports_it_stale(tree, path, stale):
    assert changed_by(tree, path) == stale


@pytest.mark.parametrize(
    ("path", "stale"),
    [
        (
            "verify/measure/networks/visits.py",
            {"radius_sweep", "visit_windows", "e_11_visit_window"},
        ),
        ("verify/ledger/claim.py", set(CLAIMS)),
        ("verify/ledger/case.py", {*CLAIMS, *MEASURED}),
        ("verify/measure/measurement.py", {"f_3_steps", *MEASURED}),
        ("mixdyn/learned/networks.py", LEARNED),
        ("mixdyn/learned/adapter.py", LEARNED),
        ("verify/data/checkpoints/grid-reduced-0.safetensors", LEARNED),
        ("verify/data/saved/detector.json", {"m_5_detector", "hal_populations"}),
        ("mixdyn/kernels/rollouts.py", {"g_1_marginal", "f_1_gap", "rate_sweeps"}),
    ],
)
def test_editing_a_file_makes_stale_what_rests_on_it_several_imports_away(tree, path, stale):
    found = changed_by(tree, path)
    assert stale <= found
    if not path.startswith("verify/ledger") and "kernels" not in path:
        assert not EXACT & found


def test_a_new_module_is_followed_with_nothing_registered(tree):
    claim, new = tree / PLACES["g_5_chi_square"], tree / "verify" / "new_measure.py"
    before = claim.read_bytes()
    new.write_text("VALUE = 1\n", encoding="utf-8")
    assert new not in sources_of(claim, root=tree)
    with claim.open("a", encoding="utf-8") as handle:
        handle.write(
            "\n\ndef more():\n    from verify.new_measure import VALUE\n\n    return VALUE\n"
        )
    assert new in sources_of(claim, root=tree)
    assert changed_by(tree, "verify/new_measure.py") == {"g_5_chi_square"}
    claim.write_bytes(before)
    new.unlink()


def test_a_class_that_its_package_finds_is_followed_to_its_own_file(tree):
    sources = sources_of(tree / PLACES["x_4_budget"], root=tree)  # mixdyn.samplers.DDIM
    assert tree / "mixdyn/samplers/ddim.py" in sources
    assert tree / "mixdyn/samplers/adaptive.py" not in sources
    user = tree / "verify/uses_it.py"
    user.write_text("import mixdyn\n\nVALUE = mixdyn.AdaptiveNoise\n", encoding="utf-8")
    assert tree / "mixdyn/samplers/adaptive.py" in sources_of(user, root=tree)
    user.unlink()


def test_a_module_that_its_package_finds_is_followed_too(tree):
    claim, new = tree / PLACES["g_1_marginal"], tree / "mixdyn/score/routes/new_route.py"
    assert tree / "mixdyn/score/routes/general.py" in sources_of(claim, root=tree)
    new.write_text("VALUE = 1\n", encoding="utf-8")
    assert new in sources_of(claim, root=tree)
    new.unlink()


IMPORTED = """
import importlib, json, os, sys
from pathlib import Path
root, found = Path(sys.argv[1]), {}
packages = {"mixdyn", "verify", "derivations"}  # and no environment that lies below the root
sys.path.insert(0, str(root))
for name in sys.argv[2:]:
    end, start = os.pipe()
    if not (child := os.fork()):
        importlib.import_module(name.removesuffix(".py").replace("/", "."))
        files = {Path(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", 0)}
        below = [f.relative_to(root) for f in files if f.is_relative_to(root)]
        ours = sorted(str(f) for f in below if f.parts[0] in packages)
        os.write(start, json.dumps(ours).encode())
        os._exit(0)
    os.waitpid(child, 0)
    found[name] = json.loads(os.read(end, 60_000))
print(json.dumps(found))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_python_really_loads_for_a_claim_is_among_its_sources():
    names = ["g_1_marginal", "p_5_1_midpoint", "f_5_learned_radius", "x_11_insurance"]
    places = [PLACES[name] for name in names]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(ROOT), *places],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    for place, loaded in json.loads(done.stdout).items():
        sources = {source.relative_to(ROOT).as_posix() for source in sources_of(ROOT / place)}
        assert place in loaded
        assert set(loaded) <= sources


def test_a_stored_measurement_says_what_has_changed_since_it_was_made(tree):
    about = {"code": code_of(tree / "verify/measure/interpolation/detector.py", root=tree)}
    assert "verify/measure/interpolation/detector.py" in about["code"]
    assert "verify/data/checkpoints/modes-grid-0.safetensors" in about["code"]
    assert "verify/data/saved/detector.json" not in about["code"]  # what it writes
    assert words_on_code(about, tree) == ""
    path = tree / "mixdyn" / "samplers" / "ddim.py"
    content = path.read_bytes()
    edit(path)
    assert f"1 of the {len(about['code'])} files" in words_on_code(about, tree)
    path.unlink()
    assert f"1 of the {len(about['code'])} files" in words_on_code(about, tree)
    path.write_bytes(content)
    assert words_on_code(about, tree) == ""
    assert "does not say which code" in words_on_code({}, tree)


def test_the_stored_recursions_name_their_code_and_their_rows_say_that_it_is_not_todays():
    about = json.loads((RESULTS / "recursion-reduced.json").read_text(encoding="utf-8"))["about"]
    assert {"mixdyn/recursion.py", "mixdyn/learned/training.py"} <= set(about["code"])
    assert words_on_code(about) in retraining.describe(retraining.saved())
    assert ROOT / "mixdyn/retraining/recursion.py" in sources_of(ROOT / PLACES["m_6_recursion"])


# -- the forms of an import ----------------------------------------------------------------------

PACKAGE = """
HOME = {"Late": "late"}

def __getattr__(name):
    ...
"""


@pytest.fixture
def small(tmp_path):
    """A package that imports on demand, one below it, data, and one module for every form."""
    for place, text in {
        "kit/__init__.py": PACKAGE,
        "kit/late.py": "from . import _deep\n",
        "kit/_deep.py": "import numpy.linalg\n",
        "kit/plain.py": "from .stock import FOLDER\n",
        "kit/types.py": "",
        "kit/stock/__init__.py": "FOLDER = 1\n",
        "kit/stock/net.bin": "weights",
        "kit/stock/README.md": "words",
        "kit/circle.py": "from kit import circle\nfrom kit.circle import x\n",
        "other.py": "import kit.plain\n",
        "use.py": "",
    }.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text, encoding="utf-8")
    return tmp_path


LATE = {"kit/__init__.py", "kit/late.py", "kit/_deep.py"}
PLAIN = {"kit/__init__.py", "kit/plain.py", "kit/stock/__init__.py", "kit/stock/net.bin"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import json, numpy", set()),
        ("import kit", {"kit/__init__.py"}),
        ("import kit\nkit.Late()", LATE),
        ("import kit as k\nf = k.Late.attribute", LATE),
        ("from kit import Late", LATE),
        ("from kit import *", LATE),
        ("import kit\ngetattr(kit, name)", LATE),
        ("import kit\nkit.plain.value", PLAIN),
        ("from kit import plain", PLAIN),
        ("from kit import plain as p\np.value", PLAIN),
        ("from kit.plain import FOLDER", PLAIN),
        ("import kit.plain", PLAIN),
        ("def f():\n    if True:\n        from kit import plain", PLAIN),
        ("import other", {"other.py", *PLAIN}),
        ("from kit import circle", {"kit/__init__.py", "kit/circle.py"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import other", set()),
        (
            "import typing as t\nif t.TYPE_CHECKING:\n import other\nelse:\n import kit.types",
            {"kit/__init__.py", "kit/types.py"},
        ),
        (
            "from __future__ import annotations\nimport kit\ndef f(x: kit.Late) -> None: ...",
            {"kit/__init__.py"},
        ),
    ],
)
def test_every_form_of_an_import_is_followed(small, text, expected):
    (small / "use.py").write_text(text, encoding="utf-8")
    found = {p.relative_to(small).as_posix() for p in sources_of(small / "use.py", root=small)}
    assert found == {"use.py", *expected}


def test_relative_imports_climb(small):
    path = small / "kit/stock/use.py"
    path.write_text("from .. import plain\nfrom ..late import x\n", encoding="utf-8")
    found = {p.relative_to(small).as_posix() for p in sources_of(path, root=small)}
    assert found == {"kit/stock/use.py", *LATE, *PLAIN}


def test_packages_from_elsewhere_are_named_at_the_top(small):
    (small / "use.py").write_text("import scipy.special\nimport kit\nkit.Late\n", encoding="utf-8")
    assert packages_of(small / "use.py", root=small) == {"numpy", "scipy"}
    assert "torch" in packages_of(ROOT / PLACES["f_1_gap"])
    assert "torch" not in packages_of(ROOT / PLACES["x_5_two_mode_bound"])


def test_contents_count_and_times_do_not(small):
    before = digest_of(small / "other.py", root=small)
    os.utime(small / "kit/plain.py")
    assert digest_of(small / "other.py", root=small) == before
    edit(small / "kit/stock/net.bin")
    assert digest_of(small / "other.py", root=small) != before


def test_of_packages_installed_side_by_side_only_those_of_one_distribution_are_ours(tmp_path):
    for name in ("mixdyn", "verify", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "verify" / "claim.py").write_text("import mixdyn\nimport numpy\n")
    everything = sources_of(tmp_path / "verify" / "claim.py", root=tmp_path)
    assert tmp_path / "numpy" / "__init__.py" in everything

    installed = tmp_path / "site"
    shutil.copytree(tmp_path, installed, ignore=shutil.ignore_patterns("site"))
    (installed / "mixdyn-1.0.dist-info").mkdir()
    record = "mixdyn/__init__.py,,\nverify/__init__.py,,\nverify/claim.py,,\n"
    (installed / "mixdyn-1.0.dist-info" / "RECORD").write_text(record)
    found = sources_of(installed / "verify" / "claim.py", root=installed)
    names = {path.relative_to(installed).as_posix() for path in found}
    assert names == {"mixdyn/__init__.py", "verify/__init__.py", "verify/claim.py"}
    assert packages_of(installed / "verify" / "claim.py", root=installed) == {"numpy"}

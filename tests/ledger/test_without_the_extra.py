"""Without the extra `learned` all loads, exact rows run, learned rows say what to install."""

import json
import subprocess
import sys

import pytest

from mixdyn import learned, presets
from tests import toys
from verify.ledger.sources import ROOT
from verify.ledger.store import Store
from verify.ledger.verdict import Basis

EXTRA = ("torch", "safetensors", "sklearn")
# A path finder that is blind for the extra: imports and importlib.util.find_spec both miss it.
ABSENT = f"""
import sys
from importlib.machinery import PathFinder
class Blind(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {EXTRA} else super().find_spec(name, path, target)
sys.meta_path = [Blind if finder is PathFinder else finder for finder in sys.meta_path]
"""
REMEDY = "pip install 'mixdyn[learned]'"
EVERYTHING = """
import importlib, pkgutil
import derivations, mixdyn, verify
from verify.ledger import registry
registry.load_claims()
for package in (verify, mixdyn, derivations):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        needs_it = found.name.startswith(("mixdyn.learned.", "mixdyn.audit.tensors"))
        if not needs_it and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
import mixdyn.learned.headers, verify.__main__
print(sum(".claims." in name for name in sys.modules))
print(sum(name.startswith("verify.papers.") and ".figures." in name for name in sys.modules))
print(sum(name.startswith("verify.measure.") for name in sys.modules))
"""


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def count(folder, pattern="*.py"):
    return sum(path.name != "__init__.py" for path in (ROOT / "verify" / folder).glob(pattern))


@pytest.mark.slow
def test_claims_figures_measurements_and_the_commands_load_without_it():
    done = run(ABSENT + EVERYTHING)
    assert done.returncode == 0, done.stderr[-2000:]
    claims, figures, measured = map(int, done.stdout.split())
    assert claims == count("papers", "*/claims/*.py")
    assert figures == count("papers", "*/figures/*.py")
    assert measured >= count("measure", "**/*.py") > 40


@pytest.mark.slow
def test_loading_them_does_not_load_torch_where_it_is_installed():
    done = run(f"import sys{EVERYTHING}print(*[n for n in {EXTRA} if n in sys.modules])")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[3:] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--mixture", "m.toml", "--out", "new.safetensors"],
        [
            "sample",
            "--mixture",
            "m.toml",
            "--model",
            "net.safetensors",
            "-n",
            "10",
            "--out",
            "x.npz",
        ],
    ],
)
def test_a_command_that_needs_it_says_what_to_install_and_writes_nothing(tmp_path, arguments):
    (tmp_path / "net.safetensors").write_bytes(b"a network")
    presets.line().save(tmp_path / "m.toml")
    before = sorted(tmp_path.iterdir())
    words = [str(tmp_path / a) if "." in a else a for a in arguments]
    done = run(f"{ABSENT}from mixdyn.cli import main; main()", *words)
    assert (done.returncode, REMEDY in done.stderr) == (2, True), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_the_ledger_runs_its_exact_rows_and_names_what_the_learned_ones_need(tmp_path):
    code = f"{ABSENT}from verify.__main__ import app; app()"
    done = run(code, "G.5", "F1", "--random", 0, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "verify.json").read_text(encoding="utf-8"))["rows"]
    found = {(row["id"], row["basis"]): row for row in rows}
    assert found["G.5", "exact"]["verdict"] == "holds"
    assert found["F1", "learned"]["verdict"] == "not applicable"
    assert REMEDY in found["F1", "learned"]["note"]


@pytest.mark.parametrize(("basis", "same"), [(Basis.LEARNED, False), (Basis.EXACT, True)])
def test_a_row_kept_without_it_is_not_taken_for_one_with_it(tmp_path, monkeypatch, basis, same):
    entry = toys.entry(toys.claim(basis=(basis,)), lambda case: [])
    case, store, places = toys.case(), Store(tmp_path), []
    for missing in ([], ["torch"]):
        monkeypatch.setattr(learned, "_missing", lambda missing=missing: missing)
        places.append(store.path(entry, case))
    assert (places[0] == places[1]) is same

"""`mixdyn warmup`: which kernels it meets, where they go, and what it says when they cannot."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixdyn import kernels
from mixdyn.cli import app, warmup
from mixdyn.support.errors import FileError

KNOWN_ANSWERS_ONLY = {"philox4x32"}  # no run of a user calls it


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Three empty homes for the cache, in Numba's order; `blocked` makes one of them unusable."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(warmup, "_KERNELS", tmp_path / "package")
    return [tmp_path / "named", tmp_path / "package" / "__pycache__", tmp_path / "user" / "numba"]


def block(folder):
    """A file in the folder's place: permission bits would not stop root."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """The command with nothing to compile."""
    monkeypatch.setattr(warmup, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warmup, "tasks", lambda: [("nothing", lambda: None)])
    return tmp_path


@pytest.mark.slow
def test_its_tasks_call_every_kernel(monkeypatch):
    declared, met, form = set(), set(), r"^@(?:cached|parallel|cached_parallel)\ndef (\w+)"
    for path in Path(kernels.__file__).parent.glob("*.py"):
        declared.update(re.findall(form, path.read_text(), re.MULTILINE))

    def watch(name, kernel):
        def call(*arguments):
            met.add(name)
            return kernel(*arguments)

        return call

    modules = [module for name, module in sys.modules.items() if name.startswith("mixdyn.kernels")]
    for module, name in itertools.product(modules, declared):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, watch(name, getattr(module, name)))
    for _, task in warmup.tasks():
        task()
    assert len(declared) > 5
    assert met == declared - KNOWN_ANSWERS_ONLY


def test_a_writable_first_choice_gives_no_warning(folders):
    assert warmup.check_cache() is None


def test_an_unusable_folder_is_named_beside_the_one_taken_instead(folders):
    block(folders[0])
    block(folders[1])
    said = warmup.check_cache()
    assert said is not None
    assert str(folders[0]) in said
    assert str(folders[2]) in said


def test_once_imported_the_command_refuses_in_one_line_where_no_folder_is_writable(folders):
    for folder in folders:
        block(folder)
    with pytest.raises(FileError, match="writable"):
        warmup.check_cache()
    result = CliRunner().invoke(app, ["warmup"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: a folder for compiled kernels")
    assert result.stderr.count("\n") == 1


def test_fresh_removes_kept_kernels_and_nothing_else(folders, idle):
    for name in ("rollouts.step-1.py311.nbi", "rollouts.step-1.py311.1.nbc", "rollouts.pyc"):
        (idle / name).write_text("x")
    result = CliRunner().invoke(app, ["warmup", "--fresh", "--json"])
    summary = json.loads(result.stdout)
    assert (summary["removed"], summary["files"]) == (2, 0)
    assert [path.name for path in idle.glob("rollouts.*")] == ["rollouts.pyc"]


def test_without_a_terminal_it_prints_where_the_kernels_lie_and_nothing_else(folders, idle):
    result = CliRunner().invoke(app, ["warmup"])
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    assert str(idle) in result.stdout


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [(EOFError("cut short"), "--fresh"), (OSError(28, "No space left"), "NUMBA_CACHE_DIR")],
)
def test_a_damaged_or_full_cache_is_one_line_with_its_remedy(
    folders, idle, monkeypatch, fault, remedy
):
    def fail():
        raise fault

    monkeypatch.setattr(warmup, "tasks", lambda: [("broken", fail)])
    result = CliRunner().invoke(app, ["warmup"])
    assert result.exit_code == 2
    assert remedy in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_the_compiler_it_says_in_one_line_that_there_is_nothing_to_compile():
    done = subprocess.run(
        [sys.executable, "-m", "mixdyn", "warmup"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: warmup compiles the kernels; received NUMBA_DISABLE_JIT")
    assert done.stderr.count("\n") == 1

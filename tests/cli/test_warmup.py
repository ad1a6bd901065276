"""`mixdyn warmup`: which kernels it meets, where they go, and what it says when they cannot."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mixdyn.cli import app, warmup
from mixdyn.support.errors import FileError

KNOWN_ANSWERS_ONLY = {"philox4x32": 0}  # no run of a user calls it


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


FORMS = """
import json
import numpy as np
from mixdyn import DDIM, DDPM, ExactReverse, ExactScore, NoiseSchedule, kernels, presets, sample
from mixdyn.cli import warmup

for _, task in warmup.tasks():
    task()
warm = kernels.forms()
schedule = NoiseSchedule.linear(T=8, beta_start=0.01, beta_end=0.3)
rows = np.random.default_rng(0).standard_normal((200, 4))
frozen = rows[:, :2].copy()
frozen.flags.writeable = False
for x in (frozen, rows[:, ::2], np.asfortranarray(frozen), frozen.astype(np.float32), [[0, 1]]):
    for mixture in (presets.ring(), presets.grid(side=3)):
        for of in (mixture.score, mixture.log_density, mixture.responsibilities):
            of(x)
        for precision in ("double", "single"):
            exact = ExactScore(mixture, schedule, precision=precision)
            exact.eps(x, 3)
            for keep in ("final", "trajectory"):
                sample(exact, schedule, DDPM(), x=x, rng=0, keep=keep)
        mixture.score_jacobian(x)
        sample(mixture, schedule, ExactReverse(), x=x, rng=np.random.default_rng(0))
print(json.dumps([warm, kernels.forms()]))
"""


@pytest.mark.slow
def test_its_tasks_meet_every_form_of_every_kernel_one_a_precision():
    done = subprocess.run([sys.executable, "-c", FORMS], capture_output=True, text=True, check=True)
    warm, after = json.loads(done.stdout)
    in_both = ("mode_tiles", "axis_tiles", "step_rows", "network_rows")  # precisions
    assert warm == {name: 2 if name in in_both else 1 for name in warm} | KNOWN_ANSWERS_ONLY
    assert len(warm) > 5
    assert after == warm


def test_two_processes_share_the_tasks(tmp_path, monkeypatch):
    monkeypatch.setattr(warmup, "usable_cores", lambda: 2)
    work = [task for task in warmup.tasks() if task[0] in ("noise", "density")]
    assert list(warmup._run(work)) == ["noise", "density"]
    with pytest.raises(KeyError, match="unheard of"):
        list(warmup._run([("unheard of", print), ("noise", print)]))


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

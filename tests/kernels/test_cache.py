"""Kept kernels are those of today's sources, whichever file changed; where no folder can hold
them, everything runs all the same and says so once."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from mixdyn import kernels
from mixdyn.kernels import compiling
from mixdyn.kernels.compiling import cached

UNCACHED = """
import numba.core.caching as caching

for kind in vars(caching).values():  # as on a machine where no folder is writable
    if isinstance(kind, type) and issubclass(kind, caching.CacheImpl):
        kind._locator_classes = []
from mixdyn.problem.noise import standard_normals

print(standard_normals(0, 2, 1, 1).shape)
"""
CACHED = """
import sys

sys.path.insert(0, sys.argv[1])  # the folder alone, which needs nothing of mixdyn
import kernels
import numpy as np

xi = np.empty((1, 2))
kernels.normals(xi, *np.array([0, 1, 0, 7], np.uint64))
print(xi[0, 0].hex(), xi[0, 1].hex())
"""

ASKING = """
import sys, time

from mixdyn.kernels import compiling
from tests.kernels.test_cache import next_one

def say(name):
    print("compiling", name, flush=True)
    sys.stdin.readline()

def sleep(seconds, waits=[], inner=time.sleep):
    waits or print("waiting", flush=True)
    waits.append(seconds)
    inner(seconds)

time.sleep = sleep
kernel = compiling.cached(next_one)
with compiling.on_compile(say):
    answer = kernel(1)
print(answer, "loaded", sum(kernel.stats.cache_hits.values()))
"""


def start(code, **settings):
    """A process that is spoken to."""
    options = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, "-c", code], text=True, env=options | settings, **pipes
    )


def run(code, *arguments, **settings):
    options = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=options | {"NUMBA_NUM_THREADS": "1"} | settings,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_kernels_run_uncached_with_one_warning():
    done = run(UNCACHED)
    assert done.stdout.strip() == "(2, 1)"
    assert done.stderr.count("no folder takes the compiled kernels") == 1


def next_one(x):
    return x + 1


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is kept without the compiler")
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_kept_file_is_written_anew(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def loads():
        """How many compiled forms a new process would find."""
        kernel = cached(next_one)
        assert kernel(1) == 2
        return sum(kernel.stats.cache_hits.values())

    assert [loads(), loads()] == [0, 1]
    (path,) = tmp_path.rglob(f"*.{kind}")
    whole = path.read_bytes()
    left, middle, right = np.split(np.frombuffer(whole, np.uint8), [len(whole) // 2, -40])
    changed = np.concatenate([left, middle ^ 1, right]).tobytes()
    foreign = pickle.dumps(("another", {}))
    for damaged in (changed, whole[:-7], foreign, b"garbage\n" * 99, b""):
        path.write_bytes(damaged)
        assert [loads(), loads()] == [0, 1]


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is kept without the compiler")
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOLCK])
def test_where_locks_are_refused_nobody_waits(tmp_path, monkeypatch, number):
    def refused(*asked, **named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiling, "_lock", refused)
    assert cached(next_one)(1) == 2


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is kept without the compiler")
def test_a_kernel_that_a_full_disk_does_not_take_runs_with_a_warning(tmp_path, monkeypatch):
    def full(*asked):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", full)
    compiling._warn_uncached.cache_clear()
    with pytest.warns(RuntimeWarning, match="every process compiles its own"):
        assert cached(next_one)(1) == 2


@pytest.mark.slow
@pytest.mark.parametrize("dies", [False, True], ids=["finishes", "dies"])
def test_a_kernel_that_two_processes_miss_waits_for_the_first_until_it(tmp_path, dies):
    settings = {"NUMBA_CACHE_DIR": str(tmp_path)}
    with start(ASKING, **settings) as first:
        assert first.stdout.readline() == "compiling next_one\n"
        with start(ASKING, **settings) as second:
            assert second.stdout.readline() == "waiting\n"
            if dies:
                first.kill()
                assert second.stdout.readline() == "compiling next_one\n"
                assert second.communicate("go on\n")[0] == "2 loaded 0\n"
            else:
                assert first.communicate("go on\n")[0] == "2 loaded 0\n"
                assert second.communicate()[0] == "2 loaded 1\n"


@pytest.mark.slow
def test_a_change_in_one_file_makes_the_kernels_of_the_others_stale_and_nothing_else_does(tmp_path):
    copy, kept = tmp_path / "kernels", str(tmp_path / "kept")
    settings = {"NUMBA_CACHE_DIR": kept, "NUMBA_DEBUG_CACHE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    shutil.copytree(Path(kernels.__file__).parent, copy, ignore=shutil.ignore_patterns("*cache*"))

    def normals():
        """Two normals, and whether their kernel was compiled or loaded."""
        said = run(CACHED, str(tmp_path), **settings).stdout
        saved, loaded = (f"data {what}" in said for what in ("saved to", "loaded from"))
        assert saved != loaded
        return said.splitlines()[-1], "compiled" if saved else "loaded"

    first, how = normals()
    assert how == "compiled"
    assert normals() == (first, "loaded")
    (copy / "compiling.py").touch()
    assert normals() == (first, "loaded")
    path = copy / "arithmetic.py"  # whose logarithm the kernel calls
    text = path.read_text()
    path.write_text(text.replace("1.0 / 3.0", "1.0 / 3.1"))
    changed, how = normals()
    assert how == "compiled"
    assert changed != first
    path.write_text(text)
    assert normals() == (first, "compiled")

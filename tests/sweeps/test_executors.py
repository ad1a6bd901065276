"""Whoever does the shards, and whatever befalls them: every row once, and the same."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixdyn.support.errors import InputError
from mixdyn.sweeps.executors import DEATHS, THREADS, Here, Processes, oversubscribed
from mixdyn.sweeps.running import executor_for, sweep
from mixdyn.sweeps.shards import Shard, key_of
from mixdyn.sweeps.store import RowStore
from tests.sweeps import working


def shards(folder, n=6, kill=None):
    for k in range(n):
        parts = tuple((key_of(k, own), 10 * k + own) for own in range(2))
        yield Shard(f"shard {k}", (str(folder), kill or {}), parts)


def rows_of(folder, executor, **how):
    with RowStore(folder / "rows") as store:
        done = list(sweep(working.squares, shards(folder, **how), store, executor))
        keys = [key for shard in shards(folder, **how) for key, _ in shard.parts]
        return list(store.rows(keys)), done


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return rows_of(tmp_path_factory.mktemp("alone"), Here())[0]


def test_processes_make_the_rows_of_one(tmp_path, alone):
    assert rows_of(tmp_path, Processes(2))[0] == alone
    assert alone[3] == {"own": 11, "square": 121}


def test_a_shard_whose_process_is_killed_begins_again_and_the_others_do_not(tmp_path, alone):
    said = []
    rows, _ = rows_of(tmp_path, Processes(2, say=said.append), kill={11: "once", 40: "once"})
    assert rows == alone
    begun = (tmp_path / "begun").read_text().split()
    assert sorted(begun, key=int) == ["0", "10", "10", "20", "30", "40", "40", "50"]
    assert sum("shard 1," in line for line in said) == 1


def test_a_shard_that_no_process_survives_is_lost_alone(tmp_path, alone):
    rows, done = rows_of(tmp_path, Processes(2), kill={20: "always"})
    assert rows == alone[:4] + alone[6:]
    assert [each.shard.name for each in done if each.lost] == ["shard 2"]
    assert (tmp_path / "begun").read_text().split().count("20") == DEATHS
    rows, done = rows_of(tmp_path, Here())  # the next run tries it again, and nothing else
    assert rows == alone
    assert [each.shard.name for each in done] == ["shard 2"]


def test_what_is_kept_is_not_done_again(tmp_path, alone):
    with RowStore(tmp_path / "rows") as store:
        done = sweep(working.squares, shards(tmp_path), store, Processes(1))
        for _ in zip(range(3), done, strict=False):
            pass
        done.close()
    kept = (tmp_path / "begun").read_text().split()
    (tmp_path / "begun").unlink()
    assert rows_of(tmp_path, Here())[0] == alone
    assert len(set(kept) & set((tmp_path / "begun").read_text().split())) <= 1, "one was under way"


def test_an_error_of_the_work_is_raised_here_as_it_is(tmp_path):
    with RowStore(tmp_path / "rows") as store, pytest.raises(InputError, match="no such shard"):
        list(sweep(working.refuses, shards(tmp_path), store, Processes(1)))


def test_a_worker_has_one_thread_of_everything(tmp_path):
    with RowStore(tmp_path / "rows") as store:
        shard = Shard("settings", None, ((key_of("settings"), 0),))
        (done,) = sweep(working.settings, [shard], store, Processes(1))
    (row,) = [row for _, row in done.rows]
    assert row == {"environment": dict.fromkeys(THREADS, "1"), "numba": 1}


def test_more_threads_than_cores_are_told():
    assert oversubscribed(2, 1, 2, "here") == ""
    assert "8 workers of 1 thread share the 2 cores of here" in oversubscribed(8, 1, 2, "here")
    assert "2 workers of 2 threads share the 1 core of here" in oversubscribed(2, 2, 1, "here")


def test_workers_are_here_or_there():
    with pytest.raises(InputError, match="Drop one of them"):
        executor_for(2, "tcp://127.0.0.1:1", print)


_ORPHANED = """
import sys
from pathlib import Path
from mixdyn.sweeps.executors import Processes
from mixdyn.sweeps.shards import Shard
from tests.sweeps import working

if __name__ == "__main__":
    shard = Shard("long", sys.argv[1], (("00" * 12, 0),))
    for done in Processes(1).run(working.waits, [shard]):
        pass
"""


def test_processes_end_with_the_one_that_started_them(tmp_path):
    (tmp_path / "run.py").write_text(_ORPHANED)
    run = subprocess.Popen([sys.executable, tmp_path / "run.py", tmp_path])
    until((tmp_path / "pid").exists)
    worker = int((tmp_path / "pid").read_text())
    run.kill()
    run.wait()
    until(lambda: not alive(worker))


def until(happened):
    end = time.monotonic() + 250
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

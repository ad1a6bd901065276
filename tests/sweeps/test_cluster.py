"""Shards on a real cluster of two worker processes, which are killed."""

import os
import random
import signal
import threading

import pytest

from mixdyn.support.errors import InputError
from mixdyn.sweeps.executors import Here, WorkerError
from mixdyn.sweeps.running import sweep
from mixdyn.sweeps.shards import Shard, key_of
from mixdyn.sweeps.store import RowStore
from tests.sweeps import working

distributed = pytest.importorskip("distributed", reason="needs mixdyn[cluster]")
pytestmark = pytest.mark.slow
N = 10


def shards(folder, n=N):
    for k in range(n):
        yield Shard(f"shard {k}", (str(folder), {}), ((key_of(k), k),))


def rows_of(folder, executor, work=working.slow_squares):
    with RowStore(folder / "rows") as store:
        for _ in sweep(work, shards(folder), store, executor):
            pass
        assert store.path.read_bytes().count(b"\n") == len(store) == N, "no row twice"
        return list(store.rows(key_of(k) for k in range(N)))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return rows_of(tmp_path_factory.mktemp("alone"), Here(), working.squares)


@pytest.fixture
def cluster():
    import dask

    # It gives up a worker whose successor is not there by then, as on a busy machine.
    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "120s"})
    # Any free port: even without a dashboard the scheduler asks for 8787, and warns if taken.
    two = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with patient, distributed.LocalCluster(**two) as found:
        yield found


def executor(address, said=None, **how):
    from mixdyn.sweeps.cluster import Cluster

    return Cluster(address, print if said is None else said.append, **how)


def test_workers_killed_at_random_points_change_no_row(tmp_path, alone, cluster):
    over, killed, rng = threading.Event(), [], random.Random(5)

    def kill():
        while not over.wait(rng.uniform(0.05, 0.5)) and len(killed) < 2:
            begun = tmp_path / "pids"
            at_work = set(map(int, begun.read_text().split())) if begun.exists() else set()
            for pid in sorted(at_work - set(killed))[-1:]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        assert rows_of(tmp_path, executor(cluster.scheduler_address)) == alone
    finally:
        over.set()
        killer.join()
    assert killed


def test_a_worker_of_other_code_is_refused(tmp_path, cluster, monkeypatch):
    from mixdyn.sweeps import cluster as module

    monkeypatch.setattr(module, "fitness", lambda name: {"numpy": "1.0"})
    with pytest.raises(WorkerError, match=r"other code or libraries: .*in place of 1\.0"):
        rows_of(tmp_path, executor(cluster.scheduler_address))


def test_no_scheduler_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr("mixdyn.sweeps.cluster._ANSWER", 1.0)
    with pytest.raises(InputError, match="must answer at its address"):
        rows_of(tmp_path, executor("tcp://127.0.0.1:9"))

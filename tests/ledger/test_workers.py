"""Claims checked in several processes: the rows of one, whatever happens to the others."""

import contextlib
import dataclasses
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from mixdyn.cli import warmup
from mixdyn.kernels import compiling
from tests import toys
from verify.ledger import cases, recorded, registry, store, workers
from verify.ledger.case import Profile
from verify.ledger.workers import Task, Watcher, check_all, worth
from verify.measure.measurement import Measurement


def until(happened, seconds=60.0):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@Measurement
def shared(case) -> Mapping[str, np.ndarray]:
    """Made while another claim is checked; each time it is made is written down."""
    with (case.folder / "made").open("a") as file:
        file.write(f"{os.getpid()}\n")
    until((case.folder / "another").exists)
    return {"value": np.ones(1)}


def asks(case):
    shared(case)


def lets_the_others_go_on(case):
    (case.folder / "another").touch()


def is_killed(case):
    os.kill(os.getpid(), signal.SIGKILL)


def never_ends(case):
    (case.folder / f"worker-{os.getpid()}").touch()
    time.sleep(300.0)


def compiles(case):
    path = case.folder / "new.py"
    path.write_text("def following(n):\n    return n + 1\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("new", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert compiling.cached(module.following)(1) == 2


def raises(case):
    raise KeyError("missing")


WHAT = {
    "G.1": asks,
    "G.2": asks,
    "G.3": asks,
    "G.4": lets_the_others_go_on,
    "G.5": is_killed,
    "G.6": never_ends,
    "G.7": raises,
    "G.8": lambda case: None,
    "G.9": compiles,
}


def made_up():
    """The claims that workers load in these tests."""

    def entry(claim_id, act):
        claim = toys.claim(claim_id)

        def check(case):
            act(case)
            return toys.judged(claim, case, 1.0)

        return toys.entry(claim, check)

    return [entry(claim_id, act) for claim_id, act in WHAT.items()]


def tasks(case, seconds):
    """Made-up claims on a case by the seconds that are expected of them."""
    found = {entry.claim.id: entry for entry in made_up()}
    return [Task(found[claim_id], case, expected) for claim_id, expected in seconds.items()]


@pytest.fixture
def case(tmp_path):
    return dataclasses.replace(toys.case(), folder=tmp_path)


@pytest.mark.slow
def test_rows_and_their_order_do_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "worth", lambda jobs, tasks: jobs)
    chosen = registry.select(registry.load_claims(), ["G.5", "T4.2", "D.1"])
    small = toys.case(), cases.random(1)

    def rows(jobs):
        found = store.run_all(chosen, small, store.Store(tmp_path / str(jobs)), jobs=jobs)
        return [row | {"seconds": None} for row in found]

    alone = rows(1)
    places = dict.fromkeys((row["case"], row["id"]) for row in alone)
    assert list(places) == [(c.name, entry.claim.id) for c in small for entry in chosen]
    assert {row["verdict"] for row in alone} >= {"holds", "not applicable"}
    assert rows(3) == alone


def test_one_process_makes_what_several_ask_for_while_the_others_do_something_else(case):
    asked = tasks(case, {"G.1": 3.0, "G.2": 0.1, "G.3": 0.2, "G.4": 0.3})
    found = {task.entry.claim.id: rows for task, rows in check_all(asked, 2, Watcher(), made_up)}
    assert {rows[0]["verdict"] for rows in found.values()} == {"holds"}
    assert next(iter(found)) == "G.4"
    assert len((case.folder / "made").read_text().split()) == 1


def test_a_process_that_dies_leaves_an_error_row_and_the_others_go_on(case):
    asked = tasks(case, {"G.5": 3.0, "G.7": 2.0, "G.8": 1.0, "G.4": 0.1})
    found = {task.entry.claim.id: rows for task, rows in check_all(asked, 2, Watcher(), made_up)}
    verdicts = {claim_id: row["verdict"] for claim_id, (row,) in found.items()}
    assert verdicts == {"G.5": "error", "G.7": "error", "G.8": "holds", "G.4": "holds"}
    assert "signal 9" in found["G.5"][0]["note"]
    assert "KeyError" in found["G.7"][0]["note"]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_watcher_hears_what_runs_and_what_is_compiled(case, jobs):
    heard, asked = [], tasks(case, {"G.9": 3.0, "G.8": 1.0})

    class Listener(Watcher):
        def running(self, tasks):
            heard.append({task.entry.claim.id for task in tasks})

        def compiling(self, kernel):
            heard.append(kernel)

    rows = dict(check_all(asked, jobs, Listener(), made_up))
    assert {row["verdict"] for (row,) in rows.values()} == {"holds"}
    assert heard.count("following") == 1
    assert ({"G.9", "G.8"} in heard) == (jobs == 2)


def test_an_interrupt_ends_all_processes(case, tmp_path):
    def interrupted():
        asked = tasks(case, {"G.6": 3.0, "G.8": 1.0})
        with contextlib.closing(check_all(asked, 2, Watcher(), made_up)) as checked:
            for task, rows in checked:
                assert (task.entry.claim.id, rows[0]["verdict"]) == ("G.8", "holds")
                until(lambda: list(tmp_path.glob("worker-*")))
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert multiprocessing.active_children() == []


DRIVER = """
import sys, tempfile
from pathlib import Path
tempfile.tempdir = sys.argv[2]
from tests.ledger import test_workers as made
import dataclasses

case = dataclasses.replace(made.toys.case(), folder=Path(sys.argv[1]))
asked = made.tasks(case, {"G.6": 3.0, "G.8": 1.0})
list(made.check_all(asked, 2, made.Watcher(), made.made_up))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for a process of another's")
def test_a_worker_and_the_crews_folder_do_not_outlive_the_one_that_started_them(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-c", DRIVER, str(tmp_path), str(temporary)]
    with subprocess.Popen(command) as driver:
        until(lambda: list(tmp_path.glob("worker-*")))
        assert list(temporary.iterdir())
        driver.kill()
    (file,) = tmp_path.glob("worker-*")
    until(lambda: not Path("/proc", file.name.removeprefix("worker-")).is_dir())
    assert not list(temporary.iterdir())


def test_before_a_long_run_each_worker_compiles_something_else(case, monkeypatch):
    def ahead(seconds, jobs):
        """What each of the workers is told to compile, and behind how many claims; none starts."""
        told = []

        def hire(load, cases, shared, share=(), behind=0):
            told.append((share, behind))
            if len(told) == jobs:
                raise InterruptedError

        monkeypatch.setattr(workers, "_Worker", hire)
        with pytest.raises(InterruptedError):
            list(check_all(tasks(case, dict.fromkeys(list(WHAT)[:4], seconds)), jobs, Watcher()))
        return told

    assert [share for share, _ in ahead(1.0, 2)] == [(), ()]
    for jobs in (2, 4):
        told = ahead(100.0, jobs)
        assert sorted(name for share, _ in told for name in share) == sorted(workers._AHEAD)
        assert all(share for share, _ in told)
        assert [behind for _, behind in told] == [1] + [0] * (jobs - 1)
    assert set(workers._AHEAD) <= {name for name, _ in warmup.tasks()}


def test_more_processes_than_are_worth_it_are_not_started(case):
    def workers(*seconds, jobs=4):
        return worth(jobs, [Task(None, case, expected) for expected in seconds])

    assert workers() == 1
    assert workers(20.0, 1.0, 1.0) == workers(1.0, 1.0) == 1
    assert workers(20.0, 15.0, 5.0) == 2
    assert workers(*[1.0] * 9) == 4


def test_what_a_claim_took_is_recorded_with_its_verdicts(case, tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "RECORDED", tmp_path / "recorded")
    row = {"id": "G.1", "basis": "exact", "verdict": "holds", "seconds": 1.26}
    recorded.record(case, [row, row | {"basis": "derived", "seconds": None}], tmp_path / "recorded")
    took = recorded.seconds_taken()
    assert (took("G.1", case), took("G.2", case)) == (1.0, 0.1)
    standard = dataclasses.replace(case, name="standard")
    recorded.record(standard, [row | {"seconds": 0.031}], tmp_path / "recorded")
    other = dataclasses.replace(case, name="user")
    assert recorded.seconds_taken()("G.1", other) == 0.03
    full = dataclasses.replace(standard, profile=Profile.FULL)
    recorded.record(full, [row | {"seconds": 90.0}], tmp_path / "recorded")
    assert recorded.seconds_taken()("G.1", other) == 0.03

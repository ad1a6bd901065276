"""Finished rows on disk: whatever broke off or was damaged, what is read is what was written."""

import json
import multiprocessing
import os
import resource
import signal

import pytest

from mixdyn.support.errors import FileError
from mixdyn.sweeps.shards import key_of
from mixdyn.sweeps.store import RowStore

KEYS = [key_of(k) for k in range(20)]
ROWS = [{"k": k, "x": 0.1 * k, "text": "ü" * k} for k in range(20)]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no power fails here
    with RowStore(tmp_path / "rows") as store:
        store.add(zip(KEYS, ROWS, strict=True))
    return tmp_path / "rows"


def test_rows_come_back_in_the_order_asked_for_with_their_bits(path):
    with RowStore(path) as store:
        assert list(store.rows(reversed(KEYS))) == ROWS[::-1]
        assert len(store) == 20


def test_a_key_is_stored_once(path):
    before = path.read_bytes()
    with RowStore(path) as store:
        store.add([(KEYS[3], {"another": 1})])
        assert store.get(KEYS[3]) == ROWS[3]
    assert path.read_bytes() == before


def test_wherever_a_line_broke_off_the_whole_ones_stay(path):
    whole = path.read_bytes()
    for size in range(0, len(whole), 3):
        path.write_bytes(whole[:size])
        lines = whole[:size].count(b"\n")
        with RowStore(path) as store:
            assert list(store.rows(KEYS)) == ROWS[:lines]
            store.add(zip(KEYS, ROWS, strict=True))
        assert path.read_bytes() == whole


def test_a_damaged_line_is_made_anew_and_its_neighbours_stay(path):
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        if whole[place : place + 1] == b"\n":
            continue
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with RowStore(path) as store:
            found = list(store.rows(KEYS))
            assert 18 <= len(found) < 20, "the line, and the next where they were joined"
            assert all(row in ROWS for row in found)
            store.add(zip(KEYS, ROWS, strict=True))
            assert list(store.rows(KEYS)) == ROWS


def test_a_second_run_is_refused_in_a_line(path):
    with RowStore(path), pytest.raises(FileError, match="another run is filling"):
        RowStore(path)


def test_a_full_disk_keeps_what_was_there_and_says_so(path):
    """The limit of a file's size stands for it: a write of part of the bytes, then none."""
    whole = path.read_bytes()
    with RowStore(path) as store:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, most))
        try:
            with pytest.raises(FileError, match="must fit the disk"):
                store.add([(key_of("more"), {"k": 1})])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            signal.signal(signal.SIGXFSZ, before)
        assert path.read_bytes() == whole
        store.add([(key_of("more"), {"k": 1})])
        assert store.get(key_of("more")) == {"k": 1}


def _write_until_killed(path, begun):
    with RowStore(path) as store:
        begun.set()
        for k in range(1_000_000):
            store.add([(key_of("killed", k), {"k": k, "much": "x" * 5000})])


def test_a_killed_writer_leaves_whole_rows_and_no_lock(tmp_path):
    context = multiprocessing.get_context("fork")
    for wait in (0.0, 0.01, 0.05):
        begun = context.Event()
        writer = context.Process(target=_write_until_killed, args=(tmp_path / "rows", begun))
        writer.start()
        begun.wait(60)
        writer.join(wait)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        with RowStore(tmp_path / "rows") as store:
            assert store.damaged == 0
            found = list(store.rows(key_of("killed", k) for k in range(len(store))))
            assert [row["k"] for row in found] == list(range(len(store)))
        lines = (tmp_path / "rows").read_bytes().splitlines()
        assert all(json.loads(line[42:])["much"] == "x" * 5000 for line in lines)

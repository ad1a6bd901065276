"""Claims on many problems: rows and summary of the ledger itself, whoever makes them."""

import json

import pytest

from mixdyn.sweeps.executors import Here, Processes
from mixdyn.sweeps.shards import Done
from mixdyn.sweeps.store import RowStore, file_of
from verify.__main__ import run as command
from verify.ledger import cases, registry, runner
from verify.ledger.case import Profile
from verify.report.summary import summarise
from verify.sweeps import problems, running

IDS = ["G.5", "G.6"]
N = 3


def swept(folder, executor=None, ids=IDS):
    entries = registry.select(registry.load_claims(), ids)
    asked = running.Sweep(entries, N, 0, Profile.QUICK, folder)
    return running.run(asked, executor or Here(), lambda done, total, name: None), asked


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def of_the_ledger():
    """The same rows without a sweep."""
    entries = registry.select(registry.load_claims(), IDS)
    chosen = cases.default_cases(0, Profile.QUICK, N)
    return [v.as_row() for case in chosen for e in entries for v in runner.run_claim(e, case)]


def rows_in(asked):
    with RowStore(file_of(asked.folder)) as store:
        keys = [key for shard in asked.shards() for key, _ in shard.parts]
        return [row for rows in store.rows(keys) for row in rows]


def timeless(rows):
    return [json.loads(json.dumps(problems.without_times(row))) for row in rows]


def test_rows_are_the_ledgers(whole, of_the_ledger):
    result, asked = whole
    assert timeless(rows_in(asked)) == timeless(of_the_ledger)
    assert result.rows == len(of_the_ledger)


def test_the_summary_is_the_ledgers(whole, of_the_ledger):
    def without_seconds(summary):
        lines = summary.as_data()["lines"]
        return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]

    assert without_seconds(whole[0].summary) == without_seconds(summarise(of_the_ledger))
    assert (whole[1].folder / running.MARKDOWN).read_text().startswith(f"Over {N + 1} problems.")


def test_a_sweep_that_was_broken_off_has_the_digest_of_one_that_was_not(whole, tmp_path):
    class Broken(Here):
        def run(self, work, shards):
            for k, done in enumerate(super().run(work, shards)):
                if k == 2:
                    raise KeyboardInterrupt
                yield done

    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, Broken())
    result, _ = swept(tmp_path)
    assert result.kept == 2
    assert result.digest == whole[0].digest


def test_another_claim_is_added_to_what_is_kept(whole, tmp_path):
    swept(tmp_path, ids=IDS[:1])
    before = file_of(tmp_path).read_bytes()
    result, _ = swept(tmp_path)
    assert result.digest == whole[0].digest
    assert file_of(tmp_path).read_bytes().startswith(before)


def test_a_problem_that_no_process_survives_is_an_error_and_is_tried_again(whole, tmp_path):
    class Deadly(Here):
        def run(self, work, shards):
            for done in super().run(work, shards):
                lost = done.shard.name == "random-2"
                yield Done(done.shard, lost="3 processes ended at it") if lost else done

    result, asked = swept(tmp_path, Deadly())
    assert result.lost == ("random-2",)
    assert result.broken == len(IDS)
    assert len(rows_in(asked)) == len(IDS) * N
    assert swept(tmp_path)[0].digest == whole[0].digest


@pytest.mark.slow
def test_two_processes_make_the_rows_of_one(whole, tmp_path):
    assert swept(tmp_path, Processes(2))[0].digest == whole[0].digest


@pytest.mark.parametrize(
    "words",
    [
        ["--workers", "2"],
        ["--workers", "2", "--random", "1", "--mixture", "grid"],
        ["--workers", "2", "--random", "1", "--record"],
        ["--workers", "0", "--random", "1"],
        ["--workers", "1", "--scheduler", "tcp://127.0.0.1:9", "--random", "1"],
    ],
)
def test_what_cannot_be_is_one_line(words, capsys, tmp_path):
    assert command(["G.5", *words, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())

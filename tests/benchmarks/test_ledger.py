"""The benchmark of the ledger: what a run takes is that of all its processes, work is counted."""

import json
import sys

import pytest

from benchmarks import harness, ledger

# Starts a process that holds 200 MB, names a claim, and leaves a file, in this order.
RUN = """
import pathlib, subprocess, sys, time
held = "x = b'1' * 200_000_000; print(sum(range(5_000_000)) > 0, flush=True); input()"
child = subprocess.Popen(
    [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
child.stdout.readline()
print("compiling kernels, once", flush=True)
print("[1/1] G.5 on standard: holds, 0.1 s", flush=True)
pathlib.Path(sys.argv[1], "rows.json").write_text("{}")
time.sleep(1.5)
child.communicate("")
"""
WAITS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored below a shell's background job
try:
    pathlib.Path(sys.argv[1], "waits.json").write_text("")
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1], "told").write_text("")
"""


def run(wall, first=2.0, *, peak=100.0, claims=(("G.1", 1.0),), places=("G.1 on standard, exact",)):
    whole = dict(zip(ledger._WHOLE, (wall, 2 * wall, first, first, peak), strict=True))
    return {**whole, "claims": dict(claims), "places": list(places)}


def test_a_run_is_watched_with_the_processes_it_starts(tmp_path):
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    seen, lines = ledger.watch(command, tmp_path, {}, tmp_path)
    assert seen[ledger._PEAK] > 200.0
    assert seen[ledger._CPU] > 0.0
    assert ledger.first_verdict(lines, ["G.5"]) == lines[1][0] <= seen[ledger._WALL]
    assert seen[ledger._KEPT] <= seen[ledger._WALL]


def test_an_interrupt_reaches_the_run_that_is_watched(tmp_path, monkeypatch):
    def interrupt(pid):
        if (tmp_path / "waits.json").exists():
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr(ledger, "memory_mb", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ledger.watch([sys.executable, "-c", WAITS, str(tmp_path)], tmp_path, {}, tmp_path)
    assert (tmp_path / "told").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[ 12/323] M1' on standard: holds, 0.4 s", True),
        ("M1'     standard  ✓ not applicable  exact", True),
        ("P4.7 (1) on random-1: fails", True),
        ("M1 on standard: holds", False),  # another claim
        ("M1' on standard", False),
        ("all that holds of M1'", False),
        ("compiling kernels, once", False),
    ],
)
def test_a_verdict_is_told_where_a_claim_is_named_before_it(line, told):
    found = ledger.first_verdict([(1.0, "G"), (2.0, line)], ["M1'", "P4.7 (1)"])
    assert found == (2.0 if told else None)


def test_rows_of_a_claim_share_its_seconds_and_problems_add_up():
    rows = [
        {"id": "F1", "case": case, "basis": basis, "seconds": seconds}
        for case, basis, seconds in [
            ("standard", "exact", 3.0),
            ("standard", "learned", 3.0),
            ("standard", "derived", 50.0),
            ("random-1", "exact", 0.5),
            ("random-2", "exact", None),
        ]
    ]
    assert ledger.by_claim(rows) == {"F1": 3.5}


def test_ratios_are_taken_within_a_round_and_only_of_what_both_have():
    found = ledger.row("x", cold=[1.0, 2.0, 4.0], reference=[5.0, 8.0, 32.0])
    assert (found["ratio"], found["median"], found["reference"]) == (5.0, 2.0, 8.0)
    assert ledger.row("x", cold=[1.0], reference=[None]) == {
        "what": "x",
        "median": 1.0,
        "low": 1.0,
        "high": 1.0,
    }
    assert "ratio" not in ledger.row("x", cold=[0.0], reference=[1.0])


def test_the_answer_holds_a_commit_and_the_limits_beside_the_run():
    both, new = "G.1 on standard, exact", "X9 on standard, exact"
    runs = {
        "cold": [
            run(wall, claims=[("G.1", 4.0), ("X9", 0.5)], places=[both, new]) for wall in (9, 10)
        ],
        "warm": [run(7), run(8)],
        "reference": [run(54, 30.0, claims=[("G.1", 20.0)], places=[both]) for _ in range(2)],
    }
    alone = {"shared": [run(wall, places=[both]) for wall in (6, 9)]}
    result = ledger.summary(runs, {"G.1": {"cpu": 3.0, "evaluations": 7}})
    claims = [row for row in result["rows"] if row["what"] in ("G.1", "X9")]
    assert [(row["what"], row["ratio"], row["evaluations"]) for row in claims] == [("G.1", 5.0, 7)]
    assert result["notes"] == [
        "1 claims below 1 s: 0.5 s together.",
        "1 rows of the ledger are in both commits, 1 in this one only (of new claims: X9; others "
        "count among their claim's seconds), 0 in the other only.",
    ]
    said = ledger.conclude({**result, "cores": 2, "reference": "abc"})
    assert "all 2 rows of the ledger take 10 s on 2 cores, 2 s of it compiling" in said
    assert "after 2 s (within 15 s)" in said
    assert "hold 100 MB (within 1500 MB)" in said
    assert "Commit abc, in turn with it, takes 5.7 times as long (goal 5, reached)" in said
    last = {**runs, **alone, "warm": [run(8)]}  # kept kernels in the last round alone
    result = ledger.summary(last, {})
    said = ledger.conclude({**result, "cores": 2, "reference": "abc"})
    assert "take 10 s on 2 cores, 2 s of it compiling" in said
    assert "On the claims that it has too, 1 of the rows in 8 s, commit abc, in turn" in said
    assert "takes 7.5 times as long (goal 5, reached), 7.5 times the CPU seconds" in said
    assert "Later claims add 2 s (within 30 s); with them it is 5.7 times." in said
    del runs["reference"]
    unmeasured = {"cold": [{**run(20), ledger._PEAK: None}], "warm": [run(7)]}
    said = ledger.conclude({**ledger.summary(unmeasured, {}), "cores": 2, "reference": None})
    assert "MB (not measured on this system)" in said
    assert "Commit" not in said


COUNTED = """
import json
import numpy as np
from benchmarks.learned import network
from benchmarks.ledger import Work
from mixdyn import DDIM, ExactScore, NoiseSchedule, presets, sample
from mixdyn.solvers import integrators

work = Work()
work.install()
schedule, mixture, learned = NoiseSchedule.linear(), presets.two_modes(), network(1, "cpu")
exact, x = ExactScore(mixture, schedule), np.zeros((7, 1))
found = []
for run in (
    lambda: sample(mixture, schedule, DDIM(4), n=10, rng=0),
    lambda: sample(exact, schedule, DDIM(4), x=x, keep="trajectory"),
    lambda: exact.score(x, 3),
    lambda: integrators.integrate_ode(mixture, x, [2.0, 1.0, 0.5], integrators.rk4()),
    lambda: sample(learned, schedule, DDIM(4), n=10, rng=0),
    lambda: learned.score(x, 3),
):
    run()
    found.append([work.done[name] for name in ("samples", "evaluations", "networks")])
    work.done.clear()
print(json.dumps(found))
"""


def test_work_is_counted_once_where_the_engine_is_entered():
    pytest.importorskip("torch")
    drawn, traced, asked, solved, learned, infers = json.loads(harness.run_python(COUNTED))
    assert drawn == [10, 40, 0]
    assert traced == [7, 28, 0]
    assert asked == [0, 7, 0]
    assert solved == [0, 7 * 2 * 4, 0]
    assert learned == [10, 40, 40]
    assert infers == [0, 7, 7]


@pytest.mark.slow
def test_the_small_run_counts_the_same_work_every_time():
    first, second = (ledger.measure(small=True) for _ in range(2))
    assert first == second
    assert all(row["evaluations"] > 0 for row in first["rows"])


@pytest.mark.slow
def test_a_run_of_the_ledger_tells_its_first_verdict(tmp_path):
    found = ledger.run_ledger(harness.ROOT, str(tmp_path), ["G.5", "--random", "0"])
    assert found["places"] == ["G.5 on standard, derived", "G.5 on standard, exact"]
    assert found[ledger._SCREEN] <= found[ledger._WALL]
    assert found[ledger._KEPT] <= found[ledger._WALL]
    assert list(found["claims"]) == ["G.5"]

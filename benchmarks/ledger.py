"""How long the whole ledger takes, from nothing: by claim, compiling apart, and against a commit.

Every run is `python -m verify --fresh` in a process of its own, into an empty folder: with an empty
cache of kernels, and once more with what that run has compiled (the difference is compiling). With
`--against REV` the files of that commit run in turn with them, in the same environment, and so do
those claims alone which that commit has too: theirs is the ratio, and the difference is what later
claims add; kernels that are kept are then measured in the last round alone. A claim's seconds are
those its rows state, over all problems; CPU and evaluations by claim come from one more process
that does one claim after the other and counts. Small runs count, on a problem of two modes.
"""

# ruff: noqa: PLC0415 (the ledger and its libraries are loaded in the process that runs claims)
from __future__ import annotations

import contextlib
import functools
import json
import operator
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixdyn.support.provenance import usable_cores

from . import harness

_ROUNDS, _PERIOD = 3, 0.2  # s between looks at a running ledger
_FIRST_LIMIT, _MEMORY_LIMIT, _GOAL = 15.0, 1500.0, 5.0  # s, MB, times the reference
_LATER_LIMIT = 30.0  # s that later claims may add
_SHOWN = 1.0  # s from which a claim has a row of its own
_VERDICTS = "holds|fails|vacuous|not applicable|inconclusive|error"
_FEW = ("C.2", "X1", "X8")  # whose work on two modes is counted in a second
_WALL, _CPU = "whole ledger", "whole ledger, CPU"
_SCREEN, _KEPT = "first verdict on screen", "first claim's rows in a file"
_PEAK = "peak memory of all processes, MB"
_WHOLE = (_WALL, _CPU, _SCREEN, _KEPT, _PEAK)
_SHARED, _LATER = "claims of both commits", "later claims add"

Run = Mapping[str, Any]  # the numbers of _WHOLE, seconds by claim, and which rows there are
Lines = list[tuple[float, str]]


# -- one run, watched ----------------------------------------------------------------------------


def run_ledger(checkout: Path, cache: str, words: Sequence[str] = ()) -> dict[str, Any]:
    """One run of a checkout's ledger with the kernels that `cache` holds."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "document.json"
        command = [sys.executable, "-m", "verify", *words, "--fresh"]
        command += ["--out", folder, "--json", str(document)]
        seen, lines = watch(command, checkout, {"NUMBA_CACHE_DIR": cache}, Path(folder) / "rows")
        if not document.is_file():
            raise RuntimeError(f"the ledger did not run:\n{''.join(line for _, line in lines)}")
        rows = json.loads(document.read_text(encoding="utf-8"))["rows"]
    first = first_verdict(lines, {row["id"] for row in rows})
    places = sorted({f"{row['id']} on {row['case']}, {row['basis']}" for row in rows})
    return {**seen, _SCREEN: first, "claims": by_claim(rows), "places": places}


def watch(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], files: Path
) -> tuple[dict[str, Any], Lines]:
    """What a command takes, with all processes that it starts: wall-clock and CPU seconds, peak
    memory (None without /proc), seconds to the first file in `files`; and its output, each line
    with the second at which it came. An interrupt is passed on to it."""
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | dict(environment)
    lines: Lines = []
    kept, peak, used, begin = None, 0.0, os.times(), time.perf_counter()

    def read() -> None:
        lines.extend((time.perf_counter() - begin, line) for line in process.stdout or ())

    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    reader = threading.Thread(target=read)
    reader.start()
    try:
        while process.poll() is None:
            peak = max(peak, memory_mb(process.pid))
            if kept is None and any(files.glob("*.json")):
                kept = time.perf_counter() - begin
            time.sleep(_PERIOD)
        wall = time.perf_counter() - begin
    except BaseException:
        os.killpg(process.pid, signal.SIGINT)
        raise
    finally:
        process.wait()
        reader.join()
        process.stdout.close()  # type: ignore[union-attr]
    cpu = sum(os.times()[2:4]) - sum(used[2:4])  # of children that were waited for, and theirs
    return {_WALL: wall, _CPU: cpu, _KEPT: kept, _PEAK: peak or None}, lines


def memory_mb(pid: int) -> float:
    """Resident memory of a process and all that it started, what they share counted once
    (proportional set size); 0 where the system does not say."""
    total = 0
    for member in _family(pid):
        with contextlib.suppress(OSError):  # it may have ended by now
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s*(\d+) kB", text, re.MULTILINE)[1])  # type: ignore[index]
    return total * 1024 / 1e6


def _family(pid: int) -> list[int]:
    """A process, its children, theirs, ..."""
    parents = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for member in found:  # grows while it is read
        found += [child for child, parent in parents.items() if parent == member]
    return found


def first_verdict(lines: Lines, ids: Iterable[str]) -> float | None:
    """When the first line came that names a claim and, behind it, a verdict."""
    told = rf"(?:^|\s)(?:{'|'.join(map(re.escape, ids))})[\s,:].*\b(?:{_VERDICTS})\b"
    return next((at for at, line in lines if re.search(told, line)), None)


def by_claim(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of every claim over all problems: the rows of a claim on a problem share theirs, and
    what was derived was so in another run."""
    measured = [row for row in rows if row["basis"] != "derived"]
    taken = {(row["id"], row["case"]): row["seconds"] or 0.0 for row in measured}
    found: Counter[str] = Counter()
    for (claim, _), seconds in taken.items():
        found[claim] += seconds
    return dict(found)


# -- work, counted -------------------------------------------------------------------------------


class Work:
    """Samples drawn, evaluations of scores and of networks among them, counted where the engine is
    entered: what a counted call calls belongs to it."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self._inside = False

    def counted(self, inner: Callable[..., Any], cost: Callable[..., dict[str, int]]) -> Any:
        """`inner`, whose outermost calls add cost(result, arguments by name)."""

        @functools.wraps(inner)
        def call(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return inner(*arguments, **named)
            self._inside = True
            try:
                result = inner(*arguments, **named)
            finally:
                self._inside = False
            self.done.update(cost(result, *arguments, **named))
            return result

        return call

    def install(self) -> None:
        """Count in every module that has been imported, and in those to come."""
        from mixdyn.problem.mixture import GaussianMixture
        from mixdyn.run.sampling import sample
        from mixdyn.score import ExactScore
        from mixdyn.solvers import field, integrators

        functions = {
            sample: _of_sample,
            integrators.integrate_ode: _of_solution,
            integrators.integrate_sde: _of_solution,
        }
        for inner, cost in functions.items():
            call = self.counted(inner, cost)
            for module in list(sys.modules.values()):
                for name, value in list(vars(module).items()):
                    if value is inner:
                        setattr(module, name, call)
        methods = [(ExactScore, name) for name in ("eps", "score", "x0", "v", "jacobian")]
        methods += [(GaussianMixture, name) for name in ("score", "score_jacobian")]
        methods += [(field.MixtureField, "pull")]
        methods += [(kind, name) for kind in _networks() for name in ("eps", "score", "jacobian")]
        for kind, name in methods:
            setattr(kind, name, self.counted(getattr(kind, name), _of_points))


def _networks() -> tuple[type, ...]:
    from mixdyn import learned

    if not learned.available():
        return ()
    from mixdyn.learned.adapter import LearnedScore

    return (LearnedScore,)


def _evaluations(model: object, count: float) -> dict[str, int]:
    network = isinstance(model, _networks())
    return {"evaluations": round(count), "networks": round(count) if network else 0}


def _of_sample(result: Any, model: object, *_: object, **named: Any) -> dict[str, int]:
    rows = named["n"] if named.get("x") is None else len(named["x"])
    return {"samples": rows, **_evaluations(model, rows * result.n_eval)}


def _of_solution(result: Any, target: Any, *_: object, **__: object) -> dict[str, int]:
    return _evaluations(getattr(target, "model", target), len(result.y) * result.n_eval)


def _of_points(result: Any, model: object, *_: object, **__: object) -> dict[str, int]:
    return _evaluations(model, len(result))


def work_of(small: bool) -> dict[str, dict[str, float]]:
    """CPU seconds and work of every claim, one after the other in this process, over all problems;
    small: of a few, on one small problem."""
    from mixdyn.problem import presets
    from mixdyn.problem.schedule import NoiseSchedule
    from verify.ledger import cases, registry, runner
    from verify.ledger.case import Case, Profile

    entries = registry.select(registry.load_claims(), _FEW if small else ())
    tiny = Case("two modes", presets.two_modes(), NoiseSchedule.linear(), random=True)
    chosen = [tiny] if small else cases.default_cases(0, Profile.QUICK, None)
    work = Work()
    work.install()
    found: dict[str, Counter[str]] = {entry.claim.id: Counter() for entry in entries}
    for case in chosen:
        for entry in entries:
            work.done.clear()
            begin = time.process_time()
            runner.run_claim(entry, case)
            found[entry.claim.id].update({"cpu": time.process_time() - begin, **work.done})
        case.workspace.clear()
    return {claim: dict(counts) for claim, counts in found.items()}


# -- the answer ----------------------------------------------------------------------------------


def measure(small: bool, against: str | None = None) -> dict[str, Any]:
    """Rounds of the commit, an empty cache and a full one; then the work, counted."""
    if small:  # no times
        work = harness.fresh("benchmarks.ledger:work_of", small=True)
        kept = {name: {k: v for k, v in done.items() if k != "cpu"} for name, done in work.items()}
        return {"rows": [{"what": name, **done} for name, done in kept.items()]}
    turns: list[dict[str, Run]] = []
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(harness.checkout(against)) if against else None
        for k in range(_ROUNDS):
            cache = stack.enter_context(tempfile.TemporaryDirectory())
            turns.append(_turn(other, cache, warm=other is None or k == _ROUNDS - 1))
            times = ", ".join(f"{name} {run[_WALL]:.1f} s" for name, run in turns[k].items())
            sys.stderr.write(f"round {k + 1} of {_ROUNDS}: {times}\n")
        variables = {"NUMBA_CACHE_DIR": cache}
        work = harness.fresh("benchmarks.ledger:work_of", variables, small=False)
    runs = {name: [turn[name] for turn in turns if name in turn] for name in turns[-1]}
    return {"reference": against, "cores": usable_cores(), **summary(runs, work)}


def _turn(other: Path | None, cache: str, *, warm: bool) -> dict[str, Run]:
    """One round: each contender once, `cache` empty and, if `warm`, then full."""
    found: dict[str, Run] = {}
    if other is not None:
        with tempfile.TemporaryDirectory() as own:
            found["reference"] = run_ledger(other, own)
    found["cold"] = run_ledger(harness.ROOT, cache)
    if other is not None:
        both = [name for name in found["cold"]["claims"] if name in found["reference"]["claims"]]
        with tempfile.TemporaryDirectory() as own:
            found["shared"] = run_ledger(harness.ROOT, own, both)
    return found | ({"warm": run_ledger(harness.ROOT, cache)} if warm else {})


def summary(
    runs: Mapping[str, Sequence[Run]], work: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """The rows shown, every claim, and which rows of the ledger were compared."""

    def values(of: Callable[[Run], float | None]) -> dict[str, list[float | None]]:
        return {
            name: [of(run) for run in turns] for name, turns in runs.items() if name != "shared"
        }

    rows = [row(what, **values(operator.itemgetter(what))) for what in _WHOLE]
    for what in (_WALL, _CPU):
        pairs = zip(runs["cold"][-len(runs["warm"]) :], runs["warm"], strict=True)
        rows.append(row(f"{what}, compiling", [cold[what] - warm[what] for cold, warm in pairs]))
    rows += _beside_commit(runs) if "shared" in runs else []
    ids = dict.fromkeys(name for turns in runs.values() for name in turns[0]["claims"])
    claims = [
        {**row(name, **values(lambda run, n=name: run["claims"].get(n))), **work.get(name, {})}
        for name in ids
    ]
    claims.sort(key=_longest, reverse=True)
    shown = [claim for claim in claims if _longest(claim) >= _SHOWN]
    short = sum(claim.get("median", 0.0) for claim in claims[len(shown) :])
    notes = [f"{len(claims) - len(shown)} claims below {_SHOWN:g} s: {short:.1f} s together."]
    ours, *others = ({*runs[name][0]["places"]} for name in ("cold", "reference") if name in runs)
    result = {"rows": rows + shown, "claims": claims, "ledger_rows": len(ours), "notes": notes}
    for theirs in others:
        new = ", ".join(claim["what"] for claim in claims if "reference" not in claim) or "none"
        notes.append(
            f"{len(ours & theirs)} rows of the ledger are in both commits, {len(ours - theirs)} in "
            f"this one only (of new claims: {new}; others count among their claim's seconds), "
            f"{len(theirs - ours)} in the other only."
        )
        result["shared_rows"] = len(ours & theirs)
    return result


def _beside_commit(runs: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    """Of the claims that the other commit has too, and what the others add to them."""
    found = []
    for what, label in ((_WALL, _SHARED), (_CPU, f"{_SHARED}, CPU")):
        both, theirs = ([run[what] for run in runs[name]] for name in ("shared", "reference"))
        found.append(row(label, both, reference=theirs))
    pairs = zip(runs["cold"], runs["shared"], strict=True)
    return [*found, row(_LATER, [every[_WALL] - both[_WALL] for every, both in pairs])]


def _longest(claim: Mapping[str, Any]) -> float:
    return max(claim.get("median", 0.0), claim.get("reference", 0.0))


def row(
    what: str,
    cold: Sequence[float | None],
    warm: Sequence[float | None] = (),
    reference: Sequence[float | None] = (),
) -> dict[str, Any]:
    """Medians, of an empty cache the extremes too, and the commit's over ours within a round; what
    was not measured in each round is left out."""
    given = {"cold": cold, "warm": warm, "reference": reference}
    known: dict[str, Any] = {
        name: harness.Times(0.0, tuple(times))
        for name, times in given.items()
        if times and None not in times
    }
    found = {name: times.median for name, times in known.items() if name != "cold"}
    if "cold" in known:
        found |= {"median": known["cold"].median, "low": known["cold"].low}
        found["high"] = known["cold"].high
    if {"cold", "reference"} <= {*known} and known["cold"].low > 0.0:
        found["ratio"] = known["reference"].over(known["cold"])
    return {"what": what, **found}


def conclude(result: harness.Result) -> str:
    """The whole, the first verdict and the memory beside their limits, and the commit's."""
    rows = {row["what"]: row for row in result["rows"]}
    if _WALL not in rows:
        drawn, asked = (
            sum(row.get(key, 0) for row in rows.values()) for key in ("samples", "evaluations")
        )
        return f"{', '.join(rows)} draw {drawn:,} samples with {asked:,} evaluations."
    whole, cpu, first, peak = (rows[what] for what in (_WALL, _CPU, _SCREEN, _PEAK))
    compiling = rows[f"{_WALL}, compiling"]["median"]
    text = (
        f"From an empty cache all {result['ledger_rows']} rows of the ledger take "
        f"{whole['median']:.0f} s on {result['cores']} cores, {compiling:.0f} s of it compiling; "
        f"the first verdict is on screen after {_held(first, _FIRST_LIMIT, 's')}, and all "
        f"processes together hold {_held(peak, _MEMORY_LIMIT, 'MB')}."
    )
    if "ratio" not in whole:
        return text
    if _SHARED not in rows:  # of runs before they were measured apart
        told = f"{_ratio(result, whole, cpu)}, and {first['reference']:.0f} s to its first verdict."
        return f"{text} {told[0].upper()}{told[1:]}"
    both, of_both, later = (rows[what] for what in (_SHARED, f"{_SHARED}, CPU", _LATER))
    return (
        f"{text} On the claims that it has too, {result['shared_rows']} of the rows in "
        f"{both['median']:.0f} s, {_ratio(result, both, of_both)}, and "
        f"{first['reference']:.0f} s to its first verdict. Later claims add "
        f"{_held(later, _LATER_LIMIT, 's')}; with them it is {whole['ratio']:.1f} times."
    )


def _ratio(result: harness.Result, wall: Mapping[str, Any], cpu: Mapping[str, Any]) -> str:
    """The other commit's seconds beside ours, and the goal."""
    goal = "reached" if wall["ratio"] >= _GOAL else "missed"
    return (
        f"commit {result['reference']}, in turn with it, takes {wall['ratio']:.1f} times as long "
        f"(goal {_GOAL:g}, {goal}), {cpu['ratio']:.1f} times the CPU seconds"
    )


def _held(row: Mapping[str, Any], limit: float, unit: str) -> str:
    """A median beside the most it may be."""
    if "median" not in row:
        return f"an unknown number of {unit} (not measured on this system)"
    within = "within" if row["median"] <= limit else "above"
    return f"{row['median']:.0f} {unit} ({within} {limit:g} {unit})"


BENCHMARK = harness.Benchmark(
    question="How long does the whole ledger take?",
    measure=measure,
    conclude=conclude,
    columns={
        "what": "what",
        "median": "s, empty cache",
        "low": "min",
        "high": "max",
        "warm": "kernels kept",
        "reference": "the other commit",
        "ratio": "times ours",
        "cpu": "CPU, kernels kept, alone",
        "samples": "samples drawn",
        "evaluations": "evaluations",
        "networks": "of networks",
    },
    against=True,
)

"""Claims checked in processes of their own, several at a time.

A worker holds what claims share on a case, checks the claim it is told and sends the rows. Which
claim comes next is decided in the process that started them, and so is which worker makes a
measurement that several ask for: the others read it from the case's folder. That process also reads
for all of them what code a measurement depends on. Before a long run each worker compiles kernels
that claims will ask for, each others, so that none waits for another's; the first after its first
claim, which is there to be seen.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing as mp
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mixdyn.kernels import compiling
from mixdyn.sweeps.executors import THREADS, environment

from .case import Case
from .registry import Entry, load_claims
from .runner import run_claim
from .sources import digest_of

Row = dict[str, Any]
Load = Callable[[], Sequence[Entry]]


@dataclass(frozen=True, eq=False)
class Task:
    """A claim to be checked on a case, and how many seconds that takes as far as is known."""

    entry: Entry
    case: Case
    seconds: float = 1.0


class Watcher:
    """What is told how a run goes. This one ignores it."""

    def running(self, tasks: Sequence[Task]) -> None:
        """These are being checked now."""

    def compiling(self, kernel: str) -> None:
        """A kernel that is not kept yet is being compiled."""

    def finished(self, task: Task, rows: Sequence[Row]) -> None:
        """One is done."""


_START = 2.0  # seconds of work that are worth the start of a process, which imports for one
_LONG = 60.0  # seconds of work from which on nearly every kernel is met
# Of `mixdyn.cli.warmup`, what takes longest to compile, in shares of about one length for two.
_AHEAD = (
    "product mixture",
    "general mixture",
    "residual network",
    "residual network, float64",
    "responsibilities",
)


def worth(jobs: int, tasks: Sequence[Task]) -> int:
    """How many processes, at most `jobs`, make the tasks finish earlier: a claim that takes as long
    as all others together had better have all threads of one."""
    seconds = [task.seconds for task in tasks]
    return max(1, min(jobs, int(sum(seconds) / max(_START, *seconds)))) if seconds else 1


def check_all(
    tasks: Sequence[Task], jobs: int, watcher: Watcher, load: Load = load_claims
) -> Generator[tuple[Task, list[Row]], None, None]:
    """Every task with its rows, as they are finished; case by case.

    With one job here, in the given order. Else in so many processes, each of which calls `load` for
    the claims: the first takes the shortest task that is left, so that there is something to see,
    the others the longest. A worker that dies leaves an `error` row.
    """
    if jobs > 1:
        with tempfile.TemporaryDirectory() as shared:
            yield from _Crew(tasks, watcher, load, Path(shared)).check(jobs)
        return
    last = None
    for task in tasks:
        last = _leave(last, task.case)
        watcher.running([task])
        with compiling.on_compile(watcher.compiling):
            rows = _rows(task.entry, task.case)
        yield task, rows
    _leave(last, None)


def _leave(last: Case | None, case: Case | None) -> Case | None:
    """The case; what claims share on the last one is dropped if that was another."""
    if last is not None and last is not case:
        last.workspace.clear()
    return case


def _rows(entry: Entry, case: Case) -> list[Row]:
    return [verdict.as_row() for verdict in run_claim(entry, case)]


# -- the process that started the others ---------------------------------------------------------


class _Worker:
    """A process that checks claims, seen from outside. task : what it works on. shared : the
    folder of the crew, which goes with it; ahead : tasks of the warm-up that it begins with, or
    that it does behind so many claims."""

    def __init__(
        self,
        load: Load,
        cases: Sequence[Case],
        shared: Path,
        ahead: Sequence[str] = (),
        behind: int = 0,
    ) -> None:
        context = mp.get_context("spawn")  # a fork would take this one's threads for its own
        self.pipe, theirs = context.Pipe()
        given = theirs, load, cases, shared, ahead, behind
        self.process = context.Process(target=_work, args=given, daemon=True)
        # Several threads of a worker would wait for the cores of the others.
        with environment(dict.fromkeys(THREADS, "1")):
            self.process.start()
        theirs.close()
        self.task: Task | None = None

    def tell(self, what: Any) -> None:
        """Send it; from a worker that is dead there will be nothing to receive."""
        with contextlib.suppress(OSError):
            self.pipe.send(what)

    def receive(self) -> tuple[str, Any]:
        """What it has sent; ("died", how) where it is dead."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            return "died", f"signal {-code}" if code < 0 else f"exit status {code}"

    def end(self) -> None:
        """Stop it, whatever it does."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()


class _Crew:
    """Workers, what is left to do, and who makes which measurement.

    left : tasks by case, the longest first. makers : the worker that makes a measurement now.
    waits : the measurement that a task was put off for.
    """

    def __init__(self, tasks: Sequence[Task], watcher: Watcher, load: Load, shared: Path) -> None:
        self.cases = list(dict.fromkeys(task.case for task in tasks))
        by_length = sorted(tasks, key=lambda task: -task.seconds)
        self.left = [[t for t in by_length if t.case == case] for case in self.cases]
        sent = [replace(c, workspace={}, folder=c.folder or shared) for c in self.cases]
        self.hire: Callable[..., _Worker] = functools.partial(_Worker, load, sent, shared)
        self.ahead = _AHEAD if sum(task.seconds for task in tasks) > _LONG else ()
        self.watcher = watcher
        self.workers: list[_Worker] = []
        self.makers: dict[str, _Worker] = {}
        self.waits: dict[Task, str] = {}

    def check(self, jobs: int) -> Iterator[tuple[Task, list[Row]]]:
        """The tasks with their rows, as they are finished."""
        try:
            jobs = min(jobs, sum(map(len, self.left)))
            self.workers = [self.hire(self.ahead[k::jobs], int(k == 0)) for k in range(jobs)]
            while busy := self._give_out():
                for pipe in wait(list(busy)):
                    yield from self._hear(busy[pipe])
        finally:
            for worker in self.workers:
                worker.end()

    def _give_out(self) -> dict[Any, _Worker]:
        """Let every idle worker begin what is next for it; all busy ones by their pipe."""
        for worker in self.workers:
            task = None if worker.task else self._next(-1 if worker is self.workers[0] else 0)
            if task is not None:
                worker.task = task
                worker.tell((self.cases.index(task.case), task.entry.claim.id))
        busy = {worker.pipe: worker for worker in self.workers if worker.task}
        self.watcher.running([worker.task for worker in busy.values() if worker.task])
        return busy

    def _next(self, end: int) -> Task | None:
        """From that end of the first case's tasks, one that need not wait for a measurement."""
        for tasks in self.left:
            ready = [task for task in tasks if self.waits.get(task) not in self.makers]
            if ready:
                tasks.remove(ready[end])
                return ready[end]
        return None

    def _hear(self, worker: _Worker) -> Iterator[tuple[Task, list[Row]]]:
        """Act on what a worker says."""
        task = worker.task
        assert task is not None
        about, said = worker.receive()
        if about == "compiling":
            self.watcher.compiling(said)
        elif about == "asks":
            worker.tell(self.makers.setdefault(said, worker) is worker)
        elif about == "made":
            del self.makers[said]
        elif about == "code":
            worker.tell(digest_of(said))
        else:
            worker.task = None
            self.makers = {key: maker for key, maker in self.makers.items() if maker is not worker}
            if about == "elsewhere":
                self.waits[task] = said
                self.left[self.cases.index(task.case)].append(task)
            else:
                yield task, self._lost(worker, task, said) if about == "died" else said

    def _lost(self, worker: _Worker, task: Task, how: str) -> list[Row]:
        """The row of a check whose process died, in whose place another goes on."""
        worker.end()
        self.workers[self.workers.index(worker)] = self.hire()
        note = f"The process of this check ended before it ({how}); a lack of memory does that."
        return [task.entry.claim.broken(task.case, note).as_row()]


# -- in a worker ---------------------------------------------------------------------------------


class Elsewhere(BaseException):  # no fault of a check: what catches those lets it through
    """Another process makes the measurement that a check asks for, which is begun again later."""


def _work(
    pipe: Connection,
    load: Load,
    cases: Sequence[Case],
    shared: Path,
    ahead: Sequence[str],
    behind: int,
) -> None:
    """Check what comes through the pipe, until its other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the one that ends this
    threading.Thread(target=_follow, args=(shared,), daemon=True).start()

    @contextlib.contextmanager
    def turn(key: str) -> Iterator[None]:
        pipe.send(("asks", key))
        if not pipe.recv():
            raise Elsewhere(key)
        yield
        pipe.send(("made", key))

    @functools.cache
    def code(path: Path) -> str:
        pipe.send(("code", path))
        return pipe.recv()

    entries = {entry.claim.id: entry for entry in load()}
    cases = [replace(case, turn=turn, code=code) for case in cases]
    last = None
    with compiling.on_compile(lambda kernel: pipe.send(("compiling", kernel))):
        for done in itertools.count():
            if done == behind:
                _compile(ahead)
            place, claim_id = pipe.recv()
            last = _leave(last, cases[place])
            try:
                pipe.send(("rows", _rows(entries[claim_id], cases[place])))
            except Elsewhere as other:
                pipe.send(("elsewhere", str(other)))


def _compile(ahead: Sequence[str]) -> None:
    """These tasks of the warm-up."""
    if ahead:
        from mixdyn.cli import warmup

        tasks = dict(warmup.tasks())
        for name in ahead:
            tasks[name]()


def _follow(shared: Path) -> None:
    """End with the process that started this one, however that ended, and take away the folder that
    it can take away no more."""
    parent = mp.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    shutil.rmtree(shared, ignore_errors=True)
    os._exit(1)

"""What the ledger can be asked: each a function of what was asked that returns the exit status."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mixdyn.support.checks import check_integer, check_positive
from mixdyn.support.errors import FileError, InputError
from mixdyn.support.files import make_folder, write_text
from mixdyn.support.finding import lazily
from mixdyn.support.numbers import dump_json
from mixdyn.support.usage import INTERRUPTED, is_quiet, write_json

from .ledger import registry
from .ledger.case import Case, Profile
from .ledger.relations import Outcome
from .report import figure_names

if TYPE_CHECKING:
    from .ledger import cases, recorded, store
    from .report import document as report
    from .report import pictures
    from .report import screen as terminal
    from .report import summary as summaries
else:
    cases, recorded, store = (
        lazily(f"verify.ledger.{name}") for name in ("cases", "recorded", "store")
    )
    report, pictures, terminal, summaries = (
        lazily(f"verify.report.{name}") for name in ("document", "pictures", "screen", "summary")
    )

Row = dict[str, Any]
EXIT_DRIFT, EXIT_ERROR = 1, 2
SECONDS = 60.0  # of --certify, a claim
# What no proof heeds, by parameter: it draws nothing, keeps no rows and runs in one process.
_NO_PROOF = {
    **{name: f"--{name}" for name in ("subjects", "figures", "record", "workers", "scheduler")},
    **{name: f"--{name}" for name in ("jobs", "fresh", "profile")},
    "json_file": "--json",
    "n_random": "--random",
    "search_claim": "--search",
}


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where results go, and which. summary: one line a claim over all problems as well."""

    folder: Path
    json: str | None
    record: bool
    summary: bool

    @property
    def store(self) -> store.Store:
        """Finished rows, inside the output folder."""
        return store.Store(self.folder / "rows")


@dataclasses.dataclass(frozen=True)
class UserFiles:
    """What the user brings: a mixture, a schedule, a score model and how to read it."""

    mixture: str | None
    schedule: str | None
    model: str | None
    predicts: str | None = None
    index_base: int | None = None

    def any(self) -> bool:
        """Whether there is one at all."""
        return any(value is not None for value in vars(self).values())


def _choose_cases(
    files: UserFiles, seed: int, profile: Profile, n_random: int | None
) -> list[Case]:
    if not files.any():
        return cases.default_cases(seed, profile, n_random)
    if n_random is not None:
        raise InputError(
            "--random runs the built-in problems; --mixture, --schedule and --model replace them",
            "both",
            "Drop one of them.",
        )
    return [
        cases.user(
            files.mixture,
            files.schedule,
            seed,
            profile,
            files.model,
            predicts=files.predicts,
            index_base=files.index_base,
        )
    ]


def _finish(
    entries: list[registry.Entry], chosen: list[Case], rows: list[Row], outputs: Outputs
) -> int:
    """Print and write everything; the exit status. The table comes first: the disk may be full."""
    console = terminal.make_console()
    terminal.print_table(console, rows)
    by_case = {case.name: [r for r in rows if r["case"] == case.name] for case in chosen}
    if outputs.record:
        for case in chosen:
            recorded.record(case, by_case[case.name])
    changes = {case.name: recorded.find_drift(case, by_case[case.name]) for case in chosen}
    document = report.build_document(entries, chosen, rows, changes)
    terminal.print_drift(console, changes)
    terminal.print_controls(console, document)
    if outputs.summary:
        summaries.print_summary(console, summaries.summarise(rows))
    page = report.write_report(document, outputs.folder)
    if outputs.json is not None:
        write_json(dump_json(document), outputs.json)
    if outputs.summary:
        write_text(outputs.folder / "summary.md", summaries.to_markdown(summaries.summarise(rows)))
    console.print(f"Report: {page}")
    if any(row["verdict"] == Outcome.ERROR for row in rows):
        return EXIT_ERROR
    return EXIT_DRIFT if any(changes.values()) else 0


def _run(
    entries: list[registry.Entry], chosen: list[Case], outputs: Outputs, fresh: bool, jobs: int
) -> list[Row]:
    make_folder(outputs.store.folder)  # before minutes of work, not after
    progress = terminal.Progress(terminal.make_console(), len(entries) * len(chosen))
    lost: list[FileError] = []
    with progress.shown():
        rows = store.run_all(
            entries,
            chosen,
            outputs.store,
            fresh=fresh,
            jobs=jobs,
            watcher=progress,
            unkept=lost.append,
        )
    if lost:
        typer.echo(f"warning: {len(lost)} finished claims could not be kept: {lost[0]}", err=True)
    return rows


def _refuse(beside: bool, rule: str, received: str) -> None:
    """What cannot stand beside an option that is a command of its own."""
    if beside:
        raise InputError(rule, received, "Drop them, or the option.")


def _search(claim_id: str, seed: int, profile: Profile, out: Path) -> int:
    """Search for a violation of each claim that the name fits, and print what was found.

    Returns the exit status: 2 if a check of ours broke, else 1 if a claim was violated, else 0; 130
    after an interrupt.
    """
    from .search import require

    require()
    from .search.adversary import search
    from .search.screen import print_search, search_progress
    from .search.trial import Kind

    console = terminal.make_console()
    status = 0
    folder = out / "search"
    for entry in registry.load_claims([claim_id]):
        try:
            with search_progress(console, entry.claim.id, profile) as progress:
                result = search(entry, seed, profile, folder, progress)
        except KeyboardInterrupt:
            kept = f"the worst found so far, if anything, is in {folder}"
            typer.echo(f"interrupted: {kept}; the same command starts over.", err=True)
            return INTERRUPTED
        print_search(console, result)
        if result.found(Kind.CRASH) is not None:
            status = EXIT_ERROR
        elif result.found(Kind.VIOLATION) is not None:
            status = max(status, EXIT_DRIFT)
    return status


def _sweep(
    wanted: list[str],
    n: int,
    seed: int,
    profile: Profile,
    outputs: Outputs,
    hands: tuple[int | None, str | None],
) -> int:
    """Check claims on many problems, on the processes or the scheduler that `hands` name; the exit
    status: 2 if a check broke, else 0."""
    from mixdyn.sweeps.running import executor_for

    from .sweeps import running, screen

    console = terminal.make_console()
    entries = registry.load_claims(wanted)
    asked = running.Sweep(entries, n, seed, profile, outputs.folder)
    executor = executor_for(*hands, lambda line: typer.echo(line, err=True))
    with screen.sweep_progress(console) as progress:
        result = running.run(asked, executor, progress)
    screen.print_result(console, asked, result)
    if outputs.json is not None:
        write_json(dump_json(result.as_data()), outputs.json)
    return EXIT_ERROR if result.broken else 0


def _judge(library: str, wanted: list[str], seed: int, profile: Profile, outputs: Outputs) -> int:
    """Check the samplers of a library; the exit status.

    In one process, which imports it once; nothing kept is read: what an installed library is made
    of, no row's key says.
    """
    from .subjects.registry import load_subjects

    entries, case = load_subjects(library, seed, profile)
    chosen = registry.select(entries, wanted)
    return _finish(chosen, [case], _run(chosen, [case], outputs, True, 1), outputs)


def _certify(wanted: list[str], case: Case, seconds: float, out: Path) -> int:
    """Prove what claims state on a problem; 1 where something is refuted, 0 else."""
    from mixdyn.proof import Outcome as Proof

    from .report.certificates import certify

    entries = registry.load_claims(wanted)
    with terminal.status() as stage:
        say = (lambda line: None) if is_quiet() else typer.echo
        found = certify(entries, case, seconds, out, say, stage)
    return EXIT_DRIFT if found is Proof.REFUTED else 0


def _draw(ids: list[str], case: Case, out: Path, json_file: str | None) -> int:
    """Draw figures of a case, measuring what they need; the report embeds them from then on."""
    from .report.figures import FIGURES, draw_figures

    with terminal.status() as progress:
        drawn = draw_figures(ids, case, out, progress)
    pictures.record_drawn(out, case, drawn)
    if json_file is not None:
        facts = [{**vars(figure), "paths": list(map(str, figure.paths))} for figure in drawn]
        write_json(dump_json({"figures": facts}), json_file)
    for figure in () if is_quiet() else drawn:
        what = f"not applicable: {figure.reason}" if figure.reason else str(figure.paths[0])
        typer.echo(f"{FIGURES[figure.id].name}, {figure.seconds:.1f} s: {what}")
    return 0


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a run of the ledger was asked; hands : --workers and --scheduler; given : parameters
    named. InputError for what cannot stand together and for unknown names, before anything is
    imported for it."""

    claims: list[str]
    files: UserFiles
    profile: Profile
    seed: int
    n_random: int | None
    search: str | None
    figures: bool
    certify: bool
    budget: float | None
    record: bool
    fresh: bool
    subjects: str | None
    jobs: int
    hands: tuple[int | None, str | None]
    out: Path
    json_file: str | None
    given: frozenset[str]

    def __post_init__(self) -> None:
        check_integer(self.seed, "--seed", 0, 2**63 - 1)
        check_integer(self.jobs, "--jobs", 1, 1024)
        if self.n_random is not None:
            most = 1_000_000 if any(self.hands) else 10_000
            check_integer(self.n_random, "--random", 0, most)
        if self.budget is not None:
            rule = "--budget is of the proofs of --certify"
            _refuse(not self.certify, rule, "no --certify beside it")
            check_positive(self.budget, "--budget")
        for others, rule, received in self._alone():
            _refuse(others, rule, received)
        if self.figures:
            figure_names.check(self.claims)
        elif self.subjects is None:
            registry.check_names(self.claims if self.search is None else [self.search])

    def _alone(self) -> Iterator[tuple[bool, str, str]]:
        """Of each option that is a command of its own: whether others stand beside it."""
        random, own_problems = self.n_random is not None, self.files.any() or self.figures
        spread = self.hands != (None, None)
        if self.certify:
            beside = [option for name, option in _NO_PROOF.items() if name in self.given]
            yield (
                bool(beside),
                "--certify proves claims on one problem, by itself, and prints a line for each",
                f"{', '.join(beside)} beside it",
            )
        if self.search is not None:
            yield (
                bool(self.claims) or own_problems or random,
                "--search draws its own problems and checks one claim",
                "other claims, files, --random or --figures beside it",
            )
        if self.subjects is not None:
            yield (
                own_problems or random,
                "--subjects checks the samplers of a library on problems of their own",
                "files, --random or --figures beside it",
            )
        if spread and self.search is None and self.subjects is None:
            yield (
                not random or own_problems or self.record or self.fresh,
                "--workers and --scheduler spread the problems of --random N over processes",
                "no --random, or files, --figures, --record or --fresh beside it",
            )

    def run(self) -> int:
        """Do it; the exit status."""
        outputs = Outputs(self.out, self.json_file, self.record, self.n_random is not None)
        drawn = self.seed, self.profile
        if self.search is not None:
            return _search(self.search, *drawn, self.out)
        if self.subjects is not None:
            return _judge(self.subjects, self.claims, *drawn, outputs)
        if self.hands != (None, None):
            return _sweep(self.claims, self.n_random or 0, *drawn, outputs, self.hands)
        chosen = _choose_cases(self.files, *drawn, self.n_random)
        if not self.fresh:
            chosen = [dataclasses.replace(case, folder=self.out / "measured") for case in chosen]
        if self.certify:
            seconds = SECONDS if self.budget is None else self.budget
            return _certify(self.claims, chosen[0], seconds, self.out)
        if self.figures:
            make_folder(self.out)
            return _draw(self.claims, chosen[0], self.out, self.json_file)
        entries = registry.load_claims(self.claims)
        return _finish(
            entries, chosen, _run(entries, chosen, outputs, self.fresh, self.jobs), outputs
        )

"""python -m verify: run the ledger."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixdyn.support.checks import check_integer, check_positive
from mixdyn.support.errors import FileError, InputError, MixdynError
from mixdyn.support.files import make_folder, write_text
from mixdyn.support.finding import lazily
from mixdyn.support.numbers import dump_json
from mixdyn.support.provenance import usable_cores
from mixdyn.support.usage import (
    INTERRUPTED,
    PRINTED,
    Json,
    OneLineCommand,
    Quiet,
    Threads,
    as_asked,
    is_quiet,
    write_json,
)

from .ledger.case import Case, Profile
from .ledger.relations import Outcome

if TYPE_CHECKING:
    from mixdyn import kernels

    from .ledger import cases, recorded, registry, store
    from .report import document as report
    from .report import pictures
    from .report import screen as terminal
    from .report import summary as summaries
else:
    kernels = lazily("mixdyn.kernels")
    cases, recorded, registry, store = (
        lazily(f"verify.ledger.{name}") for name in ("cases", "recorded", "registry", "store")
    )
    report, pictures, terminal, summaries = (
        lazily(f"verify.report.{name}") for name in ("document", "pictures", "screen", "summary")
    )

Row = dict[str, Any]
EXIT_DRIFT, EXIT_ERROR = 1, 2
SECONDS = 60.0  # of --certify, a claim

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


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
    for entry in registry.select(registry.load_claims(), [claim_id]):
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
    entries = registry.select(registry.load_claims(), wanted)
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

    entries = registry.select(registry.load_claims(), wanted)
    with terminal.status() as stage:
        say = (lambda line: None) if is_quiet() else typer.echo
        found = certify(entries, case, seconds, out, say, stage)
    return EXIT_DRIFT if found is Proof.REFUTED else 0


def _draw(ids: list[str], case: Case, out: Path, json_file: str | None) -> None:
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


@app.command(cls=OneLineCommand)
def main(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    claims: Annotated[
        list[str] | None, typer.Argument(help="Ids such as T4.2 or X2; all of them if none.")
    ] = None,
    mixture: Annotated[
        str | None,
        typer.Option(
            help="TOML or NPZ file with means, sigma and weights, or a preset such as grid.",
            metavar="FILE|PRESET",
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="TOML or NPZ file of a schedule, or a name such as cosine.", metavar="FILE|NAME"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A score model for the learned rows: a checkpoint or module:name.",
            metavar="FILE|MODULE:NAME",
        ),
    ] = None,
    predicts: Annotated[
        str | None,
        typer.Option(help="What that function returns: eps, x0, v, score.", show_default="eps"),
    ] = None,
    index_base: Annotated[
        int | None,
        typer.Option(help="Index it gives to the first noisy time, 0 or 1.", show_default="1"),
    ] = None,
    profile: Annotated[Profile, typer.Option(help="Sample sizes.")] = Profile.QUICK,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    n_random: Annotated[
        int | None, typer.Option("--random", help="Number of random problems.")
    ] = None,
    search_claim: Annotated[
        str | None, typer.Option("--search", help="Look for the problem on which this claim fails.")
    ] = None,
    figures: Annotated[
        bool,
        typer.Option("--figures", help="Draw figures: of the claims named, or all."),
    ] = False,
    certify: Annotated[
        bool,
        typer.Option(
            "--certify", help="Prove what claims state over a continuum; keep certificates."
        ),
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Seconds of proving, a claim.", metavar="SECONDS", show_default=f"{SECONDS:g}"
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Store the verdicts as the ones to reproduce.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Check again, and measure again, what is kept.")
    ] = False,
    subjects: Annotated[
        str | None,
        typer.Option(
            help="Check the samplers of a library, such as diffusers, in place of the papers.",
            metavar="LIBRARY",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="Claims checked at a time, in as many processes.", show_default="cores"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Spread the problems of --random over so many processes, and write what they say "
            "together, in place of a report of each.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="The same on the workers of a dask.distributed scheduler, such as "
            "tcp://10.0.0.1:8786.",
            metavar="ADDRESS",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report and of finished rows.")] = Path(
        "report"
    ),
    json_file: Json = None,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Check published results on diffusion samplers, each on its own merits.

    Exit status: 0 if every verdict equals the recorded one (or none is recorded), 1 if one
    changed or an adversary found a violation, 2 for a broken check or bad input, 130 after an
    interrupt. Finished rows and what was measured for them are kept in the output folder, so a
    broken-off run goes on where it stopped.
    """
    try:
        silent = quiet or json_file == PRINTED  # the document alone
        context.with_resource(as_asked(quiet=silent, threads=threads, json_file=json_file))
        context.with_resource(kernels.threads(threads))
        files = UserFiles(mixture, schedule, model, predicts, index_base)
        check_integer(seed, "--seed", 0, 2**63 - 1)
        jobs = check_integer(usable_cores() if jobs is None else jobs, "--jobs", 1, 1024)
        if n_random is not None:
            check_integer(n_random, "--random", 0, 1_000_000 if workers or scheduler else 10_000)
        alone = files.any() or figures
        if budget is not None:
            _refuse(not certify, "--budget is of the proofs of --certify", "no --certify beside it")
            check_positive(budget, "--budget")
        others = (json_file, subjects, n_random, search_claim, workers, scheduler)
        _refuse(
            certify and (figures or record or any(one is not None for one in others)),
            "--certify proves claims on one problem and prints a line for each",
            "--json, --random, --subjects, --search, --figures, --record, --workers or --scheduler "
            "beside it",
        )
        if search_claim is not None:
            _refuse(
                bool(claims) or alone or n_random is not None,
                "--search draws its own problems and checks one claim",
                "other claims, files, --random or --figures beside it",
            )
            raise typer.Exit(_search(search_claim, seed, profile, out))
        outputs = Outputs(out, json_file, record, summary=n_random is not None)
        if subjects is not None:
            _refuse(
                alone or n_random is not None,
                "--subjects checks the samplers of a library on problems of their own",
                "files, --random or --figures beside it",
            )
            raise typer.Exit(_judge(subjects, claims or [], seed, profile, outputs))
        if (hands := (workers, scheduler)) != (None, None):
            _refuse(
                n_random is None or alone or record or fresh,
                "--workers and --scheduler spread the problems of --random N over processes",
                "no --random, or files, --figures, --record or --fresh beside it",
            )
            raise typer.Exit(_sweep(claims or [], n_random or 0, seed, profile, outputs, hands))
        chosen = _choose_cases(files, seed, profile, n_random)
        if not fresh:
            chosen = [dataclasses.replace(case, folder=out / "measured") for case in chosen]
        if certify:
            seconds = SECONDS if budget is None else budget
            raise typer.Exit(_certify(claims or [], chosen[0], seconds, out))
        if figures:
            make_folder(out)
            _draw(claims or [], chosen[0], out, json_file)
            raise typer.Exit(0)
        entries = registry.select(registry.load_claims(), claims or [])
        status = _finish(entries, chosen, _run(entries, chosen, outputs, fresh, jobs), outputs)
    except MixdynError as error:
        typer.echo(f"error: {error}", err=True)
        status = EXIT_ERROR
    except KeyboardInterrupt:
        typer.echo("interrupted: finished rows are kept, the same command goes on.", err=True)
        status = INTERRUPTED
    raise typer.Exit(status)


def run(arguments: Sequence[str], name: str = "mixdyn verify") -> int:
    """Check published results on diffusion samplers, each on its own merits."""
    try:
        app(list(arguments), prog_name=name)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def draw(arguments: Sequence[str]) -> int:
    """Draw the figures of claims, all or of those named: `verify --figures`."""
    return run(["--figures", *arguments], "mixdyn figures")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], "python -m verify"))

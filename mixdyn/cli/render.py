"""Tables on the terminal and JSON on request, for what the commands computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mixdyn.support.numbers import dump_json, show_number, show_share
from mixdyn.support.usage import PRINTED, is_quiet, write_json

from .facts import CloneFacts, DataFacts, Diagnosis, Stage
from .symbols import symbols_in
from .words import explain

if TYPE_CHECKING:
    from rich.console import Console

    from .recursion import RecurseSummary
    from .sampling import ModeFacts, SampleSummary
    from .training import ImageSummary, TrainSummary
    from .training_sweep import TrainingsSummary

_NONE = show_number(None)
_MODES_SHOWN = 10
_SURE = 0.9999


def show(
    printed: Callable[[Any, Console], None],
    summary: object,
    as_json: str | None = None,
    **more: Any,
) -> None:
    """What a command computed: as strict JSON with `more` beside it where --json asks for that, and
    on standard output, unless that holds the JSON or is to be quiet. A pipe or file gets a fixed
    width, so that tables do not wrap."""
    if as_json is not None:
        write_json(dump_json({**vars(summary), **more}), as_json)
    if as_json == PRINTED or is_quiet():
        return
    from rich.console import Console

    console = Console(highlight=False)
    printed(summary, console if console.is_terminal else Console(highlight=False, width=120))


def print_summary(summary: SampleSummary, console: Console) -> None:
    """The result of `mixdyn sample`."""
    rows = [
        [c.name.replace("_", " "), c.count, show_share(c.share, 4), _interval(c.low, c.high)]
        for c in summary.classes
    ]
    print_table(console, "Samples by class", "class | count | share | 95 % interval", rows)
    _print_modes(summary.modes, console)
    console.print(
        f"{summary.n:,} samples, {summary.sampler} from time {summary.first_time}, "
        f"{summary.n_eval:g} evaluations of {summary.model} each, seed {summary.seed}, "
        f"{summary.seconds:.2f} s"
    )
    files = [name for name in (summary.samples_file, summary.summary_file) if name]
    console.print(f"wrote {' and '.join(files)}", soft_wrap=True)


def _print_modes(modes: ModeFacts, console: Console) -> None:
    """Weights, lost modes and spread: the modes whose share is farthest from their weight first."""
    counts, weights, most = modes.counts, modes.weights, _MODES_SHOWN
    inside = sum(counts)
    if inside == 0:
        console.print("No sample is in a mode.\n")
        return
    gaps = [abs(k - inside * w) for k, w in zip(counts, weights, strict=True)]
    told = [k for k, (count, w) in enumerate(zip(counts, weights, strict=True)) if count or w]
    shown = sorted(told, key=lambda k: (-gaps[k], k))[:most]
    shares = [(show_share(weights[k]), show_share(counts[k] / inside)) for k in shown]
    spreads = [show_number(modes.spreads[k], 3) for k in shown]
    rows = [
        [str(k), *both, counts[k], spread]
        for k, both, spread in zip(shown, shares, spreads, strict=True)
    ]
    few = f", the {len(rows)} of {len(told)} farthest from their weight" * (len(rows) < len(told))
    heads = "mode | weight | share | count | spread / sigma"
    print_table(console, f"Samples in modes{few}", heads, rows)
    lost = ", ".join(map(str, modes.lost[:most])) + ", ..." * (len(modes.lost) > most)
    untold = f"; {modes.untold} due too few samples to tell" * (modes.untold > 0)
    untold += f"; {modes.elsewhere:,} samples at modes not asked for" * (modes.elsewhere > 0)
    spread = (
        ""
        if modes.spread is None
        else (f" Spread within modes {show_number(modes.spread, 3)} sigma.")
    )
    console.print(
        f"lost modes (less than a tenth of what is due): {lost or 'none'}{untold}. KL of the "
        f"shares from the weights {show_number(modes.divergence, 3)} nats (chance alone: "
        f"{show_number(modes.chance_divergence, 3)}).{spread}\n"
    )


def print_training(summary: TrainSummary | ImageSummary, console: Console) -> None:
    """The result of `mixdyn train`."""
    from .training import TrainSummary

    console.print(
        f"{summary.recipe} recipe, seed {summary.seed}: {summary.steps:,} steps, "
        f"{summary.parameters:,} parameters, {summary.seconds:.0f} s"
    )
    if isinstance(summary, TrainSummary):
        console.print(
            f"loss {summary.loss:.5f} = {summary.irreducible:.5f} that no network removes + excess "
            f"{summary.excess:.5f} (standard error {summary.excess_std:.5f}), up to sampling noise"
        )
    else:
        console.print(
            f"loss {summary.loss:.5f} (standard error {summary.loss_std:.5f}) on images that it "
            "was not trained on"
        )
    console.print(f"wrote {summary.checkpoint}", soft_wrap=True)


def print_trainings(summary: TrainingsSummary, console: Console) -> None:
    """The result of `mixdyn train --seeds`."""
    for found in summary.networks:
        over = f", excess {found['excess']:.5f}" if "excess" in found else ""
        console.print(
            f"seed {found['seed']}: loss {found['loss']:.5f}{over}; wrote {found['checkpoint']}",
            soft_wrap=True,
        )


def print_recursion(summary: RecurseSummary, console: Console) -> None:
    """The result of `mixdyn recurse`."""
    rows = [
        [
            *(str(g.index), g.trained_on, g.n, show_share(g.interpolation, 4)),
            _interval(g.interpolation_low, g.interpolation_high),
            *(show_share(g.invalid, 4), f"{g.modes} of {g.of_modes}"),
            *(show_number(g.weight_divergence, 3), show_number(g.spread, 3)),
        ]
        for g in summary.generations
    ]
    heads = "generation | trained on | samples | between modes | 95 % interval | invalid | "
    heads += "modes left | KL of weights | spread"
    print_table(console, f"Generations, filter {summary.filter}", heads, rows)
    console.print(
        f"spread in sigma; {summary.recipe} recipe, seed {summary.seed}, {summary.seconds:.0f} s; "
        f"wrote {summary.folder}",
        soft_wrap=True,
    )


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """The result of `mixdyn check`: what it is of, in words, the tables, and their symbols."""
    with console.capture() as said:
        _print_facts(diagnosis, console)
        console.print("In words", style="bold")
        for sentence in [*explain(diagnosis), *diagnosis.notes]:
            console.print(f"- {sentence}")
        console.print()
        _print_tables(diagnosis, console)
    console.file.write(said.get())
    console.print("Symbols", style="bold")
    for symbol, meaning in symbols_in(said.get()).items():
        console.print(f"- {symbol}: {meaning}")


def _print_tables(diagnosis: Diagnosis, console: Console) -> None:
    if diagnosis.pairs:
        _print_pairs(diagnosis, console)
    if diagnosis.data is not None and diagnosis.data.nearest:
        _print_neighbours(diagnosis.data, console)
    if diagnosis.crossings:
        _print_crossings(diagnosis, console)
    for stage in diagnosis.stages:
        _print_stage(stage, console)
    rows = [
        [row.sampler, row.sigma, f"{row.final_over_sigma:.3f}", f"{row.last_step:.3f}"]
        for row in diagnosis.spread
    ]
    heads = "sampler | sigma | spread / sigma | last step alone"
    if rows:
        print_table(console, "Spread returned within a mode", heads, rows)
    for clones in diagnosis.clones:
        _print_clones(clones, console)


def _print_facts(diagnosis: Diagnosis, console: Console) -> None:
    m, s, n = diagnosis.mixture, diagnosis.schedule, diagnosis.n_shortest
    sigma = " to ".join(dict.fromkeys(show_number(m[f"sigma_{end}"]) for end in ("min", "max")))
    what = "mode" if diagnosis.data is None else "data point"
    console.print(
        f"Mixture: {m['N']:,} {what}{'s' * (m['N'] > 1)} in {m['d']} "
        f"dimension{'s' * (m['d'] > 1)}, sigma {sigma}"
    )
    console.print(
        f"Schedule: T = {s['T']}, alpha_bar at T {show_number(s['alpha_bar_T'], 3)}, last noise "
        f"variance {show_number(s['last_noise_var'])}; DDIM grid of {s['ddim_steps']} steps"
    )
    text = "No two modes at different places" if diagnosis.data is None else ""
    if diagnosis.pairs:
        smallest = show_number(diagnosis.pairs[0].length)
        text = f"{n} pair{'s' * (n > 1)} at the smallest distance {smallest}"
    console.print(f"{text}\n")


def _print_pairs(diagnosis: Diagnosis, console: Console) -> None:
    heads = "pair | l | l / sigma | l / radii | Mahalanobis | saddle from | w_i / w_j"
    heads += "".join(f" | tau_2, kappa {kappa:g}" for kappa in diagnosis.kappas)
    rows = []
    for p in diagnosis.pairs:
        times = [
            None if raw is None else f"{raw} ({steps} steps)"
            for raw, steps in zip(p.tau_2_raw, p.tau_2_steps, strict=True)
        ]
        widths = (p.length_sigma, p.length_radii, p.length_whitened)
        numbers = (p.length, *widths, p.born_raw, p.weight_ratio)
        rows.append([f"{p.i}, {p.j}", *numbers, *times])
    print_table(console, "Nearest pairs (tau_2: raw time from which separated)", heads, rows)


def _print_neighbours(data: DataFacts, console: Console) -> None:
    rows: list[list[object]] = [
        ["l", *data.nearest],
        ["raw time of l^2 = 4 v", *data.told_apart_raw],
    ]
    heads = "nearest neighbour | least | 5 % | median | 95 % | largest"
    print_table(console, f"Distances of {data.looked:,} points", heads, rows)


def _print_clones(clones: CloneFacts, console: Console) -> None:
    one = clones.what.removesuffix("s")
    most = math.log(clones.n_classes)
    rows = [
        [str(c.t_raw), c.rho, _nearly(c.probability), show_number(c.information, 3), c.alive]
        for c in clones.levels
    ]
    heads = (
        f"raw time | rho | end at one {one} | nats of log {clones.n_classes} = {most:.3g} | alive"
    )
    print_table(console, f"Two paths from one noisy state: the same {one}?", heads, rows)


def _nearly(share: float) -> str:
    """A share whose digits near 100 % say nothing more."""
    return show_share(share) if share < _SURE or share == 1.0 else f"over {show_share(_SURE, 5)}"


def _print_crossings(diagnosis: Diagnosis, console: Console) -> None:
    rows: dict[tuple[str, float], list[object]] = {}
    for c in diagnosis.crossings:  # the first, the last, the last of one fixed pair
        row = rows.setdefault((c.process, c.kappa), [c.process, f"{c.kappa:g}"])
        late, early = show_number(c.raw_05), show_number(c.raw_95)
        row.append(None if c.raw_50 is None else f"{c.raw_50} ({early} .. {late})")
        if c.crossing == "last_fixed":
            row += [c.steps_50, show_share(c.never_share, 4)]
    title = (
        f"Dominance by two modes: median (early .. late 5 %) of the raw time tau_1 over "
        f"{diagnosis.n_trajectories} trajectories"
    )
    heads = "process | kappa | first | last | last, one fixed pair | DDIM steps left | never"
    print_table(console, title, heads, rows.values())


def _print_stage(stage: Stage, console: Console) -> None:
    growth = " and ".join(
        f"e^{value:.4g} to {_end(k)}" for k, value in stage.mixture_growth.items()
    )
    console.print(
        f"From raw time {stage.tau_raw} ({stage.tau_steps} DDIM steps left), effective variance "
        f"{show_number(stage.v)}. No two DDIM trajectories part by more than {growth}.\n",
        style="bold",
    )
    _print_saddles(stage, console)
    _print_traps(stage, console)
    rows = [[_end(b.end), *list(vars(b).values())[1:]] for b in stage.budgets]
    heads = "to | DDIM factor | DDPM factor | DDIM from l/2 | DDPM from l/2 | DDIM needs | "
    heads += "DDPM needs"
    print_table(console, "Contraction to the mode that owns a point", heads, rows)
    console.print(
        "from l/2: where a point half a pair's length from its mode ends, in sigma; needs: raw "
        "time from which it would end inside the mode radius\n",
        style="dim",
    )


def _print_saddles(stage: Stage, console: Console) -> None:
    rows: list[list[object]] = []
    for p in stage.pairs:
        numbers: list[float | None] = [None] * 4
        if (s := p.saddle) is not None:
            numbers = [s.a, s.from_midpoint_l, s.eigenvalues[0], s.eigenvalues[-1]]
        rows.append([f"{p.i}, {p.j}", p.stiffness, *(show_number(value, 6) for value in numbers)])
    heads = "pair | l^2 / v | saddle at a | off midpoint / l | lowest eigenvalue | highest"
    print_table(console, "Unstable points between modes (a = 1 at the first mode)", heads, rows)
    _print_reasons(console, [(p.i, p.j, p.no_saddle) for p in stage.pairs])


def _print_traps(stage: Stage, console: Console) -> None:
    ends = list(stage.mixture_growth)
    fractions = sorted({t.fraction for p in stage.pairs for t in p.traps})
    heads = "pair"
    for end in map(_end, ends):
        heads += f" | growth to {end}" + "".join(f" | {share:g} l, {end}" for share in fractions)
    rows = []
    for p in stage.pairs:
        radii = {(t.end, t.fraction): show_number(t.radius_l, 3) for t in p.traps}
        rows.append([f"{p.i}, {p.j}"])
        for end in ends:
            found = [radii.get((end, fraction), _NONE) for fraction in fractions]
            rows[-1] += [f"e^{p.growth[end]:.4g}", *found]
    print_table(console, "Growth between two modes under DDIM, and exact traps", heads, rows)
    if fractions:
        console.print(
            "traps: half-width, in l, of the starts that end so close to the midpoint\n",
            style="dim",
        )
    _print_reasons(console, [(p.i, p.j, p.no_traps) for p in stage.pairs])


def _print_reasons(console: Console, reasons: list[tuple[int, int, str | None]]) -> None:
    given = [f"pair {i}, {j}: {reason}" for i, j, reason in reasons if reason is not None]
    for line in given:
        console.print(line, style="dim")
    if given:
        console.print()


def _end(name: str) -> str:
    return "t = 1" if name == "last_noisy" else "t = 0"


def _interval(low: float, high: float) -> str:
    return f"{show_share(low)} .. {show_share(high)}"


def print_table(console: Console, title: str, heads: str, rows: Iterable[Sequence[Any]]) -> None:
    """Cells are text, or numbers to show; heads stand between bars."""
    from rich.table import Table

    console.print(title, style="bold")
    table = Table()
    for head in heads.split(" | "):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else show_number(cell) for cell in row))
    console.print(table)
    console.print()

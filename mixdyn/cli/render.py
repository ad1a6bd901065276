"""Tables on the terminal and JSON on request, for what the commands computed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixdyn.support.numbers import Number, dump_json, show_number, show_share

from .facts import Diagnosis, Stage
from .words import explain

if TYPE_CHECKING:
    from rich.console import Console

    from .recursion import RecurseSummary
    from .sampling import ModeFacts, SampleSummary
    from .training import TrainSummary

_NONE = show_number(None)
_MODES_SHOWN = 10


def print_summary(summary: SampleSummary, console: Console, as_json: bool) -> None:
    """The result of `mixdyn sample`."""
    if as_json:
        sys.stdout.write(dump_json(vars(summary)))
        return
    rows = [
        [
            c.name.replace("_", " "),
            f"{c.count:,}",
            show_share(c.share, 4),
            f"{show_share(c.low)} .. {show_share(c.high)}",
        ]
        for c in summary.classes
    ]
    _table(console, "Samples by class", ["class", "count", "share", "95 % interval"], rows)
    _print_modes(summary.modes, console)
    console.print(
        f"{summary.n:,} samples, {summary.sampler} from time {summary.first_time}, "
        f"{summary.n_eval:g} evaluations of {summary.model} each, seed {summary.seed}, "
        f"{summary.seconds:.2f} s"
    )
    console.print(f"wrote {summary.samples_file} and {summary.summary_file}", soft_wrap=True)


def _print_modes(modes: ModeFacts, console: Console) -> None:
    """Weights, lost modes and spread: the modes whose share is farthest from their weight first."""
    inside = sum(modes.counts)
    if inside == 0:
        console.print("No sample is in a mode.\n")
        return
    gaps = [abs(k - inside * w) for k, w in zip(modes.counts, modes.weights, strict=True)]
    shown = sorted(range(len(gaps)), key=lambda k: (-gaps[k], k))[:_MODES_SHOWN]
    rows = [
        [
            str(k),
            show_share(modes.weights[k]),
            show_share(modes.counts[k] / inside),
            f"{modes.counts[k]:,}",
            show_number(modes.spreads[k], 3),
        ]
        for k in shown
    ]
    few = f", the {len(rows)} of {len(gaps)} farthest from their weight" * (len(rows) < len(gaps))
    heads = ["mode", "weight", "share", "count", "spread / sigma"]
    _table(console, f"Samples in modes{few}", heads, rows)
    lost = ", ".join(map(str, modes.lost[:_MODES_SHOWN])) + ", ..." * (
        len(modes.lost) > _MODES_SHOWN
    )
    untold = f"; {modes.untold} due too few samples to tell" * (modes.untold > 0)
    console.print(
        f"lost modes (less than a tenth of what is due): {lost or 'none'}{untold}. KL of the "
        f"shares from the weights {show_number(modes.divergence, 3)} nats (chance alone: "
        f"{show_number(modes.chance_divergence, 3)}). Spread within modes "
        f"{show_number(modes.spread, 3)} sigma.\n"
    )


def print_training(summary: TrainSummary, console: Console, as_json: bool) -> None:
    """The result of `mixdyn train`."""
    if as_json:
        sys.stdout.write(dump_json(vars(summary)))
        return
    console.print(
        f"{summary.recipe} recipe, seed {summary.seed}: {summary.steps:,} steps, "
        f"{summary.parameters:,} parameters, {summary.seconds:.0f} s"
    )
    console.print(
        f"loss {summary.loss:.5f} = {summary.irreducible:.5f} that no network removes + excess "
        f"{summary.excess:.5f} (standard error {summary.excess_std:.5f}), up to sampling noise"
    )
    console.print(f"wrote {summary.checkpoint}", soft_wrap=True)


def print_recursion(summary: RecurseSummary, console: Console, as_json: bool) -> None:
    """The result of `mixdyn recurse`."""
    if as_json:
        sys.stdout.write(dump_json(vars(summary)))
        return
    heads = ["generation", "trained on", "samples", "between modes", "95 % interval", "invalid"]
    heads += ["modes left", "KL of weights", "spread"]
    rows = [
        [
            str(g.index),
            f"{g.trained_on:,}",
            f"{g.n:,}",
            show_share(g.interpolation, 4),
            f"{show_share(g.interpolation_low)} .. {show_share(g.interpolation_high)}",
            show_share(g.invalid, 4),
            f"{g.modes} of {g.of_modes}",
            show_number(g.weight_divergence, 3),
            show_number(g.spread, 3),
        ]
        for g in summary.generations
    ]
    _table(console, f"Generations, filter {summary.filter}", heads, rows)
    console.print(
        f"spread in sigma; {summary.recipe} recipe, seed {summary.seed}, {summary.seconds:.0f} s; "
        f"wrote {summary.folder}",
        soft_wrap=True,
    )


def print_diagnosis(diagnosis: Diagnosis, console: Console, as_json: bool) -> None:
    """The result of `mixdyn check`."""
    words = explain(diagnosis)
    if as_json:
        sys.stdout.write(dump_json({**vars(diagnosis), "words": words}))
        return
    _print_facts(diagnosis, console)
    if diagnosis.pairs:
        _print_pairs(diagnosis, console)
    if diagnosis.crossings:
        _print_crossings(diagnosis, console)
    for stage in diagnosis.stages:
        _print_stage(stage, console)
    rows = [
        [row.sampler, show_number(row.sigma), f"{row.final_over_sigma:.3f}", f"{row.last_step:.3f}"]
        for row in diagnosis.spread
    ]
    title = "Spread returned within a mode"
    _table(console, title, ["sampler", "sigma", "spread / sigma", "last step alone"], rows)
    console.print("In words", style="bold")
    for sentence in [*words, *diagnosis.notes]:
        console.print(f"- {sentence}")


def _print_facts(diagnosis: Diagnosis, console: Console) -> None:
    m, s = diagnosis.mixture, diagnosis.schedule
    low, high = show_number(m["sigma_min"]), show_number(m["sigma_max"])
    sigma = low if low == high else f"{low} to {high}"
    console.print(
        f"Mixture: {m['N']} mode{'s' * (m['N'] > 1)} in {m['d']} dimensions, sigma {sigma}"
    )
    console.print(
        f"Schedule: T = {s['T']}, alpha_bar at T {show_number(s['alpha_bar_T'], 3)}, last noise "
        f"variance {show_number(s['last_noise_var'])}; DDIM grid of {s['ddim_steps']} steps"
    )
    if not diagnosis.pairs:
        console.print("No two modes at different places\n")
        return
    console.print(
        f"{diagnosis.n_shortest} pair{'s' * (diagnosis.n_shortest > 1)} at the smallest distance "
        f"{show_number(diagnosis.pairs[0].length)}\n"
    )


def _print_pairs(diagnosis: Diagnosis, console: Console) -> None:
    heads = ["pair", "l", "l / sigma", "l / radii", "w_i / w_j"]
    heads += [f"tau_2, kappa {kappa:g}" for kappa in diagnosis.kappas]
    rows = []
    for p in diagnosis.pairs:
        times = [
            _NONE if raw is None else f"{raw} ({steps} steps)"
            for raw, steps in zip(p.tau_2_raw, p.tau_2_steps, strict=True)
        ]
        numbers = (p.length, p.length_sigma, p.length_radii, p.weight_ratio)
        rows.append([f"{p.i}, {p.j}", *map(show_number, numbers), *times])
    _table(console, "Nearest pairs (tau_2: raw time from which separated)", heads, rows)


def _print_crossings(diagnosis: Diagnosis, console: Console) -> None:
    found = {(c.process, c.kappa, c.crossing): c for c in diagnosis.crossings}
    rows = []
    for process, kappa in dict.fromkeys((c.process, c.kappa) for c in diagnosis.crossings):
        kinds = [found[process, kappa, crossing] for crossing in ("first", "last", "last_fixed")]
        cells = [
            _NONE
            if c.raw_50 is None
            else f"{c.raw_50} ({show_number(c.raw_95)} .. {show_number(c.raw_05)})"
            for c in kinds
        ]
        rows.append(
            [
                process,
                f"{kappa:g}",
                *cells,
                show_number(kinds[-1].steps_50),
                show_share(kinds[-1].never_share, 4),
            ]
        )
    title = (
        f"Dominance by two modes: median (early .. late 5 %) of the raw time tau_1 over "
        f"{diagnosis.n_trajectories} trajectories"
    )
    heads = [
        "process",
        "kappa",
        "first",
        "last",
        "last, one fixed pair",
        "DDIM steps left",
        "never",
    ]
    _table(console, title, heads, rows)


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
    rows = [[_end(b.end), *map(show_number, list(vars(b).values())[1:])] for b in stage.budgets]
    heads = ["to", "DDIM factor", "DDPM factor", "DDIM from l/2", "DDPM from l/2"]
    heads += ["DDIM needs", "DDPM needs"]
    _table(console, "Contraction to the mode that owns a point", heads, rows)
    console.print(
        "from l/2: where a point half a pair's length from its mode ends, in sigma; needs: raw "
        "time from which it would end inside the mode radius\n",
        style="dim",
    )


def _print_saddles(stage: Stage, console: Console) -> None:
    rows = []
    for p in stage.pairs:
        cells = [_NONE] * 4
        if p.saddle is not None:
            eigenvalues = p.saddle.eigenvalues
            numbers = (p.saddle.a, p.saddle.from_midpoint_l, eigenvalues[0], eigenvalues[-1])
            cells = [show_number(value, 6) for value in numbers]
        rows.append([f"{p.i}, {p.j}", show_number(p.stiffness), *cells])
    heads = ["pair", "l^2 / v", "saddle at a", "off midpoint / l", "lowest eigenvalue", "highest"]
    _table(console, "Unstable points between modes (a = 1 at the first mode)", heads, rows)
    _print_reasons(console, [(p.i, p.j, p.no_saddle) for p in stage.pairs])


def _print_traps(stage: Stage, console: Console) -> None:
    ends = list(stage.mixture_growth)
    fractions = sorted({t.fraction for p in stage.pairs for t in p.traps})
    heads = ["pair"]
    for end in ends:
        heads += [
            f"growth to {_end(end)}",
            *(f"{fraction:g} l, {_end(end)}" for fraction in fractions),
        ]
    rows = []
    for p in stage.pairs:
        radii = {(t.end, t.fraction): _radius(t.radius_l) for t in p.traps}
        cells = [f"{p.i}, {p.j}"]
        for end in ends:
            cells.append(f"e^{p.growth[end]:.4g}")
            cells += [radii.get((end, fraction), _NONE) for fraction in fractions]
        rows.append(cells)
    _table(console, "Growth between two modes under DDIM, and exact traps", heads, rows)
    if fractions:
        console.print(
            "traps: half-width, in l, of the starts that end so close to the midpoint\n",
            style="dim",
        )
    _print_reasons(console, [(p.i, p.j, p.no_traps) for p in stage.pairs])


def _print_reasons(console: Console, reasons: list[tuple[int, int, str | None]]) -> None:
    for i, j, reason in reasons:
        if reason is not None:
            console.print(f"pair {i}, {j}: {reason}", style="dim")
    if any(reason is not None for _, _, reason in reasons):
        console.print()


def _radius(value: Number | None) -> str:
    return show_number(value, 3)


def _end(name: str) -> str:
    return "t = 1" if name == "last_noisy" else "t = 0"


def _table(
    console: Console, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    from rich.table import Table

    console.print(title, style="bold")
    table = Table()
    for head in heads:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()

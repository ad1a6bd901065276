"""Recursive training as it was run and saved: hours of `mixdyn recurse` in one small file.

`verify/data/saved/recursion-*.json` holds the counts of every generation with recipe, seeds, commit
and hardware, and no network. `python -m verify.measure.retraining FOLDER ... --out FILE` gathers
folders of `mixdyn recurse` into one. Rows that rest on it say so.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixdyn.geometry import Region
from mixdyn.learned.headers import read_about
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.retraining.generations import Generation, generation_from, read_json, read_summary
from mixdyn.support.checks import Array
from mixdyn.support.errors import FileError
from mixdyn.support.files import check_output, write_text
from mixdyn.support.provenance import commit
from mixdyn.support.statistics import Proportion

from ..data.saved import RESULTS, code_of, words_on_code
from ..ledger.case import Case
from ..ledger.sides import Facts, NotApplicable, Part
from ..ledger.verdict import Origin, Table
from .networks.rates import over_seeds

SAVED = RESULTS / "recursion-reduced.json"
FILTERS = ("none", "random", "hal")
_FORMAT = "verify.recursions.1"
_CLOUD, _CLOUD_AT = 400, (1, 3, 5)  # points kept for the figure, of these generations


@dataclasses.dataclass(frozen=True)
class Recursion:
    """One recursion: its filter, its seed, its generations; clouds: some samples (n, 2) of some
    generations, by number."""

    filter: str
    seed: int
    generations: tuple[Generation, ...]
    clouds: dict[int, Array]

    @property
    def name(self) -> str:
        """For tables."""
        return f"filter {self.filter}, seed {self.seed}"

    def between(self, index: int = -1) -> Proportion:
        """The share of interpolations of a generation, of the last one by default."""
        return self.generations[index].share(Region.INTERPOLATION)


@dataclasses.dataclass(frozen=True)
class Recursions:
    """Everything in one file. about: recipe, discarded share, window, commit, hardware, command."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    about: dict[str, Any]
    runs: tuple[Recursion, ...]

    def of(self, filter_: str) -> list[Recursion]:
        """The recursions with a filter, by seed."""
        return sorted((r for r in self.runs if r.filter == filter_), key=lambda r: r.seed)

    def pairs(self, one: str, other: str) -> list[tuple[Recursion, Recursion]]:
        """Recursions of one seed under two filters."""
        by_seed = {r.seed: r for r in self.of(other)}
        return [(r, by_seed[r.seed]) for r in self.of(one) if r.seed in by_seed]

    def with_filters(self, names: dict[str, str]) -> Recursions:
        """The same counts under other filters' names: a negative control."""
        runs = [dataclasses.replace(r, filter=names.get(r.filter, r.filter)) for r in self.runs]
        return dataclasses.replace(self, runs=tuple(runs))

    def backwards(self) -> Recursions:
        """The generations in reverse order: a negative control."""
        runs = [dataclasses.replace(r, generations=r.generations[::-1]) for r in self.runs]
        return dataclasses.replace(self, runs=tuple(runs))


@functools.cache
def saved(path: Path = SAVED) -> Recursions:
    """The recursions in a file. Raises FileError for one that is missing or damaged."""
    held = read_json(path)
    try:
        if held["format"] != _FORMAT:
            raise ValueError(f"format {held['format']!r}")
        runs = [
            Recursion(
                str(run["filter"]),
                int(run["seed"]),
                tuple(generation_from(g) for g in run["generations"]),
                {int(k): np.array(points) for k, points in run["clouds"].items()},
            )
            for run in held["runs"]
        ]
        mixture = GaussianMixture(**held["mixture"])
        schedule = NoiseSchedule.from_parameters(held["schedule"])
        return Recursions(mixture, schedule, dict(held["about"]), tuple(runs))
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(
            "a file of recursions holds mixture, schedule, about and runs",
            f"{path} ({type(error).__name__}: {error})",
            "Gather it again with `python -m verify.measure.retraining`.",
        ) from None


def recursions(case: Case) -> Recursions | NotApplicable | None:
    """What a learned row rests on: the saved recursions, on the problem that they were run on.
    Random problems have no row."""
    if case.random:
        return None
    held = saved()
    if case.mixture.digest == held.mixture.digest:
        return held
    return NotApplicable(
        "Recursions were saved of the 5 x 5 grid alone; `mixdyn recurse` runs any mixture."
    )


def shown(
    held: Recursions, runs: Sequence[Recursion], ratio: str, ratios: Sequence[float]
) -> Iterator[Part]:
    """What every row on saved recursions shows: where they come from, the mean of one ratio a seed
    with its 95 % limits over the seeds, and the generations under the filters of `runs`."""
    yield Facts(
        witness=lambda _: {"command": held.about["command"]},
        model=", ".join(run.name for run in runs),
        seed=held.runs[0].seed,
        origin=Origin.STORED,
    )
    yield describe(held)
    low, high = over_seeds(ratios) or (math.nan, math.nan)
    yield {
        f"{ratio}, mean over seeds": sum(ratios) / max(len(ratios), 1),
        f"{ratio}: 95 % from": low,
        f"{ratio}: to": high,
    }
    yield generation_table(held, dict.fromkeys(run.filter for run in runs))


COLUMNS = (
    *("filter", "seed", "generation", "trained on", "samples", "between modes", "from", "to"),
    *("invalid", "modes left", "KL of weights", "spread / sigma"),
)


def generation_table(held: Recursions, filters: Iterable[str]) -> Table:
    """Every generation of the recursions with these filters; shares with 95 % intervals."""
    weights, rows = held.mixture.weights, []
    for run in (r for name in filters for r in held.of(name)):
        for g in run.generations:
            between = g.share(Region.INTERPOLATION)
            rows.append(
                (
                    *(run.filter, run.seed, g.index, g.trained_on, g.n),
                    *(between.rate, *between.interval(), g.share(Region.INVALID).rate),
                    *(g.surviving(weights), g.divergence(weights), g.spread),
                )
            )
    exact = (len(weights) - 1) / (2 * held.runs[0].generations[0].n)
    caption = (
        f"Generations; exact samples would have a KL of about {exact:.2g} nats from counting alone"
    )
    return Table(caption, COLUMNS, rows)


def describe(held: Recursions) -> str:
    """Recipe, commit and hardware in a sentence."""
    about, recipe = held.about, held.about["recipe"]
    seeds = sorted({r.seed for r in held.runs})
    return (
        f"Stored measurement: recipe {recipe['name']} ({recipe['points']:,} samples a generation, "
        f"width {recipe['hidden']}, {recipe['steps']:,} steps of {recipe['batch']:,}), T = "
        f"{held.schedule.T}, seeds {', '.join(map(str, seeds))}, commit {about['commit'][:12]}, "
        f"{about['hardware']}. {words_on_code(about)}"
    ).strip()


# -- gathering -----------------------------------------------------------------------------------


def gather(folders: Sequence[Path]) -> dict[str, Any]:
    """What the folders of `mixdyn recurse` hold, as the content of one file.

    Raises FileError where they differ in more than filter and seed.
    """
    plans = [read_json(folder / "recursion.json") for folder in folders]
    common = {k: v for k, v in plans[0].items() if k not in ("filter", "seed", "discard")}
    for folder, plan in zip(folders, plans, strict=True):
        if {k: plan.get(k) for k in common} != common:
            raise FileError(
                "recursions gathered in one file differ in filter and seed alone",
                str(folder),
                "Gather them apart.",
            )
    about = read_about(folders[0] / "generation-001.safetensors")
    first = min(int(plan["seed"]) for plan in plans)
    return {
        "format": _FORMAT,
        "mixture": about["mixture"],
        "schedule": about["schedule"],
        "about": {
            "recipe": common["recipe"],
            "window": common["window"],
            "discard": max(p["discard"] or 0.0 for p in plans),
            **{key: about[key] for key in ("commit", "hardware", "versions", "date", "command")},
            "code": _code(about["commit"]),
        },
        "runs": [
            _run(folder, plan, clouds=plan["seed"] == first)
            for folder, plan in zip(folders, plans, strict=True)
        ],
    }


def _code(made_at: str) -> dict[str, str] | None:
    """What the recursions rest on, if today's checkout is the one that made them."""
    from mixdyn.retraining import recursion

    return code_of(Path(recursion.__file__)) if commit() == made_at else None


def _run(folder: Path, plan: dict[str, Any], *, clouds: bool) -> dict[str, Any]:
    files = sorted(folder.glob("generation-???.json"))
    generations = [read_summary(path) for path in files]
    kept: dict[str, Any] = {}
    for index in _CLOUD_AT if clouds else ():
        if index <= len(files):
            with np.load(folder / f"generation-{index:03d}.npz") as held:
                kept[str(index)] = np.round(held["x"][:_CLOUD], 3).tolist()
    return {
        "filter": plan["filter"],
        "seed": plan["seed"],
        "generations": [dataclasses.asdict(g) for g in generations],
        "clouds": kept,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Gather folders into a file."""
    parser = argparse.ArgumentParser(
        prog="python -m verify.measure.retraining", description=__doc__
    )
    parser.add_argument("folders", nargs="+", type=Path, help="folders of `mixdyn recurse`")
    parser.add_argument("--out", type=Path, default=SAVED, help="the file to write")
    arguments = parser.parse_args(argv)
    try:
        found = gather(arguments.folders)
        check_output(arguments.out)
        text = json.dumps(found, separators=(",", ":"), allow_nan=False)
        write_text(arguments.out, text.replace('{"filter"', '\n{"filter"') + "\n")  # a run a line
    except FileError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"wrote {arguments.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Networks of 25 modes in many dimensions: how often they miss, how far from the segments they
stay, and when two modes dominate their paths.

arXiv 2605.06831 v1, appendix E: the modes of `farthest_point`, DDIM with 50 quadratic steps against
DDPM. A thousand evaluations a sample of networks this wide take minutes, so quick rows read what
`python -m verify.measure.networks.many_dimensions` saved; full ones measure anew, and more.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixdyn import geometry, learned
from mixdyn.problem.presets import farthest_point
from mixdyn.retraining.generations import read_json
from mixdyn.run.sampling import sample
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import FileError, NotApplicableError
from mixdyn.support.files import check_output, write_text
from mixdyn.support.provenance import commit
from verify.data.saved import RESULTS, code_of, words_on_code
from verify.ledger import standard
from verify.ledger.case import Case, Profile
from verify.ledger.sides import NotApplicable
from verify.measure.dominance import Times, summary, times_along
from verify.measure.measurement import Measurement, pack, unpack
from verify.measure.networks.envelopes import Traced, follow, segment_distances
from verify.measure.networks.models import EXACT, HIGH_DIMENSIONS, TrainedModel, load, shipped_for
from verify.measure.networks.paths import NodeStates, samplers
from verify.measure.networks.rates import sort_ends
from verify.measure.paths import Paths, ddim_grid

SAVED = RESULTS / "many_dimensions.json"
DIMENSIONS = (4, *HIGH_DIMENSIONS)
LEVELS = (0.05, 0.5, 0.95)
_FORMAT = "verify.many_dimensions.1"
_DDIM, _DDPM = (10_000, 40_000), (1_000, 8_000)  # samples of each score: quick, full
_TRACED = 500  # of them followed along the papers' nodes


@dataclass(frozen=True)
class OfNetwork:
    """One network and the exact score on the same noise, under the samplers named (S,).

    counts, exact: (S, 3) final states by `Region`. nodes (K,), v (K,): raw times and effective
    variances of DDIM's grid. length: of the closest pair. distances: (2, S, L, K) quantiles of the
    distance to the nearest segment over that length, the exact score first. Among `traced` paths of
    each sampler: beyond, of DDIM's that leave the tube theorem's envelope; outside (S,), of those
    that leave its tube after tau_2; dominated (S,), of those that two modes dominate. first, fixed,
    own: (M, traced) as in `dominance.Times`, of DDIM's. trained_by: the recipe.
    """

    name: str
    d: int
    trained_by: str
    seed: int
    excess: float
    samplers: tuple[str, ...]
    counts: IntArray
    exact: IntArray
    nodes: IntArray
    v: Array
    length: float
    distances: Array
    traced: int
    beyond: int
    outside: IntArray
    dominated: IntArray
    first: IntArray
    fixed: IntArray
    own: IntArray

    @property
    def times(self) -> Times:
        """When two modes dominate DDIM's paths."""
        return Times(self.d, self.first, self.fixed, self.own)


def problem(case: Case, d: int) -> Case:
    """The 25 modes in d dimensions as a case with a workspace of its own."""

    def build() -> Case:
        mixture = farthest_point(d)
        return dataclasses.replace(case, mixture=mixture, model=None, workspace={})

    return case.memo(f"25 modes, d = {d}", build)


def shipped_names(case: Case) -> list[tuple[int, str]]:
    """(d, name) of every shipped network of these problems."""
    every = [(d, problem(case, d)) for d in DIMENSIONS]
    return [(d, s.name) for d, one in every for s in shipped_for(one, undertrained=True)]


@dataclass(frozen=True)
class _Run:
    """The paths of one score under one sampler, and where all of its samples end."""

    sampler: str
    model: TrainedModel
    paths: Paths
    counts: IntArray


def _run(case: Case, model: TrainedModel, name: str, rows: range) -> _Run:
    times = ddim_grid(case).times
    seen = sample(
        model.score,
        case.schedule,
        samplers(case)[name],
        n=len(rows),
        rng=case.stream("many dimensions"),
        first=rows.start,
        observers=[NodeStates(case.schedule, times, rows.start, _TRACED)],
    )
    v = case.schedule.effective_variance(float(case.mixture.sigma))[times]
    counts = sort_ends(case.mixture, np.asarray(seen.x))[0]
    return _Run(name, model, Paths(times, v, np.asarray(seen.observations[0])), counts)


@Measurement
def of_network(case: Case, d: int, name: str) -> OfNetwork:
    """Of the shipped network of this name."""
    one = problem(case, d)
    (found,) = (s for s in shipped_for(one, undertrained=True) if s.name == name)
    model, exact = load(found), TrainedModel(EXACT, one.mixture)
    few, many = case.pick(*_DDIM), case.pick(*_DDPM)
    rows = dict(zip(samplers(one), (range(few), range(few, few + many)), strict=True))
    runs = [[_run(one, score, k, at) for k, at in rows.items()] for score in (exact, model)]
    followed = [follow(one, run) for run in runs[1]]
    length = geometry.pair(one.mixture, *geometry.nearest_pairs(one.mixture)[0]).length
    plain = runs[1][0]
    times = times_along(one.mixture, one.schedule, plain.paths.times, plain.paths.states(one))
    return OfNetwork(
        name=name,
        d=d,
        trained_by=str(model.recipe),
        seed=int(model.seed or 0),
        excess=float(model.excess or 0.0),
        samplers=tuple(rows),
        counts=np.array([run.counts for run in runs[1]]),
        exact=np.array([run.counts for run in runs[0]]),
        nodes=plain.paths.times,
        v=plain.paths.v,
        length=length,
        distances=np.array([[_quantiles(one, r, length) for r in row] for row in runs]),
        traced=plain.paths.n,
        beyond=int(followed[0].exceeds(followed[0].allowed).any(axis=0).sum()),
        outside=np.array([f.outside.any(axis=0).sum() for f in followed]),
        dominated=np.array([f.dominated.sum() for f in followed]),
        first=times.first,
        fixed=times.fixed,
        own=times.own,
    )


def _quantiles(case: Case, run: Traced, length: float) -> Array:
    """(L, K) of the distance to the nearest segment over a length."""
    return np.quantile(segment_distances(case, run.paths) / length, LEVELS, axis=1)


# -- what rows rest on ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What was measured of every network, by dimension. about: how, where it was saved."""

    networks: tuple[OfNetwork, ...]
    about: dict[str, Any] | None

    @property
    def dominance(self) -> dict[str, Any]:
        """When two modes dominate the networks' own paths: as `summary` has it."""
        return summary([one.times for one in self.networks])

    def in_words(self) -> str:
        """Where saved numbers come from, empty for fresh ones."""
        if self.about is None:
            return ""
        return (
            "Stored measurement of `python -m verify.measure.networks.many_dimensions`, commit "
            f"{self.about['commit'][:12]}, {self.about['hardware']}. {words_on_code(self.about)}"
        ).strip()


def held(case: Case) -> Held | NotApplicable:
    """Saved for the quick profile, fresh in the full one."""
    if case.profile is Profile.QUICK:
        return saved()
    names = shipped_names(case)
    if not names:
        return NotApplicable("No network of these problems is shipped.")
    return Held(tuple(of_network(case, d, name) for d, name in names), None)


def many_dimensions(case: Case) -> dict[str, Any]:
    """Of every network, as arrays: d (D,); samplers (S,); counts, exact (D, S, 3) by `Region`;
    distances (D, 2, S, L, K) as of `OfNetwork`, at nodes (K,) of effective variances v (D, K), in
    units of length (D,); n samples a sampler and paths traced; levels (L,)."""
    found = held(case)
    if isinstance(found, NotApplicable):
        raise NotApplicableError(
            "this measurement needs a network of 25 modes in many dimensions",
            "none among the shipped ones",
            "Train one with `mixdyn train` and put it beside the others.",
        )
    every = found.networks
    names = ("d", "counts", "exact", "distances", "v", "length")
    return {
        **{name: np.array([getattr(one, name) for one in every]) for name in names},
        "n": [*every[0].counts.sum(axis=1).tolist(), every[0].traced],
        "samplers": every[0].samplers,
        "nodes": every[0].nodes,
        "levels": LEVELS,
    }


def saved(path: Path = SAVED) -> Held:
    """What a file holds. Raises FileError for one that is missing or damaged."""
    read = read_json(path)
    try:
        if read["format"] != _FORMAT:
            raise ValueError(f"format {read['format']!r}")
        arrays = [{k: np.array(v) for k, v in one.items()} for one in read["networks"]]
        return Held(tuple(unpack(OfNetwork, one) for one in arrays), dict(read["about"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(
            "a file of networks in many dimensions holds its format, about and networks",
            f"{path} ({type(error).__name__}: {error})",
            "Measure them again with `python -m verify.measure.networks.many_dimensions`.",
        ) from None


def _rounded(values: Any) -> Any:
    """Plain values; five digits of what is not whole."""
    if values.dtype.kind != "f":
        return values.tolist()
    return np.vectorize(lambda x: float(f"{x:.5g}"), otypes=[float])(values).tolist()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every shipped network and save what was found."""
    program = "python -m verify.measure.networks.many_dimensions"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--out", type=Path, default=SAVED, help="the file to write")
    parser.add_argument("--folder", type=Path, help="keeps each network as it is measured")
    arguments = parser.parse_args(argv)
    out = check_output(arguments.out)  # before minutes of work, not after
    learned.use_threads()
    from mixdyn.learned.checkpoints import hardware
    from mixdyn.learned.training import check_device

    case, found = dataclasses.replace(standard.standard(), folder=arguments.folder), []
    for d, name in shipped_names(case):
        one = of_network(case, d, name)
        found.append({key: _rounded(values) for key, values in pack(one)})
        sys.stdout.write(f"{name}: {one.counts.tolist()}\n")
        sys.stdout.flush()
    made = {"commit": commit(), "code": code_of(Path(__file__))}
    about = {**made, "hardware": hardware(check_device("cpu")), "seed": case.seed}
    text = json.dumps(
        {"format": _FORMAT, "about": about, "networks": found},
        separators=(",", ":"),
        allow_nan=False,
    )
    write_text(out, text.replace('{"name"', '\n{"name"') + "\n")  # a network a line
    return 0


if __name__ == "__main__":
    sys.exit(main())

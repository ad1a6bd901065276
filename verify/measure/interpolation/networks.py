"""The shipped networks of arXiv 2406.09358: their problems, their laws on lines, their counts in
the plane.

On a line the law of a chain is computed (`line_law`), so that a rate carries no sampling error; in
the plane final states are counted.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import distance_to_segment, mode_radius, nearest_pairs, two_nearest
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.score import model_for
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import Proportion

from ...data.checkpoints.seeds import CHECKPOINTS as SEEDS
from ...ledger import standard
from ...ledger.case import Case, Profile
from ..measurement import Measurement
from ..networks.models import TrainedModel, load, shipped
from .line_law import LineLaw, line_law
from .problems import HALLUCINATION, PLANES, SIGMA, line_name, modes_at, schedule

# Kinds of a final state outside every mode, in the order in which they are tried.
SIDE, DIAGONAL, ELSEWHERE = "side", "diagonal", "elsewhere"
KINDS = (SIDE, DIAGONAL, ELSEWHERE)
SAMPLERS: dict[str, Sampler] = {"DDPM": DDPM(), "DDIM": DDIM()}
_COARSE = 1.0  # spacing of `oracles.chain_law`: six digits on these problems


@dataclass(frozen=True)
class Network:
    """A shipped network and the size of its training set."""

    points: int
    model: TrainedModel


OWN_PROBLEMS = (
    "The problems are those of arXiv 2406.09358 with their shipped networks; the standard case "
    "shows them."
)
# On what a row of a claim that brings the paper's problems rests.
on_standard = functools.partial(standard.on_standard, why=OWN_PROBLEMS)


def own_case(case: Case, mixture: GaussianMixture) -> Case:
    """A problem of the paper as a case with a workspace of its own."""

    def build() -> Case:
        return replace(case, mixture=mixture, schedule=schedule(), model=None, workspace={})

    return case.memo(f"interpolation case {mixture.digest}", build)


def networks(case: Case, mixture: GaussianMixture, *, seeds: bool = False) -> list[Network]:
    """Those trained on a mixture under the paper's schedule, by the size of the training set.
    seeds: with further training seeds."""
    clock, held = schedule().digest, (*shipped(), *(shipped(SEEDS) if seeds else ()))
    found = [s for s in held if s.fits(mixture.digest, clock)]
    found.sort(key=lambda s: (s.about["recipe"]["points"], s.about["seed"]))
    return [
        Network(s.about["recipe"]["points"], case.memo(f"model {s.name}", _loader(s)))
        for s in found
    ]


def _loader(checkpoint: Any) -> Callable[[], TrainedModel]:
    return functools.partial(load, checkpoint)


# -- lines ---------------------------------------------------------------------------------------


def gaps(places: Sequence[float]) -> list[tuple[float, float]]:
    """What lies between neighbouring modes, farther than 6 sigma from both."""
    margin = HALLUCINATION * SIGMA
    return [(a + margin, b - margin) for a, b in itertools.pairwise(places)]


@Measurement
def law_on_line(
    case: Case, places: tuple[float, ...], sampler: str, model: TrainedModel | None = None
) -> LineLaw:
    """The law of x_0 under DDPM or DDIM-50, with the exact score where no model is given."""
    clock, run = schedule(), SAMPLERS[sampler]
    plan: Any = run
    score = model_for(modes_at(places), clock) if model is None else model.score
    # A map that is bisected must be smooth; single precision is not, below 1e-7.
    if sampler == "DDIM" and model is not None:
        score = model.score.in_double()
    return line_law(score, plan.plan(clock, run.grid(clock)), spacing=_spacing(case, model))


def _spacing(case: Case, model: TrainedModel | None) -> float:
    """Either keeps the probability of a gap to 2 in 1,000: the exact score's are 1e-9 and below."""
    if case.profile is not Profile.QUICK:
        return 0.25
    return 0.7 if model is None else 1.0


def gap_probabilities(law: LineLaw, places: Sequence[float]) -> Array:
    """(N - 1,) probability of each gap."""
    return np.array([law.probability(low, high) for low, high in gaps(places)])


def exact_chains(mixture: GaussianMixture, clock: NoiseSchedule) -> list[oracles.AxisLaw]:
    """The laws of DDPM with the exact score of a product at the last noisy time, one an axis."""
    times = TimeGrid.full(clock.T).times
    return oracles.chain_law(
        mixture, clock.alpha_bar, times, 1.0, noise_var=clock.noise_var, spacing=_COARSE
    )


@Measurement
def exact_chain_of(case: Case, places: tuple[float, ...]) -> oracles.AxisLaw:
    """The same of a line under the paper's clock."""
    return exact_chains(modes_at(places), schedule())[0]


@Measurement
def _exact_chain_of_plane(case: Case) -> oracles.AxisLaw:
    """The same of either coordinate of the grid."""
    return exact_chains(PLANES["grid"], schedule())[0]


def log_outside(law: oracles.AxisLaw, places: tuple[float, ...]) -> float:
    """log P(x_0 is farther than 6 sigma from every mode) of a chain; the map of the last step is
    increasing, so that every region is pulled back through it."""
    margin = HALLUCINATION * SIGMA
    low, high = (law.pull_back(np.array(places) + side * margin) for side in (-1.0, 1.0))
    far = law.centers[[0, -1]] + 40.0 * law.std * np.array([-1.0, 1.0])
    logs = law.log_probability(np.append(far[0], high), np.append(low, far[1]))
    return float(np.logaddexp.reduce(logs))


def exact_gaps_of(case: Case, places: tuple[float, ...]) -> Array:
    """(N - 1,) logs of the probabilities of the gaps under DDPM and the exact score, measured
    once."""

    def build() -> Array:
        law = exact_chain_of(case, places)
        low, high = (law.pull_back(np.array(side)) for side in zip(*gaps(places), strict=True))
        return np.asarray(law.log_probability(low, high))

    return case.memo(f"exact gaps {line_name(places)}", build)


def exact_plane_log(case: Case) -> float:
    """log P(one coordinate of x0_hat at the last noisy time lies in a gap) under DDPM and the exact
    score on the grid; the same on the diamond, as score and noise turn with it."""

    def build() -> float:
        radius = float(mode_radius(PLANES["grid"])[0])
        return oracles.log_gap_probability([_exact_chain_of_plane(case)], radius)

    return case.memo("exact gap of the grid", build)


# -- planes --------------------------------------------------------------------------------------


def kinds(mixture: GaussianMixture, x: Array) -> IntArray:
    """(3,) final states outside every mode: on a side of a cell, on a diagonal, elsewhere.

    A side joins nearest neighbours; a diagonal is longer by sqrt 2.
    """
    return joined(mixture, x, [nearest_pairs(mixture), diagonals(mixture)])


def joined(
    mixture: GaussianMixture, x: Array, groups: Sequence[Sequence[tuple[int, int]]]
) -> IntArray:
    """(G + 1,) final states outside every mode, each under the first of G groups of pairs that has
    a segment within a mode's radius of it, the last of none."""
    radius = float(mode_radius(mixture)[0])
    left = x[two_nearest(mixture.means, x)[2] > radius]
    counts = []
    for pairs in groups:
        away = np.full(len(left), np.inf)
        for i, j in pairs if len(left) else []:
            ends = mixture.means[i], mixture.means[j]
            away = np.minimum(away, distance_to_segment(left, *ends))
        counts.append(int((away <= radius).sum()))
        left = left[away > radius]
    return np.array([*counts, len(left)])


def diagonals(mixture: GaussianMixture) -> list[tuple[int, int]]:
    """The pairs sqrt 2 times as far apart as nearest neighbours."""
    sides = nearest_pairs(mixture)
    length = np.linalg.norm(mixture.means[sides[0][0]] - mixture.means[sides[0][1]])
    i, j = np.triu_indices(mixture.N, k=1)
    far = np.linalg.norm(mixture.means[i] - mixture.means[j], axis=1)
    on = np.isclose(far, np.sqrt(2.0) * length, rtol=1e-6)
    return list(zip(i[on].tolist(), j[on].tolist(), strict=True))


@dataclass(frozen=True)
class PlaneCounts:
    """Kinds of final states outside every mode: learned and exact (3,), among n samples each."""

    plane: str
    sampler: str
    model: str
    n: int
    learned: IntArray
    exact: IntArray

    def of(self, kind: str, *, exact: bool = False) -> Proportion:
        """The share of samples of one kind."""
        counts = self.exact if exact else self.learned
        return Proportion(int(counts[KINDS.index(kind)]), self.n)

    def joined(self, kind: str) -> Proportion:
        """The share of one kind among all samples on sides and diagonals."""
        side, diagonal, _ = (int(k) for k in self.learned)
        return Proportion(int(self.learned[KINDS.index(kind)]), max(side + diagonal, 1))


# Samples under each sampler: quick, full. At DDPM's rate, 1.2 %, 21 interpolations are seen with a
# probability of 0.9: the fewest that show, all on sides, that more than half of them lie there.
_DRAWS = {"DDIM": (15_000, 400_000), "DDPM": (2_400, 100_000)}


@Measurement
def plane_counts(case: Case) -> list[PlaneCounts]:
    """The grid and the diamond under DDIM and DDPM, learned and exact score from the same noise."""
    sizes = {sampler: case.pick(*draws) for sampler, draws in _DRAWS.items()}
    return [
        _count(case, plane, sampler, n, network.model)
        for plane, mixture in PLANES.items()
        for network in networks(case, mixture)
        for sampler, n in sizes.items()
    ]


def final_states(case: Case, score: Any, sampler: str, n: int) -> Array:
    """(n, 2) under the paper's schedule, from noise that every score shares."""
    seed = case.stream("interpolation planes")
    return np.asarray(sample(score, schedule(), SAMPLERS[sampler], n=n, rng=seed).x)


def _count(case: Case, plane: str, sampler: str, n: int, model: TrainedModel) -> PlaneCounts:
    mixture = PLANES[plane]
    learned, exact = (
        kinds(mixture, final_states(case, score, sampler, n)) for score in (model.score, mixture)
    )
    return PlaneCounts(plane, sampler, model.name, n, learned, exact)


# -- for figures ---------------------------------------------------------------------------------


@Measurement
def plane_states(case: Case) -> dict[str, Any]:
    """n shown samples a plane; planes (P,); NAME_means (N, 2), NAME_x (n, 2) of DDPM; kinds (K,);
    samplers (C,) and plane (C,), counts (C, K), exact (C, K) among draws (C,) samples each."""
    counted = plane_counts(case)
    if {c.plane for c in counted} != set(PLANES):
        raise NotApplicableError(
            "this measurement needs a network for the grid and one for the diamond",
            "one of them missing among the shipped ones",
            "Train it with `mixdyn train` and put it beside the others.",
        )
    n = case.pick(2_500, 20_000)
    data: dict[str, Any] = {
        "n": n,
        "planes": list(PLANES),
        "kinds": KINDS,
        "plane": [c.plane for c in counted],
        "samplers": [c.sampler for c in counted],
        "draws": [c.n for c in counted],
        "counts": np.array([c.learned for c in counted]),
        "exact": np.array([c.exact for c in counted]),
    }
    for name, mixture in PLANES.items():
        network = networks(case, mixture)[0]
        data[f"{name}_means"] = mixture.means
        data[f"{name}_x"] = final_states(case, network.model.score, "DDPM", n)
    return data

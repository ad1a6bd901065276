"""How often samplers miss the modes.

Trained models are counted once per case; claims and figures read the same counts. A model has
samples of its own under each sampler, so that the counts of models add up and those of samplers are
independent; the exact score runs on the samples of every model. A sum of independent trials of
unequal rates strays no farther than a binomial count of the mean rate (Hoeffding, Ann. Math.
Statist. 27 (1956)), and that count's Clopper-Pearson interval covers the mean of these models: what
it leaves open is another model, see `over_networks`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry import Region, within_modes
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, Sampler
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import DISPLAY_MISS, Proportion

from ...ledger.case import Case
from ...ledger.sides import Facts, Part
from ...ledger.verdict import Hypothesis, Table
from ..paths import DDIM_STEPS
from .models import TrainedModel
from .pooled import Shares, variation_table

Cell = float | str | None
_ARRAYS = ("counts", "exact", "spread", "exact_spread")  # of `Rates`, by model and sampler
COLUMNS = (
    *("model", "sampler", "samples", "interpolation", "from", "to"),
    *("invalid", "from", "to"),
)
STEPS_ALONE = 1e-3  # what the exact score may interpolate where a network is to be blamed


def ddim(schedule: NoiseSchedule, steps: int = DDIM_STEPS, eta: float = 0.0) -> DDIM:
    """DDIM on the quadratic grid, with fewer steps where the schedule has not that many."""
    return DDIM(steps, eta=eta).within(schedule)


Ends = tuple[IntArray, float]


def sort_ends(mixture: GaussianMixture, x: Array) -> Ends:
    """(3,) final states x (n, d) by `Region`, and the standard deviation per coordinate within the
    true modes."""
    codes, nearest, offset = within_modes(mixture, x)
    counts: IntArray = np.bincount(codes, minlength=len(Region))
    return counts, float(np.sqrt(np.square(offset).mean())) if len(nearest) else math.nan


@dataclass(frozen=True)
class Draws:
    """n samples from a seed; `first` is the index of the first one."""

    schedule: NoiseSchedule
    n: int
    seed: int
    first: int = 0

    def ends(self, model: Any, mixture: GaussianMixture, sampler: Sampler) -> Ends:
        """What a model and a sampler make of them."""
        out = sample(model, self.schedule, sampler, n=self.n, rng=self.seed, first=self.first)
        return sort_ends(mixture, np.asarray(out.x))


@dataclass(frozen=True)
class Run:
    """A sampler, its name in tables, and how many samples each model draws with it."""

    name: str
    sampler: Sampler
    n: int


@dataclass(frozen=True)
class Rates:
    """Class counts of M models under K samplers, and of the exact score on the same samples.

    counts, exact : (M, K, 3) by `Region`. spread : (M, K) standard deviation within the true modes.
    recipes : how each model was trained, None for a user's.
    """

    models: tuple[str, ...]
    recipes: tuple[str | None, ...]
    samplers: tuple[str, ...]
    counts: IntArray
    exact: IntArray
    spread: Array
    exact_spread: Array

    @classmethod
    def counted(
        cls,
        models: Sequence[TrainedModel],
        samplers: Sequence[str],
        learned: Sequence[Sequence[Ends]],
        exact: Sequence[Sequence[Ends]],
    ) -> Rates:
        """Of the ends of every model under every sampler, and of the exact score on its samples."""
        shape = len(models), len(samplers)

        def arrays(ends: Sequence[Sequence[Ends]]) -> tuple[IntArray, Array]:
            counts = np.array([[found[0] for found in row] for row in ends], dtype=np.int64)
            spread = np.array([[found[1] for found in row] for row in ends], dtype=float)
            return counts.reshape(*shape, len(Region)), spread.reshape(shape)

        (counts, spread), (by_exact, exact_spread) = arrays(learned), arrays(exact)
        return cls(
            tuple(model.name for model in models),
            tuple(model.recipe for model in models),
            tuple(samplers),
            counts,
            by_exact,
            spread,
            exact_spread,
        )

    @property
    def n(self) -> IntArray:
        """(K,) samples of each model by sampler, (1,) where these agree."""
        drawn = self.counts[0].sum(axis=1)
        return drawn[:1] if (drawn == drawn[0]).all() else drawn

    def of(self, model: int, sampler: str, region: Region = Region.INTERPOLATION) -> Proportion:
        """The share of one model's samples that end in a region."""
        return _proportion(self.counts[model, self.samplers.index(sampler)], region)

    def mean(self, sampler: str, region: Region = Region.INTERPOLATION) -> Proportion:
        """The mean of these models' shares: each drew as many samples as the others. Its interval
        is over samples, and says nothing of a further model (see `over_networks`)."""
        return _proportion(self.counts[:, self.samplers.index(sampler)].sum(axis=0), region)

    def each(self, sampler: str, region: Region = Region.INTERPOLATION) -> list[Proportion]:
        """The share of every model."""
        return [self.of(k, sampler, region) for k in range(len(self.models))]

    def _with(self, change: Callable[[str], Any], **names: Any) -> Rates:
        return dataclasses.replace(self, **names | {name: change(name) for name in _ARRAYS})

    def only(self, sampler: int) -> Rates:
        """The counts under one sampler."""
        name = self.samplers[sampler]
        return self._with(lambda of: getattr(self, of)[:, [sampler]], samplers=(name,))

    def of_model(self, model: str) -> Rates:
        """The counts of one model."""
        k = self.models.index(model)
        names = {"models": (model,), "recipes": (self.recipes[k],)}
        return self._with(lambda of: getattr(self, of)[[k]], **names)

    def beside(self, *others: Rates) -> Rates:
        """These samplers, then the others', of the same models."""
        every = (self, *others)
        samplers = tuple(name for rates in every for name in rates.samplers)
        return self._with(
            lambda of: np.concatenate([getattr(rates, of) for rates in every], axis=1),
            samplers=samplers,
        )

    def joined(self, other: Rates) -> Rates:
        """With further samples of the same models and samplers."""

        def pooled(counts: str, spread: str) -> Array:
            held = [getattr(rates, counts)[..., Region.TRUE_MODE] for rates in (self, other)]
            squares = [np.square(getattr(rates, spread)) for rates in (self, other)]
            parts = zip(held, squares, strict=True)
            total = sum(np.where(n > 0, n * square, 0.0) for n, square in parts)
            every = held[0] + held[1]
            return np.asarray(np.sqrt(total / np.where(every > 0, every, np.nan)))

        return dataclasses.replace(
            self,
            counts=self.counts + other.counts,
            exact=self.exact + other.exact,
            spread=pooled("counts", "spread"),
            exact_spread=pooled("exact", "exact_spread"),
        )

    def reordered(self, samplers: Sequence[str]) -> Rates:
        """The same counts under other samplers' names: a negative control."""
        return dataclasses.replace(self, samplers=tuple(samplers))

    def swapped(self) -> Rates:
        """The same counts, those of the first sampler and of the last under each other's name."""
        first, *between, last = self.samplers
        return self.reordered([last, *between, first])

    def exchanged(self, one: str, other: str, model: int) -> Rates:
        """The counts of two samplers of one model under each other's names: a negative control."""
        names = [{one: other, other: one}.get(name, name) for name in self.samplers]
        counts = self.counts.copy()
        counts[model] = counts[model][[names.index(name) for name in self.samplers]]
        return dataclasses.replace(self, counts=counts)

    def from_exact(self) -> Rates:
        """The exact score as the one model, on the samples of all."""
        counts = self.exact.sum(axis=0, keepdims=True)
        spread = np.sqrt(np.square(self.exact_spread).mean(axis=0, keepdims=True))
        alone = dataclasses.replace(self, models=("exact score",), recipes=(None,))
        return dataclasses.replace(
            alone, counts=counts, exact=counts, spread=spread, exact_spread=spread
        )


def _proportion(counts: IntArray, region: Region) -> Proportion:
    return Proportion(int(counts[region]), int(counts.sum()))


def count_models(
    case: Case, models: Sequence[TrainedModel], runs: Sequence[Run], first: int = 0
) -> Rates:
    """Every model under every sampler, each time on the next samples of the stream "rates", from
    index `first` on, and the exact score on the same."""
    *begins, every = np.cumsum([0, *(run.n for run in runs)]).tolist()

    def ends(score: Any, k: int) -> list[Ends]:
        places = [
            (run, Draws(case.schedule, run.n, case.stream("rates"), first + k * every + begin))
            for run, begin in zip(runs, begins, strict=True)
        ]
        return [draws.ends(score, case.mixture, run.sampler) for run, draws in places]

    learned = [ends(model.score, k) for k, model in enumerate(models)]
    exact = [ends(case.mixture, k) for k in range(len(models))]
    return Rates.counted(models, [run.name for run in runs], learned, exact)


def over_seeds(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval for the mean over training seeds; None where they do not differ."""
    n = len(values)
    if len(set(values)) < 2:
        return None
    from mixdyn.support import laws

    half_width = float(laws.student_upper(DISPLAY_MISS / 2, n - 1)) * float(np.std(values, ddof=1))
    centre = float(np.mean(values))
    return centre - half_width / math.sqrt(n), centre + half_width / math.sqrt(n)


# -- showing -------------------------------------------------------------------------------------


def steps_alone(exact: Proportion) -> Hypothesis:
    """The hypothesis that the sampler's own steps make hardly any interpolation."""
    return Hypothesis.from_slack("steps", np.array([STEPS_ALONE - exact.rate]))


def rate_table(caption: str, rates: Rates, samplers: Sequence[str] | None = None) -> Table:
    """The `rate_rows` of all samplers, or of those named."""
    return Table(caption, COLUMNS, rate_rows(rates, samplers))


def rate_rows(rates: Rates, samplers: Sequence[str] | None = None) -> list[tuple[Cell, ...]]:
    """Interpolation and invalid share per sampler and model with 95 % intervals, the mean over each
    recipe's training seeds with Student's interval, and the exact score on the same samples."""
    shown = rates.samplers if samplers is None else samplers
    return [row for name in shown for row in _rows_of(rates, name)]


def _rows_of(rates: Rates, sampler: str) -> list[tuple[Cell, ...]]:
    rows = [
        _row(name, sampler, [rates.of(k, sampler, region) for region in _WRONG])
        for k, name in enumerate(rates.models)
    ]
    for recipe, members in seeds_of(rates).items():
        cells: list[Cell] = []
        for region in _WRONG:
            values = [rates.of(k, sampler, region).rate for k in members]
            ends = over_seeds(values)
            cells += [float(np.mean(values)), *(ends or (None, None))]
        rows.append((f"{recipe}: over {len(members)} seeds", sampler, None, *cells))
    exact = rates.from_exact()
    rows.append(_row("exact score", sampler, [exact.of(0, sampler, region) for region in _WRONG]))
    return rows


_WRONG = (Region.INTERPOLATION, Region.INVALID)


def _row(model: str, sampler: str, shares: Sequence[Proportion]) -> tuple[Cell, ...]:
    cells = [cell for share in shares for cell in (share.rate, *share.interval())]
    return (model, sampler, shares[0].trials, *cells)


def seeds_of(rates: Rates) -> Mapping[str, list[int]]:
    """Per recipe the places of its models, where there are at least two."""
    found: dict[str, list[int]] = {}
    for k, recipe in enumerate(rates.recipes):
        if recipe is not None:
            found.setdefault(recipe, []).append(k)
    return {recipe: members for recipe, members in found.items() if len(members) > 1}


def show_rates(
    case: Case, caption: str, rates: Rates, shares: Shares, samplers: Sequence[str] | None = None
) -> Iterator[Part]:
    """What every row about rates shows: their table, how far the networks differ, and how to
    reproduce the counts."""
    yield Facts(
        witness=lambda found: {"seed": case.stream("rates")},
        model=", ".join(rates.models),
    )
    yield lambda: [
        rate_table(f"{caption}, with 95 % intervals", rates, samplers),
        variation_table(shares),
    ]

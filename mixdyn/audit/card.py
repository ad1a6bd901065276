"""`audit`: the card of a sampler.

What a library's user asks of a sampler, from a few thousand numbers: where its calls stand, what it
makes of Gaussian data of every spread, how fast that improves with its steps, what it does between
the modes of a mixture, what a score error costs it, and whether a seed names its end.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..affine.drivers import driver_of
from ..affine.gaussian import convergence
from ..affine.impulses import transcribe
from ..affine.parts import ErrorParts, error_parts
from ..affine.plan import Plan
from ..affine.stepper import PlanRun
from ..geometry import Region, pair, pairwise_distances, within_modes
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..samplers.step import Rows
from ..score.exact import ExactScore
from ..score.protocol import Level
from ..support.checks import Array, check_array, check_integer
from ..support.errors import (
    InputError,
    MemoryLimitError,
    MixdynError,
    NotAffineError,
    NotApplicableError,
)
from ..support.statistics import Proportion
from .grids import Grids, grids
from .measuring import ByPlan, BySampling, Guarded, Measuring, Response
from .words import words

NAMED = (0.007, 0.05, 0.2, 1.0)  # standard deviations that a card prints
MEAN = 0.7  # of the Gaussians: a spread alone hides a mean that is off
MISTAKE = 0.01  # of every predicted noise, in nats
_CURVE = np.unique(np.concatenate([np.geomspace(0.003, 3.0, 28), NAMED]))
_ONE_LEVEL = 1e-5  # of a step in log noise: what rounds to one level
_MOST_STEPS = 500  # of a plan that is made for the order alone
_SAMPLES = 10_000
_RELEASED = 2_000
_NEAR = 0.1  # of the pair's length: how far from its midpoint paths are released
_SEPARATED = 28.0  # l^2/v: two modes as far apart as this margin has it own their points
OURS = ("ddim", "ode")  # what a sampler is set beside, at equal evaluations


@dataclasses.dataclass(frozen=True)
class Card:
    """An audited sampler.

    response : one row for each standard deviation. clock : (asked, true) noise over signal of each
    call; end : that at which it returns. order, floor : of the gain's error at the standard
    deviation order_at; None where unknown. errors : there and at the mean of the rows, of grid,
    pairing and solver apart; None without a plan. seeded : whether a seed names the end; None in
    brief. grids : their faults at every number of steps; None where none were looked at.
    outside : samples farther from every mode than its radius; weights : those within, by mode.
    trapped : paths released near the midpoint of the nearest modes that end outside. price : nats a
    coordinate for an error of 0.01 in every predicted noise; None for a deterministic sampler. w2,
    spectrum : distance from Gaussian data of the given eigenvalues, and its root mean square norm.
    consistency : the named rows, of one that is made for consistency maps, with the exact one in
    place of the posterior mean. affine, why : whether it has a plan, and what speaks against it;
    None where that would be too large to read off, and it was sampled. ours : W2 of samplers of
    ours at as many evaluations.
    """

    provenance: Mapping[str, Any]
    n_eval: float
    affine: bool | None
    why: str | None
    response: list[Response]
    consistency: list[Response]
    clock: list[tuple[float, float]]
    end: float
    order: float | None
    floor: float | None
    errors: ErrorParts | None
    grids: Grids | None
    outside: Proportion
    weights: list[Proportion]
    wanted: list[float]
    trapped: Proportion | None
    price: float | None
    w2: float
    spectrum: float
    seeded: bool | None
    ours: dict[str, float]
    order_at: ClassVar[float] = 0.2

    @property
    def name(self) -> str:
        """As it is called in tables."""
        settings = (f"{key}={value}" for key, value in self.provenance["settings"].items())
        return " ".join([self.provenance["sampler"], *settings])

    @property
    def named(self) -> list[Response]:
        """The rows that are printed."""
        return [row for row in self.response if row.std in NAMED]

    @property
    def clock_error(self) -> tuple[int, float]:
        """(call, log(true/asked)) where the level of an input is farthest from the one asked."""
        with np.errstate(divide="ignore", invalid="ignore"):
            asked, true = np.array(self.clock).T
            error = np.where(np.isfinite(asked) & (asked > 0.0), np.log(true / asked), 0.0)
        error = np.where(np.isnan(error), 0.0, error)
        k = int(np.argmax(np.abs(error)))
        return k + 1, float(error[k])

    @property
    def quotient(self) -> float | None:
        """The largest of neighbouring steps in log noise over signal, the longer by the shorter:
        what multistep methods suffer from. None for fewer than two steps."""
        levels = np.array([*(asked for asked, _ in self.clock), self.end])
        levels = np.minimum.accumulate(levels[np.isfinite(levels) & (levels > 0.0)])
        steps = -np.diff(np.log(levels))
        steps = steps[steps > _ONE_LEVEL]
        if len(steps) < 2:
            return None
        return float(np.exp(np.abs(np.diff(np.log(steps)))).max())

    @property
    def words(self) -> list[str]:
        """What it returns, where it errs, what to use instead, and of its grids at other numbers of
        steps where these were looked at: a sentence each."""
        return [*words(self), *([self.grids.words] if self.grids else [])]

    def facts(self) -> dict[str, Any]:
        """The card as data for JSON."""
        found = self.provenance
        return {
            **{key: found.get(key) for key in ("library", "version", "sampler", "settings")},
            "steps": found.get("steps"),
            "n_eval": self.n_eval,
            "affine": self.affine,
            "response": [
                {key: getattr(row, key) for key in ("std", "mean", "gain", "mean_error")}
                for row in self.response
            ],
            "consistency": [
                {"std": row.std, "gain": row.gain, "mean_error": row.mean_error}
                for row in self.consistency
            ],
            "clock": [
                {"call": k, "asked": asked, "true": true}
                for k, (asked, true) in enumerate(self.clock, start=1)
            ],
            "end": self.end,
            "step_quotient": self.quotient,
            "order": self.order,
            "floor": self.floor,
            "errors": self.errors and dataclasses.asdict(self.errors),
            "mixture": {
                "outside": self.outside.rate,
                "weights": [share.rate for share in self.weights],
            },
            "seeded": self.seeded,
            "grids": self.grids and dict(self.grids.faults),
            "words": self.words,
        }


def natural_images(side: int = 32, std: float = 0.5) -> Array:
    """(side^2 - 1,) variances, of mean std^2, that fall off as 1/frequency^2: those of the Fourier
    modes but the constant one, of a grey image.

    Source: Field, J. Opt. Soc. Am. A 4 (1987): amplitudes fall as 1/frequency. Tolhurst, Tadmor and
    Chao, Ophthalmic Physiol. Opt. 12 (1992), find 1/frequency^1.2 on average, 0.8 to 1.5.
    """
    f = np.fft.fftfreq(side, 1.0 / side)
    square = np.sort((f[:, None] ** 2 + f**2).reshape(-1))[1:]
    return std**2 / square / np.mean(1.0 / square)


def two_modes() -> GaussianMixture:
    """The mixture of a card that names none: two equal modes, ten spreads on either side of 0."""
    return GaussianMixture([[-0.5], [0.5]], 0.05)


def audit(
    sampler: Any,
    steps: int | None = None,
    *,
    mixture: GaussianMixture | None = None,
    eigenvalues: ArrayLike | None = None,
    seed: int = 0,
    brief: bool = False,
    every_grid: bool = False,
    **settings: Any,
) -> Card:
    """The card of a sampler, named or given as `transcribe` takes it.

    mixture : two modes by default. eigenvalues (k,) > 0 : of the data's covariance, for W2; those
    of natural images by default. brief : without order, floor and seeds, which the card of another
    number of steps tells as well. every_grid : look at the grids of 2 to 1000 steps too. Raises
    InputError for a sampler that fails, in one line.
    """
    steps = None if steps is None else check_integer(steps, "steps", 1)
    driver = Guarded(driver_of(sampler, steps, settings))
    problem = two_modes() if mixture is None else mixture
    spectrum = natural_images() if eigenvalues is None else _checked(eigenvalues)
    plan, why = None, None
    affine: bool | None = True
    measured: Measuring
    try:
        plan = transcribe(driver)
        measured = ByPlan(plan, driver)
    except (NotAffineError, MemoryLimitError) as error:
        large = isinstance(error, MemoryLimitError)
        affine, why = None if large else False, unread(error)
        measured = BySampling(driver, seed)
    rows = measured.responses(_CURVE if plan else np.array(NAMED), MEAN)
    asked, true = measured.clock()
    outside, weights = _shares(problem, measured.ends(problem, _SAMPLES, seed))
    order, floor = None, None
    if plan is not None and not brief:
        order, floor = _order(sampler, plan, steps, settings)
    n_eval = measured.calls
    return Card(
        provenance=driver.provenance,
        n_eval=n_eval,
        affine=affine,
        why=why,
        response=rows,
        consistency=measured.responses(np.array(NAMED), MEAN, "consistency")
        if driver.provenance.get("distilled")
        else [],
        clock=list(zip(asked.tolist(), true.tolist(), strict=True)),
        end=math.sqrt(driver.end.rho),
        order=order,
        floor=floor,
        errors=None if plan is None else _errors(plan),
        grids=grids(driver_of(sampler, steps, settings)) if every_grid else None,
        outside=outside,
        weights=weights,
        wanted=problem.weights.tolist(),
        trapped=None if plan is None else _trapped(plan, problem, seed),
        price=None if plan is None else _price(plan),
        w2=measured.w2(spectrum, rows),
        spectrum=float(np.sqrt(spectrum.sum())),
        seeded=None if brief else driver.repeats(),
        ours=_ours(round(n_eval), tuple(spectrum.tolist())),
    )


def unread(error: NotAffineError | MemoryLimitError) -> str:
    """Why a sampler is not read off as a plan."""
    if isinstance(error, MemoryLimitError):
        return f"to read its plan off would take {error.received}"
    return str(error.received)


def _checked(eigenvalues: ArrayLike) -> Array:
    found = check_array(eigenvalues, "eigenvalues", ndim=1)
    if found.size == 0 or not (found > 0.0).all():
        raise InputError(
            "the eigenvalues of a spectrum are variances > 0",
            f"{found.size} of them, the least {found.min(initial=math.inf):.3g}",
            "Leave out directions without data.",
        )
    return found


def _order(
    sampler: Any, plan: Plan, steps: int | None, settings: Mapping[str, Any]
) -> tuple[float | None, float | None]:
    """Order and floor from two more plans: of two and four times the steps, or of half and a
    quarter where those are too many or fail. Without a floor that fits, the last slope."""
    if steps is None:
        return None, None
    for factors in ((2.0, 4.0), (0.25, 0.5))[4 * steps > _MOST_STEPS :]:
        counts = [max(1, round(steps * factor)) for factor in factors]
        try:
            others = [transcribe(Guarded(driver_of(sampler, count, settings))) for count in counts]
            found = convergence(sorted([plan, *others], key=lambda p: p.calls), [Card.order_at])
        except MixdynError:
            continue
        order, floor = float(found.order[0]), float(found.floor[0])
        if math.isnan(order):
            order = float(found.slope[-1, 0])
        return (
            order if math.isfinite(order) else None,
            floor if math.isfinite(floor) else None,
        )
    return None, None


def _errors(plan: Plan) -> ErrorParts | None:
    try:
        return error_parts(plan, MEAN, Card.order_at)
    except NotApplicableError:
        return None


def _shares(mixture: GaussianMixture, x: Array) -> tuple[Proportion, list[Proportion]]:
    codes, nearest, _ = within_modes(mixture, x)
    outside = int(np.count_nonzero(codes != Region.TRUE_MODE))
    inside = max(len(x) - outside, 1)
    counts = np.bincount(nearest, minlength=mixture.N)
    return Proportion(outside, len(x)), [Proportion(int(k), inside) for k in counts]


def _trapped(plan: Plan, mixture: GaussianMixture, seed: int) -> Proportion | None:
    """Paths that are held near the midpoint of the two nearest modes until these have parted, and
    then let go: those that end outside all modes. None for one mode, or for calls without noise."""
    distance = pairwise_distances(mixture.means) if mixture.N > 1 else np.zeros((1, 1))
    apart = np.where(distance > 0.0, distance, np.inf)
    if not np.isfinite(apart).any() or (plan.noise_var[:-1] == 0.0).any():
        return None
    modes = pair(mixture, *map(int, np.unravel_index(np.argmin(apart), apart.shape)))
    with np.errstate(divide="ignore"):
        v = mixture.std_range[1] ** 2 + plan.noise_var[:-1] / np.square(plan.alpha[:-1])
    parted = np.flatnonzero(modes.length**2 >= _SEPARATED * v)
    if len(parted) == 0:
        return None
    offset = np.linspace(-_NEAR, _NEAR, _RELEASED)[:, None]
    held = modes.midpoint + offset * (modes.mu_i - modes.mu_j)
    schedule = NoiseSchedule.linear()
    try:
        run = PlanRun(plan, ExactScore(mixture, schedule), schedule, plan.grid(schedule))
        x = np.empty_like(held)
        for k, t in enumerate(run.grid.times[:-1].tolist()):
            if k <= parted[0]:
                x[:] = plan.alpha[k] * held
            run.advance(x, run.eps(x, t), k, Rows(0, seed))
    except NotApplicableError:
        return None
    return _shares(mixture, x)[0]


def _price(plan: Plan) -> float | None:
    """A mistake that is the same everywhere costs the same on every path."""
    schedule = NoiseSchedule.linear()
    try:
        mistaken, right = (_Standard(mistake) for mistake in (MISTAKE, 0.0))
        return plan.price(mistaken, right, schedule, n=2, rng=0).nats
    except NotApplicableError:
        return None


@dataclasses.dataclass(frozen=True)
class _Standard:
    """The prediction on N(0, I) data, and a mistake."""

    mistake: float
    takes_levels = True
    d = 1

    def eps(self, x: Array, at: Level) -> Array:
        return at.noise_std / (at.signal_var + at.noise_var) * x + self.mistake


@functools.lru_cache(maxsize=32)
def _ours(steps: int, spectrum: tuple[float, ...]) -> dict[str, float]:
    """W2 of samplers of ours; the same beside every card of as many evaluations."""
    found = {}
    for name in OURS:
        try:
            found[name] = transcribe(name, steps).w2(spectrum)
        except MixdynError:  # more steps than its schedule has
            continue
    return found

"""The samplers whose noise is examined, and how rarely each leaves the modes with the exact score.

The event is a gap. On a product grid: at the last noisy time some coordinate of the exact denoiser
lies between two neighbouring grid lines, farther than five sigma from both; its probability under
the exact chain is computed (`mixdyn.oracles.chain_law`). On other mixtures: the exact denoiser lies
between its two nearest modes, farther than five sigma from both along their line
(`geometry.Between`); its probability is estimated without bias, however small
(`mixdyn.rare_event`), and counts at the upper end of an interval.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixdyn import oracles
from mixdyn.geometry import Between
from mixdyn.oracles.separable import axis_variances
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.rare import RareEvent, rare_event
from mixdyn.samplers.ddim import DDIM, DDPM
from mixdyn.samplers.plan import StepPlan, bridge_plan
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError

from ...ledger.case import Case
from ..measurement import Measurement
from ..networks.rate_sweeps import ddpm_name
from ..paths import DDIM_STEPS

BoolArray = NDArray[np.bool_]
ETAS = (0.5, 1.0, 1.25, 1.5)
RADIUS = 5.0  # sigma: what counts as a mode
LAW_MISS = 1e-7  # with which an estimated probability is above what it counts as
_REL = 0.15  # of the estimate, whose logarithm enters
_PATHS = 100  # of a run of `rare_event`, in the quick profile
_SPACING = 1.0  # of `oracles.chain_law`: log P to 2e-5, far inside what any count resolves


@dataclass(frozen=True)
class CappedDDIM(DDIM):
    """DDIM whose eta is lowered, step by step, to the largest 1/sqrt(1 - q) that the step has."""

    def plan(self, schedule: NoiseSchedule, grid: TimeGrid) -> StepPlan:
        """The bridge with as much of this eta as each step allows."""
        return bridge_plan(schedule, grid, self.eta, capped=True)


@dataclass(frozen=True, eq=False)
class Chain:
    """A sampler with its plan on a schedule."""

    name: str
    sampler: DDIM | DDPM
    plan: StepPlan

    @classmethod
    def of(cls, name: str, sampler: DDIM | DDPM, schedule: NoiseSchedule) -> Chain:
        """The sampler on its own grid. Raises NotApplicableError for a grid of one step."""
        plan = sampler.plan(schedule, sampler.grid(schedule))
        if plan.grid.steps < 2:
            raise NotApplicableError(
                "a guarantee needs a step with noise", "one step", "Use a longer schedule."
            )
        return cls(name, sampler, plan)

    @property
    def eta(self) -> Array:
        """(S - 1,) noise factor of every noisy step."""
        rho = self.plan.schedule.rho
        change = 1.0 - rho[self.plan.s] / rho[self.plan.t]
        eta: Array = np.sqrt(self.plan.share / change)[:-1]
        return eta


def coarse_name(schedule: NoiseSchedule, eta: float, steps: int = DDIM_STEPS) -> str:
    """The name of DDIM on the papers' grid with this eta."""
    return f"{min(steps, schedule.T)} steps, η = {eta:g}"


def coarse_chain(schedule: NoiseSchedule, eta: float, steps: int = DDIM_STEPS) -> Chain:
    """DDIM with this eta, as far as the steps allow, on the quadratic grid."""
    sampler = CappedDDIM(steps, eta=eta).within(schedule)
    return Chain.of(coarse_name(schedule, eta, steps), sampler, schedule)


def find_chains(case: Case) -> list[Chain]:
    """DDPM and the coarse chains; without DDPM on random problems, for the sake of time."""
    coarse = [coarse_chain(case.schedule, eta) for eta in ETAS]
    if case.random:
        return coarse
    return [Chain.of(ddpm_name(case.schedule), DDPM(), case.schedule), *coarse]


@Measurement
def exact_laws(case: Case, chain: Chain) -> list[oracles.AxisLaw]:
    """The law of the chain, known by its name, with the exact score, per coordinate;
    NotApplicableError off product grids."""
    schedule = case.schedule
    return oracles.chain_law(
        case.mixture,
        schedule.alpha_bar,
        chain.plan.grid.times,
        chain.eta,
        noise_var=schedule.noise_var,
        spacing=_SPACING,
    )


def is_product(mixture: GaussianMixture) -> bool:
    """Whether the chain's law is computed coordinate by coordinate, or refused: modes of any
    covariance have no other."""
    return mixture.covariance is not None or mixture.product_axes() is not None


def axis_stds(mixture: GaussianMixture) -> Array:
    """(d,) standard deviations along the axes. NotApplicableError where they are no axes of all."""
    return np.sqrt(axis_variances(mixture, "a gap"))


def gap_radius(mixture: GaussianMixture) -> float | Array:
    """How far from a grid line a coordinate is in a gap, in data units: one, or (d,)."""
    if mixture.covariance is not None:
        return RADIUS * axis_stds(mixture)
    return RADIUS * float(mixture.sigma)


def estimated(case: Case, chain: Chain, radius: float, paths: int = _PATHS) -> RareEvent:
    """How rarely the exact chain ends between two modes, farther than `radius` from both."""
    return case.memo(
        f"rare {chain.name} {radius:.9g} {paths}",
        lambda: rare_event(
            case.mixture,
            case.schedule,
            chain.sampler,
            Between(radius=radius),
            rel=_REL,
            n=case.pick(paths, 4 * paths),
            rng=case.stream("rare events"),
        ),
    )


def log_gap(case: Case, chain: Chain) -> float:
    """log of at most the exact chain's probability of a gap. Raises NotApplicableError where there
    is none: where no two neighbours are ten sigma apart."""
    if not is_product(case.mixture):
        radius = RADIUS * float(case.mixture.sigma)
        return estimated(case, chain, radius).interval(LAW_MISS)[1]
    found = oracles.log_gap_probability(exact_laws(case, chain), gap_radius(case.mixture))
    if not math.isfinite(found):
        raise NotApplicableError(
            "a gap needs two neighbouring modes more than ten sigma apart", "none", "Separate them."
        )
    return min(found, 0.0)


@dataclass(frozen=True)
class Gaps:
    """Where the gaps of a product grid are: grid lines of every coordinate, and the radius, one or
    (d,)."""

    values: tuple[Array, ...]
    radius: float | Array

    def hold(self, x_0: Array) -> BoolArray:
        """Whether some coordinate of x_0 (n, d) is in a gap, (n,)."""
        radii = np.broadcast_to(self.radius, len(self.values)).tolist()
        inside = [self._in_gap(v, x, r) for v, x, r in zip(self.values, x_0.T, radii, strict=True)]
        return functools.reduce(np.logical_or, inside)

    @staticmethod
    def _in_gap(values: Array, x: Array, radius: float) -> BoolArray:
        """For one coordinate (n,)."""
        between = (x > values[0]) & (x < values[-1])
        nearest = np.abs(x[:, None] - values).min(axis=1)
        return np.asarray(between & (nearest > radius))


@dataclass(frozen=True)
class GapsBetween:
    """The gaps of any mixture, between two nearest modes."""

    mixture: GaussianMixture
    event: Between

    def hold(self, x_0: Array) -> BoolArray:
        """Whether x_0 (n, d) is in a gap, (n,)."""
        return self.event.holds(self.mixture, x_0)


def find_gaps(case: Case, chain: Chain) -> Gaps | GapsBetween:
    """The gaps of a case."""
    if not is_product(case.mixture):
        return GapsBetween(case.mixture, Between(radius=RADIUS * float(case.mixture.sigma)))
    lines = tuple(law.axis.values for law in exact_laws(case, chain))
    return Gaps(lines, gap_radius(case.mixture))

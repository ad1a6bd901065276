"""What `mixdyn check` reports, as plain data that goes to JSON as it is.

Times named `_raw` count schedule steps, those named `_steps` the steps left on the DDIM grid.
Lengths are in the units of the means, of sigma (`_sigma`) or of the pair's length l (`_l`). An end
is "last_noisy", time 1, or "clean", time 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.start import start_error
from mixdyn.support.numbers import Log10

PAPER_KAPPA = 7.0  # arXiv 2605.06831 v1 measures its margins there
MIDDLE = 0.35  # "in the middle" is within 0.35 l of the midpoint, as in the paper's experiments


@dataclass(frozen=True)
class StartFacts:
    """What an exact sampler loses by starting from N(0, I) at time t: see `mixdyn.run.start`.

    noisy_low, noisy_high: the modes' weights that exact sampling with noise ends with, equal where
    they are exact; flow: without noise, None where unknown. kl: of p_t from N(0, I), in nats, at
    most. words: one sentence, empty where no mode's weight is off by a hundredth for certain.
    """

    t: int
    alpha_bar: float
    kl: float
    noisy_low: list[float]
    noisy_high: list[float]
    flow: list[float] | None
    words: str


def start_facts(mixture: GaussianMixture, schedule: NoiseSchedule, t: int) -> StartFacts:
    """The facts of a start at t."""
    lost = start_error(mixture, schedule.as_variance_preserving(), t)
    (low, high), flow = lost.noisy_weights, lost.flow_weights
    words = lost.words() if lost.notable else ""
    known = None if flow is None else flow.tolist()
    alpha_bar = float(lost.schedule.alpha_bar[t])
    return StartFacts(t, alpha_bar, lost.kl, low.tolist(), high.tolist(), known, words)


@dataclass(frozen=True)
class PairFacts:
    """A pair of modes.

    length_radii is l over the sum of the two mode radii of the classification: below 1 the modes
    overlap; it and length_sigma are None where neither mode has an extent along the line.
    length_whitened: the Mahalanobis length, by the mean of the two covariances; None where that has
    no extent in a direction of the pair. born_raw: the time from which on, towards the data, it is
    above 2 at the level: the midpoint of two equal modes is a saddle. seen_share: the share of the
    segment on which `classify` calls a sample an interpolation; 0 also where a third, wider mode
    covers it. tau_2_raw and tau_2_steps: one entry per kappa, None where
    never."""

    i: int
    j: int
    length: float
    length_sigma: float | None
    length_radii: float | None
    length_whitened: float | None
    born_raw: int | None
    seen_share: float
    weight_ratio: float
    tau_2_raw: list[int | None]
    tau_2_steps: list[int | None]


@dataclass(frozen=True)
class CrossingFacts:
    """The distribution of one kind of tau_1 over trajectories, None where it is never reached.

    process: "DDIM" or "reverse SDE"; crossing: "first", "last" or "last_fixed" (one fixed pair).
    Quantiles are of the raw time, so raw_05 is the late end.
    """

    process: str
    kappa: float
    crossing: str
    never_share: float
    raw_05: int | None
    raw_50: int | None
    raw_95: int | None
    steps_50: int | None


@dataclass(frozen=True)
class SaddleFacts:
    """The unstable equilibrium between two modes: a is 1 at mode i and 0 at mode j; distances from
    the midpoint and off the line in l; eigenvalues per unit of intrinsic time, ascending."""

    point: list[float]
    a: float
    from_midpoint_l: float
    off_line_l: float
    eigenvalues: list[float]
    residual: float


@dataclass(frozen=True)
class TrapFacts:
    """Starts at tau that the probability-flow ODE fails to move out of the middle: radius_l is
    their half-width at tau, of those that end within `fraction` of l of the midpoint."""

    end: str
    fraction: float
    radius_l: Log10


@dataclass(frozen=True)
class PairStage:
    """A pair at one tau; no_saddle and no_traps say why something is missing.

    growth: Lambda to each end, of the two modes alone. safe_start_l: what that growth leaves within
    MIDDLE of l of the midpoint, if they are also equal. traps: exact, full mixture.
    """

    i: int
    j: int
    stiffness: float
    saddle: SaddleFacts | None
    no_saddle: str | None
    growth: dict[str, float]
    safe_start_l: dict[str, Log10]
    traps: list[TrapFacts]
    no_traps: str | None


@dataclass(frozen=True)
class BudgetFacts:
    """How far a point that one mode owns still travels to it, from tau to the end.

    Distances shrink by ode_factor (DDIM) and sde_factor (mean of DDPM). halfway: where a point half
    a nearest-pair length from its mode ends, in sigma. needs_raw: the latest start from which it
    gets inside the mode radius, None if no start suffices.
    """

    end: str
    ode_factor: float
    sde_factor: float
    ode_halfway_sigma: float
    sde_halfway_sigma: float
    ode_needs_raw: int | None
    sde_needs_raw: int | None


@dataclass(frozen=True)
class Stage:
    """What is left to happen at one raw time tau; mixture_growth is Lambda to each end for any two
    trajectories of the mixture, from its diameter."""

    tau_raw: int
    tau_steps: int
    v: float
    mixture_growth: dict[str, float]
    budgets: list[BudgetFacts]
    pairs: list[PairStage]


@dataclass(frozen=True)
class SpreadFacts:
    """Standard deviation that a sampler returns within a mode, over sigma; last_step is the factor
    of its last step alone."""

    sampler: str
    sigma: float
    final_over_sigma: float
    last_step: float


@dataclass(frozen=True)
class CopyFacts:
    """What DDIM with the data's own score returned: n samples, of which `copies` lie within a
    twentieth of a typical neighbour's distance from a data point, `different` points in all;
    farthest: the largest distance from a point, in that unit."""

    n: int
    steps: int
    copies: int
    different: int
    farthest: float


@dataclass(frozen=True)
class DataFacts:
    """Points at `places` different places, the most frequent `most_repeated` times; spread: root
    mean variance of a coordinate. nearest: quantiles 0, 0.05, 0.5, 0.95, 1 of the distance to the
    nearest other place, over `looked` of them; told_apart_raw: the time from which on, towards the
    data, a pair at that distance has l^2 >= 4 v."""

    points: int
    places: int
    most_repeated: int
    bandwidth: float
    spread: float
    looked: int
    nearest: list[float]
    told_apart_raw: list[int | None]
    copies: CopyFacts | None


@dataclass(frozen=True)
class CloneLevel:
    """At time t_raw: the probability that two clones end in one class, the information of class and
    state in nats, and how many classes the median state may still end in."""

    t_raw: int
    rho: float
    probability: float
    information: float
    alive: float


@dataclass(frozen=True)
class CloneFacts:
    """Where clones begin to end in one of the classes `what`, "points", "modes" or "labels"; see
    `mixdyn.run.clones.Transition`. rho_gaussian: where Gaussian data of this covariance share log N
    nats with a noisy state. *_raw: the nearest times of the schedule, None beyond it."""

    what: str
    n_classes: int
    chance: float
    rho: float | None
    std_error: float
    rho_early: float | None
    rho_late: float | None
    rho_gaussian: float | None
    raw: int | None
    early_raw: int | None
    late_raw: int | None
    gaussian_raw: int | None
    levels: list[CloneLevel]


@dataclass(frozen=True)
class RouteFacts:
    """How the score is evaluated; products: multiplications that one sample and step would take if
    every mode were looked at."""

    name: str
    words: str
    products: float


@dataclass(frozen=True)
class Diagnosis:
    """Everything `mixdyn check` found. starts: at T, and at the first time of the DDIM grid. notes:
    what does not apply to this input, and why."""

    mixture: dict[str, Any]
    schedule: dict[str, Any]
    starts: list[StartFacts]
    kappas: list[float]
    n_shortest: int
    pairs: list[PairFacts]
    crossings: list[CrossingFacts]
    n_trajectories: int
    seed: int
    stages: list[Stage]
    spread: list[SpreadFacts]
    data: DataFacts | None
    clones: list[CloneFacts]
    route: RouteFacts
    notes: list[str]

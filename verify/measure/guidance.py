"""Guided ends of two modes, of a case's own mixture, and of samplers with guidance.

The class is one mode. Of two modes ends are counted in standard deviations of a mode, where theory
has them depend on the weight of the guidance and on the share of the class alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.geometry import radius_in_stds
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.score.guided import GuidedScore
from mixdyn.solvers.field import ModelField
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.traps import closest_pair, two_modes
from verify.measure.paths import DDIM_STEPS, FLOW_RTOL, ddim_grid, extent

WEIGHTS = (0.05, 1.0, 3.0, 7.0, 15.0)
LADDER = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 15.0, 31.0, 63.0, 127.0)
N_STARTS, N_NODES = 33, 16
FEW_STEPS = 10


@dataclass(frozen=True)
class Ends:
    """Guided ends of two modes. xi (n,): starts, in standard deviations of the class's marginal
    around its mean; share (n,): of N(0, 1), by Gauss and Hermite; weights (W,); end (W, n): offsets
    at the end, in sigma. log_odds of the class; reach: kappa = l/sqrt(v) at both ends."""

    length: float
    log_odds: float
    reach: tuple[float, float]
    xi: Array
    share: Array
    weights: Array
    end: Array

    @property
    def mean(self) -> Array:
        """Of the ends of N(0, 1), (W,)."""
        return np.asarray(self.end @ self.share)

    @property
    def spread(self) -> Array:
        """Their standard deviation, (W,)."""
        return np.asarray(np.sqrt(np.square(self.end - self.mean[:, None]) @ self.share))


def levels(case: Case) -> tuple[float, float]:
    """Effective variance at the noisiest time with signal, and that of clean data."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    return float(v[np.isfinite(v)][-1]), float(v[0])


def two_mode_ends(case: Case) -> list[Ends]:
    """Those of the closest pair, towards its first mode and, where weights differ, its second."""
    pair, own = closest_pair(case.mixture)
    nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    v_from, v_to = levels(case)
    found = []
    for log_odds in dict.fromkeys((own, -own)):
        two = two_modes(pair.length, float(case.mixture.sigma), log_odds)
        c = int(two.means[:, 0].argmax())
        centre = float(two.means[c, 0])
        y = centre + math.sqrt(v_from) * nodes[:, None]
        end = [oracles.guided_flow(two, c, w, y, v_from, v_to)[:, 0] for w in WEIGHTS]
        reach = pair.length / math.sqrt(v_from), pair.length / math.sqrt(v_to)
        off = (np.array(end) - centre) / math.sqrt(v_to)
        share = weights / weights.sum()
        found.append(Ends(pair.length, log_odds, reach, nodes, share, np.array(WEIGHTS), off))
    return found


def outermost(mixture: GaussianMixture) -> tuple[int, Array]:
    """The mode farthest from the mean of all, and the unit vector from there to it: no other mode
    is farther along it."""
    offset = mixture.means - mixture.means.mean(axis=0)
    c = int(np.square(offset).sum(axis=1).argmax())
    return c, offset[c] / np.linalg.norm(offset[c])


@dataclass(frozen=True)
class Paths:
    """Guided paths of a mixture towards its outermost mode, from v_from to v_to. start (n, d), end
    (W, n, d) in y; exact: the same by the closed route where there is one, else None."""

    mode: int
    outward: Array
    weights: Array
    v_from: float
    v_to: float
    start: Array
    end: Array
    exact: Array | None


def mixture_paths(case: Case, weights: Sequence[float] = (0.0, 1.0, 3.0)) -> Paths:
    """The engine's, to the last noisy time or half way there, from starts of the class's marginal
    at the first."""
    mixture, schedule = case.mixture, case.schedule
    mode, outward = outermost(mixture)
    v = schedule.effective_variance(float(mixture.sigma))
    v_from, clean = levels(case)
    v_to = min(float(v[1]), math.sqrt(v_from * clean))
    n = case.pick(24, 200)
    start = mixture.means[mode] + math.sqrt(v_from) * case.rng("guided").standard_normal(
        (n, mixture.d)
    )
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * extent(mixture))
    end, exact = [], []
    for w in weights:
        guided = GuidedScore(mixture, schedule, mode, w)
        field = ModelField(guided, schedule, mixture.d, data_var=float(mixture.sigma) ** 2)
        end.append(integrate_ode(field, start, [v_from, v_to], solver).y)
        try:
            exact.append(oracles.guided_flow(mixture, mode, w, start, v_from, v_to))
        except NotApplicableError:
            exact = []
    known = np.array(exact) if len(exact) == len(weights) else None
    return Paths(mode, outward, np.array(weights), v_from, v_to, start, np.array(end), known)


# -- samplers ------------------------------------------------------------------------------------


def samplers(case: Case) -> dict[str, Sampler]:
    """The papers' two."""
    grid = ddim_grid(case)
    return {f"DDIM-{grid.steps}": DDIM(spacing=grid), "DDPM": DDPM()}


@Measurement
def sampled_ends(case: Case) -> dict[str, Any]:
    """Ends of the papers' samplers on two modes of the closest pair, equal weights: mean and spread
    (S, W) of their offset from the class in sigma, names (S,), weights (W,), n runs each. exact,
    exact_spread (W,): the flow's."""
    pair, _ = closest_pair(case.mixture)
    sigma = float(case.mixture.sigma)
    two = two_modes(pair.length, sigma, 0.0)
    c = int(two.means[:, 0].argmax())
    n, seed = case.pick(1000, 20_000), case.stream("guided samplers")
    weights, mean, spread = (0.0, *WEIGHTS[1:]), [], []
    for sampler in samplers(case).values():
        off = []
        for w in weights:
            guided = GuidedScore(two, case.schedule, c, w)
            x = sample(guided, case.schedule, sampler, n=n, rng=seed).x
            off.append((np.asarray(x)[:, 0] - two.means[c, 0]) / sigma)
        mean.append(np.mean(off, axis=1))
        spread.append(np.std(off, axis=1))
    flow = two_mode_ends(case)[0]
    return {
        "n": n,
        "names": list(samplers(case)),
        "weights": np.array(weights),
        "mean": np.array(mean),
        "spread": np.array(spread),
        "exact": np.concatenate([[0.0], flow.mean[1:]]),
        "exact_spread": np.concatenate([[1.0], flow.spread[1:]]),
    }


def guided_map(case: Case) -> dict[str, Any]:
    """The map of starts to ends of two modes with its limits: xi (n,), weights w (W,), end, least,
    most (W, n); and `sampled_ends`, its keys after sampled."""
    found = two_mode_ends(case)[0]
    inside = np.abs(found.xi) < 3.5
    xi = found.xi[inside]
    least, most = bounds.guidance_shift_limits(
        xi, found.weights[:, None], found.log_odds, found.reach
    )
    sampled = sampled_ends(case)
    return {
        **{f"sampled {key}": value for key, value in sampled.items() if key != "n"},
        "n": sampled["n"],
        "xi": xi,
        "w": found.weights,
        "end": found.end[:, inside],
        "least": least + xi,
        "most": most + xi,
    }


# -- a class between others ----------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of modes with one sigma, and a class between others: its second mode."""

    mixture: GaussianMixture
    mode: int = 1


def line_with_middle(mixture: GaussianMixture) -> Line | None:
    """The mixture on its line, or along the axis of a product grid with most modes; None where no
    three modes stand on one line so."""
    axes = mixture.product_axes()
    if mixture.d == 1 and axes is None:
        return None
    values, weights = max(axes or [(np.zeros(1), np.ones(1))], key=lambda axis: len(axis[0]))
    if len(values) < 3:
        return None
    return Line(GaussianMixture(values[:, None], float(mixture.sigma), weights))


@Measurement
def middle_ends(case: Case, steps: int = DDIM_STEPS, most: float = LADDER[-1]) -> dict[str, Any]:
    """Guided ends towards a class between others, as offsets from it in sigma: flow (W, n), its
    weights the least of LADDER, to 15, ddim (V, n) of all of LADDER with quadratic steps; start
    (n,) in standard deviations of noise. radius: of the class, in sigma. most: the largest weight,
    by which all of LADDER is scaled."""
    line = line_with_middle(case.mixture)
    if line is None:
        raise NotApplicableError(
            "a class between others needs three modes on one line",
            "a mixture without",
            "Take a line of modes, or a product grid.",
        )
    mixture, c, sigma = line.mixture, line.mode, float(line.mixture.sigma)
    v_from, v_to = levels(case)
    start = np.linspace(-3.0, 3.0, N_STARTS)
    alpha = float(case.schedule.alpha[case.schedule.alpha > 0.0][-1])
    y = start[:, None] / alpha
    ladder = [w * (most / LADDER[-1]) for w in LADDER]
    mild = [w for w, whole in zip(ladder, LADDER, strict=True) if whole <= 15.0]
    flow = [oracles.guided_flow(mixture, c, w, y, v_from, v_to) for w in mild]
    grid = TimeGrid.quadratic(case.schedule.T, min(steps, case.schedule.T))
    ddim = []
    for w in ladder:
        guided = GuidedScore(mixture, case.schedule, c, w)
        x = sample(guided, case.schedule, DDIM(spacing=grid), x=start[:, None]).x
        ddim.append(np.asarray(x))
    own = mixture.means[c, 0]
    return {
        "n": len(start),
        "start": start,
        "flow": (np.array(flow)[..., 0] - own) / sigma,
        "ddim": (np.array(ddim)[..., 0] - own) / sigma,
        "weights": np.array(ladder),
        "steps": grid.steps,
        "radius": radius_in_stds(1),
    }


def middle_ends_of_few(case: Case) -> dict[str, Any]:
    """`middle_ends` of the papers' steps, and as few (V, n) DDIM's with few_steps."""
    few = middle_ends(case, FEW_STEPS)
    return {**middle_ends(case), "few": few["ddim"], "few_steps": few["steps"]}

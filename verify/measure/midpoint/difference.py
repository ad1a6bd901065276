"""From the midpoint's neighbourhood, link by link: what the flow does at least and the reverse SDE
at most, as published, by our own results, and in truth.

A start lies within theta of the midpoint of the closest pair at the node where it is first
separated (kappa = 7), spread evenly; H is to end within theta of it. The links: how far across the
pair the path may be (T4.2, X2'), which starts stay (P4.7 (2), X3), how rarely noise stays (P5.1,
X5). All numbers are natural logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.solvers.integrators import DormandPrince, integrate_ode

from ...ledger.case import Case
from ..paths import FLOW_RTOL, extent
from .bound import own_bound
from .comparison_diffusion import reference_from
from .stretch import HALF_WIDTH, require_window
from .traps import exact_log_trap, full_trap

DELTA = 0.02
LOG_10 = math.log(10.0)


@dataclass(frozen=True)
class Link:
    """One step of the chain. of: the claim; published: whether a paper's; log_truth: of what it
    bounds; lower: whether from below."""

    name: str
    of: str
    published: bool
    log_bound: float
    log_truth: float
    lower: bool

    @property
    def log_loss(self) -> float:
        """log of how many times too small or too large the bound is."""
        return self.log_truth - self.log_bound if self.lower else self.log_bound - self.log_truth


def links(case: Case, growth: float = 1.0, stretch: float = 1.0, nearer: float = 0.0) -> list[Link]:
    """The links on a case, the published chain's first. growth, stretch: factors on X3's exponent
    and on X5's length, 1 for the results themselves; nearer: a share by which X2' is to come nearer
    to the pair's line. NotApplicableError without a window."""
    t = require_window(case).t
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    v_start, v_end = float(v[t]), float(v[0])
    return [
        *_across(case, (v_start, v_end), nearer),
        *_staying(case, (v_start, v_end), growth),
        *_leaving(case, t, stretch),
    ]


def _across(case: Case, v: tuple[float, float], nearer: float) -> list[Link]:
    """How far across the pair, with probability 1 - DELTA, over l; truth: where the engine's flow
    of the two modes takes a start at that quantile."""
    from mixdyn.support import laws

    d, pair, (v_start, v_end) = case.mixture.d, require_window(case).pair, v
    if d == 1:  # on a line nothing is across
        return []
    published = float(bounds.tube_distance_high_probability(d, DELTA, math.sqrt(v_end), 1.0, 0.0))
    # One direction is along the pair.
    start = math.sqrt(v_start * float(laws.chi2_upper(DELTA, d - 1)))
    own = (1.0 - nearer) * math.sqrt(v_end / v_start) * start
    truth = math.log(case.memo("X21 across", lambda: _end_across(case, start, v)) / pair.length)
    name = "distance across the pair, over l"
    return [
        Link(name, "T4.2", True, math.log(published / pair.length), truth, False),
        Link(name, "X2'", False, math.log(own / pair.length), truth, False),
    ]


def _end_across(case: Case, start: float, v: tuple[float, float]) -> float:
    """The distance from the pair's line at which the flow of its two modes ends from `start`."""
    pair, sigma = require_window(case).pair, float(case.mixture.sigma)
    two = GaussianMixture([pair.mu_i, pair.mu_j], sigma)
    axis = np.eye(case.mixture.d)[np.argmin(np.abs(pair.direction))]
    normal = axis - (axis @ pair.direction) * pair.direction
    y = pair.midpoint + start * normal / np.linalg.norm(normal)
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * extent(two))
    return float(pair.orthogonal_distance(integrate_ode(two, y[None], list(v), solver).y)[0])


def _staying(case: Case, v: tuple[float, float], growth: float) -> list[Link]:
    """The share of the starts that the flow leaves within theta: at least the trap over theta."""
    pair = require_window(case).pair
    trap = bounds.paper_trap(pair.length, *v)
    truth = case.memo("X21 trap", lambda: _log_trap(case, v))
    within = math.log(HALF_WIDTH)
    # The paper's trap ends within r; where r is beyond theta the start shrinks with it.
    published = trap.log_start + min(0.0, within - math.log(trap.radius))
    exponent = growth * float(bounds.growth_exponent(pair.length, *v))
    name = "share of starts that the flow leaves within θ"
    return [
        Link(name, "P4.7 (2)", True, published - within, truth - within, True),
        Link(
            name,
            "X3",
            False,
            float(bounds.log_safe_start(HALF_WIDTH, exponent)) - within,
            truth - within,
            True,
        ),
    ]


def _log_trap(case: Case, v: tuple[float, float]) -> float:
    """Of the full mixture where it has a closed form, else of the two modes."""
    pair = require_window(case).pair
    full = full_trap(case.mixture, pair, HALF_WIDTH, *v)
    alone = exact_log_trap(pair.length, HALF_WIDTH, *v)
    return alone if full is None else full.log10_radius * LOG_10


def _leaving(case: Case, t: int, stretch: float) -> list[Link]:
    """P(the SDE ends within theta): at most; truth from the worst of five starts."""
    window = require_window(case)
    pair, theta = window.pair, HALF_WIDTH * window.pair.length
    starts = np.linspace(-1.0, 1.0, 5)
    schedule = case.schedule
    x = schedule.alpha[t] * (pair.midpoint + theta * starts[:, None] * pair.direction)
    law = oracles.reverse_mixture(
        case.mixture, x, float(schedule.alpha_bar[t]), noise_var_t=float(schedule.noise_var[t])
    )
    truth = float(law.log_slab_probability(pair.direction, pair.midpoint, theta).max())
    name = "P(the reverse SDE ends within θ)"
    found = [Link(name, "P5.1", True, own_bound(case, window).log_total, truth, False)]
    reference = reference_from(case, pair, t)
    if reference is not None:
        own = reference.log_probability(theta, stretch)
        found.append(Link(name, "X5", False, own, truth, False))
    return found

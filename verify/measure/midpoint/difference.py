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

from ...ledger.case import Case
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


def links(case: Case, growth: float = 1.0, stretch: float = 1.0) -> list[Link]:
    """The links on a case, the published chain's first. growth, stretch: factors on X3's exponent
    and on X5's length, 1 for the results themselves. NotApplicableError without a window."""
    window = require_window(case)
    pair, t = window.pair, window.t
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    v_start, v_end = float(v[t]), float(v[0])
    return [
        *_across(case, pair.length, v_start, v_end),
        *_staying(case, (v_start, v_end), growth),
        *_leaving(case, t, stretch),
    ]


def _across(case: Case, length: float, v_start: float, v_end: float) -> list[Link]:
    """How far across the pair, with probability 1 - DELTA, over l; truth: the quantile itself."""
    from scipy.stats import chi2

    d, sigma = case.mixture.d, math.sqrt(v_end)
    published = float(bounds.tube_distance_high_probability(d, DELTA, sigma, 1.0, 0.0))
    # One direction is along the pair; on a line nothing is across.
    across = math.sqrt(float(chi2.isf(DELTA, d - 1))) * sigma if d > 1 else 0.0
    if across == 0.0:
        return []
    truth = math.log(across / length)
    own = math.log(math.sqrt(v_end / v_start) * math.sqrt(v_start) * across / sigma / length)
    return [
        Link(
            "distance across the pair, over l",
            "T4.2",
            True,
            math.log(published / length),
            truth,
            False,
        ),
        Link("distance across the pair, over l", "X2'", False, own, truth, False),
    ]


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

"""DDIM with injected noise: interpolation rate and spread within the modes against eta.

arXiv 2605.06831 v1, figure E.13 (eta in 0..1); beyond eta = 1 the noise exceeds that of the exact
bridge. The spread is compared with the linear recursion that every sampler of the family obeys
where one mode owns the point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import Region, classify, two_nearest
from mixdyn.sampling import sample
from mixdyn.validation import Array, IntArray
from verify.claim import Case

from .blurred import BLUR, blurred_score
from .common import Draws, ddim, require_window
from .steps import SCORES

ETAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25)


def _counts_and_spread(model: Any, case: Case, draws: Draws, eta: float) -> tuple[IntArray, float]:
    """(3,) class counts, and the standard deviation per coordinate within the true modes."""
    mixture = case.mixture
    out = sample(model, case.schedule, ddim(case.schedule, eta=eta), n=draws.n, rng=draws.seed)
    x = np.asarray(out.x)
    codes = classify(mixture, x)
    inside = x[codes == Region.TRUE_MODE]
    if len(inside) == 0:
        return np.bincount(codes, minlength=3), np.nan
    nearest = two_nearest(mixture.means, inside)[0]
    square = np.square(inside - mixture.means[nearest])
    return np.bincount(codes, minlength=3), float(np.sqrt(square.mean()))


def _largest_eta(case: Case) -> float:
    """The largest eta <= 1/sqrt(1 - rho_s/rho_t) at every noisy step."""
    rho = case.schedule.rho[ddim(case.schedule).grid(case.schedule).times[:-1]]
    return float(1.0 / np.sqrt(np.max(1.0 - rho[1:] / rho[:-1], initial=0.25)))


def _recursion(case: Case, eta: float) -> float:
    """The standard deviation within one mode by the linear recursion, in data units."""
    schedule = case.schedule
    std: Array = oracles.linear_recursion_std(
        schedule.alpha_bar,
        ddim(schedule).grid(schedule).times,
        eta,
        float(case.mixture.sigma),
        noise_var=schedule.noise_var,
    )
    return float(std[-1])


def run(case: Case) -> dict[str, Any]:
    """eta (E,); counts (2, E, 3) per score; spread (2, E) and recursion (E,) in units of sigma."""
    require_window(case)
    draws = Draws.of(case, 20_000, 100_000)
    models = (case.mixture, blurred_score(case.mixture, case.schedule))
    etas = [eta for eta in ETAS if eta <= _largest_eta(case)]
    found = [[_counts_and_spread(model, case, draws, eta) for eta in etas] for model in models]
    sigma = float(case.mixture.sigma)
    return {
        "n": draws.n,
        "scores": SCORES,
        "eta": etas,
        "counts": np.array([[counts for counts, _ in row] for row in found]),
        "spread": np.array([[spread for _, spread in row] for row in found]) / sigma,
        "recursion": np.array([_recursion(case, eta) for eta in etas]) / sigma,
        "blur": BLUR,
    }

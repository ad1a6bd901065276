"""A synthetic score error that stands in for a learned score: responsibilities blurred by a width.

A network resolves the switch between two modes only down to some width; at small noise its score
there is a smoothed one (arXiv 2406.09358 v2, section 4). The model here is exact but for that:

    s_blur(x, t) = (alpha_t m(y, v_t + h^2) - x)/sigma_t^2,   y = x/alpha_t,

the mean field m taken at effective variance v_t + h^2 instead of v_t. Its error, in score units,
is alpha_t (m(y, v_t + h^2) - m(y, v_t))/sigma_t^2: bounded at every t by alpha_t/sigma_t^2 times
the diameter of the means, vanishing at the modes and far from every switch, and known exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mixdyn.geometry import pairwise_distances, require_pair
from mixdyn.oracles.separable import axis_variances
from mixdyn.problem.checks import check_common_sigma
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.score import ExactScore
from mixdyn.support.checks import Array, check_positive

if TYPE_CHECKING:
    from mixdyn.problem.schedule import NoiseSchedule

BLUR = 0.25  # width h in units of the shortest distance between two modes


class BlurredScore:
    """The exact score of a mixture with its responsibilities blurred by `width` (data units).

    Since v_t + h^2 is the effective variance of a mixture with sigma^2 + h^2, the prediction is
    that mixture's, rescaled from its marginal variance to the true one.
    """

    def __init__(self, mixture: GaussianMixture, schedule: NoiseSchedule, width: float) -> None:
        self.d = mixture.d
        if mixture.covariance is not None:  # along the axes each direction has a ratio of its own
            variances = axis_variances(mixture, "a blurred score")
            blurred = variances + check_positive(width, "width") ** 2
            wide = GaussianMixture(mixture.means, variances=blurred, weights=mixture.weights)
            self._wide = ExactScore(wide, schedule)
            self._ratio = 1.0 + width**2 / (variances + schedule.rho[:, None])
            return
        sigma = check_common_sigma(mixture, "a blurred score")
        blurred_std = math.hypot(sigma, check_positive(width, "width"))
        self._wide = ExactScore(
            GaussianMixture(mixture.means, blurred_std, mixture.weights), schedule
        )
        self._ratio = 1.0 + width**2 / schedule.effective_variance(sigma)

    def eps(self, x: Array, t: int) -> Array:
        """Noise prediction at x (n, d), t in 1..T."""
        return self._wide.eps(x, t) * self._ratio[t]


def shortest_distance(mixture: GaussianMixture) -> float:
    """The shortest distance between two modes; NotApplicableError or InputError without one."""
    require_pair(mixture.N)
    lengths = pairwise_distances(mixture.means)
    return float(lengths[np.triu_indices(mixture.N, k=1)].min())


def blurred_score(
    mixture: GaussianMixture, schedule: NoiseSchedule, blur: float = BLUR
) -> BlurredScore:
    """The blurred score whose width is `blur` shortest distances."""
    return BlurredScore(mixture, schedule, blur * shortest_distance(mixture))

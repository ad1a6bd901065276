"""`ExactScore`: the score of a mixture at every level, by the first route that fits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..problem.checks import check_mixture, check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_points
from .precision import Precision, Real, dtype_of
from .protocol import Level, level
from .routes import Route, first_fitting


class ExactScore:
    """The exact model of a mixture under a schedule (every marginal p_t is a mixture).

    It is asked at a time t of the schedule or at any `Level`, of whatever path, with noise.

    `route` is how it is evaluated (see `routes`); `tables` the route of another score of this
    mixture in this precision, with what it made. `product` says whether the mixture was recognised
    as a product of 1-D mixtures (on a line it is one, with one sigma); evaluation then costs the
    sum, not the product, of the axis sizes, and an axis of equally spaced modes costs one
    exponential, however many they are. Otherwise the affine hull of the means is used where its
    dimension is small beside d. Both equal the general path to rounding; `detect_product` and
    `detect_hull` leave them out, and `route` names the one to take.

    `precision="single"` computes `eps` and `score`, and steps the DDIM family, in float32. States
    still come and go as float64 and the noise is the same, rounded; all other predictions, and the
    passes over the data along a hull, stay double. A noiseless run then costs half, on equally
    spaced axes two thirds, a noisy one 0.6 to 0.85; one evaluation alone gains nothing. It errs by
    at most

        eps32 (2 + sqrt(N)) (|x| + max|alpha mu|)/sigma_t^2 max(1, q),  eps32 = 2^-23,

    in the score, q the largest |x - alpha mu_k|^2/(2 sigma_t^2) among the modes that matter: twice
    the worst that was measured over N = 2..3000 modes. Samples of the standard 5 x 5 grid then end
    3e-5 sigma from those in double (99 %; those that start between two basins further), no other
    class or mode among 40,000.

    Raises InputError for an unknown precision, for a named route that does not fit, and in single
    for means, sigmas or states beyond 1e8, for a sigma below 64 spacings of float32 at the farthest
    mean, and (a run) for a step with a factor beyond 1e8.
    Source: arXiv 2605.06831 v1, section 3.
    """

    def __init__(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        *,
        detect_product: bool = True,
        detect_hull: bool = True,
        precision: Precision = "double",
        route: str | None = None,
        tables: Route | None = None,
    ) -> None:
        self.mixture = check_mixture(mixture)
        self.schedule = check_schedule(schedule)
        self.precision = precision
        taken = {"spaced_axes": detect_product, "low_rank": detect_hull}
        without = [name for name, wanted in taken.items() if not wanted]
        self.route = tables or first_fitting(mixture, dtype_of(precision), without, route)

    @property
    def dtype(self) -> Real:
        """What its kernels compute in."""
        return dtype_of(self.precision)

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.mixture.d

    @property
    def product(self) -> bool:
        """Whether evaluation uses the product structure."""
        return self.route.name == "spaced_axes"

    def marginal(self, t: int | Level) -> GaussianMixture:
        """p_t for t in 0..T, or at a level."""
        at = level(self.schedule, t, first=0)
        if not 0.0 < at.signal_var <= 1.0:
            return self.mixture.at_level(at.alpha, at.signal_var, at.noise_var)
        return self.mixture.diffused(at.signal_var, noise_var=at.noise_var)

    def _smallest(self, at: Level) -> float:
        """The smallest variance of a mode in any direction at a level."""
        return at.signal_var * self.mixture.smallest_var + at.noise_var

    def variances(self, t: int | Level) -> Array:
        """(N,) variances of isotropic modes at time t, in x units."""
        at = level(self.schedule, t, first=0)
        return at.signal_var * np.square(self.mixture.sigmas) + at.noise_var

    def eps(self, x: ArrayLike, t: int | Level) -> Array:
        """E[eps | x_t = x], (n, d)."""
        points, at = check_points(x, self.d), level(self.schedule, t)
        if at.alpha == 0.0:
            return points / at.noise_std
        return self.route.pull(points, at, -at.noise_std / self._smallest(at))

    def score(self, x: ArrayLike, t: int | Level) -> Array:
        """grad log p_t(x), (n, d), for t in 0..T (time 0 has a score but no noise)."""
        at = level(self.schedule, t, first=0)
        if self.precision == "double":
            return self.marginal(at).score(x)
        points = check_points(x, self.d)
        if at.alpha == 0.0:
            return -points / at.noise_var
        return self.route.pull(points, at, 1.0 / self._smallest(at))

    def x0(self, x: ArrayLike, t: int | Level) -> Array:
        """E[x_0 | x_t = x], (n, d): sum_k gamma_k (noise_var mu_k + alpha sigma_k^2 x)/sigma_t,k^2,
        of any covariances sum_k gamma_k C_k^-1 (noise_var mu_k + alpha Sigma_k x).

        Direct, not through eps: (x - noise_std eps)/alpha loses digits where alpha is small.
        """
        points, at = check_points(x, self.d), level(self.schedule, t)
        if at.alpha == 0.0:
            return np.tile(self.mixture.weights @ self.mixture.means, (len(points), 1))
        out = np.zeros_like(points)
        if (covariance := self.mixture.covariance) is not None:
            gamma = self.responsibilities(points, at)
            inverse, keep = covariance.regression(at.signal_var, at.noise_var)
            for k, mu in enumerate(self.mixture.means):
                from_mean = covariance.applied(k, mu[None], inverse)
                from_state = covariance.applied(k, at.alpha * points, keep)
                out += gamma[:, k, None] * (at.noise_var * from_mean + from_state)
            return out
        gamma = self.responsibilities(points, at) / self.variances(at)
        # Mode by mode: a matrix product's bits depend on how many rows it has.
        for k, (mu, sigma) in enumerate(zip(self.mixture.means, self.mixture.sigmas, strict=True)):
            out += gamma[:, k, None] * (at.noise_var * mu + at.alpha * sigma**2 * points)
        return out

    def v(self, x: ArrayLike, t: int | Level) -> Array:
        """alpha eps - noise_std x0, (n, d)."""
        at = level(self.schedule, t)
        return at.alpha * self.eps(x, at) - at.noise_std * self.x0(x, at)

    def log_density(self, x: ArrayLike, t: int | Level) -> Array:
        """log p_t(x), (n,)."""
        return self.marginal(t).log_density(x)

    def responsibilities(self, x: ArrayLike, t: int | Level) -> Array:
        """Posterior mode probabilities given x_t = x, (n, N)."""
        return self.marginal(t).responsibilities(x)

    def jacobian(self, x: ArrayLike, t: int | Level) -> Array:
        """Hessian of log p_t, (n, d, d)."""
        return self.marginal(t).score_jacobian(x)


def score_of(mixture: GaussianMixture, schedule: NoiseSchedule) -> ExactScore:
    """The exact score, with the tables of the one before where its route is `shared`: those of a
    data set are large, and no schedule changes them."""
    score = ExactScore(mixture, schedule, tables=mixture.__dict__.get("_route"))
    if getattr(score.route, "shared", False):
        mixture.__dict__["_route"] = score.route
    return score

"""What it costs to start from N(0, I) where p_t is not N(0, I).

The exact reverse diffusion then ends in mode k with probability E gamma_k(x, t) over x ~ N(0, I),
not w_k. The exact probability-flow ODE keeps the order of points on a line: with F the distribution
function of p_t it ends in the modes up to k with probability Phi(F^-1(w_1 + ... + w_k)). Both are
integrals in one dimension for means on a line (one sigma, or d = 1), and products of such for a
product mixture. By data processing nothing that happens at the end is off by more than the total
variation distance, at most sqrt(KL(p_t || N(0, I))/2) (Pinsker); this KL is also the start's part
of the price of a whole run in nats.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np

from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_integer

NOTABLE = 0.01  # an error of a mode's weight worth a word
_MISS = 1e-6  # chance that an interval from draws misses
_DRAWS, _ENTRIES, _FEWEST = 1 << 16, 1 << 24, 1024
_REACH, _STEP, _BLOCK = 12.0, 0.02, 1 << 18  # the last in entries, nodes times modes


class _Axis(NamedTuple):
    """A mixture on a line at time t: means, variances and weights (M,)."""

    means: Array
    variances: Array
    weights: Array


@dataclasses.dataclass(frozen=True)
class StartError:
    """What samples of `mixture` lose by starting from N(0, I) at time t of `schedule`."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    t: int

    def __post_init__(self) -> None:
        check_integer(self.t, "t", 1, self.schedule.T)

    @functools.cached_property
    def kl(self) -> float:
        """KL(p_t || N(0, I)) in nats: exact where the problem falls into lines, else the upper
        bound sum_k w_k KL(N(alpha mu_k, s_k^2 I) || N(0, I)) (convexity)."""
        return self.kl_bound if self._lines is None else max(self._exact_kl(), 0.0)

    @functools.cached_property
    def kl_bound(self) -> float:
        """The upper bound by convexity, at no cost."""
        square = self.schedule.alpha_bar[self.t] * np.square(self.mixture.means).sum(axis=1)
        if (c := self.mixture.covariance) is None:
            own = self.mixture.d * _normal_kl(self._variances)
        else:
            own = c.at(*self._level).total(_normal_kl, self.mixture.d)
        each = own + 0.5 * square
        return float(self.mixture.weights @ each)

    @property
    def total_variation(self) -> float:
        """Upper bound on the error of any probability at the end, of an exact sampler."""
        return min(1.0, math.sqrt(0.5 * self.kl))

    @functools.cached_property
    def noisy_weights(self) -> tuple[Array, Array]:
        """(low, high), each (N,): the weights that the exact reverse diffusion ends with. Equal
        where they are exact, else an interval from draws (empirical Bernstein, level 1 - 1e-6)."""
        if self._lines is None:
            return self._drawn_weights()
        found = self._joint([_noisy_shares(axis) for axis in self._lines.axes])
        return found, found

    @functools.cached_property
    def flow_weights(self) -> Array | None:
        """(N,): the weights that the exact probability-flow ODE ends with, each mode taken to own
        its share of the quantiles; None where they have no closed form."""
        if self._lines is None:
            return None
        return self._joint([_flow_shares(axis) for axis in self._lines.axes])

    @property
    def worst(self) -> float:
        """The largest error of a mode's weight that is certain."""
        low, high = self.noisy_weights
        error = np.maximum(low - self.mixture.weights, self.mixture.weights - high).max()
        if self.flow_weights is not None:
            error = max(error, np.abs(self.flow_weights - self.mixture.weights).max())
        return max(float(error), 0.0)

    @property
    def notable(self) -> bool:
        """Whether a mode's weight is certainly off by more than NOTABLE."""
        may_be = math.sqrt(0.5 * self.kl_bound) > NOTABLE
        return may_be and self.mixture.N > 1 and self.worst > NOTABLE

    def words(self) -> str:
        """One sentence."""
        low, high = self.noisy_weights
        flow, true = self.flow_weights, self.mixture.weights
        drift = np.maximum(low - true, true - high)
        error = drift if flow is None else np.maximum(drift, np.abs(flow - true))
        # Of two modes both are off by the same: the lighter one shows it.
        k = int(np.argmin(np.where(error >= error.max() - 1e-9, true, np.inf)))
        noisy = f"{low[k]:.4g}" if low[k] == high[k] else f"{low[k]:.4g} to {high[k]:.4g}"
        with_flow = "" if flow is None else f", {flow[k]:.4g} without noise (ode, ddim)"
        return (
            f"N(0, I) is not p_t at the start t = {self.t}, where alpha_bar is "
            f"{self.schedule.alpha_bar[self.t]:.3g}: mode {k} of weight {true[k]:.4g} gets {noisy} "
            f"with noise (ddpm, exact){with_flow}, even by exact sampling; KL(p_t || N(0, I)) "
            f"{'=' if self._lines else '<='} {self.kl:.3g} nats. {self._remedy()}"
        )

    def _remedy(self) -> str:
        last = self.schedule.T
        if self.t < last and not StartError(self.mixture, self.schedule, last).notable:
            return f"Begin at t = {last} (spacing trailing, linspace or log_snr), which is noise."
        return "Use a schedule that ends in noise, or start from draws of p_t."

    # -- lines -----------------------------------------------------------------------------------

    @functools.cached_property
    def _variances(self) -> Array:
        signal_var, noise_var = self._level
        return signal_var * np.square(self.mixture.sigmas) + noise_var

    @property
    def _level(self) -> tuple[float, float]:
        return float(self.schedule.alpha_bar[self.t]), float(self.schedule.noise_var[self.t])

    @functools.cached_property
    def _lines(self) -> _Lines | None:
        if self.mixture.covariance is not None:
            return None
        found = _find_lines(self.mixture, float(self.schedule.alpha[self.t]), self._variances)
        return None if found is None or any(map(_is_too_fine, found.axes)) else found

    def _exact_kl(self) -> float:
        if self._lines is None:
            raise TypeError("only lines have an exact KL")
        across = self.mixture.d - len(self._lines.axes)
        rest = across * float(_normal_kl(self._variances[:1])[0]) + 0.5 * self._lines.offset
        return math.fsum([*map(_line_kl, self._lines.axes), rest])

    def _joint(self, shares: list[Array]) -> Array:
        if self._lines is None:
            raise TypeError("only lines have shares")
        parts = [s[at] for s, at in zip(shares, self._lines.places, strict=True)]
        return np.prod(parts, axis=0)

    def _drawn_weights(self) -> tuple[Array, Array]:
        mixture = self.mixture
        n = int(min(_DRAWS, _ENTRIES // (mixture.N + mixture.d)))
        if n < _FEWEST:  # of so many modes no weight could be told apart from its neighbours'
            return np.zeros(mixture.N), np.ones(mixture.N)
        x = np.random.default_rng(0).standard_normal((n, mixture.d))
        gamma = self._shares(x)
        mean, var = gamma.mean(axis=0), gamma.var(axis=0, ddof=1)
        log = math.log(4.0 * mixture.N / _MISS)
        half = np.sqrt(2.0 * var * log / n) + 7.0 * log / (3.0 * (n - 1))
        return np.maximum(mean - half, 0.0), np.minimum(mean + half, 1.0)

    def _shares(self, x: Array) -> Array:
        """Responsibilities (n, N) at the start."""
        mixture, alpha = self.mixture, float(self.schedule.alpha[self.t])
        if mixture.covariance is not None:
            return mixture.at_level(alpha, *self._level).responsibilities(x)
        var = self._variances
        means = alpha * mixture.means
        constant = np.log(mixture.weights) - 0.5 * mixture.d * np.log(var)
        constant = constant - 0.5 * np.square(means).sum(axis=1) / var
        terms = constant + x @ (means / var[:, None]).T
        if not mixture.has_common_sigma:
            terms -= 0.5 * np.square(x).sum(axis=1)[:, None] / var
        gamma = np.exp(terms - terms.max(axis=1, keepdims=True))
        return np.asarray(gamma / gamma.sum(axis=1, keepdims=True))


@functools.lru_cache(maxsize=64)
def start_error(mixture: GaussianMixture, schedule: NoiseSchedule, t: int) -> StartError:
    """The error of starting at t, kept: what it integrates is asked for by every run."""
    return StartError(mixture, schedule, t)


class _Lines(NamedTuple):
    """The axes along which a mixture is a product, the mode's place on each (axes of (N,)), and
    the squared distance of the line from the origin."""

    axes: list[_Axis]
    places: list[np.ndarray]
    offset: float


def _find_lines(mixture: GaussianMixture, alpha: float, variances: Array) -> _Lines | None:
    if mixture.d == 1:
        axis = _Axis(alpha * mixture.means[:, 0], variances, mixture.weights)
        return _Lines([axis], [np.arange(mixture.N)], 0.0)
    product = mixture.product_axes()
    if product is not None:
        axes = [_Axis(alpha * v, np.full(len(v), variances[0]), w) for v, w in product]
        columns = zip(product, mixture.means.T, strict=True)
        return _Lines(axes, [np.searchsorted(v, column) for (v, _), column in columns], 0.0)
    if not mixture.has_common_sigma:
        return None
    # Across a line of means every mode has the same coordinates: they drop out of gamma.
    centred = mixture.means - mixture.means[0]
    farthest = centred[np.argmax(np.square(centred).sum(axis=1))]
    direction = farthest / (np.linalg.norm(farthest) or 1.0)
    along = centred @ direction
    off = np.abs(centred - along[:, None] * direction).max()
    if off > 64 * np.finfo(float).eps * np.abs(mixture.means).max():
        return None
    first = float(mixture.means[0] @ direction)
    beside = alpha**2 * float(np.square(mixture.means[0] - first * direction).sum())
    axis = _Axis(alpha * (first + along), variances, mixture.weights)
    return _Lines([axis], [np.arange(mixture.N)], beside)


def _normal_kl(variance: Array) -> Array:
    """KL(N(0, s^2) || N(0, 1)) = (s^2 - 1 - log s^2)/2."""
    excess = variance - 1.0
    # Near 1 by log1p; of a small variance 1 - s^2 forgets s^2.
    log = np.where(variance < 0.5, np.log(variance), np.log1p(np.maximum(excess, -0.5)))
    return np.asarray(0.5 * (excess - log))


# -- one line ------------------------------------------------------------------------------------


def _reach(axis: _Axis) -> float:
    """Where the mixture itself has ended."""
    return float(np.abs(axis.means).max() + _REACH * np.sqrt(axis.variances.max()))


def _spacing(axis: _Axis) -> float:
    """The error of the rule falls as exp(-2 pi a/h), a the distance from the line to the nearest
    pole of a responsibility, or the width of a normal."""
    gaps, s2 = np.diff(np.unique(axis.means)), float(axis.variances.min())
    pole = math.pi * s2 / float(gaps.max()) if gaps.size else 1.0
    return min(_STEP, pole / 8.0, math.sqrt(s2) / 8.0)


def _is_too_fine(axis: _Axis) -> bool:
    """Whether a quadrature would take seconds: thousands of modes hardly noised."""
    return max(_REACH, _reach(axis)) / _spacing(axis) * len(axis.means) > _ENTRIES


def _nodes(axis: _Axis, reach: float) -> tuple[Array, float]:
    """Equally spaced nodes, fine enough for the trapezoidal rule to converge to rounding."""
    n = int(2.0 * reach / _spacing(axis)) | 1
    nodes = np.linspace(-reach, reach, n)
    return nodes, float(nodes[1] - nodes[0])


def _blocks(axis: _Axis, nodes: Array) -> list[Array]:
    return np.array_split(nodes, -(-nodes.size * len(axis.means) // _BLOCK))


def _log_terms(axis: _Axis, x: Array) -> Array:
    """log(w_k N(x; m_k, s_k^2)) (n, M)."""
    square = np.square(x[:, None] - axis.means) / axis.variances
    return np.log(axis.weights) - 0.5 * (square + np.log(2.0 * math.pi * axis.variances))


def _noisy_shares(axis: _Axis) -> Array:
    """E gamma_k under N(0, 1), (M,)."""
    nodes, h = _nodes(axis, _REACH)
    total = np.zeros(len(axis.means))
    for x in _blocks(axis, nodes):
        terms = _log_terms(axis, x)
        terms = np.exp(terms - terms.max(axis=1, keepdims=True))
        density = np.exp(-0.5 * x * x) * (h / math.sqrt(2.0 * math.pi))
        total += density @ (terms / terms.sum(axis=1, keepdims=True))
    return total / total.sum()


def _line_kl(axis: _Axis) -> float:
    """KL(p || N(0, 1)) of a mixture on a line."""
    nodes, h = _nodes(axis, _reach(axis))
    parts = []
    for x in _blocks(axis, nodes):
        terms = _log_terms(axis, x)
        top = terms.max(axis=1)
        log_p = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
        log_ratio = log_p + 0.5 * (x * x + math.log(2.0 * math.pi))
        parts.append(float(np.exp(log_p) @ log_ratio))
    return h * math.fsum(parts)


def _flow_shares(axis: _Axis) -> Array:
    """Phi(F^-1(W_k)) - Phi(F^-1(W_{k-1})), W the weights cumulated along the line, (M,)."""
    from scipy.special import ndtr

    order = np.argsort(axis.means, kind="stable")
    levels = np.cumsum(axis.weights[order])[:-1] / axis.weights.sum()
    shares = np.diff(np.concatenate([[0.0], ndtr(_quantiles(axis, levels)), [1.0]]))
    out = np.empty(len(order))
    out[order] = shares
    return out


def _quantiles(axis: _Axis, levels: Array) -> Array:
    """F^-1 of increasing levels in (0, 1): Newton's method within a bracket that shrinks."""
    from scipy.special import ndtr

    std = np.sqrt(axis.variances)

    def below(x: Array) -> Array:
        return ndtr((x[:, None] - axis.means) / std) @ axis.weights

    nodes, _ = _nodes(axis, _reach(axis))
    reached = np.concatenate([below(part) for part in _blocks(axis, nodes)])
    at = np.clip(np.searchsorted(reached, levels), 1, len(nodes) - 1)
    low, high = nodes[at - 1].copy(), nodes[at].copy()
    x = 0.5 * (low + high)
    for _ in range(80):
        excess = below(x) - levels
        low, high = np.where(excess < 0.0, x, low), np.where(excess < 0.0, high, x)
        density = np.exp(_log_terms(axis, x)).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            new = x - excess / density
        new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
        moved, x = np.abs(new - x), new
        if (moved <= 4.0 * np.spacing(np.maximum(np.abs(x), 1.0))).all():
            break
    return x

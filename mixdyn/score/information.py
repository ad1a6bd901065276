"""What a noisy state tells of the clean data: mmse and mutual information at any level.

y = x_0 + sqrt(rho) eps, g = 1/rho the signal-to-noise ratio. Every mode being Gaussian, both split
into a closed form within the modes and an expectation of the posterior probabilities gamma_k(y):

    mmse(rho) = E |x_0 - E[x_0 | y]|^2
              = sum_k w_k tr(rho Sigma_k C_k^-1) + E sum_k gamma_k |M_k - sum_j gamma_j M_j|^2,
    I(x_0; y) = 1/2 sum_k w_k log det(I + Sigma_k/rho) + E sum_k gamma_k log(gamma_k/w_k),

C_k = Sigma_k + rho I, M_k = mu_k + Sigma_k C_k^-1 (y - mu_k). On lines and products of lines the
expectations are integrals over one coordinate, taken by the trapezoidal rule; elsewhere they are
means over draws, which all levels share, so that differences between levels are known far better
than the levels. I-MMSE (Guo, Shamai and Verdu 2005): dI/dg = mmse/2.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..problem.checks import check_mixture
from ..problem.mixture import GaussianMixture
from ..support.checks import Array, check_array, check_integer, check_memory
from ..support.errors import InputError
from ..support.statistics import standard_error, systematic

_BYTES = 4e9  # of all draws of a call
_REACH = 9.5  # standard deviations of each mode that are integrated
_RATIO = 18.0  # gaps of more standard deviations leave nothing between two modes: exp(-18^2/8)
_DIGITS = 33.0  # natural logarithm of the rule's error
_COARSE = 0.25  # the widest distance of nodes, in the least standard deviation
_ENTRIES = 1 << 24  # nodes times modes of one level; beyond it draws are cheaper
_DRAWS, _FEWEST, _DRAWN = 8192, 1024, 1 << 27  # the last: draws times modes times levels
_ROWS = 1 << 20  # draws times modes in one block
_KEPT = 4096  # levels of a line whose integrals are kept


@dataclasses.dataclass(frozen=True, eq=False)
class Information:
    """mmse (k,) and mutual information in nats (k,) at levels rho (k,), with their standard errors,
    which are 0 where they are integrals. drawn : (2, k, n) what each draw gives of the two, beside
    the closed forms; None for integrals."""

    rho: Array
    mmse: Array
    nats: Array
    drawn: Array | None = None

    def error(self, on_mmse: ArrayLike, on_nats: ArrayLike = 0.0) -> float:
        """Standard error of on_mmse @ mmse + on_nats @ nats, (k,) each or 0."""
        if self.drawn is None:
            return 0.0
        both = (np.broadcast_to(np.asarray(c, float), self.rho.shape) for c in (on_mmse, on_nats))
        each = sum(c @ part for c, part in zip(both, self.drawn, strict=True))
        return float(standard_error(each))

    @property
    def mmse_error(self) -> Array:
        """(k,) standard errors of `mmse`."""
        return self._errors(0)

    @property
    def nats_error(self) -> Array:
        """(k,) standard errors of `nats`."""
        return self._errors(1)

    def _errors(self, which: int) -> Array:
        if self.drawn is None:
            return np.zeros(len(self.rho))
        return standard_error(self.drawn[which])


def is_integral(mixture: GaussianMixture) -> bool:
    """Whether `information` is an integral on this mixture, not a mean over draws: modes on a line
    or on a product grid with product weights, with one sigma; in one dimension with any."""
    return lines_of(mixture) is not None


def information(
    mixture: GaussianMixture, rho: ArrayLike, *, n: int | None = None, seed: int = 0
) -> Information:
    """mmse and mutual information of `mixture` at noise variances rho (k,) >= 0 of y = x/alpha;
    infinite ones say nothing, at 0 nothing is unknown (the mutual information is infinite).

    n, seed : draws where it needs them, by default up to 8192 as modes and levels allow.
    """
    levels = check_levels(rho)
    inside = levels[(levels > 0.0) & np.isfinite(levels)]
    lines, drawn = lines_of(check_mixture(mixture)), None
    if lines is not None and not any(_too_fine(line, inside) for line in lines):
        between = _integrated(lines, inside)
    else:
        drawn = _draws(mixture, inside, n, seed)
        between = drawn.mean(axis=2)
    mmse, nats = np.zeros(len(levels)), np.full(len(levels), math.inf)
    mmse[np.isinf(levels)], nats[np.isinf(levels)] = total_variance(mixture), 0.0
    known = (levels > 0.0) & np.isfinite(levels)
    within = np.array([_within(mixture, float(r)) for r in inside]).reshape(-1, 2).T
    mmse[known], nats[known] = within + between
    if drawn is not None and not known.all():
        every = np.zeros((2, len(levels), drawn.shape[2]))
        every[:, known] = drawn
        drawn = every
    return Information(levels, mmse, nats, drawn)


def check_levels(rho: ArrayLike) -> Array:
    """rho (k,) >= 0, infinity allowed."""
    levels = np.atleast_1d(np.asarray(rho, float))
    if np.isnan(levels).any() or (levels < 0.0).any():
        raise InputError("levels are noise variances rho >= 0", levels.min(), "Correct them.")
    check_array(levels[np.isfinite(levels)], "rho", 1)
    return levels


def second_moment(mixture: GaussianMixture) -> float:
    """E |x_0|^2."""
    spread = _over_axes(mixture, lambda v: v)
    return float(mixture.weights @ (np.square(mixture.means).sum(axis=1) + spread))


def start_nats(
    mixture: GaussianMixture,
    signal: Array | float,
    noise_var: Array | float,
    start_var: Array | float,
) -> Array:
    """KL of the exact law of x_t from a start N(0, start_var I), and what x_t tells of x_0,
    together, where x_t = sqrt(signal) x_0 + sqrt(noise_var) eps; elementwise."""
    ratio = noise_var / start_var
    moment = signal * second_moment(mixture) / start_var
    return np.asarray(0.5 * (mixture.d * (ratio - 1.0 - np.log(ratio)) + moment))


def total_variance(mixture: GaussianMixture) -> float:
    """tr Cov(x_0)."""
    away = mixture.means - mixture.weights @ mixture.means
    spread = _over_axes(mixture, lambda v: v)
    return float(mixture.weights @ (np.square(away).sum(axis=1) + spread))


def _over_axes(mixture: GaussianMixture, f: Callable[[Array], Array]) -> Array:
    """(N,) sums of f over the variances along each mode's axes."""
    if mixture.covariance is None:
        return mixture.d * f(np.square(mixture.sigmas))
    return mixture.covariance.total(f, mixture.d)


def _within(mixture: GaussianMixture, rho: float) -> tuple[float, float]:
    """What is left and what is told within the modes."""
    left = _over_axes(mixture, lambda v: v * (rho / (v + rho)))
    told = _over_axes(mixture, lambda v: 0.5 * np.log1p(v / rho))
    return float(mixture.weights @ left), float(mixture.weights @ told)


# -- lines ---------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A mixture on a line: means, variances and weights (m,), in the order of the means."""

    means: Array
    variances: Array
    weights: Array


def lines_of(mixture: GaussianMixture) -> list[Line] | None:
    """The lines along which posterior probabilities vary, each on its own; None where they do not
    fall into such."""
    if mixture.covariance is not None:
        return None
    square = np.square(mixture.sigmas)
    if mixture.d == 1:
        return [_line(mixture.means[:, 0], square, mixture.weights)]
    product = mixture.product_axes()
    if product is not None:
        return [_line(v, np.full(len(v), square[0]), w) for v, w in product if len(v) > 1]
    if not mixture.has_common_sigma:
        return None
    away = mixture.means - mixture.means[0]
    far = away[np.argmax(np.square(away).sum(axis=1))]
    length = float(np.linalg.norm(far))
    if length == 0.0:  # modes of one sigma at one place are one
        return []
    direction = far / length
    along = away @ direction
    off = np.abs(away - along[:, None] * direction).max()
    if off > 64 * np.finfo(float).eps * np.abs(mixture.means).max():
        return None
    return [_line(along, square, mixture.weights)]


def _line(means: Array, variances: Array, weights: Array) -> Line:
    order = np.argsort(means, kind="stable")
    return Line(means[order] - means.mean(), variances[order], weights[order])


def _spacing(line: Line, rho: float) -> float:
    """The rule's error falls as exp(-2 pi a/h), a the distance from the line to the nearest pole of
    a posterior probability: pi v/gap beside two modes, the gap that between modes which lead
    somewhere. A mode of so little weight that it never does leaves the poles of those around it."""
    std = math.sqrt(float(line.variances.min()) + rho)
    ratio = min(float(np.diff(line.means).max(initial=0.0)) / std, _RATIO)
    finest = 2.0 * math.pi**2 / _DIGITS
    if ratio < _RATIO and finest < _COARSE * float(np.ptp(line.means)) / std:
        y = _covered(line, rho, _COARSE * std)
        leading = np.unique(_log_joint(line, line.variances + rho, y).argmax(axis=0))
        ratio = min(float(np.diff(line.means[leading]).max(initial=0.0)) / std, _RATIO)
    return std * min(_COARSE, finest / max(ratio, 1e-9))


def _too_fine(line: Line, levels: Array) -> bool:
    if len(line.means) == 1 or len(levels) == 0:
        return False
    rho = float(levels.min())
    spread = np.sqrt(line.variances + rho)
    reach = min(
        float(np.ptp(line.means)) + 2.0 * _REACH * float(spread.max()),
        2.0 * _REACH * float(spread.sum()),
    )
    most = _ENTRIES / (reach * len(line.means))  # nodes in a unit of length
    return most * _COARSE * float(spread.min()) < 1.0 or most * _spacing(line, rho) < 1.0


def _covered(line: Line, rho: float, h: float) -> Array:
    """Equally spaced points wherever the mixture has mass."""
    spread = np.sqrt(line.variances + rho)
    order = np.argsort(line.means - _REACH * spread)
    low, high = (line.means - _REACH * spread)[order], (line.means + _REACH * spread)[order]
    top = np.maximum.accumulate(high)
    first = np.flatnonzero(np.concatenate([[True], low[1:] > top[:-1]]))
    last = np.append(first[1:], len(low)) - 1
    pieces = [
        h * np.arange(math.floor(low[a] / h), math.ceil(top[b] / h) + 1)
        for a, b in zip(first, last, strict=True)
    ]
    return np.concatenate(pieces)


def _log_joint(line: Line, v: Array, y: Array) -> Array:
    """log of weight times density (m, n) at y (n,), the modes' variances v (m,)."""
    log_top = (np.log(line.weights / np.sqrt(2.0 * math.pi * v)))[:, None]
    return np.asarray(log_top - 0.5 * np.square(y - line.means[:, None]) / v[:, None])


def _integrated(lines: list[Line], levels: Array) -> Array:
    """(2, k): what the posterior probabilities add to mmse and nats."""
    found: dict[tuple[bytes, ...], Array] = {}
    total = np.zeros((2, len(levels)))
    for line in lines:
        if len(line.means) == 1:
            continue
        key = tuple(part.tobytes() for part in line)
        if key not in found:
            kept = _known(*key)
            if len(kept) > _KEPT:
                kept.clear()
            for rho in levels.tolist():
                if rho not in kept:
                    kept[rho] = _on_line(line, rho)
            found[key] = np.array([kept[rho] for rho in levels.tolist()]).reshape(-1, 2).T
        total += found[key]
    return total


@functools.lru_cache(maxsize=32)
def _known(*_: bytes) -> dict[float, tuple[float, float]]:
    """`_on_line` of one line by level: grids of one schedule ask at the same levels."""
    return {}


def _on_line(line: Line, rho: float) -> tuple[float, float]:
    h, v = _spacing(line, rho), line.variances + rho
    y = _covered(line, rho, h)
    log_joint = _log_joint(line, v, y)
    top = log_joint.max(axis=0)
    gamma = np.exp(log_joint - top)
    total = gamma.sum(axis=0)
    gamma /= total
    density = h * np.exp(top) * total
    shift = (rho / v)[:, None] * (line.means[:, None] - y)  # M_k - y
    centred = shift - (gamma * shift).sum(axis=0)
    # gamma log gamma from the logarithm itself: it is accurate where gamma is near 1.
    log_gamma = log_joint - top - np.log(total)
    told = (gamma * (log_gamma - np.log(line.weights)[:, None])).sum(axis=0)
    return float(density @ (gamma * np.square(centred)).sum(axis=0)), float(density @ told)


# -- draws ---------------------------------------------------------------------------------------


def _draws(mixture: GaussianMixture, levels: Array, n: int | None, seed: int) -> Array:
    """(2, k, n): what each draw gives beside the closed forms."""
    most = _DRAWN // (mixture.N * max(len(levels), 1))
    count = int(np.clip(most, _FEWEST, _DRAWS)) if n is None else check_integer(n, "n", 2)
    check_memory(16.0 * count * len(levels), _BYTES, "what draws give at every level", "Lower n.")
    x, xi = draw_noised(mixture, count, (seed,))
    found = np.empty((2, len(levels), count))
    size = max(_ROWS // mixture.N, 1)
    for first in range(0, count, size):
        rows = slice(first, first + size)
        if mixture.has_common_sigma:
            found[:, :, rows] = _of_one_sigma(mixture, levels, x[rows], xi[rows])
            continue
        for j, rho in enumerate(levels.tolist()):
            y = x[rows] + math.sqrt(rho) * xi[rows]
            gamma = mixture.at_level(1.0, 1.0, rho).responsibilities(y)
            with np.errstate(divide="ignore", invalid="ignore"):
                log = np.where(gamma > 0.0, np.log(gamma / mixture.weights), 0.0)
            found[0, j, rows] = _between_modes(mixture, rho, y, gamma)
            found[1, j, rows] = (gamma * log).sum(axis=1)
    return found


def _of_one_sigma(mixture: GaussianMixture, levels: Array, x: Array, xi: Array) -> Array:
    """(2, k, n): exponents are linear in x and xi, so products with the means are taken once."""
    away = mixture.means - mixture.weights @ mixture.means
    square = np.square(away).sum(axis=1)
    on_x = (x - mixture.weights @ mixture.means) @ away.T - 0.5 * square
    on_xi, log_w = xi @ away.T, np.log(mixture.weights)
    sigma2 = float(mixture.sigma) ** 2
    found = np.empty((2, len(levels), len(x)))
    for j, rho in enumerate(levels.tolist()):
        v = sigma2 + rho
        log_gamma = (on_x + math.sqrt(rho) * on_xi) / v  # over w_k, but for a factor
        top = (log_gamma + log_w).max(axis=1, keepdims=True)
        gamma = np.exp(log_gamma + (log_w - top))
        total = gamma.sum(axis=1, keepdims=True)
        gamma /= total
        between = gamma @ square - np.square(gamma @ away).sum(axis=1)
        found[0, j] = np.maximum(between, 0.0) * (rho / v) ** 2
        found[1, j] = (gamma * log_gamma).sum(axis=1) - (top + np.log(total))[:, 0]
    return found


def draw_noised(mixture: GaussianMixture, n: int, seed: tuple[int, ...]) -> tuple[Array, Array]:
    """Clean data x_0 and noise (n, d) each, every mode as often as its weight says, to one draw."""
    check_memory(16.0 * n * (mixture.d + 1), _BYTES, "the draws", "Lower n.")
    rng = np.random.default_rng([0x696E666F, *seed])
    mode = systematic(mixture.weights, n, rng)
    inner, xi = rng.standard_normal((2, n, mixture.d))
    return mixture.from_normals(mode, inner), xi


def _between_modes(mixture: GaussianMixture, rho: float, y: Array, gamma: Array) -> Array:
    """sum_k gamma_k |M_k - sum_j gamma_j M_j|^2 (n,)."""
    if mixture.covariance is None:
        square = np.square(mixture.sigmas)
        pull = (square / (square + rho))[:, None]

        def posterior(k: int) -> Array:
            return np.asarray(mixture.means[k] + pull[k] * (y - mixture.means[k]))
    else:
        covariance = mixture.covariance
        keep = covariance.functions(lambda v: v / (v + rho))

        def posterior(k: int) -> Array:
            return mixture.means[k] + covariance.applied(k, y - mixture.means[k], keep)

    heard = np.flatnonzero(gamma.max(axis=0) > 0.0)
    mean = np.zeros_like(y)
    for k in heard.tolist():
        mean += gamma[:, k, None] * posterior(k)
    out = np.zeros(len(y))
    for k in heard.tolist():
        out += gamma[:, k] * np.square(posterior(k) - mean).sum(axis=1)
    return out

"""X6: the exact law of a hybrid sampler: some stretches of reverse SDE, some of PF ODE.

A stretch of reverse SDE has kernel O1, a stretch of ODE the flow map O2, in the hybrid's order; no
step size enters. Everything is in static coordinates y and effective variances v, for separable
mixtures with one sigma. The hybrid is that of arXiv 2605.06831 v1, radius experiment; its exact
law is derived here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from mixdyn.problem.checks import check_common_sigma
from mixdyn.support.checks import Array, check_points, check_positive, describe
from mixdyn.support.errors import InputError, NotApplicableError

from .flow import flow_axis, flow_map
from .flow_arb import flow_interval_arb
from .normal import log_interval, log_sum
from .reduction import sde_contraction
from .reverse import reverse_mixture
from .separable import Axis, product_grid

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

Stage = tuple[str, float]


def hybrid_sample(
    mixture: GaussianMixture,
    y: ArrayLike,
    v_from: float,
    stages: Sequence[Stage],
    rng: np.random.Generator,
) -> Array:
    """One exact draw per row of y (n, d) at v_from, carried through the stages, (n, d).

    stages: ("sde", v) or ("ode", v) with v decreasing from v_from and v >= sigma^2 (equal to it at
    the data); e.g. [("sde", v_switch), ("ode", sigma**2)].
    """
    sigma = check_common_sigma(mixture, "the exact law of a hybrid")
    points = check_points(y, mixture.d, "y")
    v = check_positive(v_from, "v_from")
    for kind, v_next in _check_stages(stages, v, sigma):
        if kind == "ode":
            points = flow_map(mixture, points, v, v_next)
        else:
            points = _draw(mixture, points, v, v_next, rng)
        v = v_next
    return points


def hybrid_log_interval(
    mixture: GaussianMixture,
    y: ArrayLike,
    v_from: float,
    stages: Sequence[Stage],
    box: tuple[ArrayLike, ArrayLike],
) -> Array:
    """log P(low_c <= y_end,c <= high_c) for each start and coordinate c, (n, d).

    box = (low, high), each (d,), low < high; -inf and inf are allowed, which makes it a
    distribution function. Given the start the coordinates are independent, so the sum over c is
    the log probability of the box. `stages` as in `hybrid_sample`, with exactly one "sde" stretch;
    product-grid mixtures only. Exact because the flow is monotone: the limits are carried back
    through the ODE after the noise, the start forward through the ODE before it.
    """
    sigma = check_common_sigma(mixture, "the exact law of a hybrid")
    axes = product_grid(mixture)
    if axes is None:
        raise NotApplicableError(
            "the distribution function of a hybrid needs a product grid with product weights",
            f"{mixture.N} modes in {mixture.d} dimensions that are none",
            "Use hybrid_sample, or integrate numerically.",
        )
    points = check_points(y, mixture.d, "y")
    v = check_positive(v_from, "v_from")
    before, noise, after = _split_stages(_check_stages(stages, v, sigma))
    v_noise = before[-1] if before else v
    v_end = after[-1] if after else noise
    low, high = (_limits(side, mixture.d) for side in box)
    if not (low < high).all():
        raise InputError("box must have low < high", f"{low} and {high}", "Swap the limits.")
    columns = []
    for axis, start, a, b in zip(axes, points.T, low, high, strict=True):
        at_noise = flow_axis(axis, start, v, v_noise)
        limits = _pull_back(axis, (float(a), float(b)), v_end, noise)
        columns.append(_kernel_log_interval(axis, at_noise, limits, v_noise, noise))
    return np.column_stack(columns)


def _check_stages(stages: Sequence[Stage], v_from: float, sigma: float) -> list[Stage]:
    checked: list[Stage] = []
    v = v_from
    for kind, v_next in stages:
        value = check_positive(v_next, "the variance of a stage")
        if kind not in ("sde", "ode") or not sigma**2 * (1 - 1e-12) <= value < v:
            raise InputError(
                'stages must be ("sde" | "ode", v) with v decreasing to sigma^2 at the lowest',
                f"({kind!r}, {value}) after v = {v}, sigma^2 = {sigma**2}",
                "List the stretches from noise to data.",
            )
        checked.append((kind, value))
        v = value
    if not checked:
        raise InputError("a hybrid needs at least one stage", "none", "Pass the stretches.")
    return checked


def _split_stages(stages: list[Stage]) -> tuple[list[float], float, list[float]]:
    """Variances reached by the ODE before the noise, by the noise, by the ODE after it."""
    noisy = [i for i, (kind, _) in enumerate(stages) if kind == "sde"]
    if not noisy or noisy != list(range(noisy[0], noisy[-1] + 1)):
        raise NotApplicableError(
            'the distribution function needs one unbroken "sde" stretch',
            f"stages {stages}",
            "Use hybrid_sample for several stretches.",
        )
    before = [v for _, v in stages[: noisy[0]]]
    return before, stages[noisy[-1]][1], [v for _, v in stages[noisy[-1] + 1 :]]


def _draw(
    mixture: GaussianMixture, y: Array, v_from: float, v_to: float, rng: np.random.Generator
) -> Array:
    # The kernel O1 needs the two noise levels rho = v - sigma^2 = (1 - abar)/abar.
    rho_t, rho_s = (max(v - float(mixture.sigma) ** 2, 0.0) for v in (v_from, v_to))
    abar_t, abar_s = 1.0 / (1.0 + rho_t), 1.0 / (1.0 + rho_s)
    law = reverse_mixture(
        mixture,
        y * math.sqrt(abar_t),
        abar_t,
        abar_s,
        noise_var_t=rho_t * abar_t,
        noise_var_s=rho_s * abar_s,
    )
    cumulative = np.cumsum(law.weights, axis=1)
    pick = (rng.random((len(y), 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
    noise = rng.standard_normal(y.shape) * np.sqrt(law.variances[pick])[:, None]
    return np.asarray((law.means[np.arange(len(y)), pick] + noise) / law.alpha_s)


def _limits(side: ArrayLike, d: int) -> Array:
    values = np.asarray(side, dtype=np.float64)
    if values.shape != (d,) or np.isnan(values).any():
        raise InputError(
            f"each side of box must have shape ({d},)", describe(side), "One limit per coordinate."
        )
    return values


@dataclass(frozen=True)
class _Limits:
    """An interval carried back through the ODE; log_width where both limits are finite."""

    low: float
    high: float
    log_width: float | None


def _pull_back(axis: Axis, limits: tuple[float, float], v_end: float, v_noise: float) -> _Limits:
    low, high = limits
    if v_end == v_noise:
        return _Limits(low, high, None)
    if not (math.isfinite(low) and math.isfinite(high)):
        moved = [
            float(flow_axis(axis, np.array([y]), v_end, v_noise)[0]) if math.isfinite(y) else y
            for y in limits
        ]
        return _Limits(moved[0], moved[1], None)
    # Limits in a gap end up closer than doubles resolve: keep their distance as a logarithm.
    center, width = flow_interval_arb(axis, limits, v_end, v_noise)
    half = width / 2
    log_width = float(width.log().mid())
    return _Limits(float((center - half).mid()), float((center + half).mid()), log_width)


def _kernel_log_interval(axis: Axis, y: Array, limits: _Limits, v_t: float, v_s: float) -> Array:
    """log probability of the limits at v_s under the kernel O1 of one coordinate, (n,)."""
    q, variance = sde_contraction(v_t, v_s)
    offset = y[:, None] - axis.values
    log_w = np.log(axis.weights) - 0.5 * offset**2 / v_t
    log_w -= log_sum(log_w)[:, None]
    center, std = axis.values + q * offset, math.sqrt(variance)
    low, high = (limits.low - center) / std, (limits.high - center) / std
    if math.isinf(limits.low):
        part = log_ndtr(high)
    elif math.isinf(limits.high):
        part = log_ndtr(-low)
    else:
        log_width = None if limits.log_width is None else limits.log_width - math.log(std)
        part = log_interval(low, high, log_width)
    return log_sum(log_w + part)

"""How well a statistic tells two populations apart, and the best that several can do together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion

from ...ledger.relations import Comparison, either_way
from ...ledger.sides import Side

_NEWTON, _RIDGE = 30, 1e-3  # steps and penalty of the logistic regression


def area(wrong: Array, right: Array) -> tuple[float, float]:
    """AUC, the probability that a hallucination's value is the larger (ties half), and its standard
    error (DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988))."""
    m, n = len(wrong), len(right)
    joint = _ranks(np.concatenate([wrong, right]))
    above = (joint[:m] - _ranks(wrong)) / n  # per hallucination: share of the others below
    below = 1.0 - (joint[m:] - _ranks(right)) / m
    error = np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return float(above.mean()), float(error)


def removed_between(name: str, removed: Sequence[Proportion], at_least: float) -> Comparison:
    """Whether enough hallucinations lie above the level that keeps a stated share of the others: at
    the lowest and at the highest level that may be it, and at the one that is shown."""
    lenient, strict, shown = (Side(name, one, at_least=at_least).comparison for one in removed)
    return either_way(lenient, strict, shown)


def _ranks(values: Array) -> Array:
    """Ranks from 1, ties sharing their mean."""
    order, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - 0.5 * (counts - 1))[inverse]
    return ranks if len(order) else values


def likelihood_ratio(wrong: Array, right: Array) -> tuple[Array, Array]:
    """Log likelihood ratio of the two populations of log Hal (m, W), (n, W) over all windows: a
    quadratic form fitted to one half of each by logistic regression, both halves weighted alike,
    evaluated on the other half."""
    both = np.concatenate([wrong[::2], right[::2]])
    centre, scale = both.mean(axis=0), both.std(axis=0)

    def features(h: Array) -> Array:
        z = (h - centre) / scale
        squares = z[:, :, None] * z[:, None, :]
        i, j = np.triu_indices(h.shape[1])
        return np.concatenate([np.ones((len(z), 1)), z, squares[:, i, j]], axis=1)

    coefficients = _logistic(features(wrong[::2]), features(right[::2]))
    return features(wrong[1::2]) @ coefficients, features(right[1::2]) @ coefficients


def _logistic(wrong: Array, right: Array) -> Array:
    """Coefficients (P,) of ridge logistic regression, by Newton's method."""
    x = np.concatenate([wrong, right])
    label = np.repeat([1.0, 0.0], [len(wrong), len(right)])
    weight = np.repeat([0.5 / len(wrong), 0.5 / len(right)], [len(wrong), len(right)])
    found = np.zeros(x.shape[1])
    for _ in range(_NEWTON):
        share = 1.0 / (1.0 + np.exp(-np.clip(x @ found, -30.0, 30.0)))
        slope = x.T @ (weight * (label - share)) - _RIDGE * found
        curvature = (x * (weight * share * (1.0 - share))[:, None]).T @ x
        found = found + np.linalg.solve(curvature + _RIDGE * np.eye(len(found)), slope)
    return found

"""The four parametrisations of one prediction, converted here and nowhere else.

eps, score and x0 are those of docs/notation.md; v = alpha eps - noise_std x0 where alpha^2 +
noise_var = 1.
"""

from __future__ import annotations

from typing import Literal, get_args

from ..support.checks import Array, check_choice, describe
from ..support.errors import InputError
from .protocol import Level

Predicts = Literal["eps", "x0", "v", "score"]
_ROUNDING = 1e-9  # of alpha^2 + noise_var on the variance-preserving path


def to_eps(value: Array, x: Array, at: Level, predicts: Predicts) -> Array:
    """Noise prediction from any parametrisation."""
    if predicts == "eps":
        return value
    if predicts == "score":
        return -at.noise_std * value
    if predicts == "x0":
        return (x - at.alpha * value) / at.noise_std
    if check_predicts(predicts) == "v":
        _check_preserving(at)
        # alpha^2 + noise_var = 1, so (x, v) is a rotation of (x0, eps).
    return at.noise_std * x + at.alpha * value


def from_eps(eps: Array, x: Array, at: Level, predicts: Predicts) -> Array:
    """Any parametrisation from the noise prediction."""
    if predicts == "eps":
        return eps
    if predicts == "score":
        return -eps / at.noise_std
    if predicts == "x0":
        return (x - at.noise_std * eps) / at.alpha
    if check_predicts(predicts) == "v":
        _check_preserving(at)
    return (eps - at.noise_std * x) / at.alpha


def check_predicts(predicts: Predicts) -> Predicts:
    """`predicts`, which must name a parametrisation."""
    known: Predicts = check_choice(
        predicts, get_args(Predicts), "predicts", "Say what the network returns."
    )
    return known


def _check_preserving(at: Level) -> None:
    if abs(at.signal_var + at.noise_var - 1.0) > _ROUNDING:
        raise InputError(
            "v = alpha eps - noise_std x0 is defined where alpha^2 + noise_var = 1",
            describe(at),
            "Ask at Level.of_rho(rho), or predict eps or x0.",
        )

"""The five parametrisations of one prediction, converted here and nowhere else.

eps, score and x0 are those of docs/notation.md; v = alpha eps - noise_std x0 (arXiv 2202.00512) and
velocity = eps - x0, that of flow matching (arXiv 2210.02747). Without signal (alpha = 0) eps and
score say nothing of x0, the other three do; nothing is asked without noise.
"""

from __future__ import annotations

from typing import Literal, get_args

from ..support.checks import Array, check_choice
from .protocol import Level, unseen

Predicts = Literal["eps", "x0", "v", "score", "velocity"]
_ROUNDING = 1e-9  # of alpha^2 + noise_var on the variance-preserving path


def to_eps(value: Array, x: Array, at: Level, predicts: Predicts) -> Array:
    """Noise prediction from any parametrisation."""
    if predicts == "eps":
        return value
    if predicts == "score":
        return -at.noise_std * value
    if predicts == "x0":
        return (x - at.alpha * value) / at.noise_std
    if predicts == "velocity":
        return (x + at.alpha * value) / (at.alpha + at.noise_std)
    return (at.noise_std * x + at.alpha * value) / _norm(at, predicts)


def to_x0(value: Array, x: Array, at: Level, predicts: Predicts) -> Array:
    """Prediction of the clean data from any parametrisation; InputError for eps and score where
    there is no signal."""
    if predicts == "x0":
        return value
    if predicts == "velocity":
        return (x - at.noise_std * value) / (at.alpha + at.noise_std)
    if predicts == "v":
        return (at.alpha * x - at.noise_std * value) / _norm(at, predicts)
    _check_signal(at, f"a prediction of {check_predicts(predicts)} says nothing of x0")
    return (x - at.noise_std * to_eps(value, x, at, predicts)) / at.alpha


def from_eps(eps: Array, x: Array, at: Level, predicts: Predicts) -> Array:
    """Any parametrisation from the noise prediction; InputError for those that hold x0 where there
    is no signal."""
    if predicts == "eps":
        return eps
    if predicts == "score":
        return -eps / at.noise_std
    _check_signal(at, f"no {check_predicts(predicts)} follows from a prediction of eps")
    if predicts == "v":
        return (_norm(at, predicts) * eps - at.noise_std * x) / at.alpha
    x0 = (x - at.noise_std * eps) / at.alpha
    return x0 if predicts == "x0" else eps - x0


def check_predicts(predicts: Predicts) -> Predicts:
    """`predicts`, which must name a parametrisation."""
    known: Predicts = check_choice(
        predicts, get_args(Predicts), "predicts", "Say what the network returns."
    )
    return known


def _norm(at: Level, predicts: Predicts) -> float:
    """alpha^2 + noise_var, by which (x, v) is a rotation of (x0, eps); 1 on the
    variance-preserving path."""
    check_predicts(predicts)
    norm = at.signal_var + at.noise_var
    return 1.0 if abs(norm - 1.0) <= _ROUNDING else norm


def _check_signal(at: Level, what: str) -> None:
    if at.alpha == 0.0:
        raise unseen(what, at)

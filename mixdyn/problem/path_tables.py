"""Levels (a, b) of Gaussian paths x_t = a x_0 + b eps at times 1..T, named and given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import Array, check_array, check_real_array, frozen
from ..support.errors import InputError
from .schedule_tables import LARGEST_SIGMA, RANGE, betas_from_sigmas, out_of_range


class Path(NamedTuple):
    """Amplitudes of signal and noise at times 1..T, each (T,)."""

    alpha: Array
    noise_std: Array


def check_path(alphas: ArrayLike, sigmas: ArrayLike) -> Path:
    """Read-only tables with a finite quotient noise/signal that rises strictly, in order of time.

    A number stands for equal entries. Backwards tables, with or without a clean last level, are
    turned round. alpha_T may be 0. InputError for the rest, with the time of the first fault.
    """
    given = [
        check_array(np.atleast_1d(check_real_array(values, name)), name, 1, largest=LARGEST_SIGMA)
        for values, name in ((alphas, "alphas"), (sigmas, "sigmas"))
    ]
    T = max(part.size for part in given)
    if any(part.size not in (1, T) for part in given) or 0 in (part.size for part in given):
        raise InputError(
            "alphas and sigmas must be lists of one length, or one of them a number",
            f"lengths {given[0].size} and {given[1].size}",
            "Pass one alpha and one sigma a time.",
        )
    a, b = (np.broadcast_to(part, T) for part in given)
    if len(a) > 1 and b[0] * a[-1] > b[-1] * a[0]:
        a, b = a[::-1], b[::-1]
        clean = int(b[0] == 0.0)
        a, b = a[clean:], b[clean:]
    _refuse(a < 0.0, "every alpha must be >= 0", a, "Amplitudes have no sign.")
    _refuse(b <= 0.0, "every sigma must be > 0", b, "Leave out time 0, which is clean.")
    for name, values in (("alpha but 0", a), ("sigma", b)):
        beyond = (values != 0.0) & out_of_range(values)
        _refuse(beyond, f"every {name} must be {RANGE}", values, "Choose other units.")
    _refuse(a[:-1] == 0.0, "only the last level may have no signal", a, "Leave out those before.")
    # Quotients compared without dividing: the last alpha may be 0.
    _refuse(
        np.append(False, b[1:] * a[:-1] <= b[:-1] * a[1:]),
        "rho = (sigma/alpha)^2 must rise strictly with time",
        b,
        "Order both tables from the first noisy time to the last.",
    )
    return Path(frozen(np.array(a)), frozen(np.array(b)))


def _refuse(wrong: np.ndarray, rule: str, values: Array, remedy: str) -> None:
    if wrong.any():
        t = int(np.argmax(wrong)) + 1
        raise InputError(rule, f"{values[t - 1]} at time {t}", remedy)


def betas_of(path: Path) -> Array:
    """(T,) betas of the variance-preserving path of the same rho; 1 at a level without signal."""
    seen = path.alpha > 0.0
    betas = np.ones(len(seen))
    if seen.any():
        betas[seen] = betas_from_sigmas(path.noise_std[seen] / path.alpha[seen])
    return betas


def _sub_vp(T: int, beta_min: float, beta_max: float) -> Path:
    r = np.arange(1, T + 1) / T
    log_abar = -(beta_min * r + 0.5 * (beta_max - beta_min) * r * r)
    return Path(np.exp(0.5 * log_abar), -np.expm1(log_abar))


def _between(T: int, first: float, last: float) -> Array:
    return np.linspace(first, last, T) if T > 1 else np.array([last])


def _ve(T: int, sigma_min: float, sigma_max: float) -> Path:
    return _karras(T, sigma_min, sigma_max, np.inf)


def _karras(T: int, sigma_min: float, sigma_max: float, power: float) -> Path:
    if not sigma_min < sigma_max:
        raise InputError(
            "sigma_min must be below sigma_max", f"{sigma_min} and {sigma_max}", "Swap them."
        )
    if np.isinf(power):  # the limit: evenly spaced logarithms
        return Path(np.ones(T), np.exp(_between(T, np.log(sigma_min), np.log(sigma_max))))
    roots = _between(T, sigma_min ** (1.0 / power), sigma_max ** (1.0 / power))
    return Path(np.ones(T), roots**power)


def _flow_matching(T: int, shift: float) -> Path:
    t = np.arange(1, T + 1)
    whole = T + (shift - 1.0) * t
    return Path((T - t) / whole, shift * t / whole)


NAMED: Mapping[str, Callable[..., Path]] = {
    "sub_vp": _sub_vp,
    "ve": _ve,
    "karras": _karras,
    "flow_matching": _flow_matching,
}

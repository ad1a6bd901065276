"""X14: what a Gaussian kernel other than the nearest one costs.

The divergence of a law with mean M and covariance C from N(m, K) exceeds that from N(M, C) by

    1/2 [log det K - log det C + tr K^-1 C + (M - m)^T K^-1 (M - m) - d],

whatever the law: its entropy cancels. Derived here (derivations/insurance/gaussian_kernel.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_array
from mixdyn.support.errors import InputError


def kernel_excess(covariance: ArrayLike, kernel: ArrayLike, shift: ArrayLike = 0.0) -> Array:
    """Nats by which N(m, K) is farther from each law than the Gaussian of its own moments, (n,).

    covariance (n, d, d) : C of each law, positive definite. kernel (n, d, d) : K, likewise. shift
    (n, d) or 0 : M - m.
    """
    true, used = (
        check_array(value, name, ndim=3)
        for value, name in ((covariance, "covariance"), (kernel, "kernel"))
    )
    n, d = true.shape[:2]
    if true.shape != (n, d, d) or used.shape != true.shape:
        raise InputError(
            "covariance and kernel have one shape (n, d, d)",
            f"{true.shape} and {used.shape}",
            "Pass a square matrix a law.",
        )
    try:
        roots = [np.linalg.cholesky(matrices) for matrices in (true, used)]
    except np.linalg.LinAlgError:
        raise InputError(
            "covariance and kernel must be positive definite",
            f"smallest eigenvalue {min(np.linalg.eigvalsh(m).min() for m in (true, used)):.3g}",
            "Leave out directions of no variance.",
        ) from None
    away = np.broadcast_to(np.asarray(shift, float), (n, d))[:, :, None]
    # Of K = L L^T: tr K^-1 C = |L^-1 C^(1/2)|^2, and the logs of the diagonals.
    parts = np.linalg.solve(roots[1], np.concatenate([roots[0], away], axis=2))
    log_ratio = [2.0 * np.log(np.einsum("nii->ni", root)).sum(axis=1) for root in roots]
    square = np.square(parts).sum(axis=(1, 2))
    return np.asarray(0.5 * (log_ratio[1] - log_ratio[0] + square - d))

"""Counter-based standard normals: a pure function of (seed, sample index, time, stream).

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11) with the key a
64-bit seed and the counter words (index low, index high, t, stream << 24 | block), then Box-Muller;
block p of a sample gives its coordinates 2p and 2p + 1. No state: any split of the work over
batches, threads or machines draws the same numbers, and two samplers run on common noise simply
by sharing a seed.
"""

from __future__ import annotations

import enum

import numpy as np

from ..support.checks import Array, check_integer, describe
from ..support.errors import InputError
from .checks import check_schedule
from .schedule import NoiseSchedule

MAX_DIMENSION = 2 * (1 << 24)
MAX_TIME = 2**32 - 1


class Stream(enum.IntEnum):
    """What a draw is for; streams never share a counter."""

    START = 0
    STEP = 1
    EXTRA = 2


Seed = int | np.random.SeedSequence | np.random.Generator | None


def resolve_seed(rng: Seed) -> int:
    """The 64-bit seed that `rng` stands for.

    An int in 0..2^64 - 1 is taken as it is; a SeedSequence gives its first 64-bit word; a Generator
    one 64-bit draw (and moves on); None fresh entropy.
    """
    if rng is None:
        rng = np.random.SeedSequence()
    if isinstance(rng, np.random.SeedSequence):
        return int(rng.generate_state(1, np.uint64)[0])
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64))
    if isinstance(rng, bool | np.bool_) or not isinstance(rng, int | np.integer):
        raise InputError(
            "rng must be an int, a SeedSequence, a Generator or None",
            describe(rng),
            "Pass an integer seed.",
        )
    return check_integer(rng, "seed", 0, 2**64 - 1)


def standard_normals(
    seed: int, n: int, d: int, t: int, *, stream: Stream = Stream.STEP, first: int = 0
) -> Array:
    """(n, d) standard normals of samples first..first + n - 1 at time t."""
    from .. import kernels

    out = np.empty((check_integer(n, "n", 1), check_integer(d, "d", 1, MAX_DIMENSION)))
    kernels.normals(
        out,
        np.uint64(check_integer(first, "first", 0, 2**63)),
        np.uint64(check_integer(t, "t", 0, MAX_TIME)),
        np.uint64(Stream(stream) << 24),
        np.uint64(check_integer(seed, "seed", 0, 2**64 - 1)),
    )
    return out


def path_weights(schedule: NoiseSchedule, t: int, s: int) -> Array:
    """Weights (t - s,) that turn the step normals at t, t - 1, ..., s + 1 into the one normal that
    a coarse step t -> s meets on the same Brownian path; their squares sum to one.

    In static coordinates the bridge step r -> r - 1 adds noise of variance rho_{r-1}(1 - q_r),
    q_r = rho_{r-1}/rho_r, and later steps shrink it by rho_s/rho_{r-1}: for a frozen x0_hat the
    composed fine steps are the coarse one exactly. A step to s = 0 adds no noise: its weights are
    the limit, proportional to the noise each fine step would carry to time 1.

    Raises InputError unless T >= t > s >= 0.
    """
    check_integer(t, "t", 1, check_schedule(schedule).T)
    check_integer(s, "s", 0, t - 1)
    last = max(s, 1)
    times = np.arange(t, s, -1)
    rho = schedule.rho
    variance = np.zeros(len(times))
    noisy = times > last
    r = times[noisy]
    variance[noisy] = (rho[last] / rho[r - 1]) ** 2 * rho[r - 1] * (1 - rho[r - 1] / rho[r])
    if not noisy.any():
        variance[:] = 1.0
    return np.sqrt(variance / variance.sum())


def path_normals(
    seed: int, n: int, d: int, schedule: NoiseSchedule, step: tuple[int, int], *, first: int = 0
) -> Array:
    """(n, d) normals of the coarse step (t, s), summed from the fine steps of the same seed."""
    from .. import kernels

    t, s = step
    out = np.empty((check_integer(n, "n", 1), check_integer(d, "d", 1, MAX_DIMENSION)))
    kernels.path_normals(
        out,
        np.uint64(check_integer(first, "first", 0, 2**63)),
        np.arange(t, s, -1).astype(np.uint64),
        path_weights(schedule, t, s),
        np.uint64(check_integer(seed, "seed", 0, 2**64 - 1)),
    )
    return out

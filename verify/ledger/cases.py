"""The problems on which the ledger runs: the papers' own, random ones, and the user's."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np

from mixdyn.learned.loading import load_model, own_problem
from mixdyn.problem import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.named import read_mixture, read_schedule
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.checks import Array, check_integer
from mixdyn.support.errors import InputError

from .case import Case, Profile
from .standard import standard

RANDOM_CASES = {Profile.QUICK: 3, Profile.FULL: 10}


def random(k: int, seed: int = 0, profile: Profile = Profile.QUICK) -> Case:
    """The k-th random problem (k >= 1) of a seed: dimension, modes, separation, weights, schedule.

    The kinds take turns: scattered modes of random weights, a product lattice with product
    weights (for which the flow is known in closed form), scattered modes of equal weight.
    """
    index = check_integer(k, "k", 1)
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    kind = ("scattered", "lattice", "scattered, equal weights")[(index - 1) % 3]
    means, weights = _lattice(rng) if kind == "lattice" else _scattered(rng)
    if kind == "scattered, equal weights":
        weights = np.full(len(means), 1.0 / len(means))
    sigma = _shortest(means) / np.exp(rng.uniform(np.log(20.0), np.log(150.0)))
    scale = np.sqrt(np.mean(np.var(means, axis=0)) + sigma**2)
    mixture = GaussianMixture(means / scale, float(sigma / scale), weights)
    origin = f"random problem {index} of seed {seed}: {kind}"
    return Case(f"random-{index}", mixture, _schedule(rng), seed, profile, origin, random=True)


def user(
    mixture: str | os.PathLike[str] | None,
    schedule: str | os.PathLike[str] | None,
    seed: int,
    profile: Profile,
    model: str | None = None,
    *,
    predicts: str | None = None,
    index_base: int | None = None,
) -> Case:
    """The user's problem, in files or by the names of `mixdyn.problem.named`.

    A missing mixture or schedule is that of the checkpoint, where `model` names one, else the
    standard problem's. The claims are of the variance-preserving path and of times with signal:
    another path is followed on that of its rho, by X1, and a last level without signal is left
    out; the case's origin says so. `model`, `predicts` and `index_base` are those of
    `mixdyn.learned.loading.load_model`. Raises FileError or
    InputError for a file or a model that cannot be used.
    """
    names = [Path(p).name for p in (mixture, schedule, model) if p is not None]
    if model is None and (predicts, index_base) != (None, None):
        raise InputError(
            "--predicts and --index-base describe the function that --model names",
            "no --model",
            "Leave them out or name a model.",
        )
    own = own_problem(model, mixture, schedule) or (presets.grid(), NoiseSchedule.linear())
    path = own[1] if schedule is None else read_schedule(os.fspath(schedule))
    if model is not None and not path.variance_preserving:
        raise InputError(
            "the ledger asks a model for states of a variance-preserving path",
            f"--schedule {schedule} beside --model {model}",
            "Give the schedule of the same rho, and rescale what the model is asked.",
        )
    walked = f", on {path.in_words}" if path.in_words else ""
    case = Case(
        "user",
        own[0] if mixture is None else read_mixture(os.fspath(mixture)),
        path.with_signal().as_variance_preserving(),
        seed,
        profile,
        f"read from {' and '.join(names)}{walked}",
        model=model,
        predicts=predicts,
        index_base=index_base,
    )
    if model is not None:  # before minutes of work, not after
        problem = (case.mixture, case.schedule)
        load_model(model, *problem, predicts=predicts, index_base=index_base)
    return case


def default_cases(seed: int, profile: Profile, n_random: int | None) -> list[Case]:
    """The standard problem and the profile's number of random ones (or `n_random`)."""
    count = RANDOM_CASES[profile] if n_random is None else n_random
    return [standard(seed, profile), *(random(k, seed, profile) for k in range(1, count + 1))]


def _scattered(rng: np.random.Generator) -> tuple[Array, Array]:
    """3 to 12 modes in 1 to 8 dimensions, none closer than a third of the typical distance."""
    d, n = int(rng.integers(1, 9)), int(rng.integers(3, 13))
    means = np.cumsum(rng.uniform(1.0, 3.0, n))[:, None] if d == 1 else _spread_out(rng, n, d)
    return means, rng.dirichlet(np.full(n, 4.0)) * 0.9 + 0.1 / n


def _spread_out(rng: np.random.Generator, n: int, d: int) -> Array:
    """n standard normal points in d dimensions, each drawn again while too close to another."""
    radius = np.sqrt(2.0 * d) / 3.0
    points = [rng.standard_normal(d)]
    while len(points) < n:
        trial = rng.standard_normal(d)
        if min(np.linalg.norm(trial - p) for p in points) > radius:
            points.append(trial)
        else:
            radius *= 0.995  # so that many points in few dimensions also end
    return np.array(points)


def _lattice(rng: np.random.Generator) -> tuple[Array, Array]:
    """A full product grid of 1 to 3 uneven axes with 2 to 4 values each, and product weights."""
    d = int(rng.integers(1, 4))
    axes, shares = [], []
    for _ in range(d):
        size = int(rng.integers(2, 5))
        axes.append(np.cumsum(rng.uniform(1.0, 1.6, size)))
        shares.append(rng.dirichlet(np.full(size, 8.0)) * 0.8 + 0.2 / size)
    means = np.array(list(itertools.product(*axes)))
    weights = np.array([np.prod(w) for w in itertools.product(*shares)])
    return means, weights


def _shortest(means: Array) -> float:
    gaps = np.linalg.norm(means[:, None] - means[None], axis=2)
    return float(gaps[np.triu_indices(len(means), k=1)].min())


def _schedule(rng: np.random.Generator) -> NoiseSchedule:
    """Linear or cosine, 200 to 1000 steps, ending in noise."""
    steps = int(rng.integers(200, 1001))
    if rng.random() < 0.3:
        return NoiseSchedule.cosine(steps)
    total = rng.uniform(8.0, 14.0)  # sum of the betas: alpha_bar_T is about exp(-total)
    return NoiseSchedule.linear(steps, float(10 ** rng.uniform(-5, -3.5)), 2.0 * total / steps)

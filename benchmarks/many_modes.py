"""The exact score of a data set: DDIM-50 of 2,000 samples on very many modes, against all summed.

Modes in 784 dimensions have the spectrum of images, j^-1.3 in a random basis, and one variance a
coordinate on average (fixed seed: no data is loaded); those in the plane are standard normal; the
digits are scikit-learn's, where it is installed. mixdyn runs whole. Every other contender does the
same work at each level and for each sample, so one evaluation of a few samples is timed, and scaled
to the run.
"""

# ruff: noqa: PLC0415 (what only some contenders need is imported where it is used)
from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mixdyn import DDIM, ExactScore, GaussianMixture, NoiseSchedule, sample
from mixdyn.score import Level, level
from mixdyn.score.routes import Route
from mixdyn.support.checks import Array
from mixdyn.support.errors import StartWarning

from . import harness, peers

SCHEDULE, STEPS, OURS = NoiseSchedule.linear(), 50, "mixdyn"
SIGMA, MIDDLE, DIGITS_SIGMA = 0.01, 300, 0.1
Eps = Callable[[Array], Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A mixture, how many samples run, and how many a contender of each kind evaluates."""

    name: str
    mixture: GaussianMixture
    samples: int
    evaluated: int
    graphs: int  # of those that make arrays (samples, modes, d) or worse

    @functools.cached_property
    def exact(self) -> ExactScore:
        """Ours, on the route that it takes by itself."""
        return ExactScore(self.mixture, SCHEDULE)


def like_images(modes: int, d: int) -> Array:
    """(modes, d) normal, variances j^-1.3 in a basis of three reflections, their mean 1."""
    rng, variances = np.random.default_rng(0), np.arange(1.0, d + 1.0) ** -1.3
    x = rng.standard_normal((modes, d)) * np.sqrt(variances / variances.mean())
    for _ in range(3):
        normal = rng.standard_normal(d)
        normal /= np.linalg.norm(normal)
        x -= 2.0 * np.outer(x @ normal, normal)
    return x


def tasks(small: bool) -> list[Task]:
    """What is run."""
    modes, d, plane, n = (1_100, 16, 1_200, 130) if small else (20_000, 784, 100_000, 2_000)
    images = GaussianMixture(like_images(modes, d), SIGMA)
    normal = GaussianMixture(np.random.default_rng(0).standard_normal((plane, 2)), SIGMA)
    few = 8 if small else 256
    found = [
        Task(f"{modes:,} modes, d = {d}", images, n, few, 1 if small else 2),
        Task(f"{plane:,} modes, d = 2", normal, n, few, 8),
    ]
    if peers.installed("sklearn") and not small:
        from sklearn.datasets import load_digits

        digits = load_digits().data.astype(float)
        points = (digits - digits.mean(axis=0)) / digits.std()
        mixture = GaussianMixture(points, DIGITS_SIGMA, allow_duplicates=True)
        found.append(Task("1,797 digits, d = 64", mixture, n, few, 8))
    return found


def run(task: Task, x: Array) -> Array:
    """The whole run, from a score that has seen nothing yet."""
    exact = ExactScore(task.mixture, SCHEDULE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StartWarning)
        ends = sample(exact, SCHEDULE, DDIM(STEPS), x=x).x
    return np.asarray(ends)


# -- contenders: eps at one level ------------------------------------------------------------------


def every_mode(task: Task, at: Level) -> Eps:
    """The engine's own kernel that sums every mode."""
    general = ExactScore(task.mixture, SCHEDULE, route="general")
    return lambda x: general.eps(x, at)


def _scale(task: Task, at: Level) -> tuple[float, float]:
    return at.signal_var * float(task.mixture.sigmas[0]) ** 2 + at.noise_var, at.noise_std


def torch_matrix(task: Task, at: Level) -> Eps:
    """torch in double: squared distances and means by matrix products."""
    import torch

    (var, std), mu = _scale(task, at), torch.from_numpy(at.alpha * task.mixture.means)
    squares = mu.square().sum(1)

    @torch.inference_mode()
    def eps(x: Array) -> Array:
        state = torch.from_numpy(x)
        gamma = torch.softmax((state @ mu.T).mul_(2.0).sub_(squares).mul_(0.5 / var), dim=1)
        return ((state - gamma @ mu) * (std / var)).numpy()  # type: ignore[no-any-return]

    return eps


def torch_distributions(task: Task, at: Level) -> Eps:
    """torch.distributions: the gradient of a MixtureSameFamily's log_prob."""
    import torch
    from torch import distributions as laws

    (var, std), mu = _scale(task, at), torch.from_numpy(at.alpha * task.mixture.means)
    normal = laws.Independent(laws.Normal(mu, var**0.5), 1)
    weights = laws.Categorical(torch.ones(task.mixture.N, dtype=torch.double))
    mixture = laws.MixtureSameFamily(weights, normal)

    def eps(x: Array) -> Array:
        state = torch.from_numpy(x).requires_grad_()
        (score,) = torch.autograd.grad(mixture.log_prob(state).sum(), state)
        return (-std * score).numpy()  # type: ignore[no-any-return]

    return eps


def diffusionlab(task: Task, at: Level) -> Eps:
    """DiffusionLab 3: its general mixture, jitted, in double."""
    import jax
    import jax.numpy as jnp
    from diffusionlab.distributions.gmm.gmm import GMM
    from diffusionlab.dynamics import DiffusionProcess

    jax.config.update("jax_enable_x64", True)
    mixture, d = task.mixture, task.mixture.d
    alpha, std = at.alpha, at.noise_std
    process = DiffusionProcess(alpha=lambda t: alpha + 0.0 * t, sigma=lambda t: std + 0.0 * t)
    covariances = jnp.broadcast_to(jnp.eye(d) * mixture.sigmas[0] ** 2, (mixture.N, d, d))
    law = GMM(jnp.asarray(mixture.means), covariances, jnp.asarray(mixture.weights))
    field = jax.jit(jax.vmap(lambda x: law.eps(x, jnp.asarray(0.5), process)))
    return lambda x: np.asarray(field(jnp.asarray(x)))


def contenders(task: Task) -> dict[str, tuple[Callable[[Task, Level], Eps], int]]:
    """Whoever is installed, with the samples that it evaluates."""
    found: Any = {"mixdyn, every mode": (every_mode, task.evaluated)}
    if peers.installed("torch"):
        found["torch, matrix form"] = torch_matrix, task.evaluated
        found["torch.distributions"] = torch_distributions, task.graphs
    # A matrix for each mode: in many dimensions they fit no memory.
    three = all(
        map(
            peers.installed,
            ("jax", "diffusionlab", "diffusionlab.distributions", "diffusionlab.distributions.gmm"),
        )
    )
    if three and task.mixture.N * task.mixture.d**2 <= 1e7:
        found["DiffusionLab, GMM"] = diffusionlab, task.graphs
    return found  # type: ignore[no-any-return]


# -- the measurement -------------------------------------------------------------------------------


def of_task(task: Task, small: bool) -> list[dict[str, Any]]:
    """A row for every contender."""
    rng, at = np.random.default_rng(1), level(SCHEDULE, MIDDLE)
    start = rng.standard_normal((task.samples, task.mixture.d))
    places = task.mixture.means[rng.integers(task.mixture.N, size=task.evaluated)]
    x = at.alpha * places + at.noise_std * rng.standard_normal(places.shape)
    truth = task.exact.eps(x, at)
    calls: dict[str, Callable[[], object]] = {OURS: lambda: run(task, start)}
    scale, apart = {OURS: 1.0}, {OURS: 0.0}
    for name, (build, count) in contenders(task).items():
        eps, some = build(task, at), x[:count]
        apart[name] = float(np.abs(eps(some) - truth[:count]).max())
        calls[name] = functools.partial(eps, some)
        scale[name] = STEPS * task.samples / count
    times = harness.race(calls, 1 if small else 2)
    work = _work(task.exact.route, lambda: sample(task.exact, SCHEDULE, DDIM(STEPS), x=start))
    return [
        {
            "task": task.name,
            "contender": name,
            **times[name].row(scale[name]),
            "ratio": scale[name] * times[name].over(times[OURS]),
            "apart": apart[name],
            "visited": work / (STEPS * task.samples) if name == OURS else float(task.mixture.N),
        }
        for name in calls
    ]


def _work(route: Route, call: Callable[[], object]) -> float:
    """Modes and lattice points, in whatever precision, that a run looks at."""
    counted: Any = route
    counted.work[:] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StartWarning)
        call()
    last = 2 if route.name == "smoothed" else 3  # beyond stand the exponentials
    return float(counted.work[:last].sum())


def measure(small: bool) -> dict[str, Any]:
    """All tasks."""
    return {"rows": [row for task in tasks(small) for row in of_task(task, small)]}


def conclude(result: harness.Result) -> str:
    """Seconds of ours, and every other in its place."""
    said = []
    for name in dict.fromkeys(row["task"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["task"] == name]
        others = ", ".join(f"{row['contender']} {row['ratio']:.3g}" for row in rows[1:])
        said.append(f"on {name} {rows[0]['median']:.3g} s (times as long: {others})")
    return f"DDIM-{STEPS} takes {'; '.join(said)}."


BENCHMARK = harness.Benchmark(
    question="What does the exact score of a data set cost, against summing every mode?",
    measure=measure,
    conclude=conclude,
    columns={
        "task": "task",
        "contender": "contender",
        "median": "s, the run",
        "low": "min",
        "high": "max",
        "ratio": "times ours",
        "visited": "modes or points a step",
        "apart": "eps apart",
    },
)

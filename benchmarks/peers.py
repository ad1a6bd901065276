"""The same work done otherwise: DDIM and DDPM with the exact score in NumPy, torch and JAX.

Every peer runs the plan of a mixdyn sampler, x_s = c_x x + c_eps eps + c_noise xi, in float64, and
is written as well as its library allows; `torch, the papers' way` is written as both papers
evaluate the score: a softmax over the modes of the whole batch. `block` rows are computed at a
time, so that intermediate arrays stay in the cache; None means the whole batch at once.
"""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import dataclasses
import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from mixdyn import DDIM, DDPM, GaussianMixture, NoiseSchedule
from mixdyn.support.checks import Array

Run = Callable[[Array], Array]  # starting states (n, d) -> final states (n, d)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A mixture of one sigma and equal weights, and the plan of a sampler: rows (alpha_t,
    noise_var_t, var_t, c_x, c_eps, c_noise), var_t the variance of a mode in x units."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    sampler: DDIM | DDPM

    @functools.cached_property
    def steps(self) -> Array:
        """(S, 6)."""
        grid = self.sampler.grid(self.schedule)
        t = grid.times[:-1]
        alpha, nu = self.schedule.alpha[t], self.schedule.noise_var[t]
        var = self.schedule.alpha_bar[t] * float(self.mixture.sigmas[0]) ** 2 + nu
        coefficients = self.sampler.plan(self.schedule, grid).eps_form()
        return np.column_stack([alpha, nu, var, *coefficients])


def installed(package: str) -> bool:
    """Whether a peer can be measured here."""
    return importlib.util.find_spec(package) is not None


def in_blocks(run: Run, block: int | None) -> Run:
    """`run` on `block` rows at a time."""
    if block is None:
        return run

    def whole(x: Array) -> Array:
        return np.concatenate([run(x[k : k + block]) for k in range(0, len(x), block)])

    return whole


# -- NumPy ---------------------------------------------------------------------------------------


def matrix_squares(x: Array, mu: Array) -> Array:
    """|x - mu|^2 (n, N) as |x|^2 - 2 x.mu + |mu|^2, through BLAS; cancels near a mode."""
    return np.square(x).sum(1)[:, None] - 2.0 * x @ mu.T + np.square(mu).sum(1)


def difference_squares(x: Array, mu: Array) -> Array:
    """|x - mu|^2 (n, N) from the differences (n, N, d)."""
    return np.square(x[:, None, :] - mu).sum(-1)


def numpy_eps(x: Array, mu: Array, nu: float, var: float, squares: Callable[..., Array]) -> Array:
    """Noise prediction (n, d) by a stable softmax over modes at mu (N, d)."""
    logit = squares(x, mu)
    logit *= -0.5 / var
    logit -= logit.max(1, keepdims=True)
    gamma = np.exp(logit, out=logit)
    gamma /= gamma.sum(1, keepdims=True)
    return np.sqrt(nu) / var * (x - gamma @ mu)


def numpy_rollout(problem: Problem, squares: Callable[..., Array]) -> Run:
    """The plan in NumPy."""
    rng = np.random.default_rng(0)

    def run(x: Array) -> Array:
        for alpha, nu, var, c_x, c_eps, c_noise in problem.steps:
            eps = numpy_eps(x, alpha * problem.mixture.means, nu, var, squares)
            x = c_x * x + c_eps * eps
            if c_noise:
                x += c_noise * rng.standard_normal(x.shape)
        return x

    return run


# -- torch ---------------------------------------------------------------------------------------


def torch_eps(x: Any, mu: Any, nu: float, var: float) -> Any:
    """Noise prediction (n, d) as the papers compute it: responsibilities by a softmax over modes,
    then their mean of the modes' scores."""
    import torch

    difference = mu - x[:, None, :]
    gamma = torch.softmax(difference.square().sum(-1) / (-2.0 * var), dim=1)
    score = (gamma[:, :, None] * difference / var).sum(1)
    return -(nu**0.5) * score


def torch_rollout(problem: Problem) -> Run:
    """The plan in torch, float64."""
    import torch

    means = torch.from_numpy(problem.mixture.means.copy())
    steps = [[float(value) for value in row] for row in problem.steps]

    @torch.inference_mode()
    def run(x: Array) -> Array:
        state = torch.from_numpy(x)
        for alpha, nu, var, c_x, c_eps, c_noise in steps:
            state = c_x * state + c_eps * torch_eps(state, alpha * means, nu, var)
            if c_noise:
                state += c_noise * torch.randn_like(state)
        return state.numpy()  # type: ignore[no-any-return]

    return run


# -- JAX -----------------------------------------------------------------------------------------


def jax_eps(x: Any, mu: Any, nu: Any, var: Any) -> Any:
    """Noise prediction (n, d) from arrays of the coordinates, which XLA fuses into one loop."""
    import jax.numpy as jnp

    difference = [mu[:, j] - x[:, j, None] for j in range(x.shape[1])]
    logit = sum(u * u for u in difference) * (-0.5 / var)
    e = jnp.exp(logit - logit.max(1, keepdims=True))
    pull = jnp.stack([(e * u).sum(1) for u in difference], axis=1)
    return -jnp.sqrt(nu) / var * pull / e.sum(1)[:, None]


def jax_rollout(problem: Problem) -> Run:
    """The plan in JAX, float64: one compiled scan over the steps."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    means, steps = jnp.asarray(problem.mixture.means), jnp.asarray(problem.steps)
    noisy = bool(problem.steps[:, 5].any())

    def advance(carry: Any, row: Any) -> Any:
        x, key = carry
        alpha, nu, var, c_x, c_eps, c_noise = row
        x = c_x * x + c_eps * jax_eps(x, alpha * means, nu, var)
        if noisy:
            key, own = jax.random.split(key)
            x = x + c_noise * jax.random.normal(own, x.shape, dtype=x.dtype)
        return (x, key), None

    @jax.jit
    def rollout(x: Any) -> Any:
        return jax.lax.scan(advance, (x, jax.random.key(0)), steps)[0][0]

    return lambda x: np.asarray(rollout(x))

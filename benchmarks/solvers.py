"""The probability-flow ODE and the reverse SDE against general solvers.

Static coordinates y = x/alpha and u = (1/2) log(v_0/v): dy/du = m(y, v) - y and dy = 2 (m - y) du +
sqrt(2 v) dB (arXiv 2605.06831 v1, Lemmas G.1 and G.2). Fixed-step contenders take
the same steps, with the evaluations that their method needs. The adaptive ones take the same
tolerance and choose their steps: SciPy holds it in the mean over all samples, mixdyn for the worst
of them, which takes more. Peers get the field in their library's own arrays, mixdyn its kernels.
"""

# ruff: noqa: PLC0415 (what only some benchmarks need is imported where it is used)
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mixdyn import integrate_ode, integrate_sde
from mixdyn.problem import presets
from mixdyn.solvers.integrators import DormandPrince, EulerMaruyama, RungeKutta
from mixdyn.solvers.tableaus import RK4
from mixdyn.support.checks import Array
from mixdyn.support.provenance import usable_cores

from . import harness, peers
from .throughput import set_up_torch

V_FROM, V_TO = 100.0, 1e-3
LENGTH = 0.5 * math.log(V_FROM / V_TO)  # of the interval in u
TOLERANCE = 1e-6
MEANS = presets.grid().means
_CHECK = 0.02  # largest median distance between end points of one ODE by two solvers

Solve = Callable[[], tuple[Any, int | None]]  # final states (n, d), evaluations


def v_of(u: float) -> float:
    """Effective variance at u."""
    return V_FROM * math.exp(-2.0 * u)


def numpy_pull(y: Array, v: float) -> Array:
    """m(y, v) - y, (n, d)."""
    logit = peers.matrix_squares(y, MEANS) * (-0.5 / v)
    gamma = np.exp(logit - logit.max(1, keepdims=True))
    return gamma @ MEANS / gamma.sum(1, keepdims=True) - y


def torch_pull(y: Any, v: Any) -> Any:
    """m(y, v) - y as a tensor, by a softmax over modes."""
    import torch

    means = torch.from_numpy(MEANS.copy())
    gamma = torch.softmax((y[:, None, :] - means).square().sum(-1) / (-2.0 * v), dim=1)
    return gamma @ means - y


def ode_by_mixdyn(y: Array, steps: int) -> Solve:
    """RK4 with mixdyn's kernels."""
    v = V_FROM * (V_TO / V_FROM) ** np.linspace(0.0, 1.0, steps + 1)

    def solve() -> tuple[Array, int]:
        found = integrate_ode(presets.grid(), y, v, RungeKutta(RK4))
        return found.y, found.n_eval

    return solve


def adaptive_by_mixdyn(y: Array) -> Solve:
    """Dormand-Prince with mixdyn's kernels."""
    solver = DormandPrince(rtol=TOLERANCE, atol=TOLERANCE)

    def solve() -> tuple[Array, int]:
        found = integrate_ode(presets.grid(), y, [V_FROM, V_TO], solver)
        return found.y, found.n_eval

    return solve


def ode_by_scipy(y: Array) -> Solve:
    """SciPy's RK45 on the whole batch as one system."""
    from scipy.integrate import solve_ivp

    def slope(u: float, flat: Array) -> Array:
        return numpy_pull(flat.reshape(y.shape), v_of(u)).ravel()

    def solve() -> tuple[Array, int]:
        done = solve_ivp(slope, (0.0, LENGTH), y.ravel(), rtol=TOLERANCE, atol=TOLERANCE)
        return done.y[:, -1].reshape(y.shape), int(done.nfev)

    return solve


def ode_by_torchdiffeq(y: Array, steps: int) -> Solve:
    """torchdiffeq's rk4 (the 3/8 rule: order and evaluations of the classical one), same grid."""
    import torch
    from torchdiffeq import odeint

    times = torch.linspace(0.0, LENGTH, steps + 1, dtype=torch.float64)
    start, count = torch.from_numpy(y), [0]

    def slope(u: Any, state: Any) -> Any:
        count[0] += 1
        return torch_pull(state, V_FROM * torch.exp(-2.0 * u))

    def solve() -> tuple[Array, int]:
        count[0] = 0
        with torch.inference_mode():
            return odeint(slope, start, times, method="rk4")[-1].numpy(), count[0]

    return solve


def ode_by_diffrax(y: Array, steps: int) -> Solve:
    """diffrax has no RK4: its Dopri5 with constant steps, 6 evaluations each."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    means = jnp.asarray(MEANS)

    def slope(u: Any, state: Any, _: Any) -> Any:
        square = sum((state[:, j, None] - means[:, j]) ** 2 for j in range(means.shape[1]))
        gamma = jax.nn.softmax(square / (-2.0 * V_FROM * jnp.exp(-2.0 * u)), axis=1)
        return gamma @ means - state

    @jax.jit
    def run(state: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(slope), diffrax.Dopri5(), 0.0, LENGTH, LENGTH / steps, state,
            stepsize_controller=diffrax.ConstantStepSize(), max_steps=steps + 8,
        ).ys[-1]  # fmt: skip

    return lambda: (np.asarray(run(y)), 6 * steps + 1)


def sde_by_mixdyn(y: Array, steps: int) -> Solve:
    """Euler-Maruyama with mixdyn's kernels and counter-based noise."""
    v = V_FROM * (V_TO / V_FROM) ** np.linspace(0.0, 1.0, steps + 1)

    def solve() -> tuple[Array, int]:
        found = integrate_sde(presets.grid(), y, v, EulerMaruyama(), rng=0)
        return found.y, found.n_eval

    return solve


def sde_by_torchsde(y: Array, steps: int) -> Solve:
    """torchsde's Euler with diagonal noise and its default Brownian interval."""
    import torch
    import torchsde

    class Reverse(torch.nn.Module):  # type: ignore[misc]
        noise_type, sde_type = "diagonal", "ito"

        def f(self, u: Any, state: Any) -> Any:
            return 2.0 * torch_pull(state, V_FROM * torch.exp(-2.0 * u))

        def g(self, u: Any, state: Any) -> Any:
            return torch.sqrt(2.0 * V_FROM * torch.exp(-2.0 * u)).expand_as(state)

    start, times = torch.from_numpy(y), torch.tensor([0.0, LENGTH], dtype=torch.float64)
    # A hair too long, so that rounding leaves no last step of 1e-16, on which torchsde's Brownian
    # tree halves intervals for minutes.
    dt = LENGTH / steps * (1.0 + 1e-12)

    def solve() -> tuple[Array, int]:
        with torch.inference_mode():
            path = torchsde.sdeint(Reverse(), start, times, dt=dt, method="euler")
        return path[-1].numpy(), steps

    return solve


def contenders(y: Array, steps: int) -> dict[str, dict[str, Solve]]:
    """By task; the first of each is the one that the others are set against."""
    ode = {"mixdyn, RK4": ode_by_mixdyn(y, steps)}
    adaptive = {
        "mixdyn, Dormand-Prince": adaptive_by_mixdyn(y),
        "SciPy, solve_ivp RK45": ode_by_scipy(y),
    }
    sde = {"mixdyn, Euler-Maruyama": sde_by_mixdyn(y, steps)}
    if peers.installed("torchdiffeq"):
        ode["torchdiffeq, rk4"] = ode_by_torchdiffeq(y, steps)
    if peers.installed("diffrax"):
        ode["diffrax, Dopri5 at constant steps"] = ode_by_diffrax(y, steps)
    if peers.installed("torchsde"):
        sde["torchsde, euler"] = sde_by_torchsde(y, steps)
    return {"ODE, fixed steps": ode, "ODE, adaptive": adaptive, "reverse SDE": sde}


def race(task: str, solves: dict[str, Solve], rounds: int) -> list[dict[str, Any]]:
    """Seconds and evaluations of every contender; ODE end points must agree."""
    ends = {name: solve() for name, solve in solves.items()}
    first = next(iter(solves))
    times = harness.race(solves, rounds)
    rows = []
    for name, (end, n_eval) in ends.items():
        apart = float(np.median(np.abs(np.asarray(end) - np.asarray(ends[first][0])).max(1)))
        if task.startswith("ODE") and not apart < _CHECK:
            raise RuntimeError(f"{name} and {first} end {apart:.3g} apart: not the same work")
        ratio = times[name].over(times[first])
        shown = apart if task.startswith("ODE") else None  # two noises end apart anyway
        row = {"task": task, "contender": name, "evaluations": n_eval, "apart": shown}
        rows.append(row | {**times[name].row(1e3), "ratio": ratio})
    return rows


def measure(small: bool) -> dict[str, Any]:
    """All tasks from the same starting states."""
    set_up_torch(1 if small else usable_cores())
    n, steps, rounds = (200, 40, 1) if small else (5_000, 100, 3)
    y = math.sqrt(V_FROM) * np.random.default_rng(0).standard_normal((n, 2))
    rows = []
    for task, solves in contenders(y, steps).items():
        rows += race(task, solves, rounds)
    absent = [name for name in ("torchdiffeq", "torchsde", "diffrax") if not peers.installed(name)]
    notes = [f"{name} is not installed here and was not measured." for name in absent]
    return {"rows": rows, "samples": n, "steps": steps, "notes": notes}


def conclude(result: harness.Result) -> str:
    """The lead over each peer."""
    leads = [
        f"{row['ratio']:.3g} times as fast as {row['contender']}"
        for row in result["rows"]
        if not row["contender"].startswith("mixdyn")
    ]
    return f"On {result['samples']:,} samples mixdyn's solvers are {', '.join(leads)}."


BENCHMARK = harness.Benchmark(
    question="What do general ODE and SDE solvers cost on the same problem?",
    measure=measure,
    conclude=conclude,
    columns={
        "task": "task",
        "contender": "contender",
        "evaluations": "evaluations",
        "median": "ms",
        "low": "min",
        "high": "max",
        "ratio": "times ours",
        "apart": "end points apart",
    },
)

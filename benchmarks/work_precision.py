"""Which integrator of the probability-flow ODE reaches an accuracy with the fewest evaluations?"""

# ruff: noqa: PLC0415 (matplotlib is imported where a figure is drawn)
from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mixdyn import DDIM, ProbabilityFlow, integrate_ode, sample
from mixdyn.solvers.field import MixtureField
from mixdyn.solvers.integrators import (
    DormandPrince,
    ExponentialEuler,
    ExponentialMidpoint,
    ExponentialMultistep,
    OdeMethod,
    euler,
    heun,
    rk4,
)

from . import harness
from .problems import SCHEDULE, Problem, nodes, problems

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVALUATIONS = (8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 200, 500, 1000)  # RK4 takes four a step
SHOWN = (20, 48, 200, 1000)
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
TARGET = 0.01  # of sigma
OURS = "ProbabilityFlow"
Run = Callable[[Problem, int], tuple[np.ndarray, int]]


def _static(method: Callable[[], OdeMethod], per_step: int) -> Run:
    """A method in y = x/alpha on steps even in log v, given so many evaluations."""

    def run(problem: Problem, evaluations: int) -> tuple[np.ndarray, int]:
        y = problem.x / SCHEDULE.alpha[SCHEDULE.T]
        v = nodes(problem.mixture, max(1, evaluations // per_step))
        solution = integrate_ode(problem.mixture, y, v, method())
        return solution.y, solution.n_eval

    return run


def _in_x(order: int) -> Run:
    """Euler, Heun or RK4 in x on even steps of the schedule's time, log alpha_bar linear between
    whole times: dx/dt = -beta/2 (x + score)."""
    stages: dict[int, list[tuple[float, float]]] = {
        1: [(0.0, 1.0)],
        2: [(0.0, 0.5), (1.0, 0.5)],
        4: [(0.0, 1 / 6), (0.5, 1 / 3), (0.5, 1 / 3), (1.0, 1 / 6)],
    }

    def run(problem: Problem, evaluations: int) -> tuple[np.ndarray, int]:
        steps = max(1, evaluations // order)
        slope = _slope_in_x(problem)
        x, h = problem.x.copy(), SCHEDULE.T / steps
        for k in range(steps):
            now, total, last = SCHEDULE.T - k * h, np.zeros_like(x), np.zeros_like(x)
            for share, weight in stages[order]:
                last = slope(x - share * h * last, max(now - share * h, 0.0))
                total += weight * last
            x = x - h * total
        return x, order * steps

    return run


def _slope_in_x(problem: Problem) -> Callable[[np.ndarray, float], np.ndarray]:
    field, times = MixtureField(problem.mixture), np.arange(SCHEDULE.T + 1)
    log_abar = SCHEDULE.log_alpha_bar

    def slope(x: np.ndarray, t: float) -> np.ndarray:
        value = float(np.interp(t, times, log_abar))
        above = min(max(math.ceil(t), 1), SCHEDULE.T)
        beta = float(log_abar[above - 1] - log_abar[above])
        alpha, v = math.exp(0.5 * value), problem.v_to + math.expm1(-value)
        return -0.5 * beta * (x + field.pull(x / alpha, v) / (v * alpha))

    return slope


def _sampler(make: Callable[[int], Any]) -> Run:
    def run(problem: Problem, evaluations: int) -> tuple[np.ndarray, int]:
        drawn = sample(problem.mixture, SCHEDULE, make(evaluations), x=problem.x, rng=0)
        return np.asarray(drawn.x), int(drawn.n_eval)

    return run


METHODS: dict[str, Run] = {
    OURS: _sampler(ProbabilityFlow),
    "DDIM, log SNR": _sampler(lambda steps: DDIM(steps, "log_snr")),
    "DDIM, even": _sampler(lambda steps: DDIM(steps, "uniform")),
    "Euler in x": _in_x(1),
    "Heun in x": _in_x(2),
    "RK4 in x": _in_x(4),
    "Euler": _static(euler, 1),
    "Heun": _static(heun, 2),
    "RK4": _static(rk4, 4),
    "exponential 1": _static(ExponentialEuler, 1),
    "exponential midpoint": _static(ExponentialMidpoint, 2),
    "exponential multistep 2": _static(lambda: ExponentialMultistep(2), 1),
    "exponential multistep 3": _static(lambda: ExponentialMultistep(3), 1),
    "exponential multistep 4": _static(lambda: ExponentialMultistep(4), 1),
}
_ADAPTIVE = "Dormand-Prince 5(4)"


def _curve(problem: Problem, name: str, small: bool) -> list[dict[str, float]]:
    points = []
    if name == _ADAPTIVE:
        y = problem.x / SCHEDULE.alpha[SCHEDULE.T]
        for rtol in TOLERANCES[:2] if small else TOLERANCES:
            method = DormandPrince(rtol, rtol * problem.mixture.sigma)
            found = integrate_ode(problem.mixture, y, nodes(problem.mixture, 1), method)
            points.append({"evaluations": found.n_eval, **problem.summary(found.y)})
        return points
    for evaluations in EVALUATIONS[:4] if small else EVALUATIONS:
        with np.errstate(over="ignore", invalid="ignore"):
            x, used = _finite(METHODS[name], problem, evaluations)
        points.append({"evaluations": used, **problem.summary(x)})
    return points


def _finite(run: Run, problem: Problem, evaluations: int) -> tuple[np.ndarray, int]:
    """What a method returns; states that blew up are set a million sigma away."""
    x, used = run(problem, evaluations)
    far = problem.end + 1e6 * problem.mixture.sigma
    gap = np.abs(x - problem.end) < 1e6 * problem.mixture.sigma
    return np.where(gap.all(axis=1, keepdims=True), x, far), used


def _reached(curve: list[dict[str, float]]) -> float | None:
    """The fewest evaluations whose median error is at most TARGET."""
    enough = [point["evaluations"] for point in curve if point["median"] <= TARGET]
    return min(enough) if enough else None


def measure(small: bool) -> dict[str, Any]:
    """Errors of every method on every problem over the number of evaluations."""
    rows, curves = [], {}
    for problem in problems(50 if small else 2_000):
        for name in (*METHODS, _ADAPTIVE):
            curve = _curve(problem, name, small)
            by_work = {int(point["evaluations"]): point for point in curve}
            row: dict[str, Any] = {"contender": name, "problem": problem.name}
            row |= {f"at_{n}": by_work[n]["median"] if n in by_work else None for n in SHOWN}
            at_48 = by_work.get(48)
            row |= {"lost_48": at_48["lost"] if at_48 else None, "reach": _reached(curve)}
            rows.append(row)
            curves[f"{problem.name}: {name}"] = curve
    return {"rows": rows, "curves": curves, "target": TARGET}


def conclude(result: harness.Result) -> str:
    """Evaluations to the target, ours against DDIM and the best of the others, by problem."""
    parts = []
    for name in dict.fromkeys(row["problem"] for row in result["rows"]):
        reach = {r["contender"]: r["reach"] for r in result["rows"] if r["problem"] == name}
        rivals = {
            key: value
            for key, value in reach.items()
            if value is not None and key != OURS and "multistep" not in key
        }
        best = min(rivals, key=rivals.__getitem__, default=None)
        text = f"{name}: {reach[OURS] or 'more than measured'}"
        text += f" (DDIM {reach['DDIM, log SNR'] or 'never, up to ' + str(EVALUATIONS[-1])}"
        parts.append(f"{text}, {best} {rivals[best]})" if best else f"{text})")
    return (
        f"Evaluations that ProbabilityFlow needs to a median error of {result['target']:g} sigma: "
        f"{'; '.join(parts)}."
    )


COLUMNS = {
    "contender": "method",
    "problem": "problem",
    **{f"at_{n}": f"{n} eval." for n in SHOWN},
    "lost_48": "lost at 48",
    "reach": f"to {TARGET:g} sigma",
}


def draw(result: harness.Result) -> Figure:
    """Median error over evaluations, a panel for each problem."""
    from . import style

    names = list(dict.fromkeys(row["problem"] for row in result["rows"]))
    shown = [OURS, "DDIM, log SNR", "RK4 in x", "Heun", "RK4", "exponential 1"]
    shown += ["exponential multistep 2", _ADAPTIVE]
    figure, axes = style.new_figure(len(names), width=11.0, height=4.0)
    for ax, name in zip(axes, names, strict=True):
        for k, method in enumerate(shown):
            curve = result["curves"][f"{name}: {method}"]
            work = [point["evaluations"] for point in curve]
            ax.plot(work, [point["median"] for point in curve], label=method, **style.look(k))
        ax.axhline(result["target"], color="#767676", lw=0.8)
        ax.set(xscale="log", yscale="log", xlabel="evaluations", title=name, ylim=(1e-7, 3e2))
    axes[0].set_ylabel("median error, sigma")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    return figure


BENCHMARK = harness.Benchmark(
    question="Which integrator of the probability-flow ODE reaches an accuracy with the fewest "
    "evaluations?",
    measure=measure,
    conclude=conclude,
    columns=COLUMNS,
    draw=draw,
)

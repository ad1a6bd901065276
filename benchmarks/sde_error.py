"""How far is a discretised reverse diffusion from the exact one, in law and path by path?"""

# ruff: noqa: PLC0415 (matplotlib is imported where a figure is drawn)
from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mixdyn import DDIM, ExactReverse, GaussianMixture, TimeGrid, integrate_sde, sample
from mixdyn.problem.noise import standard_normals
from mixdyn.solvers.integrators import EulerMaruyama, ExponentialSde, SdeMethod

from . import harness
from .problems import SCHEDULE, mixtures, nodes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = (5, 10, 20, 50, 100, 200, 1000)
SHOWN = (20, 100, 1000)
FINEST = 3000  # steps of the Brownian path that strong errors share
STRONG_STEPS = (10, 30, 100, 300, 1000)
Draw = Callable[[GaussianMixture, np.ndarray, int], np.ndarray]


def _static(method: SdeMethod) -> Draw:
    def run(mixture: GaussianMixture, x: np.ndarray, steps: int) -> np.ndarray:
        y = x / SCHEDULE.alpha[SCHEDULE.T]
        return integrate_sde(mixture, y, nodes(mixture, steps), method, rng=3).y

    return run


def _euler_maruyama_in_x(mixture: GaussianMixture, x: np.ndarray, steps: int) -> np.ndarray:
    """x <- x + h (x/2 + score) + sqrt(h) xi on even times, h = log(alpha_bar_s/alpha_bar_t)."""
    grid = TimeGrid.uniform(SCHEDULE.T, steps)
    x = x.copy()
    for t, s in grid.pairs:
        h = float(SCHEDULE.log_alpha_bar[s] - SCHEDULE.log_alpha_bar[t])
        at = mixture.diffused(float(SCHEDULE.alpha_bar[t]), noise_var=float(SCHEDULE.noise_var[t]))
        xi = standard_normals(3, len(x), x.shape[1], t)
        x += h * (0.5 * x + at.score(x)) + math.sqrt(h) * xi
    return x


def _ancestral(spacing: str) -> Draw:
    def run(mixture: GaussianMixture, x: np.ndarray, steps: int) -> np.ndarray:
        sampler = DDIM(steps, spacing, eta=1.0)  # type: ignore[arg-type]
        return np.asarray(sample(mixture, SCHEDULE, sampler, x=x, rng=3).x)

    return run


def _exact(mixture: GaussianMixture, x: np.ndarray, steps: int) -> np.ndarray:
    grid = TimeGrid.log_snr(SCHEDULE, steps)
    return np.asarray(sample(mixture, SCHEDULE, ExactReverse(grid), x=x, rng=3).x)


EXACT = "ExactReverse"
METHODS: dict[str, Draw] = {
    EXACT: _exact,
    "exponential": _static(ExponentialSde()),
    "Euler-Maruyama": _static(EulerMaruyama()),
    "Euler-Maruyama in x": _euler_maruyama_in_x,
    "DDPM ancestral, log SNR": _ancestral("log_snr"),
    "DDPM ancestral, even": _ancestral("uniform"),
}


def law_error(mixture: GaussianMixture, x: np.ndarray) -> dict[str, float]:
    """Distance of samples from the law of the data, which the exact reverse diffusion returns.

    weights : total variation of the shares of nearest modes. spread : |log(rms/sigma)|, rms the
    root mean square deviation from the nearest mode of those within 8 sigma sqrt(d). away : share
    beyond.
    """
    square, mode = np.full(len(x), np.inf), np.zeros(len(x), int)
    for k, mu in enumerate(mixture.means):
        to_k = np.square(x - mu).sum(axis=1)
        mode[to_k < square] = k
        square = np.minimum(square, to_k)
    share = np.bincount(mode, minlength=mixture.N) / len(x)
    near = square <= 64 * mixture.d * mixture.sigma**2
    rms = math.sqrt(float(square[near].mean()) / mixture.d) if near.any() else math.inf
    return {
        "weights": 0.5 * float(np.abs(share - mixture.weights).sum()),
        "spread": abs(math.log(rms / mixture.sigma)) if near.any() else math.inf,
        "away": float(1 - near.mean()),
    }


def strong_error(mixture: GaussianMixture, method: SdeMethod, n: int, finest: int) -> list[Any]:
    """Median distance in sigma from the finest run of the exponential scheme on one Brownian path,
    over numbers of steps that divide `finest`."""
    start = mixture.sample(n, 5) + math.sqrt(SCHEDULE.rho[SCHEDULE.T]) * np.random.default_rng(
        6
    ).standard_normal((n, mixture.d))
    fine = nodes(mixture, finest)
    truth = integrate_sde(mixture, start, fine, ExponentialSde(), rng=4).y
    points = []
    for steps in STRONG_STEPS:
        if finest % steps == 0 and steps < finest:
            v = fine[:: finest // steps]
            end = integrate_sde(mixture, start, v, method, rng=4, fine=fine).y
            gap = np.linalg.norm(end - truth, axis=1) / mixture.sigma
            points.append({"steps": steps, "median": float(np.median(gap))})
    return points


def measure(small: bool) -> dict[str, Any]:
    """Weak errors of every method and strong errors of the two schemes in static coordinates."""
    n = 400 if small else 5_000
    rows, weak, strong = [], {}, {}
    for name, mixture in mixtures().items():
        clean = mixture.sample(n, 1)
        noise = np.random.default_rng(2).standard_normal(clean.shape)
        x = SCHEDULE.alpha[SCHEDULE.T] * clean + math.sqrt(SCHEDULE.noise_var[SCHEDULE.T]) * noise
        floor = law_error(mixture, mixture.sample(n, 7))
        for method, draw_samples in METHODS.items():
            curve = []
            # Exact draws are exact in any number of steps: a few will do.
            for steps in STEPS[:3] if small or method == EXACT else STEPS:
                curve.append(
                    {"steps": steps, **law_error(mixture, draw_samples(mixture, x, steps))}
                )
            weak[f"{name}: {method}"] = curve
            row: dict[str, Any] = {"contender": method, "problem": name}
            at = {point["steps"]: point for point in curve}
            for steps, key in itertools.product(SHOWN, ("weights", "spread")):
                row[f"{key}_{steps}"] = at[steps][key] if steps in at else None
            rows.append(row | {"floor": floor["weights"]})
        for scheme in (ExponentialSde(), EulerMaruyama()):
            key = f"{name}: {type(scheme).__name__}"
            strong[key] = strong_error(mixture, scheme, 400, 60 if small else FINEST)
    return {"rows": rows, "weak": weak, "strong": strong, "n": n}


def conclude(result: harness.Result) -> str:
    """The spread at 100 steps (20 if small) of each scheme, and the strong gain."""
    rows = [row for row in result["rows"] if row["contender"] != EXACT]
    steps = next(s for s in (100, 20) if rows[0][f"spread_{s}"] is not None)
    first = rows[0]["problem"]
    spread = {r["contender"]: r[f"spread_{steps}"] for r in rows if r["problem"] == first}
    strong = result["strong"]
    ratio = [
        strong[f"{first}: EulerMaruyama"][k]["median"] / point["median"]
        for k, point in enumerate(strong[f"{first}: ExponentialSde"])
    ]
    listed = ", ".join(f"{name} {value:.2g}" for name, value in spread.items())
    return (
        f"On the {first} with {steps} steps the log of the spread within modes is off by {listed}; "
        f"path by path the exponential scheme errs {min(ratio):.2g} to {max(ratio):.2g} times less "
        "than Euler-Maruyama on the same steps; only ExactReverse has no error of its own."
    )


COLUMNS = {
    "contender": "method",
    "problem": "problem",
    **{
        f"{key}_{steps}": f"{key}, {steps}"
        for steps, key in itertools.product(SHOWN, ("weights", "spread"))
    },
    "floor": "weights, exact draws",
}


def draw(result: harness.Result) -> Figure:
    """Spread and strong error over the number of steps, on the first problem."""
    from . import style

    figure, axes = style.new_figure(2, width=9.0, height=4.0)
    first = result["rows"][0]["problem"]
    for k, method in enumerate(METHODS):
        # Without a sample in a mode there is no spread: NaN as measured, None in a saved result.
        curve = [p for p in result["weak"][f"{first}: {method}"] if p["spread"] is not None]
        values = [max(point["spread"], 1e-5) for point in curve]
        axes[0].plot([point["steps"] for point in curve], values, label=method, **style.look(k))
    for k, scheme in enumerate(("ExponentialSde", "EulerMaruyama"), start=1):
        curve = result["strong"][f"{first}: {scheme}"]
        values = [point["median"] for point in curve]
        axes[1].plot([point["steps"] for point in curve], values, label=scheme, **style.look(k))
    axes[0].set(title=f"{first}: law", ylabel="|log(spread/sigma)|")
    axes[1].set(title=f"{first}: one Brownian path", ylabel="median distance, sigma")
    for ax in axes:
        ax.set(xscale="log", yscale="log", xlabel="steps")
    # The panel on the right shows two of them, in the same looks.
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    return figure


BENCHMARK = harness.Benchmark(
    question="How far is a discretised reverse diffusion from the exact one, in law and path by "
    "path?",
    measure=measure,
    conclude=conclude,
    columns=COLUMNS,
    draw=draw,
)

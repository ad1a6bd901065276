r"""What the last step does to the spread of a mode.

Statement: While one mode owns the state, every step of DDIM($\eta$) and DDPM from $\rho_t$ to
    $\rho_s = q \rho_t$ is linear in $y$ around the mode and turns its variance into
    $V_s = c^2 V_t + \eta^2 \rho_s (1-q)$ with
    $c = \big(\sigma^2 + \sqrt{\rho_t \rho_s (1 - \eta^2 (1-q))}\big)/v_t$. The last step multiplies
    the standard deviation by $\sigma^2/v_1$, so that with the exact score none of them returns
    $\sigma$. Of a mode that is not isotropic each direction of its covariance has the recursion of
    its own variance.
Hypotheses:
    - owned: at the starting time other modes have responsibilities below e^-30, out to 6.5
      standard deviations from the mode.
Measured: runs of DDPM, DDIM and DDIM with $\eta$ = 0.5 from exact states of one mode (that of the
    smallest and that of the largest sigma) at the last time at which it is owned: the
    spread at the end, how far two starts with common noise end apart, and the last two states.
Predicted: the recursion; for the spread to within the chi-square quantiles of probability 1e-8,
    which are within 20 % of it however large the problem.
Evidence: sampled. In a table whole runs from noise, where coarse steps taken before one mode owns
    the state add to the spread: the recursion is their limit, not their law.
Source: our result on the samplers of arXiv 2605.06831 v1, Appendix F
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.problem.spectrum import eigenpairs
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import POWER
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import proper
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.covariances import matrices
from verify.measure.paths import ddim_grid, recursion_end

CLAIM = Claim.from_docstring(
    __doc__,
    id="X7",
    short="the last step",
    needs=(proper,),
    rests_on={"G.1": "the denoiser within one mode"},
    derivation="derivations/samplers/linear_recursion.py",
    does_not_show=(
        "The spread of whole runs with coarse steps: before one mode owns the state their error is "
        "of another kind, and only the table measures it."
    ),
)

MISS = 1e-8
REACH = 6.5  # standard deviations up to which a state counts as its mode's
LOG_OWNED = 30.0
ETA = 0.5
_LEAST_VALUES = 500  # states times coordinates: their chi-square quantiles lie within 20 %


@dataclass(frozen=True)
class Run:
    """One sampler in one mode; values in static coordinates around the mode.

    std (d,): of the mode, along the directions of the values. times: its grid. start (n, d), before
    (n, d), end (n, d): states at its first node, at its last noisy one and at time 0. moved_end
    (n, d): the end from half the start with the same noise.
    """

    name: str
    eta: float
    mode: int
    std: Array
    times: IntArray
    start: Array
    before: Array
    end: Array
    moved_end: Array


@CLAIM.sampled(unit="values")
def recursion(case: Case, **constants: float) -> Iterator[Part]:
    """The samplers against the recursion. constants: those of `sides`."""
    t, slack = owned_from(case)
    yield Hypothesis("owned", float(t >= 1), 0.0 if t >= 1 else -slack)
    if t < 1:
        yield (
            f"At no noisy time are the modes far enough apart, by {-slack:.3g} standard deviations "
            "at time 1, to tell that one of them owns its states out to "
            f"{REACH} standard deviations."
        )
        return
    runs = case.memo("X7 runs", lambda: runs_from(case, t))
    for run in runs:
        yield from sides(case, run, **constants)
    yield _note(runs)
    factor = _last_factor(case)
    yield {"starting time": t, "σ²/v_1": factor, "σ/√v_1": factor**0.5}
    if case.mixture.covariance is None:
        yield lambda: _whole_runs(case)


CLAIM.must_fail(recursion, "η smaller by 10 %", eta=0.9)
CLAIM.must_fail(recursion, "η in place of η² in the noise's variance", noise_power=1.0)
CLAIM.must_fail(recursion, "last step by σ/√v_1", last_power=0.5)
CLAIM.must_fail(recursion, "last step by (1 + 2e-8) σ²/v_1", last=1.0 + 2e-8)


def sides(
    case: Case,
    run: Run,
    eta: float = 1.0,
    noise_power: float = 2.0,
    last: float = 1.0,
    last_power: float = 1.0,
) -> Iterator[Side]:
    """The spread, the common noise and the last step of one run. eta: a factor on η; noise_power:
    the power of η that the noise's variance has; last: a factor on the last step; last_power: that
    of σ²/v_1 in it."""
    sigma, rho = float(run.std[0]), case.schedule.rho
    if (run.std != sigma).any():
        yield from _directions(case, run, eta, noise_power, (last, last_power))
        return
    gain, end_std = _recursion(case, run.times, sigma, eta * run.eta)
    if run.eta > 0.0:
        noise = end_std**2 - gain**2 * (sigma**2 + float(rho[run.times[0]]))
        end_std = math.sqrt(end_std**2 + (run.eta ** (noise_power - 2.0) - 1.0) * noise)
    shrink = last * (sigma**2 / (sigma**2 + float(rho[run.times[-2]]))) ** last_power
    label, exact = f"{run.name}, mode {run.mode}", Tolerance(atol=1e-9)
    size = math.sqrt(float(np.mean(np.square(run.start))))
    where = {
        "mode": run.mode,
        "t": int(run.times[0]),
        "steps": len(run.times) - 1,
        "eta": run.eta,
    }
    yield Side(
        f"spread at the end over σ, {label}",
        math.sqrt(float(np.mean(np.square(run.end)))) / sigma,
        equals=end_std / sigma,
        tolerance=Tolerance(rtol=_spread_width(run.end.size)),
        where=where,
    )
    yield Side(
        f"two starts with common noise, {label}",
        run.end - run.moved_end,
        equals=0.5 * gain * run.start,
        tolerance=exact,
        scale=size,
        where=where,
    )
    yield Side(
        f"last step, {label}",
        run.end,
        equals=shrink * run.before,
        tolerance=exact,
        scale=size,
        where=where,
    )


def _directions(
    case: Case, run: Run, eta: float, noise_power: float, last: tuple[float, float]
) -> Iterator[Side]:
    """The same of a mode that is not isotropic. last: the factor, and the power."""
    rho, label, exact = case.schedule.rho, f"{run.name}, mode {run.mode}", Tolerance(atol=1e-9)
    found = [_recursion(case, run.times, float(std), eta * run.eta) for std in run.std]
    gain, end_std = np.array(found).T
    if run.eta > 0.0:
        noise = end_std**2 - gain**2 * (run.std**2 + float(rho[run.times[0]]))
        end_std = np.sqrt(end_std**2 + (run.eta ** (noise_power - 2.0) - 1.0) * noise)
    shrink = last[0] * (run.std**2 / (run.std**2 + float(rho[run.times[-2]]))) ** last[1]
    size = np.sqrt(np.mean(np.square(run.start), axis=0))
    where = {"mode": run.mode, "t": int(run.times[0]), "std": run.std, "eta": run.eta}
    yield Side(
        f"spread at the end over σ, {label}",
        np.sqrt(np.mean(np.square(run.end), axis=0)) / run.std,
        equals=end_std / run.std,
        tolerance=Tolerance(rtol=_spread_width(len(run.end))),
        where=where,
    )
    for name, left, right in (
        ("two starts with common noise", run.end - run.moved_end, 0.5 * gain * run.start),
        ("last step", run.end, shrink * run.before),
    ):
        yield Side(
            f"{name}, {label}",
            left,
            equals=right,
            tolerance=exact,
            scale=size,
            where={**where, "std": run.std[None]},
        )


def _last_factor(case: Case) -> float:
    square = case.mixture.smallest_var
    return square / (square + float(case.schedule.rho[1]))


def _note(runs: Sequence[Run]) -> str:
    """What difference from the recursion would have been seen, in the coarsest of the runs."""
    from mixdyn.support import laws

    dof = min(run.end.size // len(np.unique(run.std)) for run in runs)
    seen = _spread_width(dof) + float(laws.normal_quantile(POWER)) / math.sqrt(2.0 * dof)
    return (
        f"In every run a spread {show_share(seen, 2)} off the recursion would have failed with "
        f"probability {POWER:g}; what follows from common noise is compared to 1e-9 of the start's "
        "size."
    )


def _spread_width(dof: int) -> float:
    """How far the root of a mean of dof squared normals strays from 1, up to probability 1e-8."""
    from mixdyn.support import laws

    high, low = (float(laws.chi2_upper(p, dof)) / dof for p in (MISS / 2, 1.0 - MISS / 2))
    return max(math.sqrt(high) - 1.0, 1.0 - math.sqrt(low))


def _recursion(case: Case, times: IntArray, sigma: float, eta: float) -> tuple[float, float]:
    """What the recursion makes of a distance, and the standard deviation at the end."""
    end_std = functools.partial(recursion_end, case, times, eta, sigma)
    size = math.sqrt(sigma**2 + float(case.schedule.rho[times[0]]))
    gain = math.sqrt((end_std(1e4 * size) ** 2 - end_std(1e-8 * size) ** 2) / (1e4 * size) ** 2)
    return gain, end_std()


# -- where one mode owns the state, and runs from there ------------------------------------------


def owned_from(case: Case) -> tuple[int, float]:
    """The last time at which the modes of the closest pair own their states, -1 for none, and the
    slack of that condition at time 1, in standard deviations of the widest mode."""
    mixture, latest = case.mixture, _latest(case)
    if mixture.N == 1:
        return latest, math.inf
    if mixture.covariance is not None:
        return _ellipsoids_owned_from(case, latest)
    length = float(geometry.pairwise_distances(mixture.means)[np.triu_indices(mixture.N, 1)].min())
    widest = mixture.sigmas.max() ** 2 + case.schedule.rho
    narrowest = mixture.sigmas.min() ** 2 + case.schedule.rho
    radius = math.sqrt(mixture.d) + REACH
    log_others = LOG_OWNED + math.log(mixture.N * mixture.weights.max() / mixture.weights.min())
    log_others = log_others + 0.5 * mixture.d * np.log(widest / narrowest)
    need = radius + np.sqrt(radius**2 + 2.0 * log_others)
    slack = length / np.sqrt(widest) - need
    held = np.flatnonzero(slack[: latest + 1] >= 0.0)
    return (int(held[-1]) if held.size else -1), float(slack[1])


def _ellipsoids_owned_from(case: Case, latest: int) -> tuple[int, float]:
    """The same of modes that are not isotropic, for every ordered pair: from mode i no state within
    the radius is nearer to k, in Mahalanobis lengths, than |L_k Delta| - |L_k L_i^-1| radius."""
    mixture, radius = case.mixture, math.sqrt(case.mixture.d) + REACH
    values, vectors = np.linalg.eigh(matrices(mixture))
    i, k = np.nonzero(~np.eye(mixture.N, dtype=bool))
    turned = np.einsum("pda,pdb->pab", vectors[k], vectors[i])
    delta = np.einsum("pda,pd->pa", vectors[k], mixture.means[i] - mixture.means[k])
    log_w = LOG_OWNED + np.log(mixture.N * mixture.weights[k] / mixture.weights[i])
    worst = []
    for rho in case.schedule.rho[1 : latest + 1].tolist():
        std = np.sqrt(values + rho)
        length = np.linalg.norm(delta / std[k], axis=1)
        stretch = np.linalg.norm(turned * std[i][:, None, :] / std[k][:, :, None], 2, axis=(1, 2))
        log_det = np.log(std[i]).sum(axis=1) - np.log(std[k]).sum(axis=1)
        need = stretch * radius + np.sqrt(np.maximum(radius**2 + 2.0 * (log_w + log_det), 0.0))
        worst.append(float((length - need).min()))
        if worst[-1] < -radius:
            break
    held = np.flatnonzero(np.array(worst) >= 0.0)
    return (int(held[-1]) + 1 if held.size else -1), worst[0]


def _latest(case: Case) -> int:
    """The last time up to which 1 - abar still rises, as doubles see it."""
    flat = np.flatnonzero(np.diff(case.schedule.noise_var) <= 0.0)
    return int(flat[0]) if flat.size else case.schedule.T


def _samplers(case: Case, t: int) -> list[tuple[str, float, Sampler, int]]:
    """Name, eta, sampler and start of each run: the largest node of its grid up to t."""
    T = case.schedule.T
    coarse, fine = ddim_grid(case), TimeGrid.full(T)
    node = int(coarse.times[coarse.times <= t].max())
    return [
        ("DDPM", 1.0, DDPM(), t),
        (f"DDIM-{coarse.steps}", 0.0, DDIM(spacing=coarse), node),
        (f"DDIM-{coarse.steps}, η = 0.5", ETA, DDIM(spacing=coarse, eta=ETA), node),
        (f"DDIM-{T}", 0.0, DDIM(spacing=fine), t),
    ]


def runs_from(case: Case, t: int) -> list[Run]:
    """Every sampler from time t, or the largest node of its grid below, in the two modes."""
    modes = dict.fromkeys((_widths(case.mixture, np.min), _widths(case.mixture, np.max)))
    return [_run(case, mode, *item) for mode in modes for item in _samplers(case, t) if item[3] > 0]


def _widths(mixture: GaussianMixture, most: Callable[..., Any]) -> int:
    """The mode of the smallest (np.min) or the largest (np.max) width in some direction."""
    if mixture.covariance is None:
        return int(np.flatnonzero(mixture.sigmas == most(mixture.sigmas))[0])
    values = np.linalg.eigvalsh(matrices(mixture))
    return int(np.argwhere(values == most(values))[0][0])


def _run(case: Case, mode: int, name: str, eta: float, sampler: Sampler, start: int) -> Run:
    mixture, schedule = case.mixture, case.schedule
    label = f"X7 {mode} {name}"
    steps = len(sampler.grid(schedule, start).times)
    work = mixture.d * mixture.N * steps
    least = math.ceil(_LEAST_VALUES / mixture.d)
    n = int(np.clip(case.pick(4 * 10**6, 4 * 10**8) // work, max(least, 64), 100_000))
    std, turn = _axes(mixture, mode)
    width = np.sqrt(std**2 + float(schedule.rho[start]))
    offset = width * case.rng(label).standard_normal((n, mixture.d))
    ends = []
    for value in (offset, 0.5 * offset):
        y = value if turn is None else value @ turn
        x = schedule.alpha[start] * (mixture.means[mode] + y)
        seed = case.stream(label)
        out = sample(mixture, schedule, sampler, x=x, start=start, rng=seed, keep="trajectory")
        y = np.asarray(out.trajectory)[-2:]
        y = y / schedule.alpha[out.times[-2:]][:, None, None] - mixture.means[mode]
        ends.append(y if turn is None else y @ turn.T)
    return Run(name, eta, mode, std, out.times, offset, ends[0][0], ends[0][1], ends[1][1])


def _axes(mixture: GaussianMixture, mode: int) -> tuple[Array, Array | None]:
    """(d,) standard deviations of a mode, and the directions in rows where it is not isotropic."""
    if mixture.covariance is None:
        return np.full(mixture.d, float(mixture.sigmas[mode])), None
    values, rows = eigenpairs(matrices(mixture)[mode])
    return np.sqrt(values), rows


# -- whole runs ----------------------------------------------------------------------------------


def _whole_runs(case: Case) -> Table:
    """Spread around the nearest mode of runs from noise, in units of its sigma."""
    rows = []
    for name, eta, sampler, _ in _samplers(case, case.schedule.T):
        grid = sampler.grid(case.schedule)
        sigma = float(np.median(case.mixture.sigmas))
        times = grid.times[grid.times <= _latest(case)]
        predicted = recursion_end(case, times, eta, sigma)
        rows.append(
            (name, grid.steps, predicted / sigma, *_spread(case, name, sampler, grid.steps))
        )
    columns = ("sampler", "steps", "recursion over σ", "whole runs over σ", "from", "to", "runs")
    return Table("Spread at the end of whole runs from noise, with 95 % intervals", columns, rows)


Spread = tuple[float | None, float | None, float | None, int]


def _spread(case: Case, name: str, sampler: Sampler, steps: int) -> Spread:
    """Root mean square distance to the nearest mode per coordinate over its sigma, over runs that
    end within its radius; 95 % limits; number of runs."""
    from mixdyn.support import laws

    mixture = case.mixture
    work = steps * mixture.N * mixture.d
    n = int(np.clip(case.pick(10**8, 10**10) // work, 100, case.pick(10_000, 100_000)))
    out = sample(mixture, case.schedule, sampler, n=n, rng=case.stream(f"X7 whole {name}"))
    d2 = geometry.squared_distances(np.asarray(out.x), mixture.means)
    near = d2.argmin(axis=1)
    square = d2[np.arange(n), near] / np.square(mixture.sigmas[near])
    kept = square <= (geometry.mode_radius(mixture)[near] / mixture.sigmas[near]) ** 2
    dof = int(kept.sum()) * mixture.d
    if dof == 0:
        return None, None, None, n
    total = float(square[kept].sum())
    low, high = (math.sqrt(total / laws.chi2_upper(p, dof)) for p in (0.025, 0.975))
    return math.sqrt(total / dof), low, high, n

r"""The nearest Gaussian kernel of every step, and a sampler that keeps it with 20 evaluations.

Statement: Of all Gaussian kernels from $x_t$ to $x_s$ the true reverse kernel is least divergent
    from the one of its own mean and, in $y$, of covariance $\rho_s(1-q) I +
    (1-q)^2 \mathrm{Cov}(x_0|x_t)$, $q = \rho_s/\rho_t$; of the diagonal and the isotropic ones,
    from those of its diagonal and of its mean eigenvalue. Any other $K$ costs $\frac12[\log\det K -
    \log\det C + \mathrm{tr} K^{-1}C - d]$ nats. On one mode a sampler that injects it returns
    $\sigma$, of a mode that is not isotropic the deviation along each of its axes, on every grid,
    down to a single step. On trained networks a sampler that does so late,
    inside modes, and sends back what the model's own posterior does not allow (CheckedNoise) takes
    at most 22 evaluations, its own calibration among them, and leaves at most twice as many samples
    outside the modes as DDPM with all steps, with an error of the weights at most 0.01 above DDPM's
    and a spread no farther from $\sigma$ than DDPM's.
Hypotheses: none.
Measured: along the closest pair, the variance of the Gaussian that the true kernel (Bayes, O1) is
    least divergent from, found by a search over its divergence by quadrature, at midpoints and at
    states of $p_t$; what the bridge's variance ($\eta = 1$) costs, by the same quadrature. Draws of
    the true kernel: the mean log ratio of kernels of both shapes. The engine's steps on one mode,
    whose factors are read off. Counts and moments of samples of trained networks.
Predicted: the variance from the score's Jacobian (Tweedie); the closed excess; the linear
    recursion, and $\sigma$; DDPM's samples.
Evidence: sampled points of an identity; means of draws by their standard error, up to a chance of
    1e-9; counts and moments by intervals that miss with probability 1e-6. Not worse than DDPM: a
    conditional test of two independent counts at the margin of twice the rate. The sampler's
    numbers were chosen with twelve of the networks, which are a group of their own; four of these
    were among the others until its early noise (T = 2000, four dimensions, the diamond) and its
    predictor (T = 500) were chosen.
Source: our result on the samplers of arXiv 2605.06831 v1, Appendix F; moments are matched as in
    Analytic-DPM (arXiv 2201.06503)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mixdyn import geometry, oracles
from mixdyn.geometry import Region
from mixdyn.support.checks import Array
from verify.ledger.case import Case, Profile
from verify.ledger.claim import Claim
from verify.ledger.needs import proper
from verify.ledger.relations import Comparison, Upper, compare, compare_not_worse
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure import reverse_kernels as measure
from verify.measure.ends import compare_spread, compare_weights
from verify.measure.networks.checked_rows import Trial, pooled, shown, trials_of
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.reverse_kernels import Kernels

CLAIM = Claim.from_docstring(
    __doc__,
    id="X14",
    short="nearest kernel",
    rests_on={"O1": "the true kernel of a reverse step", "X8": "its variance"},
    needs=(proper,),
    derivation="derivations/insurance/gaussian_kernel.py",
    does_not_show=(
        "That a path of nearest kernels is the nearest path: between modes the true kernel is no "
        "Gaussian, and what each step costs adds up only on exact paths. That the Jacobian of a "
        "trained network is the posterior's: it is too steep near the data, and the kernel read "
        "off it too wide. CheckedNoise injects one width for all modes. Rates are compared over "
        "groups of networks; of one alone they are too small to be told apart."
    ),
)

EVALUATIONS, WEIGHT_MARGIN = 22, 0.01
_CHANCE = 1e-9  # of a mean of draws beyond its tolerance
_DRAWS = (1500, 20_000)


@CLAIM.exact(unit="kernels")
def kernel(case: Case, posterior: float = 1.0, power: int = 2) -> Iterator[Part]:
    """The nearest variance on a line, what another costs, and one mode's width on every grid.
    posterior: a factor on Cov(x_0|x_t); power: of 1 - q."""
    direction = _direction(case)
    found = case.memo("X14 lines", lambda: _lines(case, direction))
    kernels = measure.kernels_of(case)
    covariance = [k.covariance(posterior, power) @ direction @ direction for k in kernels]
    steps = [np.full(len(k.points), k.step[0]) for k in kernels]
    where = {"t": np.concatenate(steps), "x": np.concatenate([k.points for k in kernels])}
    best = np.concatenate(covariance)
    yield Side(
        "variance of the nearest kernel",
        found[:, 0],
        equals=best,
        tolerance=Tolerance(rtol=1e-6),
        where=where,
    )
    bridge = np.concatenate([np.full(len(k.points), k.bridge) for k in kernels])
    noisy = bridge > 0.0
    yield Side(
        "nats that the bridge's variance costs",
        found[:, 1],
        equals=_excess(best, np.where(noisy, bridge, best)),
        tolerance=Tolerance(atol=1e-9, rtol=1e-6),
        among=noisy,
        where=where,
    )
    yield from _one_mode(case, posterior, power)


def _direction(case: Case) -> Array:
    """Along the closest pair; of one mode the first axis."""
    if case.mixture.N == 1:
        return np.eye(case.mixture.d)[0]
    i, j = geometry.nearest_pairs(case.mixture)[0]
    return np.asarray(geometry.pair(case.mixture, i, j).direction)


def _lines(case: Case, direction: Array) -> Array:
    """(P, 2): the nearest variance at every point by search, and what the bridge's costs."""
    rows = []
    for kernels in measure.kernels_of(case):
        guess = float(np.median(kernels.along(direction)))
        for point in range(len(kernels.points)):
            line = measure.line_of(kernels, point, direction)
            mean, var, least = measure.nearest(line, guess)
            lost = 0.0
            if kernels.bridge > 0.0:
                lost = line.divergence(mean, kernels.bridge) - least
            rows.append((var, lost))
    return np.array(rows)


def _excess(true: Array, used: Array) -> Array:
    return oracles.kernel_excess(true[:, None, None], used[:, None, None])


def _widths(case: Case) -> Array:
    """Standard deviations of modes: of those that are not isotropic along their axes, on each of
    which a mode is a mode of one dimension."""
    covariance = case.mixture.covariance
    return case.mixture.sigmas if covariance is None else np.sqrt(covariance.values).ravel()


def _one_mode(case: Case, posterior: float, power: int) -> Iterator[Part]:
    sigmas = np.unique(_widths(case))[:3].tolist()
    every = measure.grids(case.schedule)
    engine = case.memo(
        "X14 engine",
        lambda: np.array(
            [[measure.engine_std(case.schedule, g, s) for s in sigmas] for g in every.values()]
        ),
    )
    wanted = [
        [measure.recursion_std(case.schedule, g, s, posterior, power) for s in sigmas]
        for g in every.values()
    ]
    where = {"grid": np.array(list(every))[:, None], "sigma": np.array(sigmas)}
    # A slope near zero is 1 less something near 1: of it that many digits are lost.
    last = np.array([case.schedule.rho[grid.times[-2]] for grid in every.values()])
    lost = 1.0 + last[:, None] / np.square(sigmas)
    exact = Tolerance(atol=1e-13)
    name = "spread of one mode, engine and recursion"
    yield Side(name, engine, equals=wanted, tolerance=exact, scale=lost, where=where)
    name = "spread of one mode over σ"
    yield Side(name, engine, equals=1.0, tolerance=exact, scale=lost, where=where)


@CLAIM.sampled(unit="draws")
def shapes(
    case: Case, posterior: float = 1.0, share: float = 1.0
) -> Iterator[Part] | NotApplicable:
    """What diagonal and isotropic kernels cost against full ones, by draws of the true kernel.
    share: a factor on the closed excess."""
    if case.mixture.d == 1:
        return NotApplicable("In one dimension all shapes of a kernel are one.")
    return _shapes(case, posterior, share)


def _shapes(case: Case, posterior: float, share: float) -> Iterator[Part]:
    from mixdyn.support import laws

    drawn = case.memo("X14 draws", lambda: _drawn(case))
    for name, shape in measure.SHAPES.items():
        mean, error, wanted = [], [], []
        for kernels, x in drawn:
            full = kernels.covariance(posterior)
            ratio = _log_ratio(kernels, x, full, shape(full))
            mean.append(float(ratio.mean()))
            # States are given: the mean over them strays by the draws alone.
            error.append(float(np.sqrt(ratio.var(axis=1).sum() / ratio.shape[1])) / len(ratio))
            wanted.append(float(oracles.kernel_excess(full, shape(full)).mean()) * share)
        steps = np.array([kernels.step[0] for kernels, _ in drawn])
        yield Side(
            f"nats that the {name} kernel costs",
            mean,
            equals=wanted,
            tolerance=Tolerance(atol=-float(laws.normal_quantile(_CHANCE / 2))),
            scale=np.maximum(error, 1e-12),
            where={"t": steps},
        )
    yield lambda: case.memo("X14 table", lambda: _nats(case))


def _drawn(case: Case) -> list[tuple[Kernels, Array]]:
    rng, m = case.rng("X14 draws"), case.pick(*_DRAWS)
    return [(kernels, measure.draws(kernels, m, rng)) for kernels in measure.kernels_of(case)]


def _log_ratio(kernels: Kernels, x: Array, full: Array, other: Array) -> Array:
    """(n, m) of the densities of two kernels at draws x (n, m, d)."""
    mean = kernels.law.moments()[0]
    return measure.log_normal(x, mean, full) - measure.log_normal(x, mean, other)


def _nats(case: Case) -> Table:
    """Divergences of whole paths, on a few grids."""
    rows: list[tuple[str | int | float, ...]] = []
    for steps in (s for s in (10, 20, 50) if s <= case.schedule.T):
        found = measure.nats_of(case, steps, case.pick(40, 400), case.pick(20, 50))
        rows += [(steps, name, *lost) for name, lost in found.items()]
    columns = ("steps", "covariance", "nats, noisy steps", "nats, last step")
    caption = "Divergence of the exact paths from those of Gaussian kernels, quadratic grids"
    return Table(caption, columns, rows)


# -- trained networks ----------------------------------------------------------------------------


@CLAIM.learned(unit="samples", of=networks)
def learned(
    case: Case, models: Sequence[TrainedModel], change: Callable[[Trial], Trial] = lambda t: t
) -> Iterator[Part]:
    """CheckedNoise against DDPM: rates over groups of networks, weights and spread of the case's
    own, of all in the full profile."""
    trials = [change(trial) for trial in trials_of(case, models)]
    for group, checked, ddpm in pooled(trials):
        yield compare_not_worse(f"CheckedNoise's rate, DDPM's, {group}", checked, ddpm)
    for trial in trials:
        most = Upper(rtol=1e-12)
        yield compare(f"evaluations, {trial.model}", most, trial.checked.n_eval, EVALUATIONS)
        if trial.own or case.profile is Profile.FULL:
            yield from _moments(trial)
    yield Facts(
        model=f"{len(trials)} networks",
        witness=lambda found: {"seed": case.stream("X14 checked")},
    )
    yield lambda: shown(trials)


def _moments(trial: Trial) -> Iterator[Comparison]:
    lost = tuple(end + WEIGHT_MARGIN for end in trial.ddpm.weight_interval())
    away = sorted(abs(end - 1.0) for end in trial.ddpm.spread_interval())
    name = trial.model
    yield compare_weights(f"error of the weights, {name}", trial.checked, (lost[0], lost[1]))
    yield compare_spread(f"spread/σ, {name}", trial.checked, (away[0], away[1]))


def _unchecked(trial: Trial) -> Trial:
    """Three samples of every hundred between modes, as without the checks."""
    counts = trial.checked.counts.copy()
    moved = counts[Region.TRUE_MODE] * 3 // 100
    counts[Region.TRUE_MODE] -= moved
    counts[Region.INTERPOLATION] += moved
    return replace(trial, checked=replace(trial.checked, counts=counts))


def _bridge_alone(trial: Trial) -> Trial:
    """The spread of DDPM, which injects the bridge's noise, and a little less."""
    return replace(trial, checked=replace(trial.checked, spread=0.9 * trial.ddpm.spread))


CLAIM.must_fail(kernel, "half of Cov(x_0|x_t)", posterior=0.5)
CLAIM.must_fail(kernel, "(1-q) Cov(x_0|x_t)", power=1)
CLAIM.must_fail_narrowly(kernel, "(1 + {}) Cov(x_0|x_t)", 0.1, posterior=lambda more: 1.0 + more)
CLAIM.must_fail(shapes, "shapes of half of Cov(x_0|x_t)", posterior=0.5)
CLAIM.must_fail_narrowly(shapes, "(1 - {}) of the excess", 1.0, share=lambda less: 1.0 - less)
CLAIM.must_fail(learned, "3 % between modes, as without checks", change=_unchecked)
CLAIM.must_fail(learned, "0.9 times DDPM's spread", change=_bridge_alone)

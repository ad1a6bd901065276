r"""The law of the detector Hal where it has a closed form.

Statement: Hal is the variance of $\hat x_0$ over the last $w$ steps, averaged over coordinates.
    Where one mode owns the path, DDPM with the exact score gives it the law
    $\sum_k \lambda_k\chi^2_d/d$, $\lambda$ the eigenvalues of the centred covariance
    $\sigma^4V_t/v_t^2$ ($t$ the earlier of two steps) over $w$. Under the exact reverse SDE its
    mean is $\sum_i (w+1-2i)M_i/w^2$ on any data, with $M_i$ the mean squared error of the denoiser
    at the $i$-th step of the window.
Hypotheses:
    - owned: at the start of the path all other modes together have posterior probability below
      1e-9, and move $\hat x_0$ by less than 1e-4 of its standard deviation inside the mode.
Measured: exact score. DDPM from states of $p_t$, at the last $t$ at which nearly all of them are
    owned: mean of Hal, and the share beyond three quantiles of the law. The exact reverse SDE on
    two equal modes as far apart as the closest pair, from where their posterior is open: mean of
    Hal.
Predicted: mean and tails of the quadratic form; the weighted sum, with $M_i$ as one integral.
Evidence: sampled: equal to within six standard errors, a share of each value that is among the
    numbers. Between modes nothing beyond the mean has a
    closed form, since $\hat x_0$ is not Gaussian there.
Source: our result on the detector of arXiv 2406.09358 v2, section 5
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import nearest_pairs, pairwise_distances
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import two_modes
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.observers import WindowVariance
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, ExactReverse, Sampler
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import one_sigma
from verify.ledger.relations import Comparison
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis

CLAIM = Claim.from_docstring(
    __doc__,
    id="M5'",
    short="the law of Hal",
    rests_on={"O1": "the reverse process whose predictions it follows"},
    needs=(one_sigma.because("the variance of one coordinate stands for all"),),
    derivation="derivations/closed_forms/window_variance.py",
    does_not_show=(
        "Anything about a learned score: its errors also move the denoised point, and the measured "
        "Hal of trained networks lies far above this law (M5)."
    ),
)

WINDOW = 15
_OWNED, _PUSH = 1e-9, 1e-4
_LEVELS = (0.5, 0.98, 0.999)
_DDPM = DDPM()
_STANDARD_ERRORS = Tolerance(atol=6.0)


@dataclass(frozen=True)
class _Owned:
    """States x (n, d) of p_t at the time t; slack (n,): how far the logarithm of the posterior
    probability of all modes but the largest stays below what is allowed."""

    t: int
    x: Array
    slack: Array


@CLAIM.sampled(unit="comparisons")
def detector(case: Case, sampler: Sampler = _DDPM, stretch: float = 1.0) -> Iterator[Part]:
    """Tails inside one mode, mean between two. stretch: a factor on sigma in the law."""
    owned = case.memo("M5' owned", lambda: _owned(case))
    hypothesis = Hypothesis.from_slack("owned", owned.slack)
    yield hypothesis
    if owned.t < 2 or hypothesis.held_share < 0.5:  # no stretch of the path is owned
        yield Facts(applicable=0.0)
        return
    sides = [*_inside(case, owned, sampler, stretch)]
    if case.mixture.N > 1:
        sides.append(_between(case, stretch))
    yield from sides
    yield Facts(witness=lambda _: {"start": owned.t})
    yield {"paths": len(owned.x), "from time": owned.t}
    yield {
        f"smallest difference seen, over the prediction: {side.name}": _seen(side.comparison)
        for side in sides
    }


def _seen(comparison: Comparison) -> float | None:
    """The least difference that would have failed, as a share of the predicted value."""
    if comparison.resolution is None or not isinstance(comparison.bound, float):
        return None
    return comparison.resolution / comparison.bound


def _owned(case: Case) -> _Owned:
    """States at the largest t at which 99 % of them are owned."""
    n, rng = case.pick(8_000, 100_000), case.rng("M5' owned")
    clean, noise = case.mixture.sample(n, rng), rng.standard_normal((n, case.mixture.d))
    schedule, sigma = case.schedule, float(case.mixture.sigma)
    v = schedule.effective_variance(sigma)
    reach = float(pairwise_distances(case.mixture.means).max()) if case.mixture.N > 1 else 0.0

    def at(t: int) -> _Owned:
        x = schedule.alpha[t] * clean + np.sqrt(schedule.noise_var[t]) * noise
        marginal = case.mixture.diffused(schedule.alpha_bar[t])
        shares = np.sort(marginal.responsibilities(x), axis=1)
        others = np.maximum(shares[:, :-1].sum(axis=1), 1e-300)
        allowed = min(_OWNED, _PUSH * sigma**2 / (np.sqrt(v[t]) * max(reach, sigma)))
        return _Owned(t, x, np.log(allowed) - np.log(others))

    low, high = 0, schedule.T
    while high - low > 1:  # ownership is lost as noise grows
        middle = (low + high) // 2
        if np.mean(at(middle).slack >= 0.0) >= 0.99:
            low = middle
        else:
            high = middle
    return at(max(low, 1))


def _inside(case: Case, owned: _Owned, sampler: Sampler, stretch: float) -> Iterator[Side]:
    """Mean and tails of Hal on owned paths, in standard errors."""
    schedule, window = case.schedule, min(WINDOW, owned.t)
    x, rng = owned.x[owned.slack >= 0.0], case.stream("M5' inside")
    hal = case.memo(
        f"M5' inside, {sampler}",
        lambda: _hal(case, case.mixture, sampler, window, x=x, start=owned.t, rng=rng),
    )
    covariance = oracles.window_covariance(
        schedule.alpha_bar,
        np.arange(owned.t, -1, -1),
        window,
        float(case.mixture.sigma) * stretch,
        noise_var=schedule.noise_var,
    )
    law = oracles.window_variance_law(covariance, case.mixture.d)
    beyond = {level: np.mean(hal > law.quantile(level)) for level in _LEVELS}
    rows = [("mean inside one mode", hal.mean(), law.mean, law.variance)]
    rows += [
        (f"share beyond the quantile {p:g} inside one mode", seen, 1.0 - p, p * (1.0 - p))
        for p, seen in beyond.items()
    ]
    for name, seen, predicted, variance in rows:
        error = np.sqrt(variance / len(hal))
        yield Side(name, seen, equals=predicted, tolerance=_STANDARD_ERRORS, scale=error)


def _between(case: Case, stretch: float) -> Side:
    """The mean of Hal over the exact reverse SDE on two modes."""
    schedule, sigma = case.schedule, float(case.mixture.sigma)
    i, j = nearest_pairs(case.mixture)[0]
    length = float(pairwise_distances(case.mixture.means)[i, j])
    v = schedule.effective_variance(sigma)
    window = int(np.clip(np.count_nonzero(8.0 * v[1:] <= length**2), 2, schedule.T))
    hal = case.memo("M5' between", lambda: _pair_paths(case, two_modes(length, sigma), window))
    errors = [
        oracles.pair_error(length, sigma * stretch, float(rho)) for rho in schedule.rho[window:0:-1]
    ]
    return Side(
        f"mean between two modes, the last {window} steps",
        hal.mean(),
        equals=oracles.expected_window_variance(errors),
        tolerance=_STANDARD_ERRORS,
        scale=hal.std() / np.sqrt(len(hal)),
    )


def _pair_paths(case: Case, pair: GaussianMixture, window: int) -> Array:
    """Hal (n,) over all steps of the exact reverse SDE from time `window` on."""
    schedule, rng = case.schedule, case.rng("M5' between")
    n = case.pick(16_000, 200_000)
    noise = np.sqrt(schedule.noise_var[window]) * rng.standard_normal((n, 1))
    x = schedule.alpha[window] * pair.sample(n, rng) + noise
    sampler = ExactReverse(TimeGrid.from_times(range(window, -1, -1)))
    return _hal(case, pair, sampler, window, x=x, rng=case.stream("M5' between"))


def _hal(case: Case, model: GaussianMixture, sampler: Sampler, window: int, **starts: Any) -> Array:
    """Hal (n,) over the last steps of paths of the sampler."""
    observers = [WindowVariance(case.schedule, window)]
    run = sample(model, case.schedule, sampler, observers=observers, keep="none", **starts)
    return np.asarray(run.observations[0])


CLAIM.must_fail_each(
    detector, lambda case: {"DDIM in place of DDPM": {"sampler": DDIM(case.schedule.T, "full")}}
)
CLAIM.must_fail(detector, "a quarter more spread", stretch=1.25)

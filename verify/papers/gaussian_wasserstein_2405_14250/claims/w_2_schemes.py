r"""Six schemes on Gaussian data are six recursions.

Statement: On data $N(0, \Sigma)$ the ends of Euler-Maruyama, the exponential integrator and DDPM on
    the reverse SDE, of Euler, Heun and Runge-Kutta 4 on the probability flow, are Gaussian, and
    along each eigenvector their variance follows $V_{k+1} = g_k^2 V_k + q_k$ with the factors of
    equation (20) and appendix F. $W_2^2 = \sum_i (\sqrt{V_i} - \sqrt{\lambda_i})^2$.
Hypotheses: none; the process is the paper's, $\beta$ linear from 0.05 to 10 on $0 \le t \le 1$.
Measured: each scheme written for any score, read off by impulses, and its law on Gaussian data from
    those matrices, from $N(0, I)$ and from $p_T$, with and without truncation; sampled, the spread
    of direct runs with the exact score.
Predicted: the recursions; for the sampled spread to within chi-square quantiles of probability
    1e-8.
Evidence: exact; sampled.
Source: arXiv 2405.14250 v5, section 4 and appendix F
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mixdyn.affine.gaussian import Start
from mixdyn.affine.impulses import transcribe
from mixdyn.affine.plan import Plan
from mixdyn.score.protocol import Level
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance
from verify.measure.gaussian_schemes import (
    SCHEMES,
    STARTS,
    beta,
    end_variance,
    integral,
    on_standard,
    times,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="W2",
    short="schemes as recursions",
    rests_on={"W1": "without steps"},
    does_not_show="Which scheme is best: that depends on the spectrum, see W3' and W4.",
)

_POINTS, _TRUNCATIONS = 25, (0.0, 1e-3)
_EIGENVALUES = np.geomspace(1e-3, 100.0, 16)
_GIVEN: tuple[Start, ...] = ("true", "own")  # as a plan calls the two starts
_MISS, _RUNS = 1e-8, 4000


def sampler(
    model: Callable[[Array, Level], Array], x: Array, rng: Any, scheme: str, truncation: float
) -> Array:
    """Any of the schemes on any model that predicts the noise."""

    def drift(x: Array, t: float, weight: float) -> Array:
        noise_std = np.sqrt(-np.expm1(-2.0 * integral(t)))
        return beta(t) * (x - weight * model(x, level(t)) / noise_std)

    grid = times(_POINTS, truncation)
    for t, s in itertools.pairwise(grid):
        h = t - s
        if scheme == "EM":
            noise = np.sqrt(2.0 * h * beta(t)) * rng.standard_normal(x.shape)
            x = x + h * drift(x, t, 2.0) + noise
        elif scheme == "EI":
            b = integral(t) - integral(s)
            held = drift(x, t, 2.0) / beta(t)
            x = x + np.expm1(b) * held + np.sqrt(np.expm1(2 * b)) * rng.standard_normal(x.shape)
        elif scheme == "DDPM":
            b = 2.0 * h * beta(t)
            score = drift(x, t, 1.0) / beta(t) - x
            x = (x + b * score) / np.sqrt(1.0 - b) + np.sqrt(b) * rng.standard_normal(x.shape)
        elif scheme == "Euler":
            x = x + h * drift(x, t, 1.0)
        elif scheme == "Heun":
            first = drift(x, t, 1.0)
            x = x + 0.5 * h * (first + drift(x + h * first, s, 1.0))
        else:
            middle, k1 = t - 0.5 * h, drift(x, t, 1.0)
            k2 = drift(x + 0.5 * h * k1, middle, 1.0)
            k3 = drift(x + 0.5 * h * k2, middle, 1.0)
            x = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + drift(x + h * k3, s, 1.0))
    return x


def level(t: float) -> Level:
    """That of x_t."""
    two_b = 2.0 * integral(t)
    return Level(float(np.exp(-0.5 * two_b)), float(-np.expm1(-two_b)))


def _plans(case: Case) -> dict[tuple[str, float], Plan]:
    return {
        (scheme, end): transcribe(
            sampler, level=lambda at: at, scheme=scheme, truncation=end, start_std=1.0
        )
        for scheme in SCHEMES
        for end in _TRUNCATIONS
        if end or scheme not in ("Heun", "RK4")  # whose last call would be at no noise
    }


@CLAIM.exact(
    unit="eigenvalues", of=on_standard(lambda case: case.memo("W2 plans", lambda: _plans(case)))
)
def recursions(
    case: Case, plans: dict[tuple[str, float], Plan], noise: float = 0.0, points: int = _POINTS
) -> Iterator[Part]:
    """The laws of the plans. noise: a share of the variance more; points: of the recursions."""
    lam = _EIGENVALUES
    for (scheme, end), plan in plans.items():
        predicted = end_variance(scheme, points, end, lam) * (1.0 + noise)
        for name, given, variances in zip(STARTS, _GIVEN, predicted, strict=True):
            yield Side(
                f"variance of the end, {scheme} from {name}",
                np.square(plan.response(np.sqrt(lam), start=given)[1]) * lam,
                equals=variances,
                tolerance=Tolerance(rtol=1e-10),
                where={"scheme": scheme, "truncation": end, "points": points, "eigenvalue": lam},
            )


CLAIM.must_fail_narrowly(recursions, "(1 + {}) of the variance", 0.5, noise=lambda s: s)
CLAIM.must_fail(recursions, "one step more", points=_POINTS + 1)


def _runs(case: Case) -> dict[str, Array]:
    """(k,) mean squares of direct runs from N(0, I), truncated at the last of the times."""
    found, lam, end = {}, _EIGENVALUES, _TRUNCATIONS[-1]
    n = case.pick(_RUNS, 25 * _RUNS)

    def exact(x: Array, at: Level) -> Array:
        return np.asarray(at.noise_std / (at.signal_var * lam + at.noise_var) * x)

    for scheme in SCHEMES:
        rng = case.rng(f"W2 {scheme}")
        x = sampler(exact, rng.standard_normal((n, len(lam))), rng, scheme, end)
        found[scheme] = np.square(x).mean(axis=0)
    return found


@CLAIM.sampled(
    unit="spreads", of=on_standard(lambda case: case.memo("W2 runs", lambda: _runs(case)))
)
def direct(case: Case, found: dict[str, Array], points: int = _POINTS) -> Iterator[Part]:
    """Mean squares of direct runs over the recursions' variances."""
    from mixdyn.support import laws

    lam, end = _EIGENVALUES, _TRUNCATIONS[-1]
    n = case.pick(_RUNS, 25 * _RUNS)
    high, low = (float(laws.chi2_upper(p, n)) / n for p in (0.5 * _MISS, 1.0 - 0.5 * _MISS))
    for scheme, square in found.items():
        yield Side(
            f"spread of runs, {scheme}",
            square / end_variance(scheme, points, end, lam)[1],
            equals=1.0,
            tolerance=Tolerance(atol=max(high - 1.0, 1.0 - low)),
            where={"scheme": scheme, "truncation": end, "eigenvalue": lam, "runs": n},
        )


CLAIM.must_fail(direct, "five steps more", points=_POINTS + 5)

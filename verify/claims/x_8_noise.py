r"""How much noise a step should inject, and a sampler that injects it where it matters.

Statement: In $y$ and along any direction the true reverse kernel from $t$ to $s$ has variance
    $\rho_s(1-q) + (1-q)^2 \mathrm{Var}(x_0|x_t)$, $q = \rho_s/\rho_t$. DDIM($\eta$) has it for
    $\eta^2 = 1 + (1-q)\mathrm{Var}(x_0|x_t)/\rho_s$, which a step allows up to $1/(1-q)$. A sampler
    that adds the $\mathrm{Var}(x_0|x_t)$ of one mode at every late step, and sends undecided paths
    back to noise (AdaptiveNoise), takes at most 50 evaluations a sample. With the exact score of
    separated modes of one width it returns their spread to within 3 %, their weights to within
    $\sum_k (p_k - w_k)^2/w_k = 0.01$, and at most 0.1 % more outside the modes than the data. On
    trained networks it interpolates less than DDIM with 50 steps and at most twice as often as DDPM
    with all steps, with a spread no farther from $\sigma$ than DDPM's, and an error of the weights
    at most 0.01 above DDPM's.
Hypotheses: none.
Measured: exact score: the kernel's covariance by its closed form (Bayes) at the midpoints of
    nearest pairs and at states of $p_t$, over the steps of the papers' grid; samples of
    AdaptiveNoise. Trained networks: samples of AdaptiveNoise and DDIM from the same noise, of DDPM
    from other noise.
Predicted: the covariance from the Hessian of $\log p_t$ (Tweedie); the data; DDPM's samples.
Evidence: sampled points of an identity; counts and moments, decided by intervals that miss with
    probability 1e-6 and must lie within the margin as a whole. Not worse than DDPM: exact
    conditional test of two independent counts at the margin of twice the rate.
Source: our result on the samplers of arXiv 2605.06831 v1, Appendix F
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mixdyn import geometry, oracles
from mixdyn.score import ExactScore
from mixdyn.support.checks import Array
from verify.ledger.claim import Basis, Case, Claim, Finding, Table, Verdict
from verify.ledger.relations import Comparison, Equality, compare
from verify.measure import exact_sampler
from verify.measure.networks.adaptive_rows import judge_sampler, sampler_mutants
from verify.measure.networks.models import learned_rows
from verify.measure.paths import ddim_grid

CLAIM = Claim.from_docstring(
    __doc__,
    id="X8",
    basis=(Basis.SAMPLED, Basis.LEARNED),
    derivation="derivations/total_variance.py",
    does_not_show=(
        "That this noise is optimal for a learned score, or that the sampler helps on data without "
        "separated modes. Modes of different widths all get the middle one's noise. Its early "
        "steps trust the network; only the end of a path is tested, and the tests replace the "
        "tails of a mode: its spread comes out 0.2 % too small. DDIM with eta = 1 and the same "
        "tests interpolates more rarely (figure X8): what is its own is the spread."
    ),
)

_STATES = 24  # of p_t, per step


def check(case: Case) -> list[Verdict]:
    """The identity, and the sampler on the exact score and on trained networks."""
    exact = _judge(case)
    return [exact, *learned_rows(CLAIM, case, lambda models: judge_sampler(CLAIM, case, models))]


def mutants(case: Case) -> dict[str, Verdict]:
    """The bridge alone, one factor 1 - q too few, a posterior hardly too wide; the sampler with
    the posterior's variance at its end alone, and on scores of other widths and weights; other
    samples under the sampler's name."""
    found = {
        "without Var(x_0|x_t)": _judge(case, posterior=0.0),
        "(1-q) Var(x_0|x_t)": _judge(case, power=1),
        "(1 + 2e-8) Var(x_0|x_t)": _judge(case, posterior=1.0 + 2e-8),
    }
    if exact_sampler.obstacle(case) is None:
        for name, wrong in exact_sampler.controls(case).items():
            found[name] = _judge(case, wrong=wrong)
    return found | sampler_mutants(CLAIM, case)


def _judge(
    case: Case,
    posterior: float = 1.0,
    power: int = 2,
    wrong: exact_sampler.Wrong = exact_sampler.RIGHT,
) -> Verdict:
    identity, witness = _compare_kernels(case, posterior, power)
    unfit = exact_sampler.obstacle(case)
    samples = [] if unfit is not None else exact_sampler.compare_exact(case, wrong)

    def where(found: Comparison) -> dict[str, Any]:
        return witness(found) if found is identity else {"seed": case.stream("X8 exact")}

    tables = [case.memo("X8 table", lambda: _needed(case))] if case.mixture.N > 1 else []
    if unfit is None:
        tables.append(exact_sampler.exact_table(case))
    finding = Finding(
        comparisons=[identity, *samples],
        nonvacuous_share=1.0,
        witness=where,
        unit="entries of covariances",
        tables=tables,
        note="" if unfit is None else f"The sampler is not run on this problem's score: {unfit}.",
    )
    return CLAIM.judge(case, finding, Basis.SAMPLED)


Witness = Callable[[Comparison], dict[str, Any]]


def _compare_kernels(case: Case, posterior: float, power: int) -> tuple[Comparison, Witness]:
    """The identity at its points, and where the worst of them lies."""
    steps = case.memo("X8 steps", lambda: _steps(case))
    true, predicted, scale, where = [], [], [], []
    for (t, s), points, kernel, unknown in steps:
        abar, rho = case.schedule.alpha_bar[s], case.schedule.rho
        rest = 1.0 - rho[s] / rho[t]
        bridge = rho[s] * rest * np.eye(case.mixture.d)
        want = abar * (bridge + posterior * rest**power * unknown)
        true.append(kernel.ravel())
        predicted.append(want.ravel())
        # Exponents between modes lose digits, see the accuracy of the score: |x|^2/(2 var) ulps.
        reach = np.square(points).sum(axis=1) / case.schedule.noise_var[t]
        size = np.trace(kernel, axis1=1, axis2=2) * (1.0 + reach / 1e3)
        scale.append(np.repeat(size, case.mixture.d**2))
        where += [(t, s, row) for row in range(len(points)) for _ in range(case.mixture.d**2)]
    comparison = compare(
        "covariance of the reverse kernel",
        Equality(atol=1e-9),
        np.concatenate(true),
        np.concatenate(predicted),
        scale=np.concatenate(scale),
    )

    def witness(found: Comparison) -> dict[str, Any]:
        t, s, row = where[found.index]
        points = next(points for pair, points, _, _ in steps if pair == (t, s))
        return {"t": t, "s": s, "x": points[row].tolist()}

    return comparison, witness


Step = tuple[tuple[int, int], Array, Array, Array]


def _pairs(case: Case) -> list[tuple[int, int]]:
    """At most twelve noisy steps of the papers' grid."""
    pairs = [(t, s) for t, s in ddim_grid(case).pairs if s > 0]
    if not pairs:
        return [(case.schedule.T, 0)]
    return [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, 12).astype(int))]


def _steps(case: Case) -> list[Step]:
    """Per step: points x (n, d), covariance of x_s given x_t, covariance of x_0 given x_t."""
    found = []
    rng = case.rng("X8")
    midpoints = np.empty((0, case.mixture.d))
    if case.mixture.N > 1:
        nearest = geometry.nearest_pairs(case.mixture)[:8]
        midpoints = np.array([geometry.pair(case.mixture, i, j).midpoint for i, j in nearest])
    schedule = case.schedule
    for t, s in _pairs(case):
        clean = case.mixture.sample(_STATES, rng)
        noise = rng.standard_normal(clean.shape)
        states = schedule.alpha[t] * clean + np.sqrt(schedule.noise_var[t]) * noise
        points = np.concatenate([schedule.alpha[t] * midpoints, states])
        levels = (schedule.alpha_bar[t], schedule.alpha_bar[s])
        noises = {"noise_var_t": schedule.noise_var[t], "noise_var_s": schedule.noise_var[s]}
        _, kernel = oracles.reverse_moments(case.mixture, points, *levels, **noises)
        found.append(((t, s), points, kernel, _posterior(case, points, t)))
    return found


def _posterior(case: Case, points: Array, t: int) -> Array:
    """(n, d, d) covariance of x_0 given x_t by Tweedie's second formula."""
    schedule = case.schedule
    hessian = ExactScore(case.mixture, schedule).jacobian(points, t)
    nu = schedule.noise_var[t]
    return nu / schedule.alpha_bar[t] * (np.eye(case.mixture.d) + nu * hessian)


def _needed(case: Case) -> Table:
    """The eta that a step would need at the closest pair's midpoint and at a mode."""
    pair = geometry.pair(case.mixture, *geometry.nearest_pairs(case.mixture)[0])
    rho, rows = case.schedule.rho, []
    for t, s in _pairs(case):
        rest = 1.0 - rho[s] / rho[t]
        if s == 0:
            continue
        places = case.schedule.alpha[t] * np.array([pair.midpoint, pair.mu_i])
        unknown = _posterior(case, places, t) @ pair.direction @ pair.direction
        eta = np.sqrt(1.0 + rest * unknown / rho[s])
        rows.append((t, s, float(eta[0]), float(eta[1]), float(1.0 / np.sqrt(rest))))
    columns = ("t", "s", "at the midpoint", "at a mode", "the step allows")
    return Table("The eta that matches the true variance along the closest pair", columns, rows)

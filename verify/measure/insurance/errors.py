"""The sampled row of the guarantee: score errors of known size on product grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.run.sampling import sample
from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import Proportion

from ...ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Profile, Table, Verdict
from ...ledger.relations import Comparison, Equality, Statistical, compare, compare_rate
from ..score_errors.blurred import blurred_score
from . import terms
from .chains import Chain, Gaps, exact_laws, find_chains
from .score_pushes import push
from .terms import Insured, insure

BLURS = (0.05, 0.1, 0.25)  # of the shortest distance between two modes
PUSHES = (0.6, 1.3)  # cost over L: within the pathwise budget, and beyond L
_WORK = 3_000_000  # samples times steps of one run in the quick profile
_MOST = 10_000
_LEAST_SHARE = 0.05  # of the exact chain's outputs that lie in the gap by which its law is checked
_PRECISE, _PRECISE_FULL = 0.12, 0.05  # to which the count of them must know that share
_LAW_MISS = 2e-9  # with which a correct law is taken for a wrong one


@dataclass(frozen=True)
class Wrong:
    """What a negative control gets wrong: factors on the divergence and on the cost; how many
    chains further the law is taken from."""

    divergence: float = 1.0
    cost: float = 1.0
    law: int = 0


RIGHT = Wrong()


def judge(claim: Claim, case: Case, wrong: Wrong = RIGHT) -> Verdict:
    """Laws, costs and rates. Raises NotApplicableError off product grids."""
    chains = find_chains(case)
    runs = case.memo("X11 known errors", lambda: _runs(case, chains))
    strays = case.memo("X11 strays", lambda: [_strays(case, chain) for chain in chains])
    finding = Finding(
        comparisons=[
            *(_law(case, chains, k, found, wrong) for k, found in enumerate(strays)),
            *(c for run, cost in runs if cost is not None for c in _pushed(run, cost, wrong)),
            *(c for run, cost in runs if cost is None for c in _blurred(run, wrong)),
        ],
        hypotheses=[Hypothesis("common_sigma", 1.0, 0.0), Hypothesis("product_grid", 1.0, 0.0)],
        nonvacuous_share=float(np.mean([run.pathwise() < 1.0 for run, _ in runs])),
        witness=lambda c: {"compared": c.name, "seed": case.stream("insurance")},
        unit="samples",
        note=(
            "The exact chains' laws are compared to within "
            f"{show_share(_precise(case), 2)} of the share in a gap that is counted."
        ),
        numbers=terms.gap_costs([run for run, _ in runs]),
        tables=[
            Table(
                "Guarantee and rate under errors of known size",
                terms.COLUMNS,
                [terms.table_row(run) for run, _ in runs],
            )
        ],
        model="exact score with a known error",
    )
    return claim.judge(case, finding, Basis.SAMPLED)


def mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """A third of the divergence, a quarter of the cost, the law of another eta."""
    return {
        "a third of the divergence": judge(claim, case, Wrong(divergence=1.0 / 3.0)),
        "a quarter of the cost": judge(claim, case, Wrong(cost=0.25)),
        "law of another η": judge(claim, case, Wrong(law=1)),
    }


def _size(case: Case, chain: Chain) -> int:
    work = case.pick(_WORK, 20 * _WORK) // (chain.plan.grid.steps * case.mixture.d)
    return int(np.clip(work, 500, case.pick(_MOST, 20 * _MOST)))


def _runs(case: Case, chains: Sequence[Chain]) -> list[tuple[Insured, float | None]]:
    """Runs with the cost that every path must have, None where it varies."""
    found: list[tuple[Insured, float | None]] = []
    mixture, schedule = case.mixture, case.schedule
    laws = exact_laws(case, chains[0])
    axis = int(np.argmax([len(law.axis.values) for law in laws]))
    for chain in chains:
        n = _size(case, chain)
        for width in BLURS:
            model = blurred_score(mixture, schedule, width)
            found.append((insure(case, chain, (f"blur {width:g}", model), n), None))
        rarity = -found[-1][0].log_p
        for share in PUSHES:
            pushed = push(chain, float(mixture.sigma), axis, share * rarity)
            label = (f"push {share:g} L", pushed.model(mixture, schedule))
            found.append((insure(case, chain, label, n), pushed.cost))
    return found


def _pushed(run: Insured, cost: float, wrong: Wrong) -> list[Comparison]:
    """Every path costs the closed form; both forms of the guarantee at that known cost."""
    budget, divergence = wrong.cost * cost, wrong.divergence * cost
    forms = {
        "pathwise": float(bounds.pathwise_probability(0.0, budget, run.log_p)),
        "kl": float(np.exp(bounds.log_kl_inverse(divergence, run.log_p))),
    }
    return [
        compare(f"cost of a path, {run.name}", Equality(rtol=1e-6), run.cost, cost),
        *(_rate(run, name, value) for name, value in forms.items()),
    ]


def _blurred(run: Insured, wrong: Wrong) -> list[Comparison]:
    return [
        _rate(run, "pathwise", run.pathwise()),
        _rate(run, "stopped kl", run.stopped(factor=wrong.divergence)),
    ]


def _rate(run: Insured, form: str, bound: float) -> Comparison:
    return compare_rate(f"share in a gap, {run.name}, {form}", Statistical(), run.rate, bound)


# -- the law of the exact chain --------------------------------------------------------------------


@dataclass(frozen=True)
class Strays:
    """Outputs of the exact chain in a gap of this radius (data units), in the first coordinate that
    has one."""

    radius: float
    hits: Proportion


def _strays(case: Case, chain: Chain) -> Strays:
    """Counts of the exact chain. The radius is the largest halving of sigma whose gap has
    mass enough to be counted."""
    from scipy.stats import norm

    law, axis = _first_axis(exact_laws(case, chain))
    radius = float(case.mixture.sigma)
    while (share := _share(law, radius)) < _LEAST_SHARE:
        radius *= 0.5
    deviations = float(norm.isf(_LAW_MISS / 2))
    n = math.ceil((deviations / _precise(case)) ** 2 * (1.0 - share) / share)
    run = sample(case.mixture, case.schedule, chain.sampler, n=n, rng=case.stream("X11 law"))
    inside = Gaps((law.axis.values,), radius).hold(np.asarray(run.x)[:, [axis]])
    return Strays(radius, Proportion(int(inside.sum()), n))


def _precise(case: Case) -> float:
    return _PRECISE_FULL if case.profile is Profile.FULL else _PRECISE


def _first_axis(laws: Sequence[oracles.AxisLaw]) -> tuple[oracles.AxisLaw, int]:
    axis = next(k for k, law in enumerate(laws) if len(law.axis.values) > 1)
    return laws[axis], axis


def _share(law: oracles.AxisLaw, radius: float) -> float:
    return math.exp(oracles.log_gap_probability([law], radius))


def _reach(share: float, n: int) -> float:
    """How far the rate of n trials strays from `share`, up to probability _LAW_MISS."""
    from scipy.stats import binom

    low, high = (float(binom.isf(p, n, share)) for p in (1.0 - _LAW_MISS / 2, _LAW_MISS / 2))
    return max(share - low / n, high / n - share)


def _law(case: Case, chains: Sequence[Chain], k: int, found: Strays, wrong: Wrong) -> Comparison:
    """The share of chain k against its law, to within what the binomial law allows."""
    law, _ = _first_axis(exact_laws(case, chains[(k + wrong.law) % len(chains)]))
    share = _share(law, found.radius)
    radius = found.radius / float(case.mixture.sigma)
    return compare(
        f"exact chain in a gap of {radius:g} sigma, {chains[k].name}",
        Equality(atol=_reach(share, found.hits.trials)),
        found.hits.rate,
        share,
    )

"""Score errors of known size, and the exact chains' laws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import Between
from mixdyn.run.sampling import sample
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case, Profile
from ..midpoint.stretch import first_pair
from ..score_errors.blurred import blurred_score
from .chains import Chain, Gaps, estimated, exact_laws, is_product
from .score_pushes import push
from .terms import Insured, exact_score, insure

BLURS = (0.05, 0.1, 0.25)  # of the shortest distance between two modes
PUSHES = (0.6, 1.3)  # cost over L: within the pathwise budget, and beyond L
_WORK = 1_500_000  # samples times steps of one run in the quick profile
_MOST = 2_500
_LEAST_SHARE = 0.05  # of the exact chain's outputs that lie in the gap by which its law is checked
_BETWEEN_RADIUS, _BETWEEN = 2.5, 100_000  # sigma, of gaps between modes, and outputs counted there
_PRECISE, _PRECISE_FULL = 0.12, 0.05  # to which the count of them must know that share
_LAW_MISS = 2e-9  # with which a correct law is taken for a wrong one


def _size(case: Case, chain: Chain) -> int:
    work = case.pick(_WORK, 20 * _WORK) // (chain.plan.grid.steps * case.mixture.d)
    return int(np.clip(work, 500, case.pick(_MOST, 20 * _MOST)))


def run_known(case: Case, chains: Sequence[Chain]) -> list[tuple[Insured, float | None]]:
    """Runs with the cost that every path must have, None where it varies."""
    found: list[tuple[Insured, float | None]] = []
    axis, std = _push_axis(case, chains[0])
    blurred = {w: blurred_score(case.mixture, case.schedule, w) for w in BLURS}
    for chain in chains:
        n = _size(case, chain)
        for width, model in blurred.items():
            found.append((insure(case, chain, (f"blur {width:g}", model), n), None))
        rarity = -found[-1][0].log_p
        for share in PUSHES:
            pushed = push(chain, std, axis, share * rarity)
            label = (f"push {share:g} L", pushed.model(exact_score(case)))
            found.append((insure(case, chain, label, n), pushed.cost))
    return found


def _push_axis(case: Case, chain: Chain) -> tuple[int, float]:
    """A coordinate along which modes lie, and their standard deviation along it."""
    if is_product(case.mixture):
        laws = exact_laws(case, chain)
        axis = int(np.argmax([len(law.axis.values) for law in laws]))
        return axis, float(np.sqrt(laws[axis].sigma2))
    axis = int(np.argmax(np.abs(first_pair(case.mixture).direction)))
    return axis, float(case.mixture.sigma)


# -- the law of the exact chain --------------------------------------------------------------------


@dataclass(frozen=True)
class Strays:
    """Outputs of the exact chain in a gap of this radius (data units), of modes of this std: on
    product grids in the first coordinate that has one, on other mixtures between two nearest
    modes."""

    radius: float
    std: float
    hits: Proportion


def stray(case: Case, chain: Chain) -> Strays:
    """Counts of the exact chain. The radius is the largest halving of sigma whose gap has
    mass enough to be counted; off product grids it is given, and so is the number of outputs."""
    from mixdyn.support import laws

    product = is_product(case.mixture)
    if product:
        law, axis = _first_axis(exact_laws(case, chain))
        radius = std = float(np.sqrt(law.sigma2))
        while (share := share_in_gap(case, chain, radius)) < _LEAST_SHARE:
            radius *= 0.5
        deviations = -float(laws.normal_quantile(_LAW_MISS / 2))
        n = math.ceil((deviations / precise(case)) ** 2 * (1.0 - share) / share)
    else:
        std = float(case.mixture.sigma)
        radius, n = _BETWEEN_RADIUS * std, case.pick(_BETWEEN, 20 * _BETWEEN)
    run = sample(case.mixture, case.schedule, chain.sampler, n=n, rng=case.stream("X11 law"))
    end = np.asarray(run.x)
    if product:
        inside = Gaps((law.axis.values,), radius).hold(end[:, [axis]])
    else:
        inside = Between(radius=radius).holds(case.mixture, end)
    return Strays(radius, std, Proportion(int(inside.sum()), n))


def precise(case: Case) -> float:
    """To which part of it the count knows the share in a gap."""
    return _PRECISE_FULL if case.profile is Profile.FULL else _PRECISE


def _first_axis(laws: Sequence[oracles.AxisLaw]) -> tuple[oracles.AxisLaw, int]:
    axis = next(k for k, law in enumerate(laws) if len(law.axis.values) > 1)
    return laws[axis], axis


def share_in_gap(case: Case, chain: Chain, radius: float) -> float:
    """The exact chain's share of outputs in such a gap of this radius."""
    if not is_product(case.mixture):
        return math.exp(estimated(case, chain, radius).log_p)
    law, _ = _first_axis(exact_laws(case, chain))
    return math.exp(oracles.log_gap_probability([law], radius))


def known_to(case: Case, chain: Chain, radius: float, n: int) -> float:
    """How far the rate of n outputs in the gap may stray from `share_in_gap`, up to probability
    _LAW_MISS: by chance and by the error of an estimate."""
    share = share_in_gap(case, chain, radius)
    if is_product(case.mixture):
        return reach(share, n)
    most = math.exp(estimated(case, chain, radius).interval(_LAW_MISS)[1])
    return most - share + reach(most, n)


def reach(share: float, n: int) -> float:
    """How far the rate of n trials strays from `share`, up to probability _LAW_MISS."""
    from mixdyn.support import laws

    low, high = (
        float(laws.binomial_upper(p, n, share)) for p in (1.0 - _LAW_MISS / 2, _LAW_MISS / 2)
    )
    return max(share - low / n, high / n - share)

"""What samplers on cheap and dear grids return: mass outside the modes, weights, spread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import mixdyn
from mixdyn.geometry import in_stds, within_modes
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM

from ...ledger.case import Case
from ..measurement import Measurement
from ..networks.models import EXACT, NETWORKS, named_scores
from .grids import BEST, grids

_N, _FULL = 4000, 50
_EVERY = 500  # samples of DDPM
_COUNTS = (20, 30, 50)


@Measurement
def quality(case: Case) -> dict[str, Any]:
    """One row a sampler and score: samplers, models; n; price of start and steps; outside: share of
    samples outside the modes; weights: KL of the modes' shares from their weights, chance: what
    independent draws give on average; spread over sigma."""
    counts = [k for k in _COUNTS if k <= case.schedule.T]
    chosen: dict[str, Any] = {
        f"{k} steps, {name}": DDIM(spacing=grids(case.mixture, case.schedule, k)[name], eta=1.0)
        for k in counts
        for name in (BEST, "quadratic", "log SNR")
    }
    chosen["all steps (DDPM)"] = DDPM()
    rows = []
    for model in named_scores(case, (EXACT, NETWORKS))[:2]:  # the first network
        for name, sampler in chosen.items():
            n = case.pick(_N, _FULL * _N)
            if isinstance(sampler, DDPM):
                n = case.pick(_EVERY, _FULL * _EVERY)
            x = np.asarray(
                sample(model.score, case.schedule, sampler, n=n, rng=case.stream("quality")).x
            )
            price = mixdyn.price(case.mixture, case.schedule, sampler).total
            rows.append((name, model.name, n, price, *_of_samples(case, x)))
    keys = ("samplers", "models", "n", "price", "outside", "weights", "chance", "spread")
    columns = zip(*rows, strict=True)
    return {key: np.array(column) for key, column in zip(keys, columns, strict=True)}


def _of_samples(case: Case, x: np.ndarray) -> tuple[float, float, float, float]:
    mixture = case.mixture
    codes, nearest, offset = within_modes(mixture, x)
    inside = len(nearest)
    share = np.bincount(nearest, minlength=mixture.N) / max(inside, 1)
    held = share > 0.0
    kl = float(share[held] @ np.log(share[held] / mixture.weights[held]))
    square = np.square(in_stds(mixture, nearest, offset)).mean() if inside else math.nan
    chance = (mixture.N - 1) / (2 * max(inside, 1))
    return 1.0 - inside / len(codes), kl, chance, float(np.sqrt(square))

"""Densities of samples on lines of modes: exact score, networks by size of the training set.

arXiv 2406.09358 v2, figures 2 and 9 to 12. The law of DDPM's last state by quadrature; with the
exact score on the modes 1, 2, 3 also a streamed histogram of samples, 100 million of them in the
full profile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.run.observers import FinalHistogram
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array, IntArray
from verify.ledger.case import Case
from verify.measure.interpolation.networks import gap_probabilities, law_on_line, networks
from verify.measure.interpolation.problems import LINES, NEAR, line_name, modes_at, schedule
from verify.measure.measurement import Measurement

SAMPLES = (300_000, 100_000_000)  # quick, full
EDGES = np.linspace(0.5, 5.5, 251)


@Measurement
def line_densities(case: Case) -> dict[str, Any]:
    """n streamed samples; edges (B + 1,); lines (L,) and own (L, B): the mixtures' own densities;
    exact (L, B): DDPM with the exact score; counts (B,) of the streamed samples; per network names
    (A,), line (A,) its place among them, points (A,), density (A, B), rate (A,) in all gaps."""
    n = case.pick(*SAMPLES)
    data: dict[str, Any] = {
        "n": n,
        "edges": EDGES,
        "lines": [line_name(places) for places in LINES],
        "own": [_own(places) for places in LINES],
        "exact": [law_on_line(case, places, "DDPM").density(EDGES) for places in LINES],
        "counts": _stream(case, n),
    }
    found = [(k, net) for k, places in enumerate(LINES) for net in networks(case, modes_at(places))]
    laws = [law_on_line(case, LINES[k], "DDPM", net.model) for k, net in found]
    return data | {
        "names": [net.model.name for _, net in found],
        "line": [k for k, _ in found],
        "points": [net.points for _, net in found],
        "density": [law.density(EDGES) for law in laws],
        "rate": [
            float(gap_probabilities(law, LINES[k]).sum())
            for law, (k, _) in zip(laws, found, strict=True)
        ],
    }


def _own(places: tuple[float, ...]) -> Array:
    """Mean density of the mixture itself in each bin."""
    from scipy.special import ndtr

    mixture = modes_at(places)
    below = ndtr((EDGES[:, None] - mixture.means[:, 0]) / mixture.sigmas) @ mixture.weights
    return np.asarray(np.diff(below) / np.diff(EDGES))


def _stream(case: Case, n: int) -> IntArray:
    """Samples of DDPM with the exact score on the modes 1, 2, 3 in each bin, none of them kept."""
    seed, observer = case.stream("line histogram"), FinalHistogram(EDGES)
    run = sample(
        modes_at(NEAR), schedule(), DDPM(), n=n, rng=seed, observers=[observer], keep="none"
    )
    return np.asarray(run.observations[0])[1:-1]

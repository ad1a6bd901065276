"""Made-up samples of networks for images, in place of saved ones."""

from __future__ import annotations

import numpy as np

from mixdyn.images import digits, shapes, triangles
from verify.measure.images.counts import Drawn
from verify.measure.images.generations import Generation, Run, Runs
from verify.measure.images.sampling import quantised
from verify.measure.images.watching import LEVELS

_VERSIONS = {"torch": "none"}


def drawn_of(network: str, sampler: str, wrong: int, n: int, *, apart: float = 3.0) -> Drawn:
    """n images of which the first `wrong` are hallucinations, whose log Hal is `apart` larger."""
    kind, steps, seed = (network.split("-") * 2)[:3]
    rng = np.random.default_rng(len(sampler) + wrong)
    real = (triangles if kind == "triangles" else shapes)(n, 24, 1)
    counts = real.counts.copy()
    counts[:wrong, 0] = 2
    about = {
        "steps": int(steps) if kind == "triangles" else 6000,
        "seed": int(seed) if kind == "triangles" else 0,
        "command": "made up",
        "hardware": "none",
        "versions": _VERSIONS,
        "code": {},
    }
    hal = np.exp(0.3 * rng.standard_normal((n, 7)))
    hal[:wrong] *= np.exp(apart)
    by_level = np.repeat(counts.sum(1, keepdims=True), len(LEVELS), axis=1)
    undecided = rng.random((n, len(LEVELS))) < 0.2
    empty = np.empty(0, np.int64)
    pixels = quantised(real.rows[:32], 24)
    odd = np.zeros(n, bool)
    seen = (counts, odd, 50.0, by_level, undecided, hal, empty, pixels)
    return Drawn(network, sampler, about, *seen)


def drawn(case: object, kind: str) -> list[Drawn]:
    """Of each kind what its rows and figures ask for."""
    if kind == "digits":
        return []
    if kind == "shapes":
        return [drawn_of("shapes-0", "ancestral-250", 30, 400)]
    return [
        drawn_of(f"triangles-{steps}-0", sampler, wrong, 300)
        for steps, share in ((750, 4), (6000, 2))
        for sampler, wrong in (
            ("ddim-50", 40 * share),
            ("ddim-250", 36 * share),
            ("ddpm", 8 * share),
        )
    ]


def runs(name: str) -> Runs:
    """Three generations under two filters."""
    plan = {"n": 300, "evaluations": 9, "channels": 8, "steps": 9, "batch": 9, "discard": 0.1}
    about = {"plan": plan, "command": "made up", "hardware": "none", "code": {}}
    made = _shapes if name == "shapes" else _digits
    return Runs(
        about,
        tuple(
            Run(filter_, 0, tuple(made(k, worse, filter_) for k in range(3)))
            for filter_, worse in (("random", 3.0), ("hal", 1.0))
        ),
    )


def _shapes(k: int, worse: float, filter_: str) -> Generation:
    one = drawn_of("shapes-0", filter_, int(10 + 40 * k * worse), 400)
    return Generation(one.counts, one.hal[:, 0], one.hal[:, 0] < 2.0, np.empty(0, int), one.pixels)


def _digits(k: int, worse: float, filter_: str) -> Generation:
    real = digits()
    rng = np.random.default_rng(k + len(filter_))
    at = rng.integers(0, 1797, 400)
    rows = real.rows[at] + (0.1 + 0.3 * k * worse) * rng.standard_normal((400, 64))
    hal = rng.random(400)
    nothing = np.empty((400, 0), np.int64)
    return Generation(nothing, hal, hal < 0.9, real.labels[at], quantised(rows, 8))

r"""An inexact score across the pair.

Statement: Let the score be $s + e$ with $|e| \le e_{max}$. While a pair dominates with margin
    $\kappa$, the distance to its line obeys $d_\perp' \le -d_\perp + R + \sigma_t^2
    e_{max}/\alpha_t$ in the clock $u$, so that
    $d_\perp(y_t) \le e^{-u} d_\perp(y_\tau) + (1 - e^{-u}) (R + \sup \sigma_t^2 e_{max}/\alpha_t)$:
    a tube of radius at least $R + \sup \sigma_t^2 e_{max}/\alpha_t$ is forward invariant.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the closest pair is separated with margin 7 at some node of the papers' grid.
    - dominance: the pair dominates with margin 7 at every later node of the perturbed path.
Measured: $d_\perp$ along perturbed flows at the nodes of the papers' grid, from starts around the
    segment of the closest pair, for errors that push along the pair, outward, across, away from the
    line, and in waves, constant in time and growing towards the data; and the velocity across the
    pair of the sampler's perturbed score at states of the paths.
Predicted: the bound from node to node; the tube of its largest radius for starts inside; the
    velocity from the engine's exact field plus the error's component across.
Evidence: sampled starts, solved to 1e-10; R from each path's smallest margin at the nodes.
Source: arXiv 2605.06831 v1, Appendix C.3
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.validation import Array
from verify.claim import Basis, Case, Claim, Finding, Verdict
from verify.perturbed_paths import (
    PerturbedPaths,
    error_ratio,
    hypotheses,
    path_witness,
    perturbed_paths,
    velocity_error,
)
from verify.relations import Comparison, Equality, Upper, compare

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.3",
    basis=(Basis.SAMPLED,),
    min_modes=2,
    common_sigma=True,
    does_not_show=(
        "That the error is small enough for the tube to be of use: its radius is the error's own "
        "size in y, and grows with it. Dominance is checked at nodes, not between them."
    ),
)


def check(case: Case) -> Verdict:
    """Distance to the line, node by node."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """A bound that forgets the error, and one that counts half of it."""
    return {
        "without the error's term": _judge(case, error_factor=0.0),
        "half the error": _judge(case, error_factor=0.5),
    }


def _judge(case: Case, error_factor: float = 1.0) -> Verdict:
    found = case.memo("inexact paths", lambda: perturbed_paths(case))
    held = [paths.held for paths in found]
    if not found or not np.concatenate(held).any():
        return CLAIM.judge(case, Finding(hypotheses=hypotheses(found), applicable_share=0.0))
    sides = [_sides(case, paths, error_factor) for paths in found]
    measured, bound = (np.concatenate([side[k].ravel() for side in sides]) for k in (0, 1))
    tolerance = Upper(rtol=1e-9, atol=1e-8)
    velocity = case.memo("C.3 velocity", lambda: velocity_error(case, found, along=False))
    inside = [_tube(case, paths, error_factor) for paths in found]
    comparisons = [
        compare("distance to the line in units of l", tolerance, measured, bound),
        compare(
            "the tube, for starts inside",
            tolerance,
            *(np.concatenate([side[k].ravel() for side in inside]) for k in (0, 1)),
        ),
        compare("velocity against m - y and e", Equality(atol=1e-9), *velocity),
    ]

    def witness(comparison: Comparison) -> dict[str, Any]:
        if comparison is not comparisons[0]:
            return {"quantity": comparison.name}
        return path_witness(found, sides, comparison.index)

    finding = Finding(
        comparisons=comparisons,
        hypotheses=hypotheses(found),
        applicable_share=float(np.concatenate(held).mean()),
        nonvacuous_share=float(np.mean(bound < 0.5)) if case.mixture.d > 1 else 0.0,
        witness=witness,
        unit="path nodes",
        note="" if case.mixture.d > 1 else "On a line every state lies on the line of the pair.",
        numbers={
            "largest distance at a later node, in units of l": float(measured.max()),
            "largest σ_t² e_max/α_t, in units of l": max(float(p.delta.max()) for p in found),
            "largest e_max over the size of the score between the modes": error_ratio(case, found),
        },
    )
    return CLAIM.judge(case, finding)


def _sides(case: Case, paths: PerturbedPaths, error_factor: float) -> tuple[Array, Array]:
    """Distance to the line over l at later nodes and its bound, (paths, nodes - 1)."""
    distance = paths.distance[:, paths.held] / paths.pair.length
    remainder = paths.remainder(case) / paths.pair.length
    bound = paths.recursion(distance[0], error_factor * paths.delta, remainder)
    return distance[1:].T, bound.T


def _tube(case: Case, paths: PerturbedPaths, error_factor: float) -> tuple[Array, Array]:
    """Largest later distance of each start inside the tube, and the tube's radius, over l."""
    distance = paths.distance[:, paths.held] / paths.pair.length
    radius = paths.remainder(case) / paths.pair.length + error_factor * paths.delta.max()
    starts = distance[0] <= radius + 1e-12
    return distance[1:, starts].max(axis=0), radius[starts]

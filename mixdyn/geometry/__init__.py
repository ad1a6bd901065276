"""Euclidean geometry of the means: pairs, classes, dominance, equilibria. No sampler, no score."""

from .classes import (
    Region,
    classify,
    in_stds,
    mode_radius,
    radius_in_stds,
    widest_modes,
    within_modes,
)
from .gaps import Between, Gap, in_gap
from .pairs import (
    Indices,
    Mask,
    Pair,
    distance_to_segment,
    nearest_pairs,
    pair,
    pairwise_distances,
    require_pair,
    row_blocks,
    squared_distances,
    two_nearest,
)

__all__ = [
    "Between",
    "Gap",
    "Indices",
    "Mask",
    "Pair",
    "Region",
    "classify",
    "distance_to_segment",
    "in_gap",
    "in_stds",
    "mode_radius",
    "nearest_pairs",
    "pair",
    "pairwise_distances",
    "radius_in_stds",
    "require_pair",
    "row_blocks",
    "squared_distances",
    "two_nearest",
    "widest_modes",
    "within_modes",
]

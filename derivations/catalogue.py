"""The derivations in reading order: from the forward process to each bound."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._derivation import Derivation


@dataclass(frozen=True)
class Chapter:
    """A title, a sentence or two that leads in, and the derivations' module names."""

    title: str
    lead: str
    names: tuple[str, ...]


CHAPTERS = (
    Chapter(
        "The forward process and its score",
        "A mixture stays a mixture under the forward process. Its score is an average over"
        " modes, and in"
        " static coordinates the reverse dynamics know the schedule only through one variance $v$.",
        ("marginal", "score", "tweedie", "static_coordinates", "jacobian"),
    ),
    Chapter(
        "Samplers",
        "One family of steps contains DDIM and DDPM. Given the clean point it is exact; what"
        " it loses is the"
        " posterior spread that a point estimate of the clean point drops.",
        ("ddim_bridge", "ddim_integrator", "linear_recursion", "outside"),
    ),
    Chapter(
        "Closed forms",
        "Against these the engine and the samplers are measured: the exact law of the reverse"
        " SDE, the exact"
        " flow of separable mixtures, and the directions in which everything is linear.",
        (
            "reverse_law",
            "cdf_conservation",
            "hull_reduction",
            "two_modes",
            "hybrid",
            "window_variance",
        ),
    ),
    Chapter(
        "Convergence to the segment between two modes",
        "Once two modes dominate, the others act only through a small remainder, and a"
        " trajectory is pulled"
        " into a tube around the segment that joins the two.",
        (
            "triangle",
            "gronwall",
            "dominance",
            "split",
            "extended_segment",
            "tube",
            "convex_set",
            "tube_invariance",
            "chi_square",
        ),
    ),
    Chapter(
        "At the modes",
        "Near a mode there is a stable equilibrium, and trajectories that reach it track each"
        " other.",
        ("mode_stability", "tracking", "budgets"),
    ),
    Chapter(
        "The saddle between two modes",
        "Between two modes the ODE has a saddle. How long it holds a trajectory is bounded by"
        " a growth"
        " exponent in closed form.",
        ("saddle", "saddle_box", "logistic_curvature", "paper_trap", "popoviciu", "growth"),
    ),
    Chapter(
        "The reverse SDE leaves the midpoint",
        "Projected on the line of a pair the SDE is one-dimensional. Confinement and return"
        " bound the"
        " probability of ending at the midpoint; a comparison of squares gives it sharply.",
        (
            "bisector",
            "brownian_confinement",
            "confinement",
            "return_term",
            "ou_confinement",
            "comparison_of_squares",
        ),
    ),
    Chapter(
        "Unequal weights, inexact scores, diagonals",
        "What changes when weights differ or the score carries an error, and why the"
        " diagonals of a grid are"
        " avoided.",
        ("unequal_weights", "saddle_shift", "eigenvalue_shift", "perturbed_midpoint", "rectangle"),
    ),
    Chapter(
        "Noise as insurance",
        "Two samplers that share their noise have a path divergence. It turns an error of the"
        " score into a"
        " bound on any event, cheapest per step at $\\eta = 1$.",
        (
            "path_divergence",
            "eta_factor",
            "binary_kl",
            "pathwise_bound",
            "total_variance",
            "kernel_variance",
        ),
    ),
)


def names() -> tuple[str, ...]:
    """Module names of all derivations, in reading order."""
    return tuple(name for chapter in CHAPTERS for name in chapter.names)


def load(name: str) -> Derivation:
    """The derivation exported by the module `name`."""
    derivation: Derivation = importlib.import_module(f"derivations.{name}").DERIVATION
    return derivation


def _normal(label: str) -> str:
    return label.lower().replace(" ", "")


def find(wanted: str) -> str:
    """The module name of a derivation given by module name or id, in any case.

    Raises KeyError for a name that fits none.
    """
    key = _normal(wanted.removesuffix(".py"))
    for name in names():
        derivation = load(name)
        if key in {name, *map(_normal, (derivation.id, *derivation.also))}:
            return name
    raise KeyError(wanted)

"""What the figures show, measured: one file per experiment, each a function of a case.

An experiment returns plain named arrays; `store` keeps them with the recipe that made them. Every
experiment uses the engine for what it measures, `mixdyn.bounds` for bounds and `mixdyn.oracles` for
closed forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from . import (
    ablations,
    basin,
    causes,
    diagonals,
    distance,
    dominance,
    eta,
    frontier,
    frontier_elsewhere,
    hal_paths,
    hal_populations,
    insurance_eta,
    learned_ablations,
    learned_distance,
    learned_drift,
    learned_eta,
    learned_radius,
    learned_saddles,
    learned_steps,
    learned_tau_3,
    line_densities,
    phase_portrait,
    plane_states,
    radius,
    recursions,
    saddles,
    score_smoothing,
    steps,
    terminal,
    weights,
)
from .common import LearnedExperiment
from .store import Experiment, Result, obtain

_MODULES = (
    phase_portrait,
    steps,
    distance,
    radius,
    dominance,
    saddles,
    eta,
    frontier,
    frontier_elsewhere,
    terminal,
    ablations,
    weights,
    basin,
    diagonals,
    learned_steps,
    learned_eta,
    learned_ablations,
    learned_saddles,
    learned_drift,
    learned_distance,
    learned_radius,
    learned_tau_3,
    insurance_eta,
    line_densities,
    plane_states,
    score_smoothing,
    causes,
    hal_paths,
    hal_populations,
    recursions,
)

_OWN_MIXTURES = (
    dominance,
    ablations,
    diagonals,
    learned_ablations,
    line_densities,
    plane_states,
    score_smoothing,
    hal_paths,
    hal_populations,
    recursions,
)
_LEARNED = (
    *(frontier, frontier_elsewhere),
    *(learned_steps, learned_eta, learned_ablations, learned_saddles, learned_drift),
    *(learned_distance, learned_radius, learned_tau_3, insurance_eta),
    *(line_densities, plane_states, score_smoothing, causes),
    *(hal_paths, hal_populations, recursions),
)


def _experiment(module: ModuleType) -> Experiment:
    name = module.__name__.rpartition(".")[2]
    kind = LearnedExperiment if module in _LEARNED else Experiment
    return kind(name, module.run, own_mixture=module in _OWN_MIXTURES)


EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {experiment.name: experiment for experiment in map(_experiment, _MODULES)}
)

__all__ = ["EXPERIMENTS", "Experiment", "Result", "obtain"]

"""How a model is asked, and the exact score of a mixture by its routes; no sampler, no solver.

`protocol`: levels, and what any model owes. `exact`: the score of a mixture, by the first of
`routes` that fits it. `perturbed`: a known error on top. `guided`: towards a class.
`conversions`: eps, x0, v and score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .adapters import as_model
from .conversions import Predicts, from_eps, to_eps, to_x0
from .guided import GuidedScore
from .perturbed import PerturbedScore
from .precision import Precision
from .protocol import AtLevels, Level, ScoreModel, at_levels, checked_eps, level, model_for

if TYPE_CHECKING:
    from .exact import ExactScore

__all__ = [
    "AtLevels",
    "ExactScore",
    "GuidedScore",
    "Level",
    "PerturbedScore",
    "Precision",
    "Predicts",
    "ScoreModel",
    "as_model",
    "at_levels",
    "checked_eps",
    "from_eps",
    "level",
    "model_for",
    "to_eps",
    "to_x0",
]


def __getattr__(name: str) -> Any:
    # The one name here that needs the kernels.
    if name == "ExactScore":
        from .exact import ExactScore

        return ExactScore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

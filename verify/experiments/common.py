"""What several experiments share: the stretch between two modes, the trained models of a case."""

from __future__ import annotations

from collections.abc import Sequence

from mixdyn import learned
from mixdyn.support.errors import MissingExtraError, NotApplicableError
from verify.ledger.claim import Case
from verify.measure.midpoint.stretch import Window, find_window
from verify.measure.networks.models import TrainedModel, trained_models
from verify.measure.networks.rates import ddim

__all__ = [
    "FRACTIONS",
    "ddim",
    "describe_models",
    "require_models",
    "require_torch",
    "require_window",
]

# Fractions of the distance l between two modes: how far from the midpoint counts as "ends there".
FRACTIONS = (0.15, 0.35, 0.45)


def require_window(case: Case) -> Window:
    """The closest pair and the node from which on it is separated (kappa = 7).

    Raises NotApplicableError for one mode, a sigma per mode, or a pair that is never separated.
    """
    window = find_window(case)
    if window is None:
        raise NotApplicableError(
            "this experiment needs two modes of one sigma that the noise separates before the end",
            f"{case.mixture.N} modes with sigma from {case.mixture.sigmas.min():.4g} "
            f"to {case.mixture.sigmas.max():.4g}",
            "Use modes farther apart, or a schedule with finer last steps.",
        )
    return window


def require_torch() -> None:
    """Raise NotApplicableError where trained models cannot be run."""
    try:
        learned.require()
    except MissingExtraError as missing:
        raise NotApplicableError(
            "this experiment runs trained models", "an environment without torch", str(missing)
        ) from None


def require_models(case: Case) -> Sequence[TrainedModel]:
    """The case's trained models; NotApplicableError where there are none or torch is missing."""
    require_torch()
    models = trained_models(case)
    if not models:
        raise NotApplicableError(
            "this experiment needs a model trained on the case's mixture and schedule",
            f"none is shipped for case {case.name}",
            "Train one with `mixdyn train` and name it with --model.",
        )
    return models


def describe_models(models: Sequence[TrainedModel]) -> list[str]:
    """Recipe and training seed of each model, or the name of one that a user brings."""
    return [m.name if m.recipe is None else f"{m.recipe}, seed {m.seed}" for m in models]

"""The trained models on which the learned rows of a case rest.

A shipped model is found by what it was trained on: every checkpoint of `verify/data/checkpoints`
names the digests of its mixture and of its schedule. A case that names a model of the user's
(`--model`) uses that one alone. Finding needs nothing, using the extra `learned`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mixdyn import learned
from mixdyn.learned.headers import read_about
from mixdyn.learned.loading import load_model
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.score import ScoreModel
from mixdyn.support.errors import NotApplicableError

from ...data.checkpoints import CHECKPOINTS
from ...ledger.case import Case
from ...ledger.sides import NotApplicable
from ..midpoint.stretch import require_window
from ..score_errors.blurred import blurred_score

# Scores by name: the mixture's own, the one with a synthetic error of known size, the trained ones.
EXACT, BLURRED, NETWORKS = "exact score", "blurred score", "networks"
# Recipes that are run to convergence; any other ("short", "reduced, changed") is stopped early.
CONVERGED = ("paper", "reduced", "high-dimensional")
HIGH_DIMENSIONS = (8, 32, 64)


@dataclass(frozen=True)
class Shipped:
    """A checkpoint of the repository, as its header describes it."""

    path: Path
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def recipe(self) -> str:
        """The name of the training recipe."""
        return str(self.about["recipe"]["name"])

    @property
    def converged(self) -> bool:
        """Whether the recipe was meant to run to convergence."""
        return self.recipe in CONVERGED

    def mixture(self) -> GaussianMixture:
        """What it was trained on."""
        return GaussianMixture(**self.about["mixture"])

    def schedule(self) -> NoiseSchedule:
        """The clock it was trained on."""
        return NoiseSchedule.from_parameters(self.about["schedule"])

    def fits(self, mixture_digest: str, beta_digest: str) -> bool:
        """Whether it was trained on this mixture under this schedule."""
        about = self.about
        return (about["mixture_digest"], about["beta_digest"]) == (mixture_digest, beta_digest)


@dataclass(frozen=True)
class TrainedModel:
    """A model that can be run.

    name : for tables. score : has eps(x, t) and d. recipe, seed, excess : how it was trained and
    its excess loss over the exact score; None for a user's function.
    """

    name: str
    score: Any
    recipe: str | None = None
    seed: int | None = None
    excess: float | None = None

    @property
    def label(self) -> str:
        """Recipe and training seed; the name of a model that a user brings."""
        return self.name if self.recipe is None else f"{self.recipe}, seed {self.seed}"


@functools.cache
def shipped(folder: Path = CHECKPOINTS) -> tuple[Shipped, ...]:
    """Every checkpoint of the repository, by name; those of another folder, such as `SEEDS`."""
    found = [Shipped(path, read_about(path)) for path in sorted(folder.glob("*.safetensors"))]
    return tuple(sorted(found, key=lambda s: (not s.converged, s.recipe, s.about["seed"], s.name)))


def shipped_for(case: Case, *, undertrained: bool = False) -> list[Shipped]:
    """The checkpoints trained on this case's problem; those stopped early only if asked for."""
    problem = (case.mixture.digest, case.schedule.digest)
    return [s for s in shipped() if s.fits(*problem) and (s.converged or undertrained)]


def high_dimensional_state() -> str:
    """In words, which of the papers' higher dimensions have a trained network here."""
    done = {s.about["architecture"]["d"] for s in shipped()}
    missing = [str(d) for d in HIGH_DIMENSIONS if d not in done]
    if not missing:
        return ""
    return (
        f"No network of d = {', '.join(missing)} is shipped (recipes high-dimensional, "
        "high-dimensional-reduced)."
    )


def load(checkpoint: Shipped) -> TrainedModel:
    """The model in a checkpoint. Raises MissingExtraError without the extra `learned`."""
    score = learned.LearnedScore.load(checkpoint.path)
    about = checkpoint.about
    return TrainedModel(
        checkpoint.name, score, checkpoint.recipe, about["seed"], about["loss"]["excess"]
    )


def trained_models(case: Case, *, undertrained: bool = False) -> list[TrainedModel]:
    """The models of a case, loaded once: the user's, or the shipped ones that fit.

    undertrained: also those that were stopped early, after the others. Raises MissingExtraError
    without torch.
    """
    if case.model is not None:
        return case.memo("model", lambda: [_user_model(case, str(case.model))])
    found = shipped_for(case, undertrained=undertrained)
    return [case.memo(f"model {s.name}", functools.partial(load, s)) for s in found]


def require_models(case: Case) -> list[TrainedModel]:
    """The `trained_models` of a case. Raises NotApplicableError where there are none."""
    models = trained_models(case)
    if not models:
        raise NotApplicableError(
            "this measurement needs a model trained on the case's mixture and schedule",
            f"none is shipped for case {case.name}",
            "Train one with `mixdyn train` and name it with --model.",
        )
    return models


def named_scores(case: Case, names: Iterable[str]) -> list[TrainedModel]:
    """EXACT, BLURRED and all of NETWORKS. Raises NotApplicableError for a case without them: a
    blurred score needs a pair of modes that the noise separates."""
    found = []
    for name in names:
        if name == NETWORKS:
            found += require_models(case)
        elif name == BLURRED:
            require_window(case)
            found.append(TrainedModel(name, blurred_score(case.mixture, case.schedule)))
        else:
            found.append(TrainedModel(EXACT, case.mixture))
    return found


def _user_model(case: Case, reference: str) -> TrainedModel:
    score: ScoreModel = load_model(
        reference,
        case.mixture,
        case.schedule,
        predicts=case.predicts,
        index_base=case.index_base,
    )
    if "torch" in sys.modules:  # the model may be torch's, whatever its name
        learned.use_threads()
    return TrainedModel(Path(reference).name, score)


def elsewhere(case: Case) -> list[tuple[Case, Shipped]]:
    """The converged checkpoints of other problems than the case's, each with its own problem."""
    own = (case.mixture.digest, case.schedule.digest)
    others = [s for s in shipped() if s.converged and not s.fits(*own)]
    return [
        (replace(case, mixture=s.mixture(), schedule=s.schedule(), workspace={}), s) for s in others
    ]


UNTRAINED = (
    "No trained model of this problem is shipped. Train one with `mixdyn train` and name it with "
    "--model."
)


def networks(case: Case) -> list[TrainedModel] | NotApplicable | None:
    """What a learned row measures: the case's models. Random problems have none, and no row."""
    if case.random:
        return None
    if case.model is None and not shipped_for(case):
        return NotApplicable(UNTRAINED)
    return trained_models(case)

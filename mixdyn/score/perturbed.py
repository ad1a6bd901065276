"""`PerturbedScore`: a model plus a known error of its score."""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import ArrayLike

from ..problem.checks import check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_callable
from .protocol import ScoreModel, checked_eps, lent, level, like_states, model_for


class PerturbedScore:
    """A model plus a known score error: s = s_model + e(x, t), e (n, d) in score units."""

    def __init__(
        self,
        model: GaussianMixture | ScoreModel,
        schedule: NoiseSchedule,
        error: Callable[[Array, int], ArrayLike],
    ) -> None:
        self.model = model_for(model, check_schedule(schedule))
        self.schedule = schedule
        self.error = check_callable(error, "error", "Pass a function e(x, t).")

    @property
    def d(self) -> int:
        """Dimension of the data, where the model knows it."""
        return self.model.d  # type: ignore[attr-defined,no-any-return]

    def eps(self, x: Array, t: int) -> Array:
        """eps_model - noise_std e(x, t)."""
        at, eps = level(self.schedule, t), checked_eps(self.model, x, t)
        return eps - at.noise_std * like_states(self.error(lent(x), t), x, "error")

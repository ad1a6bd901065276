"""`GuidedScore`: guidance towards a class, of exact scores or of any two models."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..problem.checks import check_mixture, check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import LARGEST, Array, check_integer, check_points, check_real, describe
from ..support.errors import InputError
from .protocol import Level, ScoreModel, at_levels, checked_eps, level, model_for, unseen_x0

_LARGEST = 1e6  # weight: 16 digits of the difference of two predictions leave ten


class GuidedScore:
    """Classifier-free guidance: eps = eps_c + weight (eps_c - eps_all).

    eps_all is the exact model of `mixture`, eps_c that of its modes `modes` alone, the class: one
    index in 0..N-1 or several, of any covariances. weight 0 is the conditional model, -1 the
    unconditional one; libraries whose guidance scale is 1 without guidance call weight + 1 so. In
    static coordinates of one sigma the flow is dy/du = m_c + weight (m_c - m) - y.

    A `ScoreModel`, asked at a time of `schedule` or at any `Level`, whatever the path; also without
    signal, where it predicts x0. One call of it evaluates both models. It is the score of no law:
    samplers do not return the class for weight > 0, see claim X17. `exact`, which draws from a
    mixture's own reverse law, refuses it.

    Raises InputError for modes that the mixture does not have, twice the same one, or none.
    Source: arXiv 2207.12598, eq. 6.
    """

    takes_levels = True

    def __init__(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        modes: int | Iterable[int],
        weight: float,
    ) -> None:
        self.modes = check_modes(modes, check_mixture(mixture).N)
        self._put(mixture.subset(self.modes), mixture, schedule, weight)

    @classmethod
    def between(
        cls,
        conditional: GaussianMixture | ScoreModel,
        unconditional: GaussianMixture | ScoreModel,
        schedule: NoiseSchedule,
        weight: float,
    ) -> GuidedScore:
        """Away from any model towards any other, as with two networks, or a network and a worse one
        of the same data (arXiv 2406.02507). Its `modes` are empty."""
        guided = cls.__new__(cls)
        guided.modes = ()
        guided._put(conditional, unconditional, schedule, weight)
        return guided

    def _put(
        self,
        conditional: GaussianMixture | ScoreModel,
        unconditional: GaussianMixture | ScoreModel,
        schedule: NoiseSchedule,
        weight: float,
    ) -> None:
        self.schedule = check_schedule(schedule)
        self.weight = check_real(weight, "weight")
        if abs(self.weight) > _LARGEST:
            raise InputError(
                f"weight must be at most {_LARGEST:g} in size", weight, "Guide by a smaller one."
            )
        both = [at_levels(model_for(m, schedule), schedule) for m in (conditional, unconditional)]
        self.conditional, self.unconditional = both
        self.own_threads = any(getattr(model, "own_threads", False) for model in both)
        known = {int(d) for m in both if (d := getattr(m, "d", None)) is not None}
        if len(known) > 1:
            raise InputError(
                "both models of a guidance work in one dimension",
                f"{sorted(known)}",
                "Pass two models of the same data.",
            )
        if known:
            self.d = known.pop()

    def eps(self, x: Array, at: int | Level) -> Array:
        """The guided noise prediction, (n, d)."""
        where = level(self.schedule, at)
        points = self._points(x)
        wanted = checked_eps(self.conditional, points, where)
        if self.weight == 0.0:
            return wanted
        return wanted + self.weight * (wanted - checked_eps(self.unconditional, points, where))

    def _points(self, x: Array) -> Array:
        given = np.asarray(x)
        if abs(self.weight) > 1.0 and given.dtype.kind == "f" and (np.abs(given) > LARGEST).any():
            raise InputError(
                f"states of a guided run must be at most {LARGEST:g} in size",
                f"{np.abs(given).max():g} with weight {self.weight:g}",
                "The run diverges: guide by a smaller weight, or take more steps.",
            )
        return check_points(x, self.d if hasattr(self, "d") else np.shape(x)[-1])

    def x0(self, x: Array, at: int | Level) -> Array:
        """The clean data that it predicts, (n, d); without signal m_c + weight (m_c - m) of the
        means of the class and of all."""
        where = level(self.schedule, at)
        wanted = unseen_x0(self.conditional, x, where)
        if self.weight == 0.0:
            return wanted
        return wanted + self.weight * (wanted - unseen_x0(self.unconditional, x, where))


def check_modes(modes: int | Iterable[int], n_modes: int) -> tuple[int, ...]:
    """The modes of a class, in order: indices in 0..n_modes - 1, each once, at least one."""
    listed = list(modes) if isinstance(modes, Iterable) and not isinstance(modes, str) else [modes]
    known = [check_integer(k, "a mode", 0, n_modes - 1) for k in listed]
    if not known or len(set(known)) < len(known):
        raise InputError(
            "a class is one mode or more, each named once",
            describe(listed),
            "Pass an index, or a list of different ones.",
        )
    return tuple(sorted(known))

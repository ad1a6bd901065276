"""`Plan`: an affine sampler as matrices."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..problem.checks import check_schedule
from ..problem.noise import Seed
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..samplers.step import Stepper
from ..score.protocol import ScoreModel
from ..support.checks import (
    Array,
    IntArray,
    check_array,
    check_kind,
    check_nonnegative,
    check_positive,
    describe,
    frozen,
)
from ..support.errors import InputError
from .comparing import PlanDifference, difference, table
from .files import load, save
from .gaussian import Clock, Start, clock, end_law
from .predictions import Reference, check_asked
from .price import PathPrice, path_price
from .recursion import Recursion, recursion
from .stepper import PlanRun, grid_of


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """An affine sampler of K calls and D draws; with the start x_T, the model's outputs o and the
    standard normals xi,

        u_k = p_k x_T + sum_{j<k} E_kj o_j + sum_j N_kj xi_j

    is what it hands the model at call k = 0..K - 1, and in row K what it returns.

    matrix (K + 1, 1 + K + D) : rows (p_k, E_k, N_k); `start`, `outputs`, `noises` are its parts.
    alpha, noise_var (K + 1,) : the level that the sampler's own tables name for each call, where
        x = alpha x_0 + noise_std eps, and that of the end, (1, 0) where it is clean.
    predicts : what o is: eps, x0, v = alpha eps - noise_std x0, score or velocity = eps - x0.
    start_std : standard deviation of x_T. draw_calls (D,) : calls made before each draw, rising.
    draw_times (D,) : the time under which a run draws it. rounding : relative error of the
    sampler's own sums against its impulses. provenance : which sampler this is.
    """

    matrix: Array
    alpha: Array
    noise_var: Array
    predicts: str
    start_std: float
    draw_calls: IntArray
    draw_times: IntArray
    rounding: float = 0.0
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, ndim in (("matrix", 2), ("alpha", 1), ("noise_var", 1)):
            object.__setattr__(self, name, frozen(check_array(getattr(self, name), name, ndim)))
        for name in ("draw_calls", "draw_times"):
            object.__setattr__(self, name, frozen(np.array(getattr(self, name), dtype=np.int64)))
        check_asked(self.predicts)
        check_positive(self.start_std, "start_std")
        check_nonnegative(self.rounding, "rounding")
        rows, columns = self.matrix.shape
        shapes = (self.alpha.shape, self.noise_var.shape, self.draw_calls.shape)
        fits = shapes == ((rows,), (rows,), (columns - rows,)) and rows > 1
        if not (fits and self.draw_times.shape == self.draw_calls.shape):
            raise InputError(
                "a plan of K calls and D draws has a matrix (K + 1, 1 + K + D), K + 1 levels and D "
                "draws",
                f"a matrix {self.matrix.shape}, {len(self.alpha)} and {len(self.noise_var)} "
                f"levels, {len(self.draw_calls)} and {len(self.draw_times)} draws",
                "Match them.",
            )
        self._check_causal()
        if len(np.unique(self.draw_times)) < self.draws or (self.draw_times < 0).any():
            raise InputError(
                "every draw of a plan has a time of its own, 0 or later",
                describe(self.draw_times),
                "Number them.",
            )

    def _check_causal(self) -> None:
        """No input knows an output or a draw that comes after it."""
        early = np.arange(self.calls + 1)[:, None]
        ahead = np.abs(self.outputs[early <= np.arange(self.calls)]).max(initial=0.0)
        ahead += np.abs(self.noises[early < self.draw_calls]).max(initial=0.0)
        ordered = (np.diff(self.draw_calls, prepend=0) >= 0).all()
        inside = (self.draw_calls <= self.calls).all()
        if ahead or not (ordered and inside):
            raise InputError(
                "a plan is causal: inputs depend on earlier outputs and draws, in their order",
                f"coefficients up to {ahead:.3g} on later ones, draws after calls "
                f"{self.draw_calls.tolist()[:8]}",
                "Transcribe the sampler.",
            )

    @property
    def calls(self) -> int:
        """Number K of evaluations a sample."""
        return len(self.matrix) - 1

    @property
    def draws(self) -> int:
        """Number D of normals a sample and coordinate, beside the start."""
        return self.matrix.shape[1] - len(self.matrix)

    @property
    def start(self) -> Array:
        """(K + 1,) coefficients of x_T."""
        return self.matrix[:, 0]

    @property
    def outputs(self) -> Array:
        """(K + 1, K) coefficients of the model's outputs."""
        return self.matrix[:, 1 : 1 + self.calls]

    @property
    def noises(self) -> Array:
        """(K + 1, D) coefficients of the draws."""
        return self.matrix[:, 1 + self.calls :]

    @functools.cached_property
    def noise_std(self) -> Array:
        """(K + 1,) noise amplitude of the levels."""
        return frozen(np.sqrt(self.noise_var))

    def __repr__(self) -> str:
        name = self.provenance.get("sampler", "a sampler")
        return f"Plan({name}: {self.calls} calls, {self.draws} draws, predicts {self.predicts})"

    # -- a sampler of ours -----------------------------------------------------------------------

    @functools.cached_property
    def recursion(self) -> Recursion:
        """Its steps, each from the last few calls."""
        return recursion(self)

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The times of the calls on the schedule, where they all are times of it, else how many
        calls are left; from `start`, where no later input looks back beyond it."""
        return grid_of(self, check_schedule(schedule), start)

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """The plan on this model; given states are the inputs of the grid's first call."""
        return PlanRun(self, model, schedule, grid)

    # -- laws ------------------------------------------------------------------------------------

    def response(
        self,
        stds: ArrayLike,
        mean: ArrayLike = 0.0,
        *,
        start: Start = "own",
        reference: Reference = "mean",
    ) -> tuple[Array, Array]:
        """(mean_error (k,), gain (k,)) on data N(mean, std^2) with its exact prediction: the end
        has mean mean + mean_error and standard deviation gain std, exactly. A Gaussian of any
        covariance is one such problem for each eigenvector.

        stds (k,) > 0; mean a number or (k,). start : "own" is N(0, start_std^2); "true" the data's
        law at the level of the first call. reference : what the model is: the posterior "mean", or
        the "consistency" map of the data's probability flow, written as the prediction asked for.
        """
        std = check_array(np.atleast_1d(stds), "stds", ndim=1)
        if not (std > 0.0).all():
            raise InputError("every std must be > 0", std.min(), "Leave the others out.")
        m = np.broadcast_to(check_array(np.atleast_1d(mean), "mean", ndim=1), std.shape)
        per_mean, end_std = end_law(self, std**2, start, reference)
        return m * (per_mean - 1.0), end_std / std

    def w2(self, eigenvalues: ArrayLike, mean: ArrayLike = 0.0, *, start: Start = "own") -> float:
        """The Wasserstein-2 distance of the end from a Gaussian with these eigenvalues (k,) > 0 of
        its covariance and, along its eigenvectors, this mean, a number or (k,)."""
        every = np.sqrt(check_array(eigenvalues, "eigenvalues", ndim=1))
        std, where = every, np.arange(len(every))
        if np.ndim(mean) == 0:  # spectra have many equal ones
            std, where = np.unique(every, return_inverse=True)
        mean_error, gain = self.response(std, mean, start=start)
        square = np.square(mean_error) + np.square((gain - 1.0) * std)
        return float(np.sqrt(square[where].sum()))

    def price(
        self,
        model: Any,
        reference: Any,
        schedule: NoiseSchedule | None = None,
        *,
        n: int = 4096,
        rng: Seed = None,
        d: int | None = None,
    ) -> PathPrice:
        """What this plan pays, in nats, for running `model` in place of `reference`: the KL of the
        two path laws, on n paths of the model (a mixture or an object with eps, asked at times of
        the schedule, linear by default, or at levels; d where neither knows its dimension).

        Raises NotApplicableError for deterministic plans, which have no such price, and where an
        input has two draws. By data processing an event of probability p under the reference has
        at most p' under the model with kl(p' || p) <= nats, the binary divergence.
        """
        schedule = NoiseSchedule.linear() if schedule is None else check_schedule(schedule)
        return path_price(self, model, reference, schedule, n, rng, d)

    def clock(self, *, start: Start = "true") -> Clock:
        """At which level each input and the end really stand, beside the one asked for."""
        return clock(self, start)

    # -- beside others, and on disk --------------------------------------------------------------

    def difference(self, other: Plan) -> PlanDifference:
        """How far another plan of as many calls and draws is from this one, and where first."""
        return difference(self, check_kind(other, Plan, "other", "Transcribe it."))

    def __str__(self) -> str:
        return table(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to .npz, with its provenance."""
        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read what `save` wrote, to the bit. FileError for anything else."""
        return load(cls, path)

"""The error of a trained score, in the flow's own units, between the modes and along its paths.

In static coordinates y = x/alpha and intrinsic time a score s adds (sigma_t^2/alpha) s to dy/du, so
that an error e = s_net - s adds E = (sigma_t^2/alpha) e, and delta = <E, n>/l along a pair in units
of its length. The derivative of E in y is sigma_t^2 De.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.geometry import dynamics
from mixdyn.learned.loading import SizedModel
from mixdyn.solvers.field import MixtureField, ModelField
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.numbers import Number

from ...ledger.case import Case
from ...ledger.verdict import Table
from ..measurement import Measurement
from ..paths import ddim_grid, thinned
from .models import TrainedModel
from .paths import ReverseRuns, by_sampler, reverse_runs

MAX_SEGMENTS, MAX_NODES = 40, 20
PLACES = np.linspace(-0.6, 0.6, 97)  # z along a segment: the midpoint is among them
SLOPE_PLACES = np.linspace(-0.4, 0.4, 5)
_DIFFERENCE, _SINGLE_DIFFERENCE = 1e-6, 1e-3  # steps of numerical derivatives over l


@dataclass(frozen=True, eq=False)
class Segments:
    """P closest pairs: modes (P, 2), length l, midpoints (P, d), directions n (P, d)."""

    modes: IntArray
    length: float
    midpoints: Array
    directions: Array

    def points(self, z: Array) -> Array:
        """y at z (G,) or (P, G) in units of l from each midpoint, (P, G, d)."""
        place = np.broadcast_to(z, (len(self.midpoints), np.shape(z)[-1]))
        return (
            self.midpoints[:, None] + self.length * place[..., None] * self.directions[:, None, :]
        )

    def along(self, vectors: Array) -> Array:
        """<vectors, n>/l of vectors (P, ..., d), (P, ...)."""
        return np.einsum("p...d,pd->p...", vectors, self.directions) / self.length


def find_segments(case: Case) -> Segments:
    """The closest pairs of a case, evenly chosen where there are more than 40."""
    return case.memo("learned segments", lambda: _segments(case))


def _segments(case: Case) -> Segments:
    chosen = geometry.nearest_pairs(case.mixture)
    chosen = chosen[:: -(-len(chosen) // MAX_SEGMENTS)]
    frames = [geometry.pair(case.mixture, i, j) for i, j in chosen]
    midpoints, directions = (
        np.array([getattr(frame, name) for frame in frames]) for name in ("midpoint", "direction")
    )
    return Segments(np.array(chosen), frames[0].length, midpoints, directions)


def variances(case: Case) -> Array:
    """(T + 1,) effective variances of the case."""
    return case.schedule.effective_variance(float(case.mixture.sigma))


def late_nodes(case: Case) -> IntArray:
    """Noisy nodes of the papers' grid, decreasing, at which a midpoint's eigenvalue is 1 or more.

    At most 20 of them. Raises NotApplicableError where there is none.
    """
    length = find_segments(case).length
    times = ddim_grid(case).times[:-1]
    late = times[length**2 >= 8.0 * variances(case)[times]]
    if late.size == 0:
        raise NotApplicableError(
            "the learned field is measured where l^2 >= 8 v for the closest modes",
            f"l = {length:.4g} and v >= {variances(case)[times[-1]]:.4g} at the noisy nodes",
            "Use modes farther apart, or a schedule with finer last steps.",
        )
    return thinned(late, MAX_NODES)


class LearnedFlow:
    """The flow of a trained model beside the exact one, at the times of the schedule.

    In float64 where the model can be had in it. pull, exact_pull: dy/du at y (n, d). jacobian,
    exact_jacobian: its derivative, (n, d, d).
    """

    def __init__(self, case: Case, model: TrainedModel) -> None:
        self.case = case
        score = model.score.model if isinstance(model.score, SizedModel) else model.score
        in_double = getattr(score, "in_double", None)
        self._score = score if in_double is None else in_double()
        sigma, d = float(case.mixture.sigma), case.mixture.d
        self._learned = ModelField(self._score, case.schedule, d, data_var=sigma**2)
        self._exact = MixtureField(case.mixture)
        self._v = variances(case)

    def pull(self, y: Array, t: int) -> Array:
        """The learned drift."""
        return self._learned.pull(y, float(self._v[t]))

    def exact_pull(self, y: Array, t: int) -> Array:
        """The drift m - y of the mixture."""
        return self._exact.pull(y, float(self._v[t]))

    def error(self, y: Array, t: int) -> Array:
        """E (n, d)."""
        return self.pull(y, t) - self.exact_pull(y, t)

    def jacobian(self, y: Array, t: int) -> Array:
        """Of the learned drift: by automatic differentiation where the model offers it."""
        own = getattr(self._score, "jacobian", None)
        if own is None:
            return self.differences(y, t, np.eye(y.shape[1])).transpose(0, 2, 1)
        alpha_t = self.case.schedule.alpha[t]
        return float(alpha_t**2 * self._v[t]) * own(alpha_t * y, t)

    def exact_jacobian(self, y: Array, t: int) -> Array:
        """Cov_gamma/v - I."""
        return dynamics.flow_jacobian(self.case.mixture, y, float(self._v[t]))

    @functools.cached_property
    def _step(self) -> float:
        """Of differences: wider for a model whose predictions are single-precision numbers."""
        segments = find_segments(self.case)
        eps = np.asarray(self._score.eps(segments.points(SLOPE_PLACES)[0], 1))
        single = np.array_equal(eps, eps.astype(np.float32))
        return segments.length * (_SINGLE_DIFFERENCE if single else _DIFFERENCE)

    def differences(self, y: Array, t: int, directions: Array) -> Array:
        """Central differences of the learned drift along m directions (m, d) or, one a point,
        (m, n, d): (n, m, d)."""
        h = self._step
        columns = [self.pull(y + h * u, t) - self.pull(y - h * u, t) for u in directions]
        return np.stack(columns, axis=1) / (2.0 * h)


def flow_of(case: Case, model: TrainedModel) -> LearnedFlow:
    """The flow of a model of the case, built once."""
    return case.memo(f"learned flow {model.name}", lambda: LearnedFlow(case, model))


# -- along the segments --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SegmentErrors:
    """One model on the segments at M late nodes.

    times (M,). learned, exact (M, P, G): drift along n over l at `PLACES`. size (M, P, G): |E|/l.
    lipschitz (M, P, H): spectral norm of sigma_t^2 De at `SLOPE_PLACES`.
    """

    times: IntArray
    learned: Array
    exact: Array
    size: Array
    lipschitz: Array

    @property
    def delta(self) -> Array:
        """The part of the error along n, (M, P, G)."""
        return self.learned - self.exact

    @property
    def share_along(self) -> Array:
        """Share of the squared error that lies along n, (M,)."""
        return _share(np.square(self.delta), np.square(self.size))

    @property
    def share_towards(self) -> Array:
        """Share of the squared error along n that points towards the midpoint, (M,)."""
        inner = (np.abs(PLACES) > 1e-9) & (np.abs(PLACES) < 0.5)
        delta = self.delta[..., inner]
        weight = np.square(delta)
        towards = np.where(delta * PLACES[inner] < 0.0, weight, 0.0)
        return _share(towards, weight)


def _share(part: Array, whole: Array) -> Array:
    """Of sums over the segments, (M,); 0 of nothing."""
    sums = (values.sum(axis=(1, 2)) for values in (part, np.maximum(whole, 1e-300)))
    return np.divide(*sums)


@Measurement
def segment_errors(case: Case, model: TrainedModel) -> SegmentErrors:
    """Of one model of a case."""
    segments, flow, times = find_segments(case), flow_of(case, model), late_nodes(case)
    y, d = segments.points(PLACES), case.mixture.d
    slopes_at = segments.points(SLOPE_PLACES)
    rows = []
    for t in times.tolist():
        learned, exact = (
            f(y.reshape(-1, d), t).reshape(y.shape) for f in (flow.pull, flow.exact_pull)
        )
        flat = slopes_at.reshape(-1, d)
        gap = flow.jacobian(flat, t) - flow.exact_jacobian(flat, t)
        norm = np.linalg.norm(gap, 2, axis=(1, 2)).reshape(slopes_at.shape[:2])
        size = np.linalg.norm(learned - exact, axis=2) / segments.length
        rows.append((segments.along(learned), segments.along(exact), size, norm))
    return SegmentErrors(times, *(np.array(part) for part in zip(*rows, strict=True)))


# -- along paths ---------------------------------------------------------------------------------


def _describe(flow: LearnedFlow, y: Array, t: int) -> Array:
    means = flow.case.mixture.means
    first, second, _, _ = geometry.two_nearest(means, y)
    edge = means[first] - means[second]
    length = np.linalg.norm(edge, axis=1)
    error = flow.error(y, t) / length[:, None]
    size = np.linalg.norm(error, axis=1)
    delta = np.einsum("nd,nd->n", error, edge) / length
    z = np.einsum("nd,nd->n", y - 0.5 * (means[first] + means[second]), edge)
    return np.array([size, np.square(delta / np.maximum(size, 1e-300)), delta * z < 0.0])


def path_errors(case: Case, run: ReverseRuns) -> Array:
    """(M, 3, n) at the late nodes of the first runs of one sampler with one model: |E|/l, share of
    |E|^2 along n, and whether delta points to the midpoint; n and l are those of each state's two
    nearest modes."""
    flow, most = flow_of(case, run.model), case.pick(1000, 10_000)
    y = dict(zip(run.paths.times.tolist(), run.paths.y, strict=True))
    return np.array([_describe(flow, y[t][:most], t) for t in late_nodes(case).tolist()])


# -- for the ledger ------------------------------------------------------------------------------


def on_segments(
    case: Case, models: Sequence[TrainedModel], times: IntArray
) -> dict[str, np.ndarray[Any, Any]]:
    """What reproduces a point of arrays (models, times, segments)."""
    names = np.array([model.name for model in models])
    modes = find_segments(case).modes[None, None]
    return {"model": names[:, None, None], "t": times[:, None], "pair": modes}


def fields_of(found: Sequence[Any], *names: str) -> list[np.ndarray[Any, Any]]:
    """Fields of what was measured of each model, the models first."""
    return [np.array([getattr(one, name) for one in found]) for name in names]


def spreads(series: Mapping[str, Sequence[float] | Array]) -> dict[str, Number | None]:
    """Of numbers of every model, by name: the mean, and the range where there are several."""
    numbers: dict[str, Number | None] = {}
    for name, values in series.items():
        every = np.asarray(values, dtype=float)
        if every.size == 1:
            numbers[name] = float(every[0])
            continue
        for which, value in (
            ("mean", every.mean()),
            ("least", every.min()),
            ("largest", every.max()),
        ):
            numbers[f"{name}, {which}"] = float(value)
    return numbers


def root_mean_square(values: Array) -> float:
    """Over the finite values; NaN without one."""
    found = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(np.square(found)))) if found.size else math.nan


def median(values: Array) -> float:
    """Of the finite values; NaN without one."""
    found = values[np.isfinite(values)]
    return float(np.median(found)) if found.size else math.nan


def named(models: Sequence[TrainedModel]) -> str:
    """The models' names, for a row."""
    return ", ".join(model.name for model in models)


def error_table(case: Case, models: Sequence[TrainedModel]) -> Table:
    """Size, slope and direction of the error by node: means over the models."""
    found = [segment_errors(case, model) for model in models]
    columns = {
        "e along the segments: max": [e.size.max(axis=(1, 2)) for e in found],
        "median": [np.median(e.size, axis=(1, 2)) for e in found],
        "share along n": [e.share_along for e in found],
        "towards the midpoint": [e.share_towards for e in found],
        "Lipschitz, max": [e.lipschitz.max(axis=(1, 2)) for e in found],
    }
    for name, runs in by_sampler(reverse_runs(case, models)).items():
        sizes = [path_errors(case, run)[:, 0] for run in runs]
        columns[f"{name} paths: median"] = [np.median(s, axis=1) for s in sizes]
        columns[f"{name} 99 %"] = [np.quantile(s, 0.99, axis=1) for s in sizes]
        columns[f"{name} max"] = [s.max(axis=1) for s in sizes]
    means = {name: np.mean(rows, axis=0) for name, rows in columns.items()}
    times = found[0].times.tolist()
    rows = [[t, *(float(means[name][k]) for name in columns)] for k, t in enumerate(times)]
    caption = (
        "Error of the learned score as a velocity σ_t² e/(α_t l) in l per unit of intrinsic time, "
        "its derivative σ_t² De, and its direction (shares of the square); means over the models"
    )
    return Table(caption, ("t", *columns), rows)

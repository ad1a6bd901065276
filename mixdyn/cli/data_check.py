"""What `mixdyn check` measures on data, on which the theory of few wide modes is silent: how near
the points are, when they are told apart, and when their own score knows every one of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import squared_distances
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.clones import Transition, clone_return, memorisation, speciation
from mixdyn.run.sampling import sample
from mixdyn.samplers.ddim import DDIM
from mixdyn.score import ExactScore
from mixdyn.support import errors
from mixdyn.support.checks import Array, IntArray

from . import facts

if TYPE_CHECKING:
    from .diagnosis import CheckRequest

MOST_MODES = 2000  # whose pairs are all looked at; beyond, modes of one sigma are data
_CLONES = 1024
_LOOKED = 1024  # points whose nearest neighbour is looked for
_PRODUCTS = 2e11  # of the products that runs and searches may take: a minute or less
_MOST_DIMENSIONS = 4096  # of which a covariance is decomposed
_COPY = 0.05  # of a typical distance: closer than this to a point is a copy
_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
_SHOWN = (1 / 64, 1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 16, 64)  # of the rho where it is chosen: a table's


def is_data(mixture: GaussianMixture) -> bool:
    """Whether a mixture is looked at as data: point masses, or more modes of one sigma than a table
    of all pairs takes."""
    if not mixture.has_common_sigma:
        return False
    return mixture.std_range[1] == 0.0 or mixture.N > MOST_MODES


def data_facts(request: CheckRequest, clock: NoiseSchedule, grid: TimeGrid) -> facts.DataFacts:
    """The points and their nearest neighbours."""
    data = request.mixture
    v = float(data.sigmas[0]) ** 2 + clock.rho
    places, counts = np.unique(data.means, axis=0, return_counts=True)
    rng = np.random.default_rng(request.seed)
    most = max(16, int(_PRODUCTS / (2.0 * data.N * data.d)))
    n = min(len(places), _LOOKED, most)
    looked = np.sort(rng.choice(len(places), n, replace=False))
    lengths = nearest_lengths(places, looked)
    spread = float(np.sqrt(data.means.var(axis=0).mean()))
    born = [_latest(v, length**2 / 4.0) for length in _quantiles(lengths)]
    return facts.DataFacts(
        points=data.N,
        places=len(places),
        most_repeated=int(counts.max()),
        bandwidth=float(data.sigmas[0]),
        spread=spread,
        looked=n,
        nearest=_quantiles(lengths),
        told_apart_raw=born,
        copies=_copies(request, clock, grid, lengths) if data.std_range[1] == 0.0 else None,
    )


def nearest_lengths(points: Array, looked: IntArray) -> Array:
    """Distances of the points `looked` (n,) from their nearest other one, (n,); empty of one point.
    Candidates by products of matrices, the distance itself by differences."""
    if len(points) < 2:
        return np.empty(0)
    centred = points - points.mean(axis=0)
    square, out = np.square(centred).sum(axis=1), np.empty(len(looked))
    rows = max(1, (1 << 22) // len(points))
    for first in range(0, len(looked), rows):
        some = looked[first : first + rows]
        table = square - 2.0 * (centred[some] @ centred.T)
        table[np.arange(len(some)), some] = np.inf
        near = np.argpartition(table, min(3, len(points) - 1), axis=1)[:, : min(4, len(points) - 1)]
        for i, (own, candidates) in enumerate(zip(some, near, strict=True)):
            offset = points[candidates] - points[own]
            out[first + i] = math.sqrt(np.square(offset).sum(axis=1).min())
    return out


def _quantiles(lengths: Array) -> list[float]:
    return np.quantile(lengths, _QUANTILES).tolist() if lengths.size else []


def _latest(clock: Array, value: float) -> int | None:
    """The last time whose clock is at most `value`, None where none is."""
    times = np.flatnonzero(clock[1:] <= value)
    return int(times[-1]) + 1 if times.size else None


def _copies(
    request: CheckRequest, clock: NoiseSchedule, grid: TimeGrid, lengths: Array
) -> facts.CopyFacts | None:
    """What DDIM returns with the data's own score."""
    data = request.mixture
    n = min(64, int(_PRODUCTS / (2.0 * data.N * data.d * grid.steps)))
    if n < 4 or lengths.size == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.StartWarning)  # the diagnosis says it
        run = sample(data, clock, DDIM(spacing=grid), n=n, rng=request.seed)
    square = squared_distances(np.asarray(run.x), data.means)
    nearest = square.argmin(axis=1)
    off = np.sqrt(square[np.arange(n), nearest]) / float(np.median(lengths))
    copied = int((off < _COPY).sum())
    return facts.CopyFacts(n, grid.steps, copied, len(np.unique(nearest)), float(off.max()))


def route_facts(mixture: GaussianMixture, schedule: NoiseSchedule) -> facts.RouteFacts:
    """Which route evaluates the score, in a word and in a sentence, without running it."""
    route = ExactScore(mixture, schedule).route
    words = " ".join((route.__class__.__doc__ or "").split("\n\n")[0].split())
    return facts.RouteFacts(route.name, words, 2.0 * mixture.N * mixture.d)


def clone_facts(
    request: CheckRequest, clock: NoiseSchedule, progress: Callable[[int, int], None]
) -> list[facts.CloneFacts]:
    """Memorisation of data, speciation of modes, and of labels where there are any."""
    mixture, found = request.mixture, []
    tasks: list[tuple[str, IntArray | None]] = []
    if mixture.N > 1 and (mixture.means != mixture.means[0]).any():
        tasks.append(("points" if is_data(mixture) else "modes", None))
    if request.labels is not None and np.unique(request.labels).size > 1:
        tasks.append(("labels", request.labels))
    for k, (what, labels) in enumerate(tasks):
        each = 4.0 * mixture.N * mixture.d
        n = int(min(_CLONES, max(64, _PRODUCTS / each)))
        if what == "points":
            change = memorisation(mixture, n=n, rng=request.seed)
        else:
            change = speciation(mixture, labels, n=n, rng=request.seed)
        found.append(_clone_facts(mixture, clock, what, labels, change, request.seed))
        progress(k + 1, len(tasks))
    return found


def _clone_facts(
    mixture: GaussianMixture, clock: NoiseSchedule, what: str, labels: IntArray | None,
    change: Transition, seed: int,
) -> facts.CloneFacts:  # fmt: skip
    times = _shown(clock, change.rho)
    rho = clock.rho[times]
    curve = clone_return(mixture, rho, labels=labels, n=max(64, change.curve.n), rng=seed)
    levels = [
        facts.CloneLevel(int(t), *(float(part[k]) for part in (
            rho, curve.probability, curve.information, curve.alive)))
        for k, t in enumerate(times.tolist())
    ]  # fmt: skip
    gaussian = None
    if what == "points" and mixture.d <= _MOST_DIMENSIONS:
        gaussian = oracles.information_rho(_spectrum(mixture), math.log(mixture.N))
    n_classes = mixture.N if labels is None else np.unique(labels).size
    return facts.CloneFacts(
        what=what,
        n_classes=int(n_classes),
        chance=curve.chance,
        rho=change.rho,
        std_error=change.std_error,
        rho_early=change.early,
        rho_late=change.late,
        rho_gaussian=gaussian,
        raw=_on_clock(clock, change.rho),
        early_raw=_on_clock(clock, change.early),
        late_raw=_on_clock(clock, change.late),
        gaussian_raw=_on_clock(clock, gaussian),
        levels=levels,
    )


def _shown(clock: NoiseSchedule, rho: float | None) -> IntArray:
    """The first and the last noisy time, and some about where it is chosen."""
    about = np.multiply(_SHOWN, clock.rho[1] if rho is None else rho)
    found = [_on_clock(clock, float(at)) for at in about]
    return np.unique([1, clock.T, *(t for t in found if t is not None)])


def _spectrum(mixture: GaussianMixture) -> Array:
    """Eigenvalues of the data's covariance."""
    offset = mixture.means - mixture.weights @ mixture.means
    offset *= np.sqrt(mixture.weights)[:, None]
    small = offset @ offset.T if len(offset) < mixture.d else offset.T @ offset
    return np.maximum(np.linalg.eigvalsh(small), 0.0)


def _on_clock(clock: NoiseSchedule, rho: float | None) -> int | None:
    """The time whose rho is nearest, by ratio; None beyond those of the schedule."""
    known = clock.rho[1:]
    if rho is None or not known[0] / 2.0 <= rho <= 2.0 * known[-1]:
        return None
    return int(clock.nearest_times([rho])[0])

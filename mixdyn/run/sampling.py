"""`sample`: run a sampler on a model, block by block, streaming observers as it goes."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from .. import kernels
from ..problem.mixture import GaussianMixture
from ..problem.noise import Seed, Stream, resolve_seed, standard_normals
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..samplers import Sampler
from ..samplers.best_grid import settled
from ..samplers.step import NoiseKind, Rows, Stepper, check_noise, rollout_of
from ..score.protocol import ScoreModel, is_exact, is_ours, lent, model_for
from ..score.routes import Rollout
from ..support.checks import (
    Array,
    IntArray,
    check_array,
    check_callable,
    check_integer,
    check_limit,
    check_points,
    describe,
)
from ..support.errors import InputError, MemoryLimitError, StartWarning
from .observers import Observer
from .start import StartError, start_error

Keep = Literal["final", "none", "trajectory"]
# Doubles in one block: small enough for the second-level cache, large enough to feed two cores.
_BLOCK_DOUBLES = 1 << 17


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """What a run returns.

    x : (n, d) states at time 0, None with keep="none".
    times : (S + 1,) the grid, decreasing to 0.
    observations : one result per observer, in the order they were given.
    n_eval : score evaluations per sample; the mean where samples differ.
    trajectory : (S + 1, n, d) with keep="trajectory", else None.
    seed : the 64-bit seed that reproduces the run.
    start_error : of a run of an exact score that started from standard normals, what that costs
        (`start.StartError`); else None.
    """

    x: Array | None
    times: IntArray
    observations: tuple[Any, ...]
    n_eval: float
    trajectory: Array | None
    seed: int
    start_error: StartError | None = None


def sample(
    model: Any,
    schedule: NoiseSchedule,
    sampler: Sampler,
    *,
    n: int | None = None,
    x: ArrayLike | None = None,
    d: int | None = None,
    rng: Seed = None,
    start: int | None = None,
    observers: Sequence[Observer] = (),
    keep: Keep = "final",
    noise: NoiseKind = "step",
    first: int = 0,
    memory_limit: float = 2e9,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Run `sampler` from noise to data.

    Parameters
    ----------
    model : a GaussianMixture (its exact score) or an object with eps(x, t).
    n or x : how many samples to start from standard normals (times sqrt(a^2 + b^2) on another path
        than the variance-preserving one), or their states (n, d) at the grid's first time, taken
        as given.
    d : the dimension, beside n, of a model that has no attribute `d` itself.
    rng : seed of the counter-based noise (see `noise.resolve_seed`). Sample i draws the same
        numbers in any batch, thread or process; `first` is the index of the first sample here, so
        that shards of a run join to the same bits.
    start : a time of the sampler's grid to cut it at.
    observers : statistics streamed during the run; see `observers`.
    keep : "final" states, "none" (stream only) or the whole "trajectory", refused beyond
        `memory_limit` bytes.
    noise : "step" draws the normal of each step at its t; "path" sums the normals of the times the
        step passes, so that grids of different fineness follow one Brownian path.
    progress : called with (samples done, samples in all) after each block.

    Raises
    ------
    InputError : n and x both or neither, a wrong shape, a start off the grid, too many steps, a
        model that returns non-finite values. MemoryLimitError : the trajectory is too large.

    Warns
    -----
    StartWarning : the run starts from N(0, I) where the marginal is another law, and even an exact
    sampler would miss a mode's weight by more than a hundredth; see `start_error` of the result.
    """
    _check_options(schedule, sampler, keep, noise)
    _check_watchers(observers, progress)
    if isinstance(known := getattr(model, "mixture", model), GaussianMixture):
        sampler = settled(sampler, known, schedule)
    grid = sampler.grid(schedule, start)
    target = model_for(model, schedule)
    stepper = sampler.stepper(target, schedule, grid)
    check_noise(stepper, noise)
    count, width, given = _starting_points(target, n, x, d)
    seed = resolve_seed(rng)
    counts_calls = getattr(stepper, "counts_calls", False)
    _check_nodes(observers, counts_calls)
    own = getattr(stepper, "begin", None)
    usual = given is None and own is None and not counts_calls
    begin = own if own is not None or counts_calls else _widened(schedule, int(grid.times[0]))
    lost = _lost_at_start(target, int(grid.times[0])) if usual else None
    offset = check_integer(first, "first", 0, 2**62)
    out = _allocate(keep, count, width, grid, memory_limit)
    run = _Run.of(stepper, observers, out, noise)
    states = [observer.init(grid, width) for observer in observers]
    alone = 1 if getattr(target, "own_threads", False) else None
    for rows in _blocks(count, width):
        if given is None:
            t = int(grid.times[0])
            size, at = rows.stop - rows.start, offset + rows.start
            block = standard_normals(seed, size, width, t, stream=Stream.START, first=at)
        else:
            block = given[rows].copy()
        where = _Block(rows, Rows(offset + rows.start, seed, noise))
        if given is None and begin is not None:
            begin(block, where.rows)
        with kernels.threads(alone):
            seen = run.block(block, where)
        states = [o.merge(a, b) for o, a, b in zip(observers, states, seen, strict=True)]
        if keep == "final" and out is not None:
            out[rows] = block
        if progress is not None:
            progress(rows.stop, count)
    results = tuple(o.result(state) for o, state in zip(observers, states, strict=True))
    path = out if keep == "trajectory" else None
    final = path[-1] if path is not None else out
    n_eval = grid.steps + stepper.extra / count if stepper.extra else grid.steps
    return Samples(final, grid.times, results, n_eval, path, seed, lost)


def _widened(schedule: NoiseSchedule, t: int) -> Callable[[Array, Rows], None] | None:
    """What makes a start of standard normals: as wide as data of variance one are at t."""
    if schedule.variance_preserving:
        return None

    def begin(x: Array, _: Rows) -> None:
        x *= schedule.scale[t]

    return begin


def _lost_at_start(model: ScoreModel, t: int) -> StartError | None:
    if not is_exact(model):
        return None
    lost = start_error(model.mixture, model.schedule.as_variance_preserving(), t)
    if lost.notable:
        warnings.warn(lost.words(), StartWarning, stacklevel=3)
    return lost


@dataclasses.dataclass(frozen=True)
class _Block:
    local: slice  # within this run
    rows: Rows  # global indices and noise


def _blocks(count: int, d: int) -> Iterator[slice]:
    # Of long rows two tiles, one for each of two cores.
    size = max(128 if d < 512 else 256, _BLOCK_DOUBLES // d)
    for begin in range(0, count, size):
        yield slice(begin, min(begin + size, count))


@dataclasses.dataclass(frozen=True, eq=False)
class _Run:
    """What carries every block, and who looks on; `out` is a trajectory (S + 1, n, d) or None.
    Where all look at the end alone, the stepper's rollout does the steps, if it has one."""

    stepper: Stepper
    observers: Sequence[Observer]
    out: Array | None
    final_only: bool
    rollout: Rollout | None

    @classmethod
    def of(
        cls, stepper: Stepper, observers: Sequence[Observer], out: Array | None, noise: NoiseKind
    ) -> _Run:
        final_only = all(getattr(observer, "final_only", False) for observer in observers)
        traced = out if out is not None and out.ndim == 3 else None
        at_once = final_only and traced is None and noise == "step"
        rollout = rollout_of(stepper) if at_once else None
        return cls(stepper, observers, traced, final_only, rollout)

    def block(self, x: Array, where: _Block) -> list[Any]:
        """Advance one block in place; its observer states."""
        grid, rows = self.stepper.grid, where.rows
        states = [observer.init(grid, x.shape[1]) for observer in self.observers]
        label = slice(rows.first, rows.first + len(x))
        if self.rollout is not None:
            self.rollout(x, rows.first, rows.seed)
        else:
            for k, (t, s) in enumerate(grid.pairs):
                if self.out is not None:
                    self.out[k, where.local] = x
                wanted = self.stepper.needs_eps or not self.final_only
                eps = self.stepper.eps(x, t) if wanted else None
                self._show(states, label, (t, s), x, eps)
                self.stepper.advance(x, eps, k, rows)
        if self.out is not None:
            self.out[-1, where.local] = x
        self._show(states, label, (0, None), x, None)
        return states

    def _show(
        self,
        states: list[Any],
        rows: slice,
        step: tuple[int, int | None],
        x: Array,
        eps: Array | None,
    ) -> None:
        for i, observer in enumerate(self.observers):
            states[i] = _shown(observer, states[i], rows, step, x, eps)


def _shown(
    observer: Observer,
    state: Any,
    rows: slice,
    step: tuple[int, int | None],
    x: Array,
    eps: Array | None,
) -> Any:
    """The observer's state after one node. The run goes on in x and eps: an observer that is not
    ours gets copies, to write on or to keep."""
    if not is_ours(observer):
        x, eps = lent(x), None if eps is None else lent(eps)
    return observer.step(state, rows, *step, x, eps)


def _starting_points(
    model: ScoreModel, n: int | None, x: ArrayLike | None, given_d: int | None
) -> tuple[int, int, Array | None]:
    if (n is None) == (x is None):
        raise InputError(
            "exactly one of n and x must be given",
            "both" if n is not None else "neither",
            "Pass n to start from noise, or x to start from given states.",
        )
    d = getattr(model, "d", None)
    if given_d is not None:
        given_d = check_integer(given_d, "d", 1)
        if d is not None and given_d != d:
            raise InputError(f"d must be that of the model, {d}", given_d, "Leave it out.")
        d = given_d
    if x is not None:
        width = check_array(x, "x", ndim=2).shape[1] if d is None else d
        points = check_points(x, width or 1)
        return len(points), points.shape[1], points
    if d is None:
        raise InputError(
            "starting from noise needs the dimension",
            "a model without an attribute d",
            "Pass d beside n, or x, the (n, d) starting states.",
        )
    width = check_integer(d, "the dimension of a model", 1)
    return check_integer(n, "n", 1), width, None


def _check_nodes(observers: Sequence[Observer], counts_calls: bool) -> None:
    """Refuse observers of nodes where nodes are calls, at levels that no time has."""
    if counts_calls and not all(getattr(observer, "final_only", False) for observer in observers):
        raise InputError(
            "an observer of nodes needs a sampler whose calls are at times of the schedule",
            "a plan with other levels, or with two calls at one",
            "Look at the end alone (ClassCounts), or keep the trajectory.",
        )


def _check_watchers(observers: object, progress: object) -> None:
    """Refuse what cannot watch a run before the run has begun."""
    if progress is not None:
        check_callable(progress, "progress", "Pass a function of (samples done, samples in all).")
    if not isinstance(observers, list | tuple):
        raise InputError(
            "observers must be a list of observers", describe(observers), "Pass [observer, ...]."
        )
    for observer in observers:
        methods = [getattr(observer, name, None) for name in ("init", "step", "merge", "result")]
        if isinstance(observer, type) or not all(map(callable, methods)):
            raise InputError(
                "an observer is an object with init, step, merge and result",
                describe(observer),
                "See mixdyn.observers; a class must be called first.",
            )


def _check_options(schedule: object, sampler: object, keep: object, noise: object) -> None:
    fit = hasattr(sampler, "stepper") and not isinstance(sampler, type)
    if not isinstance(schedule, NoiseSchedule) or not fit:
        raise InputError(
            "sample takes a model, a NoiseSchedule and a sampler, in this order",
            f"{type(schedule).__name__} and {type(sampler).__name__}",
            "For example sample(presets.grid(), NoiseSchedule.linear(), DDIM(), n=100).",
        )
    for name, value, allowed in (("keep", keep, Keep), ("noise", noise, NoiseKind)):
        if value not in get_args(allowed):
            options = ", ".join(repr(option) for option in get_args(allowed))
            raise InputError(f"{name} must be one of {options}", describe(value), "Choose one.")


def _allocate(keep: str, n: int, d: int, grid: TimeGrid, limit: float) -> Array | None:
    limit = check_limit(limit, "memory_limit")
    if keep == "none":
        return None
    shape = (len(grid.times), n, d) if keep == "trajectory" else (n, d)
    size = 8.0 * np.prod([float(side) for side in shape])
    if size > limit:
        raise MemoryLimitError(
            f"the kept states must fit memory_limit = {limit:.3g} bytes",
            f"{size:.3g} bytes for shape {shape}",
            "Use keep='none' with observers, keep='final', fewer samples, or raise memory_limit.",
        )
    return np.empty(shape)

"""What an audit measures: off the plan where the sampler has one, else by running it.

Both routes answer the same three questions. Only sampled answers have an interval.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, Protocol

import numpy as np

from ..affine.drivers import Ask, Draw, Driver
from ..affine.plan import Plan
from ..affine.predictions import Reference, on_gaussian, shares
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..run.sampling import sample
from ..score.exact import ExactScore
from ..score.protocol import Level, checked_eps
from ..support.checks import Array
from ..support.errors import InputError, NotAffineError, NotApplicableError, StartWarning
from ..support.statistics import DISPLAY_STDS
from .calls import guarded

_ROWS = 4096  # samples of a Gaussian
_ANY = NoiseSchedule.linear()  # a level is asked for itself: of no schedule


@dataclasses.dataclass(frozen=True)
class Response:
    """On N(mean, std^2) the end has mean mean + mean_error and standard deviation gain std; the
    half-widths of their 95 % intervals, 0 where they are exact."""

    std: float
    mean: float
    gain: float
    mean_error: float
    gain_half: float = 0.0
    mean_half: float = 0.0


class Measuring(Protocol):
    """A sampler that is measured. calls : evaluations a sample, all rows asked over those run."""

    calls: float

    def responses(self, stds: Array, mean: float, reference: Reference = "mean") -> list[Response]:
        """One for each std (k,); see `predictions.on_gaussian`."""
        ...

    def clock(self) -> tuple[Array, Array]:
        """(asked, true), each (K,): noise over signal of each input, by the tables and in fact."""
        ...

    def w2(self, eigenvalues: Array, rows: list[Response]) -> float:
        """Distance from Gaussian data of mean 0 and these variances."""
        ...

    def ends(self, model: Any, n: int, seed: int) -> Array:
        """(n, d) samples with the exact score of a mixture, or with a model that takes levels."""
        ...


class ByPlan:
    """Without a random number, but for samples of a mixture."""

    def __init__(self, plan: Plan, driver: Driver) -> None:
        self.plan, self._driver = plan, driver
        self.calls = float(plan.calls)

    def responses(self, stds: Array, mean: float, reference: Reference = "mean") -> list[Response]:
        """See `Measuring`."""
        errors, gains = self.plan.response(stds, mean, reference=reference)
        rows = zip(stds.tolist(), gains.tolist(), errors.tolist(), strict=True)
        return [Response(std, mean, gain, error) for std, gain, error in rows]

    def clock(self) -> tuple[Array, Array]:
        """See `Measuring`."""
        try:
            found = self.plan.clock()
        except NotApplicableError:  # no start has the law of its first level
            found = self.plan.clock(start="own")
        return found.asked[:-1], found.true[:-1]

    def w2(self, eigenvalues: Array, rows: list[Response]) -> float:
        """See `Measuring`."""
        return self.plan.w2(eigenvalues)

    def ends(self, model: Any, n: int, seed: int) -> Array:
        """See `Measuring`; of a plan that cannot run, by its sampler."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", StartWarning)
                return np.asarray(sample(model, _ANY, self.plan, n=n, rng=seed).x)
        except NotApplicableError:
            return BySampling(self._driver).ends(model, n, seed)


class BySampling:
    """By runs of the sampler itself on exact predictions."""

    def __init__(self, driver: Driver, seed: int = 0) -> None:
        self._driver, self._seed, self.calls = driver, seed, 0.0
        first = self._levels(np.zeros((2, 1)))[0]
        usual = first.noise_std if first.alpha == 1.0 else 1.0
        self._start_std = usual if driver.start_std is None else driver.start_std

    def _levels(self, x: Array) -> list[Level]:
        seen: list[Level] = []

        def ask(x: Array, at: Level) -> Array:
            seen.append(at)
            return np.zeros_like(x)

        self._driver.run(x, ask, _Normals(np.random.default_rng(self._seed)))
        if not seen:
            raise InputError("a sampler asks its model", "no call at all", "Call model(x, level).")
        return seen

    def _run(self, n: int, d: int, ask: Ask, seed: int | None = None) -> Array:
        rng = np.random.default_rng(self._seed if seed is None else seed)
        start, calls, asked = self._start_std * rng.standard_normal((n, d)), 0, 0

        def counted(x: Array, at: Level) -> Array:
            nonlocal calls, asked
            calls, asked = calls + 1, asked + len(x)
            return ask(x, at)

        end = self._driver.run(start, counted, _Normals(rng))
        if end.shape != (n, d) or not np.isfinite(end).all():
            bad = np.count_nonzero(~np.isfinite(end))
            raise InputError(
                "a sampler must return finite states of the shape of its start",
                f"shape {end.shape} with {bad} non-finite entries after {calls} calls",
                "Choose other settings.",
            )
        self.calls = asked / n
        return end

    def responses(self, stds: Array, mean: float, reference: Reference = "mean") -> list[Response]:
        """See `Measuring`."""
        return [self._response(std, mean, reference) for std in stds.tolist()]

    def _response(self, std: float, mean: float, reference: Reference) -> Response:
        end = self._run(_ROWS, 1, self._gaussian(np.array([std**2]), mean, reference))[:, 0]
        found, off = float(end.std()), end - end.mean()
        # The standard error of a standard deviation, whatever the law.
        kurtosis = float((off**4).mean()) / max(found, 1e-300) ** 4
        relative = np.sqrt(max(kurtosis - 1.0, 0.0) / (4.0 * _ROWS))
        return Response(
            std,
            mean,
            found / std,
            float(end.mean()) - mean,
            float(DISPLAY_STDS * relative * found / std),
            DISPLAY_STDS * found / _ROWS**0.5,
        )

    def _gaussian(self, variance: Array, mean: float | Array, reference: Reference = "mean") -> Ask:
        def ask(x: Array, at: Level) -> Array:
            levels = np.array([at.alpha]), np.array([at.noise_std])
            slope, c_x0 = on_gaussian(self._driver.predicts, *levels, variance, reference)
            answer: Array = slope[0, 0] * (x - at.alpha * mean) + c_x0[0] * mean
            return answer

        return ask

    def clock(self) -> tuple[Array, Array]:
        """See `Measuring`: on data at two points, on the same start and noise; of the calls for
        every row, without those of tests and repetitions."""
        seen: list[tuple[Level, Array]] = []
        signs = np.where(np.arange(2) % 2, 1.0, -1.0) * 0.5  # a column each: one noise for both
        point = self._gaussian(np.zeros(1), signs)

        def ask(x: Array, at: Level) -> Array:
            if len(x) == _ROWS:
                seen.append((at, x.copy()))
            return point(x, at)

        draw = _OneColumn(np.random.default_rng(self._seed))
        first = self._levels(np.zeros((2, 2)))[0]
        start = self._start_std * draw((_ROWS, 2))
        # The start has the law of the first level: then only the steps can be at fault.
        try:
            self._driver.run(start + first.alpha * signs, ask, draw)
        except NotAffineError:  # it wants other noise than normal, which has one column each
            seen.clear()
        if not seen:
            asked = _asked(self._levels(np.zeros((2, 1))))
            return asked, np.full(len(asked), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            asked = _asked([at for at, _ in seen])
            signal = np.array([(x[:, 1] - x[:, 0]).mean() for _, x in seen])
            return asked, np.array([x.mean(axis=1).std() for _, x in seen]) / signal

    def w2(self, eigenvalues: Array, rows: list[Response]) -> float:
        """See `Measuring`: off the rows, between them linearly in log std."""
        std, at = np.sqrt(eigenvalues), np.log([row.std for row in rows])
        gain = np.interp(np.log(std), at, [row.gain for row in rows])
        return float(np.sqrt(np.square((gain - 1.0) * std).sum()))

    def ends(self, model: Any, n: int, seed: int) -> Array:
        """See `Measuring`."""
        exact = ExactScore(model, _ANY) if isinstance(model, GaussianMixture) else None

        def ask(x: Array, at: Level) -> Array:
            if at.noise_var == 0.0:
                x0, eps = x / at.alpha, np.zeros_like(x)
            elif exact is None:
                eps = checked_eps(model, x, at)
                x0 = (x - at.noise_std * eps) / at.alpha
            elif at.alpha == 0.0:
                x0 = model.weights @ model.means + np.zeros_like(x)
                eps = x / at.noise_std
            else:
                x0, eps = exact.x0(x, at), exact.eps(x, at)
            parts = shares(self._driver.predicts, np.array([at.alpha]), np.array([at.noise_std]))
            return parts[0] * eps + np.where(parts[1] == 0.0, 0.0, parts[1] * x0)

        return self._run(n, model.d, ask, seed)


def _asked(levels: list[Level]) -> Array:
    return np.sqrt([at.rho for at in levels])


# -- drivers that are measured -------------------------------------------------------------------


class Guarded:
    """A driver whose failures are one line."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.predicts, self.start_std, self.end = driver.predicts, driver.start_std, driver.end
        self.provenance = driver.provenance

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        return np.asarray(guarded(self._driver.run, x, ask, draw))

    def repeats(self) -> bool:
        """Whether a seed names the end: by the library's own generators where its adapter knows
        them, else on the noise that is handed over."""
        own = getattr(self._driver, "repeats", None)
        if own is not None:
            return bool(guarded(own))
        x = np.linspace(-1.0, 1.0, 16).reshape(8, 2)
        first, second = (
            self.run(x, lambda x, at: 0.5 * x, _Normals(np.random.default_rng(0))) for _ in range(2)
        )
        return bool(np.array_equal(first, second))


class _Normals:
    """The draws of a generator, and itself for those who want other draws."""

    sampled = True

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __call__(self, shape: tuple[int, ...], time: int | None = None) -> Array:
        return np.asarray(self.rng.standard_normal(shape))


class _OneColumn:
    """The draws of a generator, the same in both columns."""

    sampled = True

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def __call__(self, shape: tuple[int, ...], time: int | None = None) -> Array:
        return np.repeat(self._rng.standard_normal((shape[0], 1)), 2, axis=1)

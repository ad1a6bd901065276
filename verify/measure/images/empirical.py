"""The score of the training images themselves, point masses: what it draws and what it predicts.

It is the exact minimiser of the loss that a network is trained on, and draws copies. Where noise is
so small that it sees one image alone, it knows nothing of a fresh one; a network that predicts
fresh images there has not learned it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mixdyn import learned
from mixdyn.images.counting import find_parts, wrong_count
from mixdyn.images.generators import triangles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import standard_error

from ...data.checkpoints.images import CHECKPOINTS
from ...ledger.case import Case
from ..measurement import Measurement
from .watching import x0_hat

SIDE, TRAINED = 32, 10_000  # of the networks' images
RHO = (100.0, 30.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.03, 0.01)


@Measurement
def copies(case: Case) -> dict[str, Array | IntArray]:
    """Of images that DDIM with 50 steps draws by the score of other images: away (n,), the distance
    to the nearest of them, root mean square over pixels; wrong (n,): hold other than three
    triangles."""
    real = triangles(case.pick(400, 4_000), SIDE, case.seed + 7)
    points = real.rows
    run = sample(
        GaussianMixture.from_data(points, 0.0),
        NoiseSchedule.linear(),
        DDIM(50),
        n=case.pick(48, 256),
        rng=case.stream("copies of images"),
    )
    x = np.asarray(run.x)
    squares = _squares(x, points, _lengths(points))
    away = np.sqrt(np.maximum(squares, 0.0).min(axis=1) / SIDE**2)
    seen = find_parts(x.reshape(-1, SIDE, SIDE), real.radius, ("triangle",))
    return {"away": away, "wrong": wrong_count(seen, 3).astype(np.int64)}


def _lengths(points: Array) -> Array:
    """(m,) squared lengths, a part of the points at a time: their squares take as much as they."""
    parts = np.array_split(points, max(1, len(points) // 500))
    return np.concatenate([np.square(part).sum(axis=1) for part in parts])


def _squares(x: Array, points: Array, lengths: Array) -> Array:
    """(n, m) squared distances, by one matrix product; lengths (m,): squared, of the points."""
    found: Array = np.square(x).sum(1)[:, None] - 2.0 * x @ points.T + lengths
    return found


def longest_trained() -> list[str]:
    """The network of triangles of the longest training, of each seed."""
    names = [path.stem for path in CHECKPOINTS.glob("triangles-*.safetensors")]
    by_steps = sorted(names, key=lambda name: int(name.split("-")[1]))
    return sorted({name.rpartition("-")[2]: name for name in by_steps}.values())


@dataclass(frozen=True)
class Errors:
    """By level of noise (L,): own: the probability that a training image under it comes back. The
    error of x0_hat, squared and per pixel, of the score of the training images and of the network,
    on training images and on fresh ones. gap, gap_error: fresh error of the score less the
    network's, paired, and its standard error."""

    rho: Array
    own: Array
    score_seen: Array
    score_fresh: Array
    network_seen: Array
    network_fresh: Array
    gap: Array
    gap_error: Array

    @property
    def half(self) -> float:
        """The level at which half of the copies come back, between two levels in log rho."""
        at = np.interp(0.5, self.own, np.log(self.rho))
        return float(np.exp(at))


@dataclass(frozen=True)
class _Seen:
    """Images x_0 (n, pixels) and noisy states y (n, pixels) of them at one level; error (n,): of
    the score's x0_hat, squared and per pixel; own: the mean probability that it gives to the
    training image of the same place, which is the state's own where that was seen."""

    x_0: Array
    y: Array
    error: Array
    own: float


def _by_score(case: Case, schedule: NoiseSchedule) -> list[tuple[int, dict[str, _Seen]]]:
    """Level by level the time, and what the score of all images that networks learned makes of
    some of them ("seen") and of as many others ("fresh"). All networks are asked about these; 40
    of each in the quick profile: of 64 the least difference had 8.7 standard errors, 5 are due."""
    points = triangles(TRAINED, SIDE, 0).rows
    lengths = _lengths(points)
    n, rng = case.pick(40, 256), case.rng("prediction errors")
    clean = {"seen": points[:n].copy(), "fresh": triangles(n, SIDE, 12345).rows}
    found = []
    for t in schedule.nearest_times(np.array(RHO)).tolist():
        rho, at_level = schedule.rho[t], {}
        for name, x_0 in clean.items():
            y = x_0 + np.sqrt(rho) * rng.standard_normal(x_0.shape)
            share = _shares(_squares(y, points, lengths), rho)
            error = np.square(share @ points - x_0).mean(axis=1)
            own = float(share[np.arange(n), np.arange(n)].mean())
            at_level[name] = _Seen(x_0, y, error, own)
        found.append((t, at_level))
    return found


@Measurement
def prediction_errors(case: Case, network: str) -> Errors:
    """A network of triangles beside the score of all images that it was trained on."""
    model = learned.ImageScore(CHECKPOINTS / f"{network}.safetensors")
    schedule = model.schedule
    key = f"score of images on {schedule.digest}"
    rows = []
    for t, at_level in case.memo(key, lambda: _by_score(case, schedule)):
        found = {}
        for name, seen in at_level.items():
            x = schedule.alpha[t] * seen.y
            guess = x0_hat(schedule, x, model.eps(x, t), t)
            found[f"score_{name}"] = seen.error
            found[f"network_{name}"] = np.square(guess - seen.x_0).mean(axis=1)
        gap = found["score_fresh"] - found["network_fresh"]
        means = {key: float(value.mean()) for key, value in found.items()}
        about = {"rho": schedule.rho[t], "own": at_level["seen"].own}
        error = float(standard_error(gap))
        rows.append({**about, **means, "gap": gap.mean(), "gap_error": error})
    order = sorted(rows, key=lambda row: -row["rho"])
    return Errors(**{key: np.array([row[key] for row in order]) for key in rows[0]})


@Measurement
def errors_of_longest(case: Case) -> dict[str, Any]:
    """`Errors` of the first network of the longest training; network: its name; n: how many images
    it learned."""
    names = longest_trained()
    if not names:
        raise NotApplicableError("this measures a network of triangles", "none", "Train one.")
    errors = prediction_errors(case, names[0])
    return {**asdict(errors), "half": errors.half, "network": names[0], "n": TRAINED}


def _shares(squares: Array, rho: float) -> Array:
    """(n, m) posterior probabilities of points, equally likely, at these squared distances of
    states y = x/alpha; in their place."""
    squares *= -0.5
    squares /= rho
    squares -= squares.max(axis=1, keepdims=True)
    shares = np.exp(squares, out=squares)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares

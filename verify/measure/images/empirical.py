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
    points = GaussianMixture.from_data(real.rows, 0.0)
    run = sample(
        points,
        NoiseSchedule.linear(),
        DDIM(50),
        n=case.pick(48, 256),
        rng=case.stream("copies of images"),
    )
    x = np.asarray(run.x)
    away = np.sqrt(np.maximum(_squares(x, real.rows), 0.0).min(axis=1) / SIDE**2)
    seen = find_parts(x.reshape(-1, SIDE, SIDE), real.radius, ("triangle",))
    return {"away": away, "wrong": wrong_count(seen, 3).astype(np.int64)}


def _squares(x: Array, points: Array) -> Array:
    """(n, m) squared distances, by one matrix product."""
    found: Array = np.square(x).sum(1)[:, None] - 2.0 * x @ points.T + np.square(points).sum(1)
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


@Measurement
def prediction_errors(case: Case, network: str) -> Errors:
    """A network of triangles beside the score of all images that it was trained on."""
    model = learned.ImageScore(CHECKPOINTS / f"{network}.safetensors")
    schedule, real = model.schedule, triangles(TRAINED, SIDE, 0)
    n, rng = case.pick(64, 256), case.rng("prediction errors")
    clean = {"seen": real.rows[:n], "fresh": triangles(n, SIDE, 12345).rows}
    rows = []
    for t in schedule.nearest_times(np.array(RHO)).tolist():
        alpha, rho, found = schedule.alpha[t], schedule.rho[t], {}
        for name, x_0 in clean.items():
            y = x_0 + np.sqrt(rho) * rng.standard_normal(x_0.shape)
            share = _shares(y, real.rows, rho)
            found[f"score_{name}"] = np.square(share @ real.rows - x_0).mean(axis=1)
            x = alpha * y
            guess = x0_hat(schedule, x, model.eps(x, t), t)
            found[f"network_{name}"] = np.square(guess - x_0).mean(axis=1)
            if name == "seen":
                own = float(share[np.arange(n), np.arange(n)].mean())
        gap = found["score_fresh"] - found["network_fresh"]
        means = {key: float(value.mean()) for key, value in found.items()}
        error = float(standard_error(gap))
        rows.append({"rho": rho, "own": own, **means, "gap": gap.mean(), "gap_error": error})
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


def _shares(y: Array, points: Array, rho: float) -> Array:
    """(n, m) posterior probabilities of points, equally likely, at states y = x/alpha."""
    logs = -0.5 * _squares(y, points) / rho
    shares: Array = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares

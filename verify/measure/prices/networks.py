"""What trained networks pay, and what their last noisy states lose."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

import mixdyn
from mixdyn import bounds
from mixdyn.affine.sampler_price import Price
from mixdyn.run.path_cost import PathDivergence
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.score import ExactScore
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import VERDICT_STDS, Proportion

from ...ledger.case import Case
from ..measurement import Measurement
from ..networks.models import TrainedModel, load, require_models, shipped, shipped_for
from ..paths import DDIM_STEPS

_OWN, _OTHER = 2000, 400  # paths of a network in the quick profile
_EVERY = 64  # draws a step of DDPM
_FULL = 20


@dataclass(frozen=True)
class Covered:
    """A network's price with DDIM(eta = 1) on the papers' grid, and its last noisy states.

    price : with the network. excess : recorded. names, log_p (E,), hits (E,) of n : events, their
    exact probabilities (off product grids the least that these can be) and how many states are in
    them. reverse : mean cost of the network's own paths, the divergence of X11.
    """

    model: str
    problem: str
    price: Price
    excess: float | None
    names: Sequence[str]
    log_p: Array
    hits: IntArray
    n: int
    reverse: float

    @property
    def most(self) -> float:
        """The price at its upper limit."""
        return self.price.total + VERDICT_STDS * self.price.total_error

    @property
    def least(self) -> Array:
        """(E,) the least probability that the price allows each event."""
        return np.asarray(np.exp(bounds.log_kl_coverage(self.most, self.log_p)))

    def share(self, k: int) -> Proportion:
        """Of the states in event k."""
        return Proportion(int(self.hits[k]), self.n)


def events(case: Case, t: int) -> list[tuple[str, float, Any]] | None:
    """(name, exact log probability at time t, test of y (n, d)) of the halves of every axis and of
    the heaviest and the lightest mode's cell; off product grids of these two cells alone, with the
    least that their probabilities can be, where that is positive. None where no event is left."""
    axes = case.mixture.product_axes()
    if axes is None:
        return None if case.mixture.covariance is not None else _nearest(case, t) or None
    std = math.sqrt(case.schedule.effective_variance(float(case.mixture.sigma))[t])
    cuts = [np.concatenate([[-np.inf], (v[:-1] + v[1:]) / 2, [np.inf]]) for v, _ in axes]
    inside = [
        w @ (ndtr((cut[None, 1:] - v[:, None]) / std) - ndtr((cut[None, :-1] - v[:, None]) / std))
        for cut, (v, w) in zip(cuts, axes, strict=True)
    ]
    found: list[tuple[str, float, Any]] = []
    for j, (cut, shares) in enumerate(zip(cuts, inside, strict=True)):
        if len(shares) > 1:
            m = len(shares) // 2
            edge = float(cut[m])
            below, above = float(shares[:m].sum()), float(shares[m:].sum())
            found.append((f"lower part of axis {j + 1}", math.log(below), _half(j, edge, True)))
            found.append((f"upper part of axis {j + 1}", math.log(above), _half(j, edge, False)))
    cells = {
        at: math.prod(float(s[i]) for s, i in zip(inside, at, strict=True))
        for at in itertools.product(*(range(len(s)) for s in inside))
    }
    for name, at in (
        ("heaviest", max(cells, key=cells.__getitem__)),
        ("lightest", min(cells, key=cells.__getitem__)),
    ):
        low = np.array([cut[i] for cut, i in zip(cuts, at, strict=True)])
        high = np.array([cut[i + 1] for cut, i in zip(cuts, at, strict=True)])
        found.append((f"{name} mode", math.log(cells[at]), _cell(low, high)))
    return found


def _nearest(case: Case, t: int) -> list[tuple[str, float, Any]]:
    """States nearest to one mode. A state of mode k is nearer to mode j with probability
    Phi(-l_kj/(2 std_k)), whatever the other modes: what is left of the sum over them is the least
    share of its states that are nearest to it."""
    mixture = case.mixture
    found: list[tuple[str, float, Any]] = []
    for name, k in (
        ("heaviest", int(np.argmax(mixture.weights))),
        ("lightest", int(np.argmin(mixture.weights))),
    ):
        std = math.sqrt(float(mixture.sigmas[k]) ** 2 + float(case.schedule.rho[t]))
        length = np.linalg.norm(np.delete(mixture.means, k, axis=0) - mixture.means[k], axis=1)
        share = float(mixture.weights[k]) * (1.0 - float(ndtr(-0.5 * length / std).sum()))
        if share > 0.0:
            found.append((f"{name} mode", math.log(share), _nearest_to(mixture.means, k)))
    return found


def _nearest_to(means: Array, k: int) -> Any:
    half = 0.5 * np.square(means).sum(axis=1)
    return lambda y: (y @ means.T - half).argmax(axis=1) == k


def _half(axis: int, edge: float, below: bool) -> Any:
    return lambda y: (y[:, axis] < edge) == below


def _cell(low: Array, high: Array) -> Any:
    return lambda y: ((y >= low) & (y < high)).all(axis=1)


def covered(case: Case) -> list[Covered]:
    """Of every network of the case's own problem, and on the standard problem of every other."""
    return case.memo("X13 networks", lambda: list(_covered(case)))


def _covered(case: Case) -> Iterator[Covered]:
    models = require_models(case)
    early = shipped_for(case, undertrained=True) if case.model is None else []
    own = {s.name for s in early}
    known = {model.name for model in models}
    models = [*models, *(load(s) for s in early if s.name not in known)]
    for model in models:
        found = cover(case, model, case.pick(_OWN, _FULL * _OWN), "own problem")
        if found is not None:
            yield found
    for checkpoint in shipped() if own else ():
        if checkpoint.name not in own:
            mixture, schedule = checkpoint.mixture(), checkpoint.schedule()
            other = dataclasses.replace(case, mixture=mixture, schedule=schedule, workspace={})
            said = f"{mixture.N} modes, d = {mixture.d}"
            n = case.pick(_OTHER, _FULL * _OTHER)
            found = cover(other, load(checkpoint), n, said)
            if found is not None:
                yield found


def cover(case: Case, model: TrainedModel, n: int, problem: str) -> Covered | None:
    """One network on its problem."""
    sampler = DDIM(min(DDIM_STEPS, case.schedule.T), eta=1.0)
    plan = sampler.plan(case.schedule, sampler.grid(case.schedule))
    asked = events(case, int(plan.t[-1]))
    if asked is None:
        return None
    price = mixdyn.price(
        case.mixture,
        case.schedule,
        sampler,
        model.score,
        n=n,
        seed=case.seed,
        excess=model.excess,
    )
    exact = ExactScore(case.mixture, case.schedule)
    run = sample(
        model.score,
        case.schedule,
        sampler,
        n=n,
        rng=case.stream("X13"),
        observers=[PathDivergence(exact, plan)],
        keep="none",
    )
    (paths,) = run.observations
    y = paths.x / case.schedule.alpha[paths.t]
    return Covered(
        model=model.name,
        problem=problem,
        price=price,
        excess=model.excess,
        names=[name for name, _, _ in asked],
        log_p=np.array([log_p for _, log_p, _ in asked]),
        hits=np.array([int(test(y).sum()) for _, _, test in asked]),
        n=n,
        reverse=float(paths.cost.mean()),
    )


def of_every_step(case: Case, model: TrainedModel) -> Price:
    """The price of DDPM with a network, its learning from few draws a step."""
    n = case.pick(_EVERY, _FULL * _EVERY)
    return mixdyn.price(
        case.mixture, case.schedule, DDPM(), model.score, n=n, seed=case.seed, excess=model.excess
    )


@Measurement
def network_prices(case: Case) -> dict[str, Any]:
    """models (M,) and their problems; start, steps, learning, error (M,) of their prices with DDIM
    (eta = 1) on the papers' grid; loss (M,) the most that the recorded loss allows, NaN for none;
    reverse (M,) of X11; least and share (M, E) of events, NaN where there are fewer."""
    found = covered(case)
    if not found:
        raise NotApplicableError(
            "least shares of modes are known where these are isotropic and lie apart",
            f"{case.mixture.N} modes in {case.mixture.d} dimensions that are or do not",
            "Look at another mixture.",
        )
    width = max(len(each.names) for each in found)

    def padded(values: Array) -> Array:
        return np.concatenate([values, np.full(width - len(values), np.nan)])

    return {
        "models": [each.model for each in found],
        "problems": [each.problem for each in found],
        "start": np.array([each.price.start for each in found]),
        "steps": np.array([each.price.steps for each in found]),
        "learning": np.array([each.price.learning for each in found]),
        "error": np.array([each.price.total_error for each in found]),
        "loss": np.array(
            [math.nan if (a := each.price.from_loss) is None else a for each in found]
        ),
        "reverse": np.array([each.reverse for each in found]),
        "least": np.array([padded(each.least) for each in found]),
        "share": np.array([padded(each.hits / each.n) for each in found]),
        "n": np.unique([each.n for each in found])[::-1],
    }

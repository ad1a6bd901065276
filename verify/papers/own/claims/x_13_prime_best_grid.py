r"""The grid of the least price.

Statement: Among all grids of $K$ whole times that end at time 1, dynamic programming finds the one
    on which samplers with $\eta = 1$ pay the least for start and steps. In the limit of many steps
    the nodes have a density in $g$ proportional to $\sqrt{-d\,mmse/dg}$, and the steps cost
    $\big(\int \sqrt{-d\,mmse/dg}\,dg\big)^2/(4K)$.
Hypotheses:
    - noise: the schedule ends in noise, so that its last time is a start which costs under a
      thousandth of a nat.
Measured: the price of the grid with a start of at most a thousandth of a nat, and of the least
    total, for $K$ = 5 to 100; with trained networks that of 20, 30 and 50 steps.
Predicted: at most the price of the quadratic, linspace, log-SNR and Karras grids and of equal arcs
    of $\int\sqrt{-d\,mmse/dg}\,dg$ (what a schedule adapted to the loss aims at); the least total
    at most that of the bounded start.
Evidence: exact on product grids and lines. Learned: the total with networks against that on the
    quadratic grid, to five standard errors.
Source: our result; arXiv 2601.21943 v1, the loss-adaptive schedule, minimises the same sum
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

import mixdyn
from mixdyn.problem.schedule import TimeGrid
from mixdyn.samplers import DDIM
from mixdyn.samplers.best_grid import START_NATS
from mixdyn.support.statistics import VERDICT_STDS
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.prices.grids import BEST, COUNTS, LEAST, grid_prices, grids
from verify.measure.prices.quality import quality

CLAIM = Claim.from_docstring(
    __doc__,
    id="X13'",
    short="the grid of the least price",
    rests_on={"X13": "what a grid costs"},
    needs=(modes(2),),
    derivation="derivations/price/best_grid.py",
    does_not_show=(
        "That it is the best grid for anything else: the price is KL(exact || sampler), which "
        "counts what is lost. Samples between modes cost little in it, and on the quadratic grid, "
        "which takes more steps at little noise, 50 steps leave fewer of them."
    ),
)
_COUNTS = (20, 30, 50)


@CLAIM.exact(unit="grids")
def cheapest(case: Case, ours: str = BEST, factor: float = 1.0) -> Iterator[Part]:
    """Prices of grids. ours: which of them is to be the cheapest; factor: on its price."""
    if mixdyn.score.information.lines_of(case.mixture) is None:
        yield NotApplicable("off product grids and lines the price of a grid is known from draws")
        return
    if COUNTS[0] > case.schedule.T:
        yield NotApplicable(f"grids of {COUNTS[0]} steps and more need as many times")
        return
    found = grid_prices(case)
    names, counts = [str(name) for name in found["names"]], found["counts"]
    total = dict(zip(names, found["start"] + found["steps"], strict=True))
    last = float(dict(zip(names, found["start"], strict=True))["log SNR"][0])
    yield Hypothesis("noise", float(last <= START_NATS), START_NATS - last)
    exact = Tolerance(rtol=1e-9, atol=1e-12)
    for name in names:
        if name not in (ours, LEAST):
            yield Side(
                f"price of {ours} against {name}",
                factor * total[ours],
                at_most=total[name],
                tolerance=exact,
                where={"steps": counts},
            )
    yield Side(
        "least total against the bounded start", total[LEAST], at_most=total[ours], tolerance=exact
    )
    yield lambda: _tables(case, found)


CLAIM.must_fail(cheapest, "the quadratic grid in its place", ours="quadratic")
CLAIM.must_fail(cheapest, "equal arcs in its place", ours="equal arc")
CLAIM.must_fail_narrowly(cheapest, "{} more", 10.0, factor=lambda s: 1.0 + s)


def _tables(case: Case, found: dict[str, object]) -> Iterator[Part]:
    names = [str(name) for name in found["names"]]  # type: ignore[attr-defined]
    total = np.asarray(found["start"]) + np.asarray(found["steps"])
    counts = np.asarray(found["counts"])
    rows = [(int(k), *total[:, j].tolist()) for j, k in enumerate(counts)]
    yield Table("Start and steps in nats by grid", ("steps", *names), rows)
    yield {"all steps (DDPM), nats": float(np.asarray(found["full"]).sum())}


# -- networks ------------------------------------------------------------------------------------


@CLAIM.learned(unit="grids", of=networks)
def learned(
    case: Case, models: Sequence[TrainedModel], ours: str = BEST, factor: float = 1.0
) -> Iterator[Part]:
    """Totals with networks against the quadratic grid. ours, factor: as above."""
    for model in models:
        for steps in (k for k in _COUNTS if k <= case.schedule.T):
            mine, other = (_total(case, model, steps, name) for name in (ours, "quadratic"))
            error = VERDICT_STDS * math.hypot(mine[1], other[1])
            yield Side(
                f"total of {steps} steps, {model.name}",
                factor * mine[0],
                at_most=other[0],
                tolerance=Tolerance(atol=error),
                where={"steps": steps},
            )
    yield Facts(model=", ".join(model.name for model in models))
    yield lambda: _quality(case)


CLAIM.must_fail(learned, "linspace in its place", ours="linspace")
CLAIM.must_fail_narrowly(learned, "{} more with networks", 10.0, factor=lambda s: 1.0 + s)


def _total(case: Case, model: TrainedModel, steps: int, name: str) -> tuple[float, float]:
    grid: TimeGrid = case.memo(f"X13' {steps}", lambda: grids(case.mixture, case.schedule, steps))[
        name
    ]
    n = case.pick(400, 20_000)

    def measure() -> tuple[float, float]:
        sampler = DDIM(spacing=grid, eta=1.0)
        found = mixdyn.price(case.mixture, case.schedule, sampler, model.score, n=n, seed=case.seed)
        return found.total, found.total_error

    return case.memo(f"X13' {model.name} {steps} {name}", measure)


def _quality(case: Case) -> Table:
    found = quality(case)
    rows: list[tuple[str | float, ...]] = [
        (str(s), str(m), int(n), float(p), *map(float, values))
        for s, m, n, p, values in zip(
            found["samplers"],
            found["models"],
            found["n"],
            found["price"],
            np.stack([found[key] for key in ("outside", "weights", "chance", "spread")]).T,
            strict=True,
        )
    ]
    columns = (
        *("sampler", "score", "samples", "start + steps, nats", "outside the modes"),
        *("KL of weights", "of as many exact draws", "spread over sigma"),
    )
    return Table("What the nats buy", columns, rows)

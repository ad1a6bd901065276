r"""The price of a sampler in nats.

Statement: With $g = 1/\rho$ the paths of the reversed diffusion, from the start to the last noisy
    state, have from those of a sampler with $\eta = 1$ on any grid the divergence
    $KL = KL(\mathrm{start}) + \tfrac12 \sum_k \int_{g_k}^{g_{k+1}} (mmse(g_k) - mmse(g))\,dg$,
    with a learned denoiser $\tfrac12 \sum_k \Delta g_k\,E|\hat x_0 - \hat x_0^{net}|^2$ more, over
    exact states; with $\eta \ne 1$ a sum of the same second moments. Every event $E$ of the last
    noisy state then has $P_{sampler}(E) \ge q$, $\mathrm{kl}(P_{exact}(E)\,\|\,q) = KL$: no mode is
    lost.
Hypotheses:
    - product_grid: the modes are a product grid with product weights, or a line, so that closed
      forms are there to be compared with; the sampled and learned rows need none.
Measured: the engine's price, from the posterior probabilities of modes; log likelihood ratios of
    exact paths; how often the last noisy states of networks are in either part of an axis, in the
    lightest mode and in the heaviest.
Predicted: the price by Fisher information and step by step integrals; its sum; at least the
    guarantee at the price's upper limit.
Evidence: exact on the papers' grid with $\eta$ = 1 and 0.5 and on the grid of the least price.
    Sampled: exact paths, to five standard errors. Learned: every shipped network, with $\eta$ = 1
    on the papers' grid; the learning term against likelihood ratios and against what the recorded
    training loss allows. Off product grids and lines an event is a mode's cell, states nearest to
    its mean, whose exact probability counts at a lower limit in closed form.
Source: for $\eta = 1$ known: arXiv 2601.21943 v1, section on the reformulated divergence, and in
    discrete time arXiv 2502.02305; every $\eta$ and plan, and what is guaranteed, are ours; I-MMSE
    is Guo, Shamai and Verdu 2005
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np

import mixdyn
from mixdyn import oracles
from mixdyn.affine.sampler_price import Price
from mixdyn.run.start import start_error
from mixdyn.samplers import DDIM, DDPM
from mixdyn.support.numbers import nearest_double, show_share
from mixdyn.support.statistics import VERDICT_STDS, standard_error
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.paths import DDIM_STEPS
from verify.measure.prices import networks as trained
from verify.measure.prices.exact_paths import exact_paths, learned_ratios, log_ratios
from verify.measure.prices.networks import Covered

CLAIM = Claim.from_docstring(
    __doc__,
    id="X13",
    short="the price in nats",
    rests_on={"G.1": "the posterior mean"},
    sharpens={"X11": "its other side: what a learned sampler cannot lose"},
    needs=(modes(2),),
    derivation="derivations/price/sampler_price.py",
    does_not_show=(
        "Anything about the last map, which has no noise, nor about samplers without noise: their "
        "price is infinite. A small price says that nothing is lost; mass between modes, which the "
        "exact law hardly has, costs little in it (X11 bounds that)."
    ),
)

PRODUCT_GRID = Hypothesis("product_grid", 1.0, 0.0)
_EXACT = Tolerance(rtol=1e-8, atol=1e-12)
_PATHS, _PATHS_FULL = 4000, 80_000
_DRAWS = 2000  # of the mmse, off product grids
_NO_STEP = "from a single noisy time there is no step between noisy times"


def _samplers(case: Case) -> dict[str, tuple[DDIM, float]]:
    """By name, with eta."""
    steps = min(DDIM_STEPS, case.schedule.T)
    least = min(20, case.schedule.T)
    found = {
        f"{steps} steps": (DDIM(steps, eta=1.0), 1.0),
        f"{steps} steps, η = 0.5": (DDIM(steps, eta=0.5), 0.5),
    }
    if not case.random:  # for the sake of time: there the grid is made of draws
        found[f"{least} steps of the least price"] = DDIM(least, "price", eta=1.0), 1.0
    return found


def _price(case: Case, name: str, sampler: DDIM) -> Price:
    n = case.pick(_DRAWS, _PATHS_FULL)
    return case.memo(
        f"X13 {name}",
        lambda: mixdyn.price(case.mixture, case.schedule, sampler, n=n, seed=case.seed),
    )


# -- two routes ----------------------------------------------------------------------------------


@CLAIM.exact(unit="steps")
def identity(case: Case, factor: float = 1.0, more_eta: float = 1.0) -> Iterator[Part]:
    """Every step by both routes. factor: on the closed form; more_eta: on its η."""
    if case.schedule.T < 2:
        yield NotApplicable(_NO_STEP)
        return
    if mixdyn.score.information.lines_of(case.mixture) is None:
        yield NotApplicable("the closed form of the mmse is that of product grids and lines")
        return
    for name, (sampler, eta) in _samplers(case).items():
        found = _price(case, name, sampler)
        closed = case.memo(
            f"X13 closed {name} {more_eta}",
            functools.partial(oracles.grid_price, case.mixture, found.rho, more_eta * eta),
        )
        yield Side(
            f"price of a step, {name}",
            found.by_step,
            equals=factor * closed,
            tolerance=_EXACT,
            where={"rho": found.rho[:-1]},
        )
        first = int(sampler_grid(case, sampler)[0])
        yield Side(
            f"price of the start, {name}",
            found.start,
            equals=factor * start_error(case.mixture, case.schedule, first).kl,
            tolerance=_EXACT,
        )
    yield PRODUCT_GRID
    yield lambda: _shown(case)


def sampler_grid(case: Case, sampler: DDIM) -> Sequence[int]:
    """Its times."""
    ready = mixdyn.samplers.best_grid.settled(sampler, case.mixture, case.schedule)
    return ready.grid(case.schedule).times.tolist()


def _shown(case: Case) -> Iterator[Part]:
    rows = []
    listed = {name: sampler for name, (sampler, _) in _samplers(case).items()}
    for name, sampler in {**listed, "all steps (DDPM)": DDPM()}.items():
        p = _price(case, name, sampler)  # type: ignore[arg-type]
        k = int(np.argmax(p.by_step))
        rows.append((name, len(p.by_step), p.start, p.steps, float(p.rho[k]), p.by_step[k]))
    columns = ("sampler", "noisy steps", "start", "steps", "rho of the dearest step", "its price")
    yield Table("Prices in nats with the exact score", columns, rows)


CLAIM.must_fail_narrowly(identity, "(1 - {}) of the price", 0.5, factor=lambda s: 1.0 - s)
CLAIM.must_fail(identity, "η smaller by a thousandth", more_eta=0.999)


# -- likelihood ratios ---------------------------------------------------------------------------


@CLAIM.sampled(unit="paths")
def paths(case: Case, factor: float = 1.0) -> Iterator[Part]:
    """The mean log ratio of exact paths, of any mixture. factor: on the price."""
    if case.schedule.T < 2:
        yield NotApplicable(_NO_STEP)
        return
    n = case.pick(_PATHS, _PATHS_FULL)
    resolved = []
    for name, (sampler, _) in _samplers(case).items():
        found = _price(case, name, sampler)
        mean, error = case.memo(
            f"X13 paths {name}", functools.partial(_mean_ratio, case, sampler, n)
        )
        allowed = VERDICT_STDS * math.hypot(error, found.error)
        resolved.append(allowed / found.steps)
        yield Side(
            f"log ratio of exact paths, {name}",
            mean,
            equals=factor * found.steps,
            tolerance=Tolerance(atol=allowed),
        )
    yield Facts(seed=case.stream("X13 paths"))
    yield f"The means are known to {show_share(max(resolved), 2)} of the price or better."


def _mean_ratio(case: Case, sampler: DDIM, n: int) -> tuple[float, float]:
    ready = mixdyn.samplers.best_grid.settled(sampler, case.mixture, case.schedule)
    plan = ready.plan(case.schedule, ready.grid(case.schedule))
    drawn = exact_paths(case.mixture, case.schedule, plan, n, case.stream("X13 paths"))
    each = log_ratios(case, plan, drawn)
    return float(each.mean()), float(standard_error(each))


CLAIM.must_fail_narrowly(paths, "{} more than the price", 3.0, factor=lambda s: 1.0 + s)


# -- networks ------------------------------------------------------------------------------------


@CLAIM.learned(unit="paths", of=networks)
def learned(
    case: Case, models: Sequence[TrainedModel], allowed: float = 1.0, factor: float = 1.0
) -> Iterator[Part]:
    """Guarantees, and the learning term. allowed: a factor on the price; factor: on the term."""
    found = trained.covered(case)
    if not found:
        yield NotApplicable("least shares are known of modes that are isotropic and lie apart")
        return
    sides = [side for each in found for side in _guaranteed(each, allowed)]
    yield from sorted(sides, key=lambda side: -nearest_double(side.comparison.tightness or 0.0))
    for model in models:
        yield _learning(case, model, {each.model: each for each in found}[model.name], factor)
    for each in found:
        if each.price.from_loss is not None:
            yield Side(
                f"learning, {each.model}",
                each.price.learning - VERDICT_STDS * each.price.learning_error,
                at_most=each.price.from_loss,
                tolerance=Tolerance(rtol=1e-9),
            )
    least = np.concatenate([each.least / np.exp(each.log_p) for each in found])
    yield Facts(
        nonvacuous=float(np.mean(least > 0.01)),
        model=", ".join(each.model for each in found),
        witness=lambda _: {"seed": case.stream("X13")},
    )
    yield lambda: _tables(case, models, found)


def _guaranteed(each: Covered, allowed: float) -> Iterator[Side]:
    least = np.exp(mixdyn.bounds.log_kl_coverage(allowed * each.most, each.log_p))
    for k, name in enumerate(each.names):
        yield Side(f"share in the {name}, {each.model}", each.share(k), at_least=float(least[k]))


def _learning(case: Case, model: TrainedModel, found: Covered, factor: float) -> Side:
    n = case.pick(_PATHS, _PATHS_FULL)
    sampler = DDIM(min(DDIM_STEPS, case.schedule.T), eta=1.0)
    plan = sampler.plan(case.schedule, sampler.grid(case.schedule))

    def measure() -> tuple[float, float]:
        seed = case.stream("X13 paths")
        drawn = case.memo(
            "X13 drawn", lambda: exact_paths(case.mixture, case.schedule, plan, n, seed)
        )
        each = learned_ratios(case, plan, drawn, model.score)
        return float(each.mean()), float(standard_error(each))

    mean, error = case.memo(f"X13 ratios {model.name}", measure)
    return Side(
        f"log ratio of exact paths, {model.name}",
        mean,
        equals=factor * found.price.learning,
        tolerance=Tolerance(atol=VERDICT_STDS * math.hypot(error, found.price.learning_error)),
    )


_PRICED = (
    *("network", "problem", "start", "steps", "learning", "its standard error"),
    *("most by the loss", "total", "learning on own paths (X11)"),
)
_EVERY = ("network", "steps", "learning", "total", "lightest weight", "at least")
_SHARES = ("network", "event", "exact, or least", "guaranteed", "measured", "from", "to")


def _tables(case: Case, models: Sequence[TrainedModel], found: Sequence[Covered]) -> Iterator[Part]:
    rows = [
        (
            *(each.model, each.problem, each.price.start, each.price.steps),
            *(each.price.learning, each.price.learning_error, each.price.from_loss or math.nan),
            *(each.price.total, each.reverse),
        )
        for each in found
    ]
    yield Table("Prices in nats, η = 1 on the papers' grid", _PRICED, rows)
    every = []
    for model in models:
        price = trained.of_every_step(case, model)
        most = price.total + VERDICT_STDS * price.total_error
        weights = case.mixture.weights[[int(np.argmin(case.mixture.weights))]]
        least = float(np.exp(mixdyn.bounds.log_kl_coverage(most, np.log(weights)))[0])
        every.append((model.name, price.steps, price.learning, price.total, weights[0], least))
    yield Table("The same for DDPM, and what no mode can fall below", _EVERY, every)
    shares = [
        (each.model, name, math.exp(log_p), least, hits / each.n, *each.share(k).interval())
        for each in found
        for k, (name, log_p, least, hits) in enumerate(
            zip(each.names, each.log_p, each.least, each.hits, strict=True)
        )
    ]
    yield Table("Shares of the last noisy states", _SHARES, shares)


CLAIM.must_fail_narrowly(learned, "{} more than the learning term", 5.0, factor=lambda s: 1.0 + s)
CLAIM.must_fail(learned, "a price of nothing", allowed=0.0)

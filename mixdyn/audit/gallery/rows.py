"""What is measured of one sampler: its cards at several numbers of steps, and what it does to
learned scores at equal evaluations; a row of JSON data each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

from ...affine.drivers import OwnSampler, driver_of
from ...affine.impulses import transcribe
from ...affine.plan import Plan
from ...geometry import Region, within_modes
from ...geometry.classes import in_stds
from ...problem.mixture import GaussianMixture
from ...problem.schedule import NoiseSchedule
from ...run.sampling import sample
from ...samplers.options import samplers
from ...score.between import BetweenTimes
from ...score.protocol import ScoreModel
from ...support.checks import Array
from ...support.errors import MemoryLimitError, MixdynError, NotAffineError
from ..adapters import Offer
from ..card import Card, audit
from ..measuring import ByPlan, BySampling, Guarded
from .orders import ladder

Row = dict[str, Any]

COUNTS = (10, 20, 50, 100, 1000)  # steps
EQUAL = 50  # evaluations at which samplers are set beside one another
_NEAR = 0.1  # relative: how far from them a sampler may be
_SAMPLES = 5_000  # of each network
_DIGITS = 5


@dataclasses.dataclass(frozen=True)
class Network:
    """A learned score of a problem, by name."""

    name: str
    mixture: GaussianMixture
    score: ScoreModel
    schedule: NoiseSchedule


def own() -> list[Offer]:
    """Our own samplers of any model, also with the noise of eta = 1."""
    found: list[Offer] = []
    for name, kind in samplers().items():
        if kind.mixture_only is None:
            etas = [{"eta": 1.0}] if "eta" in _fields(name) else []
            found += [(name, given) for given in ({}, *etas)]
    return found


def key(row: Row) -> tuple[Any, ...]:
    """By which a row is known."""
    settings = sorted((name, repr(value)) for name, value in row["settings"].items())
    return row["spec"], tuple(settings), row["steps"], row.get("network")


def rows_of(
    offer: Offer, networks: list[Network], known: Mapping[tuple[Any, ...], Row], counts: list[int]
) -> Iterator[Row]:
    """The rows of a sampler; those that are known are handed on. counts: of steps."""

    def kept(row: Row, measure: Any) -> Row:
        found = known.get(key(row))
        return {**row, **measure()} if found is None else found

    spec, settings = offer
    cards = []
    for steps in _counts(spec, counts):
        row = {"spec": spec, "settings": settings, "steps": steps}
        card = kept(row, lambda at=steps: _card(spec, settings, at))
        cards.append(_with_ladder(card) if steps == EQUAL else card)
        yield cards[-1]
    steps = _steps_of_equal(cards)
    if steps is not None and steps not in [row["steps"] for row in cards]:
        row = {"spec": spec, "settings": settings, "steps": steps}
        cards.append(kept(row, lambda: _card(spec, settings, steps)))
        yield cards[-1]
    at = at_equal(cards)
    if at is None and ":" in spec:
        return
    for network in networks:
        row = {"spec": spec, "settings": settings, "steps": at and at["steps"]}
        row["network"] = network.name
        yield kept(row, lambda on=network, row=row: _learned(spec, settings, row["steps"], on))


def _counts(spec: str, counts: list[int]) -> list[int | None]:
    """Ours that count no steps have one card."""
    counted = ":" in spec or "steps" in _fields(spec)
    return list(counts) if counted else [None]


def at_equal(cards: list[Row]) -> Row | None:
    """The card whose evaluations are nearest to `EQUAL`, and near."""
    done = [row for row in cards if "error" not in row]
    best = min(done, key=lambda row: abs(row["n_eval"] - EQUAL), default=None)
    near = best is not None and abs(best["n_eval"] - EQUAL) <= _NEAR * EQUAL
    return best if near else None


def _steps_of_equal(cards: list[Row]) -> int | None:
    """Steps that take about `EQUAL` evaluations, where none of the cards does."""
    done = [row for row in cards if "error" not in row and row["steps"]]
    if not done or at_equal(cards) is not None:
        return None
    nearest = min(done, key=lambda row: abs(row["steps"] - EQUAL))
    return max(1, round(nearest["steps"] * EQUAL / nearest["n_eval"]))


def _fields(name: str) -> list[str]:
    return [field.name for field in dataclasses.fields(cast(Any, samplers()[name]))]


# -- cards ---------------------------------------------------------------------------------------


def _with_ladder(row: Row) -> Row:
    """The row, with what an order is judged by; of a plan alone."""
    if "error" in row or row["why"] or "ladder" in row:
        return row
    return {**row, "ladder": ladder(row["spec"], row["settings"])}


def _card(spec: str, settings: Mapping[str, Any], steps: int | None) -> Row:
    try:
        card = audit(spec, steps, brief=steps not in (None, EQUAL), **settings)
    except MixdynError as error:
        return {"error": " ".join(str(error).split())}
    return short(facts(card))


def facts(card: Card) -> Row:
    """What the page needs of a card: of the clock its ends and its worst call, of the responses
    those at the standard deviations that are printed, also with the exact consistency map where it
    is made for such; of a plan the whole curve beside them."""
    call, error = card.clock_error
    asked, true = np.array(card.clock).T
    named = card.named
    found = {
        "library": card.provenance["library"],
        "version": card.provenance["version"],
        "n_eval": card.n_eval,
        "why": card.why,
        "gain": [row.gain for row in named],
        "gain_half": max(row.gain_half / max(row.gain, 1e-300) for row in named),
        "mean_error": [row.mean_error for row in named],
        "clock": [call, error, asked[call - 1], true[call - 1]],
        "asked": [asked[0], asked[-1]],
        "end": card.end,
        "quotient": card.quotient,
        "order": card.order,
        "floor": card.floor,
        "outside": [card.outside.successes, card.outside.trials],
        "trapped": card.trapped and [card.trapped.successes, card.trapped.trials],
        "price": card.price,
        "w2": card.w2 / card.spectrum,
        "seeded": card.seeded,
    }
    if card.affine is None:
        found["large"] = True
    if card.consistency:
        found["consistency"] = [row.gain for row in card.consistency]
    if card.affine and abs(card.n_eval - EQUAL) <= _NEAR * EQUAL:
        found["curve"] = [[float(f"{v:.4g}") for v in (row.std, row.gain)] for row in card.response]
    return found


def short(value: Any) -> Any:
    """Numbers as JSON has them, to a few digits; null for what is not finite."""
    if isinstance(value, Mapping):
        return {name: short(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [short(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, float):
        return value
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None


# -- learned scores ------------------------------------------------------------------------------


def _learned(spec: str, settings: Mapping[str, Any], steps: int | None, network: Network) -> Row:
    try:
        x, n_eval = _ends(spec, settings, steps, network)
    except MixdynError as error:
        return {"error": " ".join(str(error).split())}
    mixture = network.mixture
    codes, nearest, offset = within_modes(mixture, x)
    inside = max(len(nearest), 1)
    expected = mixture.weights * inside
    modes = np.bincount(nearest, minlength=mixture.N)
    chi_square = float((np.square(modes - expected) / expected).sum())
    square = np.square(in_stds(mixture, nearest, offset)).mean() if len(nearest) else np.nan
    return short(
        {
            "n_eval": float(n_eval),
            "counts": np.bincount(codes, minlength=len(Region)).tolist(),
            "weight_error": (chi_square - (mixture.N - 1)) / inside,
            "spread": float(np.sqrt(square)),
        }
    )


def _ends(
    spec: str, settings: Mapping[str, Any], steps: int | None, network: Network
) -> tuple[Array, float]:
    """Samples of the network, and evaluations of the sampler's own; a plan runs in the engine."""
    driver = driver_of(spec, steps, settings)
    if isinstance(driver, OwnSampler):
        chosen = driver.sampler.within(network.schedule)
        run = sample(network.score, network.schedule, chosen, n=_SAMPLES, rng=0)
        return np.asarray(run.x), run.n_eval
    guarded, model = Guarded(driver), BetweenTimes(network.score, network.schedule)
    try:
        plan = transcribe(guarded)
    except (NotAffineError, MemoryLimitError):
        sampled = BySampling(guarded)
        return sampled.ends(model, _SAMPLES, 0), sampled.calls
    seeing = _seeing(plan, network.schedule)
    return ByPlan(seeing, guarded).ends(model, _SAMPLES, 0), float(plan.calls)


def _seeing(plan: Plan, schedule: NoiseSchedule) -> Plan:
    """The plan, with calls on pure noise asked at the last time, of which a network knows x_0."""
    blind = plan.alpha == 0.0
    last = float(schedule.alpha[-1]), float(schedule.noise_var[-1])
    alpha, noise_var = (
        np.where(blind, value, own)
        for value, own in zip(last, (plan.alpha, plan.noise_var), strict=True)
    )
    return dataclasses.replace(plan, alpha=alpha, noise_var=noise_var)

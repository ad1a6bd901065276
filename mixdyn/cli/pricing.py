"""`mixdyn price`: what a sampler and a model cost in nats, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mixdyn.affine.sampler_price import Price, price
from mixdyn.samplers.options import samplers
from mixdyn.support.checks import check_integer
from mixdyn.support.errors import InputError
from mixdyn.support.files import check_output, write_text
from mixdyn.support.numbers import dump_json, show_number
from mixdyn.support.statistics import DISPLAY_STDS

from .inputs import build_model, build_sampler, given, read_problem
from .requests import PriceRequest

if TYPE_CHECKING:
    from rich.console import Console

    from mixdyn.problem.mixture import GaussianMixture
    from mixdyn.problem.schedule import NoiseSchedule

_SHOWN = 5  # steps
_SEEN = 1e-6  # of a mode's weight: less is no guarantee


@dataclass(frozen=True)
class PriceSummary:
    """What is printed and stored; nats, None where infinite. error, learning_error: standard
    errors, 0 where integrals. least_weights: the least weight that each mode keeps in the last
    noisy state, None without a guarantee. steps_from, steps_to, by_step, learning_by_step: noise
    variance of x/alpha at both ends of each noisy step, and what it adds."""

    sampler: str
    model: str
    start: float
    steps: float | None
    learning: float | None
    total: float | None
    error: float
    learning_error: float
    from_loss: float | None
    end_rms: float
    words: str
    weights: list[float]
    least_weights: list[float] | None
    steps_from: list[float | None]
    steps_to: list[float]
    by_step: list[float]
    learning_by_step: list[float]


def run_price(request: PriceRequest, progress: Callable[[int, int], None]) -> PriceSummary:
    """The price, written where the request says so."""
    if request.out is not None:
        check_output(request.out)
    n = None if request.n is None else check_integer(request.n, "n", 2)
    seed = check_integer(request.seed, "seed", 0, 2**64 - 1)
    mixture, schedule = read_problem(request)
    sampler = _sampler(request, schedule, mixture)
    model = build_model(request, mixture, schedule)
    found = price(
        mixture,
        schedule,
        sampler,
        None if request.model is None else model,
        n=n,
        seed=seed,
        excess=_recorded_excess(request),
        progress=progress,
    )
    summary = _summarise(request, mixture, sampler, found)
    if request.out is not None:
        write_text(request.out, dump_json(vars(summary)))
    return summary


def _sampler(request: PriceRequest, schedule: NoiseSchedule, mixture: GaussianMixture) -> Any:
    if ":" not in request.sampler:
        if request.sampler not in samplers():
            raise InputError(
                f"--sampler is {', '.join(samplers())}, or library:sampler",
                request.sampler,
                "Choose one.",
            )
        return build_sampler(request.sampler, request.options, schedule, mixture)
    from mixdyn.affine.impulses import transcribe

    chosen = given(request.options)
    steps = chosen.pop("steps", None)
    if chosen:
        raise InputError(
            "a sampler of another library takes --steps alone here",
            f"--{min(chosen)}",
            "Transcribe it in Python: mixdyn.transcribe, mixdyn.price.",
        )
    return transcribe(request.sampler, steps)


def _recorded_excess(request: PriceRequest) -> float | None:
    if not request.is_checkpoint:
        return None
    from mixdyn.learned.headers import read_about

    loss = read_about(str(request.model)).get("loss", {})
    excess = loss.get("excess") if isinstance(loss, dict) else None
    return float(excess) if isinstance(excess, int | float) and excess >= 0.0 else None


def _summarise(
    request: PriceRequest, mixture: GaussianMixture, sampler: Any, found: Price
) -> PriceSummary:
    from mixdyn.bounds import log_kl_coverage

    least = None
    if not found.why:
        # 95 % where something is drawn.
        most = max(found.total + DISPLAY_STDS * found.total_error, 0.0)
        least = np.exp(log_kl_coverage(most, np.log(mixture.weights))).tolist()
    return PriceSummary(
        sampler=repr(sampler),
        model=request.model or "exact score",
        start=found.start,
        steps=_finite(found.steps),
        learning=_finite(found.learning),
        total=_finite(found.total),
        error=found.error,
        learning_error=found.learning_error,
        from_loss=found.from_loss,
        end_rms=found.end_rms,
        words=found.words(),
        weights=mixture.weights.tolist(),
        least_weights=least,
        steps_from=[_finite(r) for r in found.rho[:-1].tolist()],
        steps_to=found.rho[1:].tolist(),
        by_step=found.by_step.tolist(),
        learning_by_step=found.learning_by_step.tolist(),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def print_price(summary: PriceSummary, console: Console) -> None:
    """The result of `mixdyn price`."""
    from .render import print_table

    def shown(value: float | None, error: float = 0.0) -> str:
        text = "infinite" if value is None else show_number(value, 4)
        return f"{text} ± {show_number(error, 2)}" if error else text

    rows = [
        ["start", shown(summary.start)],
        ["steps", shown(summary.steps, summary.error)],
        ["learning", shown(summary.learning, summary.learning_error)],
        ["total", shown(summary.total, math.hypot(summary.error, summary.learning_error))],
    ]
    title = f"KL(exact paths || {summary.sampler}), {summary.model}"
    print_table(console, title, "part | nats", rows)
    dear = np.argsort(np.add(summary.by_step, summary.learning_by_step))[::-1][:_SHOWN].tolist()
    if dear:
        steps = [
            [
                shown(summary.steps_from[k]),
                shown(summary.steps_to[k]),
                shown(summary.by_step[k]),
                shown(summary.learning_by_step[k]),
            ]
            for k in dear
        ]
        heads = "rho from | to | steps | learning"
        print_table(console, f"The dearest of {len(summary.by_step)} noisy steps", heads, steps)
    console.print(summary.words, markup=False)
    if summary.least_weights is not None and len(summary.weights) > 1:
        console.print(_kept(summary.weights, summary.least_weights))


def _kept(weights: list[float], least: list[float]) -> str:
    """What the price guarantees the lightest mode, where that is seen in some practical run."""
    k = int(np.argmin(weights))
    if least[k] < _SEEN * weights[k]:
        return (
            f"It does not say that no mode is lost: of the lightest, of weight "
            f"{show_number(weights[k], 3)}, it guarantees less than a millionth."
        )
    return (
        f"No mode can be lost: the lightest, of weight {show_number(weights[k], 3)}, "
        f"keeps at least {show_number(least[k], 3)}."
    )

"""`mixdyn audit`: the cards of samplers, on the terminal and in files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixdyn.audit.card import MISTAKE, Card, audit
from mixdyn.audit.page import page
from mixdyn.problem.named import read_mixture, read_schedule
from mixdyn.support.checks import describe
from mixdyn.support.errors import InputError
from mixdyn.support.files import check_output, read_parameters, write_text
from mixdyn.support.numbers import dump_json, show_number, show_share
from mixdyn.support.references import current_folder_importable
from mixdyn.support.statistics import Proportion

from .render import print_table

if TYPE_CHECKING:
    from rich.console import Console

_MODES_SHOWN = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """One run of `mixdyn audit`: SPEC[,key=value...] each, and settings of all of them."""

    specs: list[str]
    steps: int
    settings: list[str] = dataclasses.field(default_factory=list)
    mixture: str | None = None
    spectrum: Path | None = None
    json_file: Path | None = None
    html_file: Path | None = None
    out: Path | None = None
    seed: int = 0
    every_grid: bool = False


def run_audit(request: AuditRequest, progress: Callable[..., None]) -> list[Card]:
    """The cards, in the order of the specs, written where the request says."""
    page_wanted = request.out is not None and request.out.suffix.lower() == ".html"
    json_files = [request.json_file, None if page_wanted else request.out]
    html_files = [request.html_file, request.out if page_wanted else None]
    for paths, suffix in ((json_files, ".json"), (html_files, ".html")):
        for path in filter(None, paths):
            check_output(path, suffix)
    mixture = None if request.mixture is None else read_mixture(request.mixture)
    spectrum = None
    if request.spectrum is not None:
        keys = frozenset(["eigenvalues"])
        spectrum = read_parameters(request.spectrum, keys, keys)["eigenvalues"]
    cards = []
    for k, text in enumerate(request.specs):
        progress(k, len(request.specs), f"auditing {text}")
        spec, *own = text.split(",")
        settings = read_settings([*request.settings, *own])
        with current_folder_importable():
            cards.append(
                audit(
                    spec,
                    request.steps,
                    mixture=mixture,
                    eigenvalues=spectrum,
                    seed=request.seed,
                    every_grid=request.every_grid,
                    **settings,
                )
            )
    for path in filter(None, json_files):
        write_text(path, as_json(cards))
    for path in filter(None, html_files):
        write_text(path, page(cards))
    return cards


def as_json(cards: list[Card]) -> str:
    """The facts of one card, or of all."""
    facts = [card.facts() for card in cards]
    return dump_json(facts[0] if len(facts) == 1 else {"cards": facts})


def read_settings(items: list[str]) -> dict[str, Any]:
    """key=value each: a value is JSON (true, 0.5, [1, 2]) or else a word; schedule= names one."""
    settings: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.isidentifier() or key in _TAKEN:
            raise InputError(
                "a setting of a sampler is key=value, of a name that the command does not use",
                describe(item),
                "Write for example --set use_karras_sigmas=true.",
            )
        settings[key] = read_schedule(text) if key == "schedule" else _value(text)
    return settings


_TAKEN = ("mixture", "eigenvalues", "seed", "steps", "sampler", "brief", "every_grid")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


# -- on the terminal -----------------------------------------------------------------------------


_AFFINE = {
    True: "affine, exact on Gaussian data",
    False: "not affine, sampled",
    None: "too large to be read off, sampled",
}


def print_cards(cards: list[Card], console: Console) -> None:
    """Each card."""
    for card in cards:
        found = card.provenance
        settings = "".join(f", {key} = {value}" for key, value in found["settings"].items())
        title = f"{found['sampler']} of {found['library']} {found['version']}"
        console.print(f"[bold]{title}[/bold]{settings}", soft_wrap=True)
        affine = _AFFINE[card.affine]
        seeds = "a seed names the sample" if card.seeded else "the same seed gives another sample"
        console.print(f"{card.n_eval:g} evaluations a sample; {affine}; {seeds}\n")
        _print_gaussian(card, console)
        _print_clock(card, console)
        _print_mixture(card, console)
        console.print("In words", style="bold")
        for sentence in card.words:
            console.print(f"- {sentence}")
        console.print()


def print_comparison(cards: list[Card], console: Console) -> None:
    """A row a card, under the number of its name."""
    for k, card in enumerate(cards, start=1):
        console.print(f"{k}  {card.name}", soft_wrap=True)
    rows = [
        [
            str(k),
            f"{card.n_eval:g}",
            *(show_number(row.gain, 3) for row in card.named),
            show_share(card.w2 / card.spectrum, 2),
            show_share(card.outside.rate, 2),
            show_number(card.order, 2),
            show_number(card.floor, 2),
            f"{card.clock_error[1]:+.1e}",
        ]
        for k, card in enumerate(cards, start=1)
    ]
    stds = " | ".join(f"spread at {row.std:g}" for row in cards[0].named)
    heads = f"no. | calls | {stds} | W2 / norm | outside | order | floor | clock"
    print_table(console, "Samplers, with the exact score", heads, rows)


def _print_gaussian(card: Card, console: Console) -> None:
    rows = [
        [
            f"{row.std:g}",
            _within(row.gain, row.gain_half),
            _within(row.mean_error, row.mean_half),
        ]
        for row in card.named
    ]
    title = f"Gaussian data of mean {card.named[0].mean:g}"
    print_table(console, title, "standard deviation | spread / the data's | mean off by", rows)
    price = "none without noise in every step" if card.affine else "none without a plan"
    if card.price is not None:
        price = f"{card.price:.3g} nats a coordinate for {MISTAKE:g} in every predicted noise"
    console.print(
        f"order {show_number(card.order, 3)}, floor {show_number(card.floor, 2)} (of the spread at "
        f"{card.order_at:g}); off the spectrum by {show_share(card.w2 / card.spectrum, 2)} of its "
        f"norm in W2; price of a score error: {price}\n"
    )
    if card.errors is not None:
        parts = dataclasses.asdict(card.errors).items()
        console.print(
            f"errors apart, in standard deviations of data of {card.order_at:g}: "
            f"{', '.join(f'{part} {show_number(error, 2)}' for part, error in parts)}\n"
        )


def _print_clock(card: Card, console: Console) -> None:
    worst, error = card.clock_error
    calls = dict.fromkeys(sorted({1, worst, len(card.clock)}))
    rows = [[k, *card.clock[k - 1]] for k in calls]
    title = f"Clock, noise over signal (first, worst and last call; worst off by {error:+.2g})"
    print_table(console, title, "call | asked | true", rows)
    console.print(
        f"returns at {card.end:g}; the largest quotient of neighbouring steps in log noise is "
        f"{show_number(card.quotient, 3)}\n"
    )


def _print_mixture(card: Card, console: Console) -> None:
    shares = list(zip(card.wanted, card.weights, strict=True))
    far = sorted(range(len(shares)), key=lambda k: -abs(shares[k][0] - shares[k][1].rate))
    rows = [["outside", show_share(0.0), *_share(card.outside)]]
    rows += [
        [f"mode {k}", show_share(shares[k][0]), *_share(shares[k][1])] for k in far[:_MODES_SHOWN]
    ]
    title = f"Mixture, {card.outside.trials:,} samples (modes: of those inside, farthest first)"
    print_table(console, title, "where | weight | share | 95 % interval", rows)
    if card.trapped is not None:
        share, interval = _share(card.trapped)
        console.print(
            f"trapped: {share} ({interval}) of paths let go near the midpoint of two modes that "
            "have parted end outside all modes\n"
        )


def _share(share: Proportion) -> tuple[str, str]:
    low, high = share.interval()
    return show_share(share.rate), f"{show_share(low)} .. {show_share(high)}"


def _within(value: float, half: float) -> str:
    return show_number(value) + (f" ± {half:.2g}" if half else "")

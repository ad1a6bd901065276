"""Cards as one HTML page that needs nothing beside it; its curves are SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..support.checks import Array
from ..support.numbers import show_number, show_share
from .card import MISTAKE, Card

_WIDE, _HIGH, _LEFT, _TOP, _BELOW = 640, 250, 52, 12, 34  # of a chart, in pixels
_COLOURS = ("#2f6fde", "#d9622b", "#2a9d67", "#9a4fc4", "#b58a00", "#d14a7c", "#0f9bb5", "#7d6b5d")


def page(cards: Sequence[Card]) -> str:
    """The page of one card or more: a row and a curve each, and then each alone."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": show_number, "share": show_share}
    template = environment.get_template("card.html.j2")
    return template.render(
        cards=cards,
        colours=_COLOURS,
        mistake=MISTAKE,
        responses=_responses(cards),
        clocks=[_clock(card) for card in cards],
    )


def _responses(cards: Sequence[Card]) -> dict[str, Any]:
    series = [[(row.std, row.gain, row.gain_half) for row in card.response] for card in cards]
    return _chart(
        [np.array(rows) for rows in series],
        "standard deviation of the data",
        "spread / the data's",
    )


def _clock(card: Card) -> dict[str, Any]:
    asked, true = np.array(card.clock).T
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = np.column_stack([asked, true / asked, np.zeros(len(asked))])
    return _chart(
        [rows[np.isfinite(rows).all(axis=1) & (asked > 0.0)]],
        "noise over signal that a call asks for",
        "true / asked",
    )


def _chart(series: Sequence[Array], across: str, up: str) -> dict[str, Any]:
    """Series (k, 3) of x > 0 on a logarithmic axis, y, and half-widths; y is cut at 0 and 2."""
    x = np.concatenate([rows[:, 0] for rows in series])
    y = np.concatenate([rows[:, 1] for rows in series])
    low, high = (math.log10(end) for end in (x.min(initial=1e9), x.max(initial=1e-9)))
    if not low < high:
        low, high = -1.0, 1.0
    bottom = min(0.9, max(0.0, math.floor(10 * y.min(initial=1.0)) / 10))
    top = max(1.1, min(2.0, math.ceil(10 * y.max(initial=1.0)) / 10))

    def at(value: float) -> float:
        return _LEFT + (math.log10(value) - low) / (high - low) * (_WIDE - _LEFT - 12)

    def up_to(value: float) -> float:
        share = (min(max(value, bottom), top) - bottom) / (top - bottom)
        return _HIGH - _BELOW - share * (_HIGH - _BELOW - _TOP)

    decades = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    step = 0.5 if top - bottom > 1.0 else 0.2 if top - bottom > 0.4 else 0.05
    marks = np.arange(math.ceil(bottom / step - 1e-9), math.floor(top / step + 1e-9) + 1) * step
    lines = [
        [(round(at(a), 1), round(up_to(b), 1), round(up_to(b + h), 1), round(up_to(b - h), 1))
         for a, b, h in rows.tolist()]
        for rows in series
    ]  # fmt: skip
    return {
        "size": (_WIDE, _HIGH),
        "frame": (_LEFT, _WIDE - 12, _TOP, _HIGH - _BELOW),
        "lines": lines,
        "one": round(up_to(1.0), 1),
        "across": across,
        "up": up,
        "x": [(round(at(10.0**k), 1), f"{10.0**k:g}") for k in decades],
        "y": [(round(up_to(mark), 1), f"{mark:.3g}") for mark in marks.tolist()],
    }

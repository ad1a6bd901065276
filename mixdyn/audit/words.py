"""A card in three sentences: what the sampler returns, where it errs, what to use instead."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..support.numbers import show_number, show_share
from .right import CLOCK, MEAN, SPREAD, mean_off, spread_off

if TYPE_CHECKING:
    from .card import Card

_STALLED = 0.02  # an order that is none
_NEGLIGIBLE = 1e-4  # a floor
_FINE = 0.5  # of the last noise level: structure narrower than it is lost


def words(card: Card) -> list[str]:
    """The three sentences."""
    return [_returns(card), _errs(card), _instead(card)]


def _returns(card: Card) -> str:
    gains = ", ".join(f"{row.gain:.3g}" for row in card.named)
    stds = ", ".join(f"{row.std:g}" for row in card.named)
    half = max(row.gain_half / max(row.gain, 1e-300) for row in card.named)
    known = "exactly" if card.affine else f"to {show_share(half, 2)} at 95 % confidence"
    if card.affine is None:
        known += f", by sampling: {card.why}"
    low, high = card.outside.interval()
    handed = ", ".join(f"{row.gain:.3g}" for row in card.consistency)
    if handed:
        known += f"; handed the exact consistency map in place of the posterior mean, {handed}"
    return (
        f"With the exact score and {card.n_eval:g} evaluations it returns {gains} of the spread of "
        f"Gaussian data of standard deviation {stds} ({known}), and puts "
        f"{show_share(card.outside.rate)} of a mixture outside its modes (95 % interval "
        f"{show_share(low)} .. {show_share(high)})."
    )


def _errs(card: Card) -> str:
    found = []
    if card.affine is False:
        found.append(f"it is not affine ({card.why})")
    call, error = card.clock_error
    if abs(error) > CLOCK:
        asked, true = card.clock[call - 1]
        found.append(
            f"at call {call} its state has noise {show_number(true, 3)} over signal where it asks "
            f"the model at {show_number(asked, 3)}"
        )
    worst = max(card.named, key=lambda row: mean_off(row.mean_error, row.std, row.mean_half))
    if mean_off(worst.mean_error, worst.std, worst.mean_half) > MEAN:
        found.append(
            f"the mean {worst.mean:g} of data of standard deviation {worst.std:g} comes out "
            f"{worst.mean_error:+.3g} off"
        )
    found += _spread(card)
    if card.seeded is False:
        found.append("the same seed gives another sample")
    if not found:
        return (
            f"No error above {show_share(SPREAD)} was found in its clock and its spread, none of "
            f"its mean above {show_share(MEAN)} of a standard deviation, and none of its seeds."
        )
    return f"It errs where: {'; '.join(found)}."


def _spread(card: Card) -> list[str]:
    """Its last level, and the order of its steps."""
    last = next((asked for asked, _ in reversed(card.clock) if math.isfinite(asked)), 0.0)
    rows = [row for row in card.named if spread_off(row.gain, row.gain_half) > SPREAD]
    fine = [row for row in rows if row.std < last / _FINE]
    found = []
    if fine:
        found.append(
            f"the model is last asked at noise {last:.3g}, and what is narrower comes out with "
            f"{fine[0].gain:.3g} of its spread"
        )
    if coarse := [row for row in rows if row not in fine]:
        row = max(coarse, key=lambda row: abs(row.gain - 1.0))
        found.append(f"at {row.std:g} its steps return {row.gain:.3g} of the spread{_fall(card)}")
    return found


def _fall(card: Card) -> str:
    """What more steps do, at the one standard deviation at which that is known."""
    if card.order is None:
        return ""
    if card.order < _STALLED:
        return f"; at {card.order_at:g} more steps make it no better"
    left = f" to {card.floor:+.2g}" if card.floor and abs(card.floor) > _NEGLIGIBLE else ""
    return f"; at {card.order_at:g} its error falls as evaluations^-{card.order:.2g}{left}"


def _instead(card: Card) -> str:
    own = card.w2 / card.spectrum
    if not card.ours:
        return f"Nothing of ours takes {card.n_eval:g} evaluations on 1000 times to compare with."
    name, best = min(card.ours.items(), key=lambda item: item[1])
    relative = best / card.spectrum
    if best < card.w2:
        return (
            f"Use mixdyn's {name} sampler instead: with as many evaluations it is off the spectrum "
            f"by {show_share(relative, 2)} in W2, against {show_share(own, 2)}."
        )
    return (
        f"Keep it: off the spectrum by {show_share(own, 2)} in W2, it is no farther than the best "
        f"of ours with as many evaluations ({name}, {show_share(relative, 2)})."
    )

"""What was measured of public samplers, as `mixdyn audit --gallery docs` keeps it: in docs/ of the
repository, among the data where a wheel is installed."""

from __future__ import annotations

from typing import Any

from mixdyn.audit.gallery.keeping import FILE, read
from mixdyn.audit.gallery.mechanism import End, Law, ending
from mixdyn.audit.gallery.page import OURS, merged, natural, same_card, shown
from mixdyn.audit.gallery.rows import Row
from mixdyn.support.errors import NotApplicableError

from ..ledger.case import Case
from ..ledger.sources import ROOT

WIDE, NARROW = "too wide otherwise", "too narrow otherwise"


def _fine(card: Row) -> str:
    """What becomes of data of 0.007."""
    kind = ending(card)[0]
    if kind in (End.NOISE, End.MEAN):
        return kind.value
    return WIDE if card["gain"][0] > 1.0 else NARROW


def public_samplers(case: Case) -> dict[str, Any]:
    """Samplers with a plan in their natural use, the first that is offered, at equal evaluations,
    one of those with the same figures: name (K,), ours (K,), end (K,), in words, of `kinds`; std
    (k,) of Gaussian data, gain (K, k) the share of it that is returned; n, how many."""
    installed = ROOT / "verify" / "data" / FILE
    rows = read(installed if installed.is_file() else ROOT / "docs" / FILE)
    judged = [one for one in shown(rows) if one.law not in (None, Law.BACKWARDS)]
    with_curve = [one for one in natural(judged) if one.equal and "curve" in one.equal]
    if not with_curve:
        raise NotApplicableError(
            "a figure of public samplers needs their cards",
            "none at equal evaluations",
            "Make them: mixdyn audit --gallery docs.",
        )
    found = [one for _, one in merged(with_curve, same_card)]
    cards = [one.equal for one in found if one.equal]
    return {
        "name": [one.name.replace("`", "") for one in found],
        "ours": [one.library == OURS for one in found],
        "end": [_fine(card) for card in cards],
        "kinds": [End.NOISE.value, WIDE, End.MEAN.value, NARROW],
        "std": [std for std, _ in cards[0]["curve"]],
        "gain": [[gain for _, gain in card["curve"]] for card in cards],
        "n": len(found),
    }

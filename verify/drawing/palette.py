"""Colours, markers and lines: what each thing looks like, the same in every figure.

Colours are those of Okabe and Ito, told apart by readers with any colour vision; lines and markers
differ as well, so that no figure needs colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#767676"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, YELLOW)


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of one thing, the same in every figure."""

    color: str
    marker: str
    line: str = "-"


LOOKS: Mapping[str, Look] = {
    "DDIM": Look(BLUE, "o"),
    "DDPM": Look(VERMILION, "s", "--"),
    "hybrid z=2": Look(SKY, "^", "-."),
    "hybrid z=5": Look(GREEN, "v", "-."),
    "hybrid z=8": Look(ORANGE, "D", "-."),
}

_NETWORK_MARKERS = "oDv^<>ph"


def network_look(k: int) -> Look:
    """Colour and marker of the k-th trained network, the same in every figure."""
    return Look(PALETTE[k % len(PALETTE)], _NETWORK_MARKERS[k % len(_NETWORK_MARKERS)])

"""The networks on which CheckedNoise is compared with DDPM, and whether its numbers were chosen
with them."""

from __future__ import annotations

from .models import Shipped, shipped

# The networks with which the sampler's numbers were chosen; all others show what it does elsewhere.
# Of the last four three are here since its early noise was chosen with them, one its predictor.
CHOSEN_WITH = (
    *("grid-reduced-0", "grid-reduced-1", "unequal-reduced-0", "grid-T3000-reduced-0"),
    *("grid-sigma0.01-reduced-0", "grid-sigma0.05-reduced-0", "grid-sigma0.1-reduced-0"),
    *("grid-spacing1-reduced-0", "grid-T2000-reduced-0", "modes-d4-reduced-0", "modes-diamond-0"),
    "grid-T500-reduced-0",
)
OWN, CHOSEN, OTHERS, LINES = (
    "this problem's models",
    "the networks chosen with",
    "other networks on grids and in four dimensions",
    "the networks of arXiv 2406.09358",
)
_OF_LINES = "interpolation"  # begins the name of their recipe


def compared() -> list[Shipped]:
    """Shipped networks that were trained to the end of their recipe or of arXiv 2406.09358's."""
    return [each for each in shipped() if each.converged or each.recipe.startswith(_OF_LINES)]


def group_of(network: Shipped) -> str:
    """CHOSEN, LINES or OTHERS."""
    if network.name in CHOSEN_WITH:
        return CHOSEN
    return LINES if network.recipe.startswith(_OF_LINES) else OTHERS

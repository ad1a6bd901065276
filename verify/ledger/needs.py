"""What a mixture must offer for a claim to be stated on it, or judged, at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixdyn.problem.mixture import GaussianMixture


@dataclass(frozen=True)
class Need:
    """A demand on the mixture, without which every row of a claim is `not applicable`.

    obstacle : why a mixture does not meet it, or None. hypothesis : its name in a docstring that
    states it; a row then shows that it held. least, one_sigma : what a problem drawn for the claim
    must have.
    """

    obstacle: Callable[[GaussianMixture], str | None]
    hypothesis: str | None = None
    least: int = 1
    one_sigma: bool = False


def modes(least: int) -> Need:
    """At least so many modes, two or more, at different places."""

    def obstacle(mixture: GaussianMixture) -> str | None:
        if least > mixture.N:
            return f"the claim is about {least} or more modes; this mixture has {mixture.N}"
        same = coinciding_modes(mixture)
        if same is None:
            return None
        where = f"modes {same[0]} and {same[1]} share one mean"
        return f"the claim is about modes at different places; {where}: merge them"

    return Need(obstacle, least=least)


def without_one_width(mixture: GaussianMixture) -> str | None:
    """Why a claim that is stated for isotropic modes of positive width cannot be judged on these,
    or None. Every claim of the ledger is."""
    low, high = mixture.std_range
    if mixture.covariance is not None:
        return (
            "the claim is stated for isotropic modes; here standard deviations of the modes run "
            f"{low:.4g} to {high:.4g}"
        )
    if low == 0.0:
        return "the claim is stated for modes of positive width; here some are point masses"
    return None


def _of_several_sigmas(mixture: GaussianMixture) -> str | None:
    if mixture.has_common_sigma:
        return None
    low, high = mixture.sigmas.min(), mixture.sigmas.max()
    return f"the claim needs one sigma for all modes; here it runs {low:.4g} to {high:.4g}"


one_sigma = Need(_of_several_sigmas, "common_sigma", one_sigma=True)


def coinciding_modes(mixture: GaussianMixture) -> tuple[int, int] | None:
    """The first two modes with one mean, which make no pair, or None."""
    _, place = np.unique(mixture.means, axis=0, return_inverse=True)
    first: dict[int, int] = {}
    for k, label in enumerate(place.reshape(-1).tolist()):
        if label in first:
            return first[label], k
        first[label] = k
    return None


# Coordinates rounded by more than this part of sigma cannot tell a claim's fault from their own: a
# step that ends a millionth of sigma beside a mean would be judged by the spacing of doubles.
FINEST = 1e-7


def lost_digits(mixture: GaussianMixture) -> str | None:
    """Why the coordinates of a mixture are too coarse for its sigma, or None where they are not."""
    farthest, sigma = float(np.abs(mixture.means).max()), float(mixture.sigmas.min())
    rounding = float(np.spacing(farthest)) / sigma
    if rounding <= FINEST:
        return None
    digits = max(-math.log10(rounding), 0.0)
    return (
        f"the means reach {farthest:.4g}, where doubles lie {rounding:.2g} sigma apart: "
        f"{digits:.1f} of the {-math.log10(FINEST):.0f} digits of sigma that verdicts rest on are "
        "left; move the origin to the modes or take other units"
    )

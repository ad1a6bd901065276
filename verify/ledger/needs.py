"""What a mixture must offer for a claim to be stated on it, or judged, at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

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

    def because(self, reason: str) -> Need:
        """The same demand with a line why the claim makes it, which follows what is missing."""

        def obstacle(mixture: GaussianMixture) -> str | None:
            why = self.obstacle(mixture)
            return None if why is None else f"{why}: {reason}"

        return replace(self, obstacle=obstacle)


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


def _of_points(mixture: GaussianMixture) -> str | None:
    if mixture.smallest_var > 0.0:
        return None
    return (
        "the claim is stated for modes of positive width; here some are point masses, or flat in "
        "some direction"
    )


def _of_ellipsoids(mixture: GaussianMixture) -> str | None:
    if mixture.covariance is None:
        return _of_points(mixture)
    low, high = mixture.std_range
    return (
        "the claim is stated for isotropic modes; here standard deviations of the modes run "
        f"{low:.4g} to {high:.4g}"
    )


def _of_several_sigmas(mixture: GaussianMixture) -> str | None:
    if mixture.has_common_sigma or mixture.covariance is not None:
        return _of_ellipsoids(mixture)
    low, high = mixture.sigmas.min(), mixture.sigmas.max()
    return f"the claim needs one sigma for all modes; here it runs {low:.4g} to {high:.4g}"


def _of_several_covariances(mixture: GaussianMixture) -> str | None:
    if mixture.has_common_sigma:
        return None
    if mixture.covariance is None:
        return _of_several_sigmas(mixture)
    if mixture.covariance.common:
        return None
    low, high = mixture.std_range
    return (
        "the claim needs one covariance for all modes; here they differ, standard deviations run "
        f"{low:.4g} to {high:.4g}"
    )


# Positive widths in every direction; besides, the same in every direction; besides, in every mode.
proper = Need(_of_points)
isotropic = Need(_of_ellipsoids)
one_sigma = Need(_of_several_sigmas, "common_sigma", one_sigma=True)
# The same widths and axes in every mode, of any shape, zero among them.
one_covariance = Need(_of_several_covariances, "common_covariance", one_sigma=True)


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
    farthest, sigma = float(np.abs(mixture.means).max()), mixture.std_range[0]
    if sigma == 0.0:  # noise decides what coordinates can tell, not a width
        return None
    rounding = float(np.spacing(farthest)) / sigma
    if rounding <= FINEST:
        return None
    digits = max(-math.log10(rounding), 0.0)
    return (
        f"the means reach {farthest:.4g}, where doubles lie {rounding:.2g} sigma apart: "
        f"{digits:.1f} of the {-math.log10(FINEST):.0f} digits of sigma that verdicts rest on are "
        "left; move the origin to the modes or take other units"
    )

"""How the score of a mixture is evaluated, one file a structure, each found. No sampler.

With means alpha mu_k and variances s_k^2 at a level, and responsibilities gamma_k, every score and
noise prediction is a multiple of the pull sum_k gamma_k (alpha mu_k - x) s_ref^2/s_k^2, s_ref^2 the
smallest variance. A *route* is one way to it. All agree to rounding; the first that fits is taken.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Protocol, Self

import numpy as np

from ...problem.mixture import GaussianMixture
from ...support.checks import Array, IntArray, describe
from ...support.errors import InputError
from ...support.finding import classes_in
from ..precision import Real
from ..protocol import Level

_TABLE_BYTES = 2e9
_SAME = 1e-9  # relative: a difference that is rounding


@dataclasses.dataclass(frozen=True, eq=False)
class StepTable:
    """S steps x_s = c_x x_t + c_eps eps + c_noise xi, as data.

    coefficients (S, 1 + H, 3): row 0 that step, row i what it adds to the state i steps later, in
    methods that remember H steps. times (S,): the counters of their noise. alpha, signal_var,
    noise_var (S,): of the levels they start from; alpha_end of the last one's end.
    """

    coefficients: Array
    times: IntArray
    alpha: Array
    signal_var: Array
    noise_var: Array
    alpha_end: float

    def with_scale(self, data_var: float) -> Array:
        """(S, 1 + H, 4): the coefficients, and the factor of the pull in eps, -noise_std/s_ref^2,
        where `data_var` is the smallest variance of the clean modes."""
        smallest = self.signal_var * data_var + self.noise_var
        scale = np.broadcast_to(-np.sqrt(self.noise_var) / smallest, self.coefficients.shape[1::-1])
        return np.concatenate([self.coefficients, scale.T[..., None]], axis=2)

    @property
    def carries_points(self) -> bool:
        """Whether each step, of a method that remembers nothing, takes alpha mu to the next alpha
        mu for every point mu where eps is 0."""
        alphas = np.append(self.alpha, self.alpha_end)
        moved = self.coefficients[:, 0, 0] * alphas[:-1]
        alone = self.coefficients.shape[1] == 1
        return alone and bool((np.abs(moved - alphas[1:]) <= _SAME * alphas[1:]).all())

    def holds(self, mixture: GaussianMixture) -> bool:
        """Whether tables of every mode at every step are worth their memory: a mixture of very many
        modes takes them step by step, in the generic loop."""
        return 24.0 * len(self.times) * mixture.N <= _TABLE_BYTES


Rollout = Callable[[Array, int, int], None]


class Route(Protocol):
    """One way to evaluate mixtures of one structure.

    name: of the file. order: routes are tried from low to high, cheap ones first.
    """

    name: ClassVar[str]
    order: ClassVar[int]

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """This route for a mixture that has the structure, computing in `dtype`; else None."""
        ...

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """scale times the pull at x (n, d), float64 in and out."""
        ...

    def rollout(self, steps: StepTable) -> Rollout | None:
        """All the steps at once, f(x, first, seed): x (n, d) in place, its rows the samples from
        index `first`, with the noise of this seed, to the bits of one step after the other. None
        where this route does not do these steps."""
        ...


@functools.cache  # a score is made of every set of data, and looks for its route
def routes() -> Sequence[type[Route]]:
    """Every route, in the order in which they are tried."""
    return sorted(classes_in(__name__, "fits", "pull", "rollout"), key=lambda route: route.order)


def first_fitting(
    mixture: GaussianMixture,
    dtype: Real,
    without: Collection[str] = (),
    only: str | None = None,
) -> Route:
    """The first route that fits the mixture, of those not left out by name, or the one named."""
    found = [route for route in routes() if route.name not in without]
    for route in found if only is None else [r for r in routes() if r.name == only]:
        if (fitted := route.fits(mixture, dtype)) is not None:
            return fitted
    raise InputError(
        f"a route of {', '.join(route.name for route in routes())} must fit the mixture",
        f"{describe(only)} for {mixture!r}",
        "Leave it to the score to choose one.",
    )

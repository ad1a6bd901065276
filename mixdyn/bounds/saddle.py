"""When the full mixture has a saddle next to that of one pair: a box that must hold exactly one.

Coordinates of a pair (i, j): z along it in units of l from the midpoint, xi across it in units of
y; other modes at (z_q, xi_q), h_q = |xi_q|. With p = gamma_i/(gamma_i + gamma_j), logit(p) = k z +
log(w_i/w_j), k = l^2/v, the share of another mode beside the pair is exactly

    gamma_q/(gamma_i + gamma_j) = w_q sqrt(p (1 - p)/(w_i w_j))
                                  exp(-(l^2 (z_q^2 - 1/4 - 2 z z_q) + h_q^2 - 2 <xi, xi_q>)/(2 v)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logit

from mixdyn.problem.checks import check_common_sigma
from mixdyn.support.checks import Array, check_positive
from mixdyn.support.errors import NotApplicableError

from .inputs import pair_frame

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_SPANS = np.linspace(0.04, 0.96, 24)  # of the boxes tried, over sqrt(1 - 4/k)
_ROUNDS = 60
_LARGEST = 600.0  # of logarithms: beyond it the box has failed by far


@dataclass(frozen=True)
class SaddleBox:
    """A box {z_low <= z <= z_high, |xi| <= radius} and what the other modes do in it.

    span: p runs from (1 - span)/2 to (1 + span)/2. outward (2,): the pair's own drift out of
    the faces z_low and z_high, in units of l; pull (2,): the most that the others take from it
    there. pull_anywhere: |their pull along the pair| in the box. mass: their share of the weight.
    across: their pull across the pair, in units of y. stretch: (1 - mass) k p (1 - p) at the faces,
    at most that of n^T Cov n/v in the box. squeeze: at least e^T Cov e/v for every e across.
    slack: positive if and only if the conditions below hold, so that the box holds exactly one
    equilibrium, with one positive eigenvalue and all others negative.
    """

    span: float
    z_low: float
    z_high: float
    radius: float
    outward: Array
    pull: Array
    pull_anywhere: float
    mass: float
    across: float
    stretch: float
    squeeze: float
    slack: float


def saddle_box(mixture: GaussianMixture, i: int, j: int, v: float) -> SaddleBox:
    """The box with the largest slack among those with spans below sqrt(1 - 4/k), k = l^2/v > 4.

    Conditions: the pair's drift beats the pull of the others at both faces, `outward > pull`, and
    across the pair their pull stays inside, `across <= radius`: an equilibrium exists
    (Poincare-Miranda). `stretch > 1 > squeeze`: the field is injective there, and Cauchy
    interlacing gives the signs. No other mode has more weight there than i or j. For equal weights
    without others the first is ``k s/2 > 2 artanh s``. NotApplicableError for k <= 4. Own
    result; it completes arXiv 2605.06831 v1, Proposition 4.7 (1).
    """
    check_common_sigma(mixture, "the box around a saddle")
    frame = pair_frame(mixture, i, j)
    k = frame.length**2 / check_positive(v, "v")
    if k <= 4.0:
        raise NotApplicableError(
            "a pair has a saddle only for l^2 > 4 v", f"l^2/v = {k:.6g}", "Choose a smaller v."
        )
    others = _Others.around(mixture, i, j, v)
    boxes = _boxes(others, _SPANS * np.sqrt(1.0 - 4.0 / k))
    best = int(np.argmax(boxes["slack"]))
    return SaddleBox(**{name: _entry(values[best]) for name, values in boxes.items()})


def _entry(value: Array) -> Any:
    return value if np.ndim(value) else float(value)


@dataclass(frozen=True)
class _Others:
    """The other modes seen from a pair: weights over sqrt(w_i w_j), z_q, h_q, each (M,); l, k, v,
    log(w_i/w_j)."""

    weight: Array
    z: Array
    h: Array
    length: float
    k: float
    v: float
    log_ratio: float

    @classmethod
    def around(cls, mixture: GaussianMixture, i: int, j: int, v: float) -> _Others:
        frame = pair_frame(mixture, i, j)
        w_i, w_j = mixture.weights[[i, j]]
        return cls(
            mixture.weights[frame.others] / np.sqrt(w_i * w_j),
            frame.parallel[frame.others] - 0.5,
            frame.orthogonal[frame.others],
            frame.length,
            frame.length**2 / v,
            v,
            float(np.log(w_i) - np.log(w_j)),
        )

    def place(self, p: Array) -> Array:
        """z where the pair's responsibility is p."""
        return np.asarray((logit(p) - self.log_ratio) / self.k)

    def ratio(self, p: Array, radius: Array) -> Array:
        """gamma_q/(gamma_i + gamma_j) at most over |xi| <= radius at p (T, M) or (T, 1), (T, M)."""
        along = self.k * (np.square(self.z) - 0.25 - 2.0 * self.place(p) * self.z)
        across = (np.square(self.h) - 2.0 * radius[:, None] * self.h) / self.v
        log_value = 0.5 * (np.log(p) + np.log1p(-p) - along - across)
        return np.asarray(self.weight * np.exp(np.minimum(log_value, _LARGEST)))

    def most(self, span: Array, radius: Array) -> Array:
        """The same at most in each box: concave in z, largest where p = 1/2 + z_q."""
        half = 0.5 * span[:, None]
        return self.ratio(np.clip(0.5 + self.z, 0.5 - half, 0.5 + half), radius)

    def radius(self, span: Array) -> Array:
        """The least radius that their pull across the pair does not leave, at most l/4."""
        radius = np.zeros_like(span)
        for _ in range(_ROUNDS):
            pull = self.most(span, radius) @ self.h
            if (pull <= radius).all():
                break
            radius = np.where(pull <= radius, radius, np.minimum(1.001 * pull, 0.25 * self.length))
        return radius


def _boxes(others: _Others, span: Array) -> dict[str, Array]:
    """The fields of SaddleBox for every span (T,)."""
    radius = others.radius(span)
    p = 0.5 + 0.5 * span[:, None] * np.array([-1.0, 1.0])
    z = others.place(p)
    outward = np.array([-1.0, 1.0]) * (p - 0.5 - z)
    pull = np.empty_like(outward)
    for face, sign in enumerate((-1.0, 1.0)):
        here = p[:, face, None]
        against = np.maximum(sign * (here - 0.5 - others.z), 0.0)
        pull[:, face] = (others.ratio(here, radius) * against).sum(axis=1)
    most = others.most(span, radius)
    beside, across = most.sum(axis=1), most @ others.h
    mass = beside / (1.0 + beside)
    stretch = (1.0 - mass) * others.k * p[:, 0] * p[:, 1]
    squeeze = most @ np.square(others.h) / others.v
    needs = [
        *(others.k * (outward - pull)).T,
        stretch - 1.0,
        1.0 - squeeze,
        p[:, 0] - most.max(axis=1, initial=0.0),
        np.where(across <= radius, np.inf, 1.0 - across / np.maximum(radius, 1e-300)),
    ]
    return {
        "span": span,
        "z_low": z[:, 0],
        "z_high": z[:, 1],
        "radius": radius,
        "outward": outward,
        "pull": pull,
        "pull_anywhere": (most * (np.abs(others.z) + 0.5 * span[:, None])).sum(axis=1),
        "mass": mass,
        "across": across,
        "stretch": stretch,
        "squeeze": squeeze,
        "slack": np.min(needs, axis=0),
    }

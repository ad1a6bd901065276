"""How near generated digits are to real ones: FID, precision and recall in a classifier's features.

The classifier is a perceptron of scikit-learn, one hidden layer of 64, trained in seconds on two
thirds of the real digits; its features are that layer. FID is the squared 2-Wasserstein distance of
the normal laws with the features' means and covariances (arXiv 1706.08500): of finite samples it is
too large, so that real digits against real ones are the measure. Precision and recall are those of
arXiv 1904.06991: the share of generated digits within reach of a real one, its distance to the
third-nearest other, and the converse.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixdyn.geometry import squared_distances
from mixdyn.images.generators import digits
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import DISPLAY_STDS, Proportion

_HIDDEN, _TRAINED, _SEED = 64, 1_200, 0
_NEIGHBOUR, _RESAMPLED = 3, 60


@dataclass(frozen=True)
class Classifier:
    """weights, biases : of both layers. accuracy : on real digits that it has not seen."""

    weights: tuple[Array, Array]
    biases: tuple[Array, Array]
    accuracy: Proportion

    def features(self, rows: Array) -> Array:
        """(n, 64) of images (n, 64) with pixels in [-1, 1]."""
        found: Array = np.maximum(rows @ self.weights[0] + self.biases[0], 0.0)
        return found

    def classes(self, rows: Array) -> IntArray:
        """(n,) the digit it sees."""
        found: IntArray = (self.features(rows) @ self.weights[1] + self.biases[1]).argmax(axis=1)
        return found


def _real() -> tuple[Array, IntArray]:
    """The real digits as rows, and their classes."""
    held = digits()
    return held.rows, np.asarray(held.labels)


@functools.cache
def classifier() -> Classifier:
    """The one whose features are used: trained once a process, in seconds, always to the same."""
    from sklearn.neural_network import MLPClassifier

    rows, labels = _real()
    order = np.random.default_rng(_SEED).permutation(len(rows))
    seen, unseen = order[:_TRAINED], order[_TRAINED:]
    fitted = MLPClassifier((_HIDDEN,), alpha=1e-2, max_iter=150, random_state=_SEED, tol=1e-3)
    fitted.fit(rows[seen], labels[seen])
    right = fitted.predict(rows[unseen]) == labels[unseen]
    weights, biases = tuple(fitted.coefs_), tuple(fitted.intercepts_)
    return Classifier(weights, biases, Proportion(int(right.sum()), len(unseen)))


def rows_of(pixels: NDArray[np.uint8]) -> Array:
    """Images in bytes as rows of pixels in [-1, 1]."""
    found: Array = pixels.reshape(len(pixels), -1) / 127.5 - 1.0
    return found


class Law(NamedTuple):
    """Of features (n, f): their mean and covariance."""

    mean: Array
    covariance: Array

    @classmethod
    def of(cls, features: Array) -> Law:
        """Of these."""
        return cls(features.mean(axis=0), np.cov(features, rowvar=False))


def frechet(features: Array, law: Law) -> float:
    """FID of features (n, f) from a law."""
    own = Law.of(features)
    values, vectors = np.linalg.eigh(own.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ law.covariance @ root)
    apart = np.square(own.mean - law.mean).sum()
    traces = sum(float(np.trace(each.covariance)) for each in (own, law))
    return float(apart + traces - 2.0 * np.sqrt(np.maximum(shared, 0.0)).sum())


def _reach(points: Array) -> Array:
    """(n,) squared distance of each point to its third-nearest other."""
    own = squared_distances(points, points)
    np.fill_diagonal(own, np.inf)
    found: Array = np.partition(own, _NEIGHBOUR - 1, axis=1)[:, _NEIGHBOUR - 1]
    return found


@dataclass(frozen=True, eq=False)
class _Digits:
    """Real digits by their features (n, f), with what every comparison with them asks for."""

    features: Array

    @functools.cached_property
    def law(self) -> Law:
        """Their mean and covariance."""
        return Law.of(self.features)

    @functools.cached_property
    def reach(self) -> Array:
        """(n,) see `_reach`."""
        return _reach(self.features)


@functools.cache
def _every_real() -> _Digits:
    return _Digits(classifier().features(_real()[0]))


def frechet_interval(one: Array, other: _Digits, seed: int) -> tuple[float, float, float]:
    """FID and its 95 % limits, of samples drawn again with replacement, about the value itself."""
    rng, size = np.random.default_rng(seed), len(one)
    again = [frechet(one[rng.integers(size, size=size)], other.law) for _ in range(_RESAMPLED)]
    half = DISPLAY_STDS * float(np.std(again, ddof=1))
    value = frechet(one, other.law)
    return value, value - half, value + half


def within_reach(one: Array, other: _Digits) -> tuple[Proportion, Proportion]:
    """How many of the points one (n, f) lie no farther from one of `other` (m, f) than its
    third-nearest other does, and how many of `other` so from one of the first."""
    apart = squared_distances(one, other.features)
    own = _reach(one)
    near = int((apart <= other.reach).any(axis=1).sum())
    met = int((own >= apart.T).any(axis=1).sum())
    return Proportion(near, len(one)), Proportion(met, len(other.features))


@dataclass(frozen=True)
class Quality:
    """Of n generated digits. agreed : seen as the class that was asked for."""

    n: int
    fid: float
    fid_from: float
    fid_to: float
    precision: Proportion
    recall: Proportion
    agreed: Proportion

    @property
    def fid_error(self) -> float:
        """Standard error of FID."""
        return (self.fid_to - self.fid_from) / (2.0 * DISPLAY_STDS)

    def cells(self) -> Iterator[float | int]:
        """For a table, as `COLUMNS`."""
        yield from (self.n, self.fid, self.fid_from, self.fid_to)
        for share in (self.precision, self.recall, self.agreed):
            yield share.rate


COLUMNS = ("digits", "FID", "from", "to", "precision", "recall", "classifier agrees")


def quality(rows: Array, labels: IntArray, seed: int = 0) -> Quality:
    """Of generated digits (n, 64), pixels in [-1, 1], against all real ones."""
    judge = classifier()
    seen, real = judge.features(rows), _every_real()
    agreed = Proportion(int((judge.classes(rows) == labels).sum()), len(labels))
    return Quality(
        len(rows), *frechet_interval(seen, real, seed), *within_reach(seen, real), agreed
    )


_RIDGE = 1e-3  # added to covariances: pixels of the rim are the same in all digits of a class


def of_normal_laws(n: int, seed: int) -> Quality:
    """n draws of one normal law a class, with the class's mean and full covariance: what the exact
    score of that mixture would draw, with neither copies nor a network."""
    rows, labels = _real()
    rng = np.random.default_rng(seed)
    classes = rng.choice(labels, size=n)
    drawn = np.empty((n, rows.shape[1]))
    for label in np.unique(classes):
        own = rows[labels == label]
        covariance = np.cov(own, rowvar=False) + _RIDGE * np.eye(rows.shape[1])
        law = GaussianMixture(own.mean(axis=0)[None], covariance=covariance)
        (at,) = np.nonzero(classes == label)
        drawn[at] = law.sample(len(at), rng)
    return quality(np.clip(drawn, -1.0, 1.0), classes)


def of_real_halves() -> Quality:
    """One half of the real digits against the other: what FID says of no difference."""
    (rows, labels), judge = _real(), classifier()
    order = np.random.default_rng(_SEED + 1).permutation(len(rows))
    one, other = (np.sort(half) for half in np.array_split(order, 2))
    first, second = judge.features(rows[one]), _Digits(judge.features(rows[other]))
    agreed = Proportion(int((judge.classes(rows[one]) == labels[one]).sum()), len(one))
    return Quality(
        len(one), *frechet_interval(first, second, 0), *within_reach(first, second), agreed
    )

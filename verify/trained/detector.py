"""The detector Hal on trained networks, measured once and saved.

Hallucinations are rare (one in 30,000 samples in one dimension), so the two populations are drawn
apart. Paths start at time 16 from the exact p_t. All of them show the samples that end in modes;
only those whose second mode still has a posterior probability of 0.02 are run in numbers, and show
the hallucinations. Hal is kept as counts on a logarithmic scale of 40 bins a decade.

`python -m verify.trained.detector --out FILE` measures the shipped networks of arXiv 2406.09358.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixdyn import learned, oracles
from mixdyn.errors import FileError
from mixdyn.files import write_text
from mixdyn.geometry import mode_radius, squared_distances
from mixdyn.mixture import GaussianMixture
from mixdyn.provenance import commit
from mixdyn.samplers import DDPM
from mixdyn.sampling import sample
from mixdyn.schedule import NoiseSchedule, TimeGrid
from mixdyn.statistics import Proportion
from mixdyn.validation import Array, IntArray

from ..interpolation_problems import HALLUCINATION
from ..outputs import check_writable
from ..results import RESULTS
from .models import Shipped, load, shipped

SAVED = RESULTS / "detector.json"
WINDOWS = (2, 3, 4, 5, 6, 8, 10, 12, 15)
NETWORKS = (
    *("modes-1-2-3-25k-0", "modes-1-2-3-100k-0", "modes-1-2-3-500k-0", "modes-1-2-100k-0"),
    *("modes-1-2-4-100k-0", "modes-1-2-4-5-100k-0", "modes-grid-0", "modes-diamond-0"),
)
EDGES = np.linspace(-10.0, 1.0, 441)  # log10 of Hal
START = 16
_FORMAT, _UNDECIDED = "verify.detector.1", 0.02
_NEWTON, _RIDGE = 30, 1e-3  # steps and penalty of the logistic regression
_PLAIN, _RARE = 40_000, {1: 400_000, 2: 200_000}


@dataclass(frozen=True)
class Paths:
    """n paths: hal (n, W) over WINDOWS; entropy and margin (n,), means over the longest window of
    the exact posterior's entropy and of the gap between the two nearest modes' squared distances;
    wrong (n,): ended as a hallucination."""

    hal: Array
    entropy: Array
    margin: Array
    wrong: NDArray[np.bool_]


class _Sweep:
    """Observer: Hal over every window, entropy and margin of the exact posterior."""

    def __init__(self, mixture: GaussianMixture, schedule: NoiseSchedule) -> None:
        self.mixture, self.schedule = mixture, schedule

    def init(self, grid: TimeGrid, d: int) -> dict[str, list[Array]]:
        return {"path": [], "entropy": [], "margin": [], "hal": []}

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        if t == 0:
            path = np.array(state["path"])
            hal = [path[-w:].var(axis=0).mean(axis=1) for w in WINDOWS]
            seen = {key: [np.mean(state[key], axis=0)] for key in ("entropy", "margin")}
            return {"path": [], "hal": [np.array(hal).T], **seen}
        if t <= WINDOWS[-1] and eps is not None:
            alpha, nu = self.schedule.alpha[t], self.schedule.noise_var[t]
            state["path"].append((x - np.sqrt(nu) * eps) / alpha)
            share = self.mixture.diffused(self.schedule.alpha_bar[t]).responsibilities(x)
            state["entropy"].append(-np.sum(share * np.log(np.maximum(share, 1e-300)), axis=1))
            d2 = np.partition(squared_distances(x / alpha, self.mixture.means), 1, axis=1)
            state["margin"].append(d2[:, 1] - d2[:, 0])
        return state

    def merge(self, a: Any, b: Any) -> Any:
        return {key: a[key] + b[key] for key in a}

    def result(self, state: Any) -> tuple[Array, Array, Array]:
        return (
            np.concatenate(state["hal"]),
            np.concatenate(state["entropy"]),
            np.concatenate(state["margin"]),
        )


def run_paths(
    score: Any, mixture: GaussianMixture, schedule: NoiseSchedule, x: Array, rng: int
) -> Paths:
    """DDPM from the states x (n, d) at the time that all paths start from."""
    observer = _Sweep(mixture, schedule)
    run = sample(score, schedule, DDPM(), x=x, start=START, rng=rng, observers=[observer])
    hal, entropy, margin = run.observations[0]
    return Paths(hal, entropy, margin, is_hallucination(mixture, np.asarray(run.x)))


def is_hallucination(mixture: GaussianMixture, x: Array) -> NDArray[np.bool_]:
    """Whether samples x (n, d) are out of reach of every mode: beyond 6 sigma in one dimension,
    beyond the radius of `classify` in more."""
    away = np.sqrt(squared_distances(x, mixture.means)).min(axis=1)
    sigma = float(mixture.sigmas[0])
    radius = HALLUCINATION * sigma if mixture.d == 1 else float(mode_radius(mixture)[0])
    found: NDArray[np.bool_] = away > radius
    return found


def draw_states(
    mixture: GaussianMixture, schedule: NoiseSchedule, n: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """n draws of p_t at the start, (n, d), and the posterior probability (n,) of their second
    mode."""
    noise = np.sqrt(schedule.noise_var[START]) * rng.standard_normal((n, mixture.d))
    x = schedule.alpha[START] * mixture.sample(n, rng) + noise
    shares = mixture.diffused(schedule.alpha_bar[START]).responsibilities(x)
    return x, np.partition(shares, -2, axis=1)[:, -2]


# -- two populations -----------------------------------------------------------------------------


def area(wrong: Array, right: Array) -> tuple[float, float]:
    """AUC, the probability that a hallucination's value is the larger (ties half), and its standard
    error (DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988))."""
    m, n = len(wrong), len(right)
    joint = _ranks(np.concatenate([wrong, right]))
    above = (joint[:m] - _ranks(wrong)) / n  # per hallucination: share of the others below
    below = 1.0 - (joint[m:] - _ranks(right)) / m
    error = np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return float(above.mean()), float(error)


def _ranks(values: Array) -> Array:
    """Ranks from 1, ties sharing their mean."""
    order, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - 0.5 * (counts - 1))[inverse]
    return ranks if len(order) else values


def likelihood_ratio(wrong: Array, right: Array) -> tuple[Array, Array]:
    """Log likelihood ratio of the two populations of log Hal (m, W), (n, W) over all windows: a
    quadratic form fitted to one half of each by logistic regression, both halves weighted alike,
    evaluated on the other half."""
    both = np.concatenate([wrong[::2], right[::2]])
    centre, scale = both.mean(axis=0), both.std(axis=0)

    def features(h: Array) -> Array:
        z = (h - centre) / scale
        squares = z[:, :, None] * z[:, None, :]
        i, j = np.triu_indices(h.shape[1])
        return np.concatenate([np.ones((len(z), 1)), z, squares[:, i, j]], axis=1)

    coefficients = _logistic(features(wrong[::2]), features(right[::2]))
    return features(wrong[1::2]) @ coefficients, features(right[1::2]) @ coefficients


def _logistic(wrong: Array, right: Array) -> Array:
    """Coefficients (P,) of ridge logistic regression, by Newton's method."""
    x = np.concatenate([wrong, right])
    label = np.repeat([1.0, 0.0], [len(wrong), len(right)])
    weight = np.repeat([0.5 / len(wrong), 0.5 / len(right)], [len(wrong), len(right)])
    found = np.zeros(x.shape[1])
    for _ in range(_NEWTON):
        share = 1.0 / (1.0 + np.exp(-np.clip(x @ found, -30.0, 30.0)))
        slope = x.T @ (weight * (label - share)) - _RIDGE * found
        curvature = (x * (weight * share * (1.0 - share))[:, None]).T @ x
        found = found + np.linalg.solve(curvature + _RIDGE * np.eye(len(found)), slope)
    return found


def measure(checkpoint: Shipped, seed: int = 0) -> dict[str, Any]:
    """Both populations of one network, as plain values."""
    mixture, schedule = checkpoint.mixture(), checkpoint.schedule()
    model, rng = load(checkpoint), np.random.default_rng(seed)
    x, second = draw_states(mixture, schedule, _PLAIN, rng)
    plain = run_paths(model.score, mixture, schedule, x, seed + 1)
    starts: list[Array] = []
    tried = 0
    while sum(len(block) for block in starts) < _RARE[mixture.d]:
        states, shares = draw_states(mixture, schedule, 200_000, rng)
        starts.append(states[shares >= _UNDECIDED])
        tried += len(states)
    undecided = np.concatenate(starts)
    rare = run_paths(model.score, mixture, schedule, undecided, seed + 2)
    return {
        "name": checkpoint.name,
        "d": mixture.d,
        "points": checkpoint.about["recipe"]["points"],
        "plain": {
            "n": len(x),
            "wrong": int(plain.wrong.sum()),
            "of them undecided": int((plain.wrong & (second >= _UNDECIDED)).sum()),
        },
        "rare": {"n": len(undecided), "wrong": int(rare.wrong.sum()), "tried": tried},
        **_populations(mixture, schedule, plain, rare),
    }


def _populations(
    mixture: GaussianMixture, schedule: NoiseSchedule, plain: Paths, rare: Paths
) -> dict[str, Any]:
    """Counts of Hal in both populations, and how well each statistic tells them apart."""
    wrong, right = rare.hal[rare.wrong], plain.hal[~plain.wrong]
    logs = [np.clip(np.log10(np.maximum(h, 1e-300)), EDGES[0], EDGES[-1]) for h in (wrong, right)]
    halves = [
        [
            [np.histogram(h[part::2, k], EDGES)[0].tolist() for part in (0, 1)]
            for k in range(len(WINDOWS))
        ]
        for h in logs
    ]
    covariance = oracles.window_covariance(
        schedule.alpha_bar,
        np.arange(schedule.T, -1, -1),
        WINDOWS[-1],
        float(mixture.sigmas[0]),
        noise_var=schedule.noise_var,
    )
    level = oracles.window_variance_law(covariance, mixture.d).quantile(0.98)
    areas = [area(wrong[:, k], right[:, k]) for k in range(len(WINDOWS))]
    return {
        "areas": {
            **{f"Hal, {w} steps": a for w, a in zip(WINDOWS, areas, strict=True)},
            "posterior entropy": area(rare.entropy[rare.wrong], plain.entropy[~plain.wrong]),
            "distance to the bisector": area(-rare.margin[rare.wrong], -plain.margin[~plain.wrong]),
            "likelihood ratio of all windows": area(*likelihood_ratio(*logs)),
        },
        "closed law": {
            "level": level,
            "right above": int((right[:, -1] > level).sum()),
            "right": len(right),
            "mean of right": float(right[:, -1].mean()),
        },
        "wrong": _sparse(halves[0]),
        "right": _sparse(halves[1]),
    }


def _sparse(counts: list[Any]) -> list[Any]:
    """Counts per window and half, each as [first bin, counts up to the last that is not 0]."""
    found = []
    for halves in counts:
        row = []
        for half in halves:
            seen = np.flatnonzero(half)
            first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (0, -1)
            row.append([first, half[first : last + 1]])
        found.append(row)
    return found


# -- what was saved ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Detection:
    """The two populations of one network.

    wrong, right : (W, 2, B) counts of hallucinations and of the others by window, half and bin of
    log10 Hal. areas : (AUC, standard error) by statistic. about : the rest.
    """

    name: str
    d: int
    wrong: IntArray
    right: IntArray
    areas: dict[str, tuple[float, float]]
    about: dict[str, Any]

    def removed(self, window: int, kept: float, *, rest: bool = False) -> Proportion:
        """The share of hallucinations above the level that the first half of the others stays
        below in the share `kept`; rest: of the second half of the hallucinations alone."""
        counts = self.wrong[WINDOWS.index(window)]
        chosen = counts[1] if rest else counts.sum(axis=0)
        return Proportion(int(chosen[self._level(window, kept) :].sum()), int(chosen.sum()))

    def kept(self, window: int, kept: float) -> Proportion:
        """The share of the second half of the others below that level."""
        second = self.right[WINDOWS.index(window), 1]
        return Proportion(int(second[: self._level(window, kept)].sum()), int(second.sum()))

    def _level(self, window: int, kept: float) -> int:
        """The first bin above the level."""
        first = self.right[WINDOWS.index(window), 0]
        return int(np.searchsorted(np.cumsum(first), kept * first.sum())) + 1

    def best_window(self, kept: float) -> int:
        """The window that removes most of the first half of the hallucinations."""
        shares = []
        for k, window in enumerate(WINDOWS):
            first = self.wrong[k, 0]
            shares.append(first[self._level(window, kept) :].sum() / first.sum())
        return WINDOWS[int(np.argmax(shares))]

    def swapped(self) -> Detection:
        """The populations under each other's names: a negative control."""
        return dataclasses.replace(self, wrong=self.right, right=self.wrong)


@functools.cache
def saved(path: Path = SAVED) -> tuple[tuple[Detection, ...], dict[str, Any]]:
    """The saved populations and how they were made. Raises FileError for a damaged file."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["format"] != _FORMAT or tuple(held["windows"]) != WINDOWS:
            raise ValueError("another format or other windows")
        return tuple(_detection(one) for one in held["networks"]), dict(held["about"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise FileError(
            "a file of detections holds its format, windows, about and networks",
            f"{path} ({type(error).__name__}: {error})",
            "Measure it again with `python -m verify.trained.detector`.",
        ) from None


def _detection(held: dict[str, Any]) -> Detection:
    def dense(rows: list[Any]) -> IntArray:
        counts = np.zeros((len(WINDOWS), 2, len(EDGES) - 1), np.int64)
        for k, halves in enumerate(rows):
            for part, (first, values) in enumerate(halves):
                counts[k, part, first : first + len(values)] = values
        return counts

    areas = {name: (float(a), float(e)) for name, (a, e) in held["areas"].items()}
    rest = {k: held[k] for k in ("points", "plain", "rare", "closed law")}
    wrong, right = dense(held["wrong"]), dense(held["right"])
    return Detection(str(held["name"]), int(held["d"]), wrong, right, areas, rest)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the networks and save what was found."""
    parser = argparse.ArgumentParser(prog="python -m verify.trained.detector", description=__doc__)
    parser.add_argument("--out", type=Path, default=SAVED, help="the file to write")
    out = parser.parse_args(argv).out
    learned.use_threads()
    from mixdyn.learned.checkpoints import hardware  # torch, which only a new measurement needs
    from mixdyn.learned.training import check_device

    by_name = {s.name: s for s in shipped()}
    found = []
    for name in NETWORKS:
        found.append(measure(by_name[name]))
        sys.stdout.write(f"{name}: {found[-1]['rare']}\n")
        sys.stdout.flush()
    about = {"commit": commit(), "hardware": hardware(check_device("cpu")), "seed": 0}
    held = {"format": _FORMAT, "windows": WINDOWS, "about": about, "networks": found}
    check_writable(out)
    text = json.dumps(held, separators=(",", ":"), allow_nan=False)
    write_text(out, text.replace('{"name"', '\n{"name"') + "\n")  # a network a line
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The detector Hal on trained networks, measured once and saved.

Hallucinations are rare (one in 10,000 samples in one dimension), so there both populations are
drawn from the network's own chain conditioned on its end (`line_paths`). In the plane, where one
sample in 100 is one, chains are run from noise and sorted by their end. No path is left out. Hal is
kept as counts on a logarithmic scale of 120 bins a decade.

`python -m verify.measure.interpolation.detector --out FILE` measures the shipped networks of
arXiv 2406.09358.
"""

from __future__ import annotations

import argparse
import bisect
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
from mixdyn.geometry import mode_radius, squared_distances
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import FileError
from mixdyn.support.files import check_output, write_text
from mixdyn.support.provenance import commit
from mixdyn.support.statistics import VERDICT_MISS, Proportion

from ...data.saved import RESULTS, code_of
from ..networks.models import Shipped, load, shipped
from .line_paths import last_steps
from .problems import HALLUCINATION
from .separation import area, likelihood_ratio

SAVED = RESULTS / "detector.json"
WINDOWS = (2, 3, 4, 5, 6, 8, 10, 12, 15)
LINE_WINDOW = 15  # as published; so are the shares kept and removed, on lines and in the plane
LINE, PLANE = (0.98, 0.95), (0.95, 0.96)
NETWORKS = (
    *("modes-1-2-3-25k-0", "modes-1-2-3-100k-0", "modes-1-2-3-500k-0", "modes-1-2-100k-0"),
    *("modes-1-2-4-100k-0", "modes-1-2-4-5-100k-0", "modes-grid-0", "modes-diamond-0"),
)
EDGES = np.linspace(-10.0, 1.0, 1321)  # log10 of Hal
START = 16  # the first of the last steps; Hal looks at those from 15 on
_FORMAT = "verify.detector.2"
_CONDITIONED, _FROM_NOISE = 100_000, 48_000  # of each population on a line; in all in the plane


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
            entropy, margin = _posterior(self.mixture, self.schedule, x, t)
            state["entropy"].append(entropy)
            state["margin"].append(margin)
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
    score: Any, mixture: GaussianMixture, schedule: NoiseSchedule, n: int, rng: int
) -> Paths:
    """n chains of DDPM from noise."""
    observer = _Sweep(mixture, schedule)
    run = sample(score, schedule, DDPM(), n=n, rng=rng, observers=[observer])
    hal, entropy, margin = run.observations[0]
    return Paths(hal, entropy, margin, is_hallucination(mixture, np.asarray(run.x)))


def conditioned_paths(
    score: Any, mixture: GaussianMixture, schedule: NoiseSchedule, n: int, seed: int
) -> tuple[Paths, float]:
    """n chains of DDPM on a line that end as a hallucination and n that do not, and the probability
    of one that does."""
    ends = float(mixture.means.min()), float(mixture.means.max())
    chain = last_steps(score, schedule, ends, START, lambda x: is_hallucination(mixture, x))
    times = np.arange(WINDOWS[-1], 0, -1)
    tables = [_at_places(score, mixture, schedule, chain.places[:, None], int(t)) for t in times]
    seen = [np.array(rows) for rows in zip(*tables, strict=True)]
    rng, parts = np.random.default_rng(seed), []
    for wrong in (True, False):
        drawn = chain.draw(n, rng, event=wrong)[:, -len(times) :].T
        x0_hat, entropy, margin = (np.take_along_axis(rows, drawn, axis=1) for rows in seen)
        hal = np.array([x0_hat[-w:].var(axis=0) for w in WINDOWS]).T
        parts.append(Paths(hal, entropy.mean(axis=0), margin.mean(axis=0), np.full(n, wrong)))
    joined = (
        np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Paths)
    )
    return Paths(*joined), chain.probability()


def _at_places(
    score: Any, mixture: GaussianMixture, schedule: NoiseSchedule, x: Array, t: int
) -> tuple[Array, Array, Array]:
    """x0_hat, entropy and margin of the exact posterior, each (n,), at states x (n, 1)."""
    alpha, nu = schedule.alpha[t], schedule.noise_var[t]
    x0_hat = (x - np.sqrt(nu) * np.asarray(score.eps(x, t))) / alpha
    return x0_hat[:, 0], *_posterior(mixture, schedule, x, t)


def _posterior(
    mixture: GaussianMixture, schedule: NoiseSchedule, x: Array, t: int
) -> tuple[Array, Array]:
    """Entropy of the exact posterior, and the gap between the two nearest modes' squared distances,
    each (n,), at states x (n, d)."""
    share = mixture.diffused(schedule.alpha_bar[t]).responsibilities(x)
    entropy = -np.sum(share * np.log(np.maximum(share, 1e-300)), axis=1)
    d2 = np.partition(squared_distances(x / schedule.alpha[t], mixture.means), 1, axis=1)
    return entropy, d2[:, 1] - d2[:, 0]


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


def measure(checkpoint: Shipped, seed: int = 0) -> dict[str, Any]:
    """Both populations of one network, as plain values."""
    mixture, schedule = checkpoint.mixture(), checkpoint.schedule()
    score = load(checkpoint).score
    if mixture.d == 1:
        paths, share = conditioned_paths(score, mixture, schedule, _CONDITIONED, seed)
    else:
        paths = run_paths(score, mixture, schedule, _FROM_NOISE, seed + 1)
        share = float(paths.wrong.mean())
    return {
        "name": checkpoint.name,
        "d": mixture.d,
        "points": checkpoint.about["recipe"]["points"],
        "share": share,
        "conditioned": mixture.d == 1,
        **_populations(mixture, schedule, paths),
    }


def _populations(mixture: GaussianMixture, schedule: NoiseSchedule, paths: Paths) -> dict[str, Any]:
    """Counts of Hal in both populations, and how well each statistic tells them apart."""
    bad = paths.wrong
    wrong, right = paths.hal[bad], paths.hal[~bad]
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
            "posterior entropy": area(paths.entropy[bad], paths.entropy[~bad]),
            "distance to the bisector": area(-paths.margin[bad], -paths.margin[~bad]),
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

    def removed(self, window: int, level: int, *, rest: bool = False) -> Proportion:
        """The share of hallucinations in the bins from `level` on; rest: of their second half."""
        return _above(self.wrong[WINDOWS.index(window)], level, rest)

    def kept(self, window: int, level: int, *, rest: bool = False) -> Proportion:
        """The share of the others below that bin; rest: of their second half."""
        above = _above(self.right[WINDOWS.index(window)], level, rest)
        return Proportion(above.trials - above.successes, above.trials)

    def level(self, window: int, kept: float) -> int:
        """The first bin below which the share `kept` of all others lies, in these samples."""
        below = np.cumsum(self.right[WINDOWS.index(window)].sum(axis=0))
        return int(np.searchsorted(below, kept * below[-1])) + 1

    def sure_levels(self, window: int, kept: float, *, rest: bool = False) -> tuple[int, int]:
        """Two bins: the last below which, beyond doubt, no more than the share `kept` lies, and the
        first below which at least that share does (nonparametric tolerance limits: Wilks, Ann.
        Math. Statist. 12 (1941))."""
        bins = range(len(EDGES))
        first = bisect.bisect_left(
            bins, kept, key=lambda k: self.kept(window, k, rest=rest).interval(VERDICT_MISS)[0]
        )
        last = bisect.bisect_right(
            bins, kept, key=lambda k: self.kept(window, k, rest=rest).interval(VERDICT_MISS)[1]
        )
        return max(last - 1, 0), min(first, len(EDGES) - 1)

    def best_window(self, kept: float) -> int:
        """The window that removes most of the first half of the hallucinations where the first half
        of the others is kept in the share `kept`."""
        shares = []
        for wrong, right in zip(self.wrong[:, 0], self.right[:, 0], strict=True):
            level = int(np.searchsorted(np.cumsum(right), kept * right.sum())) + 1
            shares.append(wrong[level:].sum() / wrong.sum())
        return WINDOWS[int(np.argmax(shares))]


def _above(halves: IntArray, level: int, rest: bool) -> Proportion:
    """The share of counts (2, B), or of the second half alone, in the bins from `level` on."""
    chosen = halves[1] if rest else halves.sum(axis=0)
    return Proportion(int(chosen[level:].sum()), int(chosen.sum()))


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
            "Measure it again with `python -m verify.measure.interpolation.detector`.",
        ) from None


def _detection(held: dict[str, Any]) -> Detection:
    def dense(rows: list[Any]) -> IntArray:
        counts = np.zeros((len(WINDOWS), 2, len(EDGES) - 1), np.int64)
        for k, halves in enumerate(rows):
            for part, (first, values) in enumerate(halves):
                counts[k, part, first : first + len(values)] = values
        return counts

    areas = {name: (float(a), float(e)) for name, (a, e) in held["areas"].items()}
    rest = {k: held[k] for k in ("points", "share", "conditioned", "closed law")}
    wrong, right = dense(held["wrong"]), dense(held["right"])
    return Detection(str(held["name"]), int(held["d"]), wrong, right, areas, rest)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the networks and save what was found."""
    program = "python -m verify.measure.interpolation.detector"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--out", type=Path, default=SAVED, help="the file to write")
    out = check_output(parser.parse_args(argv).out)  # before minutes of work, not after
    learned.use_threads()
    from mixdyn.learned.checkpoints import hardware  # torch, which only a new measurement needs
    from mixdyn.learned.training import check_device

    by_name = {s.name: s for s in shipped()}
    found = []
    for name in NETWORKS:
        found.append(measure(by_name[name]))
        sys.stdout.write(f"{name}: {found[-1]['share']:.3g}\n")
        sys.stdout.flush()
    made = {"commit": commit(), "code": code_of(Path(__file__))}
    about = {**made, "hardware": hardware(check_device("cpu")), "seed": 0}
    held = {"format": _FORMAT, "windows": WINDOWS, "about": about, "networks": found}
    text = json.dumps(held, separators=(",", ":"), allow_nan=False)
    write_text(out, text.replace('{"name"', '\n{"name"') + "\n")  # a network a line
    return 0


if __name__ == "__main__":
    sys.exit(main())

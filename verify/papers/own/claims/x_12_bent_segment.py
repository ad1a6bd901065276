r"""The segment bends.

Statement: Where all modes share a covariance with eigenvalues $\lambda_e$, coordinate $e$ along its
    eigenvectors ends at the average of the start and of the path's mean field under a measure of
    its own, with the tail $\sqrt{(\lambda_e + \rho_1)/(\lambda_e + \rho)}$. So a start on the
    segment of two modes leaves it: Theorem 4.2 is false in its straight form. What holds: with
    $q_e$ that tail at the start, $\hat y$ the point of the hull of the means next to the start, and
    $\tau_{ef}$ by how much two of the measures part, the end is within $|(q_e(y_e - \hat y_e))_e| +
    s B$ of the hull. For two modes at $\Delta$ from each other $B^2 =
    \sum_{e<f}\Delta_e^2\Delta_f^2\tau_{ef}^2/|\Delta|^2$ and $s \le 1$ is the range of their
    responsibility on the way, with the place of $\hat y$ between them; for more $s = 1$ and $B$ is
    the least of $|(\tau_e R_e)_e|$ against one common measure, $R_e$ the range of the means. The
    distance to that range in each coordinate shrinks by $q_e$. For one variance $B = 0$ and $q_e =
    e^{-u}$: Theorem 4.2 for the plain segment.
Hypotheses:
    - common_covariance: all modes share one covariance.
Measured: paths of two modes of widths 0.02 and 0.2, of five modes in three dimensions with a
    rotated covariance, and of two modes of one width, from the hull and from the marginal, solved
    by the engine; of a mixture given, its own. One path from the segment of the two modes, at
    (0.05, 0.05) and $\rho = 0.1$ between $\pm(0.5, 0.5)$, enclosed down to $\rho$ = 0.005, 0.001.
Predicted: the averages of each direction, by quadrature along the path, and the bounds. The
    enclosed path is off the segment by at least 0.111 and 0.143, where Theorem 4.2 allows nothing:
    both of its modes lie on the segment and there is no other.
Evidence: sampled paths; certified by sub- and supersolutions of a cooperative system in ball
    arithmetic, beside the engine's solution.
Source: our correction of arXiv 2605.06831 v1, Theorem 4.2, for modes that are not isotropic
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_covariance
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.standard import is_standard
from verify.ledger.verdict import Table
from verify.measure.bent import (
    PLACE,
    RHO_ENDS,
    RHO_START,
    STDS,
    STEPS,
    Bundle,
    Enclosure,
    Problem,
    bundle,
    enclose,
    off_segment,
    two_modes,
)
from verify.measure.paths import FLOW_RTOL, ddim_grid

CLAIM = Claim.from_docstring(
    __doc__,
    id="X12",
    short="the segment bends",
    rests_on={"G.1": "the score of modes with one covariance"},
    sharpens={"T4.2": "its form for modes that are not isotropic"},
    needs=(modes(2), one_covariance),
    derivation="derivations/segment/bent_segment.py",
    does_not_show=(
        "That more than two modes need so wide a bound: it compares every direction to one common "
        "measure, and their paths use a part of it (table). Modes of different covariances: their "
        "rates depend on the responsibilities, and only ranges of coordinates survive (X2')."
    ),
)

LEAST = np.array([0.111, 0.143])  # off the segment, of length 1.414


def problems(case: Case) -> list[Problem] | None:
    """The claim's own on the standard problem, none on drawn ones, and a mixture given."""
    if case.random:
        return None
    if not is_standard(case):
        return [_given(case)]
    two, one = two_modes(STDS), two_modes(STDS[:1] * 2)
    return [
        Problem("two modes", two, RHO_START, RHO_ENDS[1]),
        Problem("five modes in three dimensions", _five(), 0.3, 0.005),
        Problem("two modes of one width", one, RHO_START, RHO_ENDS[1]),
    ]


def _five() -> GaussianMixture:
    """Standard deviations of 0.03, 0.1 and 0.3, turned about all axes."""
    means = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0.4], [0.3, 0.6, 1], [1, 1, -0.5]])
    a, b = 0.5, 0.8
    first = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    second = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = first @ second
    covariance = (turn * np.square([0.03, 0.1, 0.3])) @ turn.T
    return GaussianMixture(
        means, covariance=0.5 * (covariance + covariance.T), weights=[0.3, 0.2, 0.2, 0.2, 0.1]
    )


def _given(case: Case) -> Problem:
    """From where the modes begin to part to the last noisy time."""
    spread2 = float(np.square(np.ptp(case.mixture.means, axis=0)).sum())
    rho = case.schedule.rho[ddim_grid(case).times[:-1]]
    first = min(int(np.searchsorted(-rho, -spread2)), max(len(rho) - 2, 0))
    start = float(rho[first]) if len(rho) > 1 else 4.0 * float(rho[-1])
    return Problem("this problem", case.mixture, start, float(rho[-1]))


# -- paths ---------------------------------------------------------------------------------------


@CLAIM.sampled(unit="paths × directions", of=problems)
def averages(
    case: Case,
    given: Sequence[Problem],
    common: float = 0.0,
    kept: float = 1.0,
    bend: float = 1.0,
) -> Iterator[Part]:
    """Ends against averages and bounds. common: how far the variances are moved to their mean;
    kept: a factor on what is left of the start's distance; bend: on B."""
    found = [_bundle(case, problem) for problem in given]
    for each in found:
        yield from _sides(each, common, kept, bend)
    yield Facts(nonvacuous=np.array([each.bend < np.ptp(each.means) for each in found]))
    yield lambda: _table(found)


def _bundle(case: Case, problem: Problem) -> Bundle:
    return case.memo(f"X12 {problem.name}", lambda: bundle(case, problem, case.pick(160, 2000)))


def _sides(paths: Bundle, common: float, kept: float, bend: float) -> Iterator[Side]:
    name, size = paths.problem.name, float(np.abs(paths.means).max())
    where = {
        "y": paths.start,
        "rho_start": paths.problem.rho_start,
        "rho_end": paths.problem.rho_end,
    }
    variances = (1.0 - common) * paths.variances + common * paths.variances.mean()
    yield Side(
        f"end against the average of each direction, {name}",
        paths.end,
        equals=paths.by_averages(variances),
        tolerance=Tolerance(atol=1e-9 * size),
        where={**where, "y": paths.start[:, None]},
    )
    yield Side(
        f"distance to the hull of the means, {name}",
        paths.off_hull,
        at_most=kept * paths.shrunk + bend * paths.swing * paths.bend,
        tolerance=Tolerance(atol=1e-8 * size),
        where=where,
    )
    low, high = paths.means.min(axis=0), paths.means.max(axis=0)
    beyond = [np.maximum(np.maximum(low - y, y - high), 0.0) for y in (paths.start, paths.end)]
    yield Side(
        f"distance to the range of each coordinate, {name}",
        beyond[1],
        at_most=kept * paths.kept(paths.variances) * beyond[0],
        tolerance=Tolerance(atol=1e-8 * size),
        where={**where, "y": paths.start[:, None]},
    )


def _table(found: Sequence[Bundle]) -> Table:
    rows = []
    for paths in found:
        inside = paths.off_hull[: len(paths.start) // 2]
        own = paths.bend * paths.swing[: len(inside)]
        share = float((inside / own).max()) if paths.bend > 0.0 else None
        at = (paths.problem.rho_start, paths.problem.rho_end)
        rows.append((paths.problem.name, *at, float(inside.max()), paths.bend, share))
    columns = ("problem", "from ρ", "to ρ", "farthest end", "B", "largest share of s B")
    return Table("Starts in the hull of the means: how far off it they end", columns, rows)


CLAIM.must_fail(
    averages,
    "one clock for all directions",
    when=lambda case: is_standard(case) or not case.mixture.has_common_sigma,
    common=1.0,
)
CLAIM.must_fail_narrowly(
    averages,
    "each variance nearer to their mean by a share of {}",
    1.0,
    when=lambda case: is_standard(case) or not case.mixture.has_common_sigma,
    common=lambda share: share,
)
CLAIM.must_fail_narrowly(
    averages, "(1 - {}) of what is left of a distance", 1.0, kept=lambda less: 1.0 - less
)
CLAIM.must_fail_narrowly(
    averages,
    "(1 - {}) of the bend",
    1.0,
    when=is_standard,
    bend=lambda less: 1.0 - less,
)


# -- the counterexample --------------------------------------------------------------------------


def own_path(case: Case) -> Enclosure | NotApplicable | None:
    """The enclosed path, on the standard problem alone: it is the claim's own."""
    if case.random:
        return None
    if not is_standard(case):
        return NotApplicable("The counterexample is the claim's own: see the standard problem.")
    return case.memo("X12 enclosure", lambda: _enclosed(STDS))


def _enclosed(stds: Sequence[float]) -> Enclosure:
    return enclose(stds, PLACE, RHO_START, RHO_ENDS, STEPS)


@CLAIM.certified(unit="noise levels", of=own_path)
def counterexample(
    case: Case,
    path: Enclosure,
    farther: float = 0.0,
    narrower: float = 1.0,
    wide: float = STDS[1],
) -> Iterator[Part]:
    """One start on the segment. farther: share by which the least distance is larger; narrower: a
    factor on the widths of the engine's modes; wide: the larger width of the enclosed modes."""
    if wide != STDS[1]:
        path = _enclosed((STDS[0], wide))
    where = {"y": np.full((len(RHO_ENDS), 2), PLACE), "rho_start": RHO_START, "rho_end": path.rho}
    yield Side(
        "distance from the segment, at least",
        path.off_least,
        at_least=(1.0 + farther) * LEAST,
        tolerance=Tolerance(atol=1e-5),
        where=where,
    )
    mixture = two_modes(tuple(narrower * std for std in (STDS[0], wide)))
    engine = off_segment(mixture, _solved(mixture))
    middle = 0.5 * (path.off_least + path.off_most)
    yield Side(
        "the engine's distance from the segment, enclosed",
        engine,
        equals=middle,
        tolerance=Tolerance(atol=1.0),
        scale=0.5 * (path.off_most - path.off_least) + 1e-9,
        where=where,
    )
    yield {
        f"certified off the segment at ρ = {rho:g}, over its length": off / np.sqrt(2.0)
        for rho, off in zip(path.rho.tolist(), path.off_least.tolist(), strict=True)
    }
    yield "Theorem 4.2 allows no distance here: the start and both modes lie on the segment."


def _solved(mixture: GaussianMixture) -> np.ndarray:
    """The engine's path at RHO_ENDS, (2, d)."""
    v = mixture.smallest_var + np.array([RHO_START, *RHO_ENDS])
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL)
    start = np.full((1, 2), PLACE)
    solved = integrate_ode(mixture, start, v, solver, keep="trajectory").trajectory
    return np.asarray(solved)[1:, 0]


CLAIM.must_fail(counterexample, "modes of one width", wide=STDS[0])
CLAIM.must_fail(counterexample, "the engine's modes 1 % narrower", narrower=0.99)
CLAIM.must_fail_narrowly(
    counterexample, "a distance larger by a share of {}", 0.5, farther=lambda more: more
)
CLAIM.must_fail_narrowly(
    counterexample,
    "the engine's modes narrower by a share of {}",
    0.5,
    narrower=lambda less: 1.0 - less,
)

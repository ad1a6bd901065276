r"""The sharp growth exponent.

Statement: Let $\Lambda = \frac{l^2}{8} (1/v_{end} - 1/v_{start}) + \frac{1}{2}
    \log(v_{end}/v_{start})$, the integral of $\lambda = l^2/(4v) - 1$ over intrinsic time. The flow
    of two equal modes has $|z_{end}| \le e^\Lambda |z_{start}|$ from every $z$, since $\tanh$ is
    concave there: a start within $r e^{-\Lambda}$ ends within $r$. Any two paths of two modes of
    any weights obey $|y - y'| \le e^\Lambda |y_0 - y_0'|$, and any two paths of any mixture do with
    $l$ replaced by the diameter of the means, since $\mathrm{Cov}_\gamma \le \mathrm{diam}^2/4$. Of
    modes of one covariance, $C = \Sigma + \rho I$, the same with $\Lambda = \frac{1}{2} \int
    \max_{ij} \lambda_{\max}(\frac{1}{4} C^{-1} \Delta_{ij} \Delta_{ij}^T C^{-1} - C^{-1})\, d\rho$.
    Of several: in a ball about $c$ that no path leaves (X2'), of radius $R$, with $\max_{ij}
    \frac{1}{4}(|a_{ij}| + R\,|C_i^{-1} - C_j^{-1}|)^2 - \min_k 1/\lambda_{\max}(C_k)$, $a_{ij} =
    C_i^{-1}(\mu_i - c) - C_j^{-1}(\mu_j - c)$. Without a ball there is none: for equal modes at 0
    of $\mathrm{diag}(1, 4)$ and $\mathrm{diag}(4, 1)$ the Jacobian at $(r, r)$ grows as $r^2$.
Hypotheses:
    - common_sigma: all modes share one sigma (for the closed form and the midpoint).
Measured: the growth of $|z|$ and the start radii that end within 0.15, 0.35 and 0.45 $l$, from the
    flow of $\log|z|$ between nodes of the papers' grid; growth of the distance between two paths of
    the engine, of two modes with weights 1:1 and 10:1 and of the mixture itself.
Predicted: at most $\Lambda$ in logarithms; at least $r e^{-\Lambda}$. Truth is the conserved
    distribution function in ball arithmetic.
Evidence: exact for the midpoint; sampled pairs of paths, solved to 1e-11. A start radius below
    1e-30 of the segment, or a bound beyond the size of the mixture, counts as vacuous. Learned: the
    starts on segments between closest modes that DDIM with a trained score takes to neither mode,
    against $e^{-\Lambda}$ with its own Jacobian; and how many of its runs end between two modes,
    against the mass that the exact marginal gives those starts, to a half of it. Certified: in a
    tube around the closest pair's segment, which dominates there with margin 7, no eigenvalue is
    above $1.05\, l^2/(4v) - 1$ at any place and level, with $l$ in place of the diameter.
Source: our sharper form of arXiv 2605.06831 v1, Proposition 4.7 (2)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import bounds, geometry
from mixdyn.geometry import Pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Statement
from mixdyn.proof.statement import of_law
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Log10
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Table
from verify.measure.continuum import (
    NO_TOLERANCE,
    certified,
    dominated_tube,
    pair_law,
    positive_definite,
    proof_window,
    variances,
)
from verify.measure.covariances import COMMON_SIGMA, one_width
from verify.measure.growth import several_widths
from verify.measure.midpoint.traps import (
    LOG,
    VACUOUS_LOG_RADIUS,
    against_truth,
    closest_pair,
    exact_log_trap,
    flow_of_log_distance,
    full_trap,
    neighbour_pairs,
    node_below,
    node_variances,
    of_distinct_length,
    regime_node,
    separatrix,
    two_modes,
)
from verify.measure.networks.field import named, on_segments
from verify.measure.networks.learned_growth import shown
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.traps import (
    end_reach,
    fine_interval,
    observed,
    observed_fine,
    start_nodes,
    strip_mass,
    traps,
)
from verify.measure.paths import FLOW_RTOL, KAPPA, thinned

CLAIM = Claim.from_docstring(
    __doc__,
    id="X3",
    short="sharp trapping",
    rests_on={"G.2": "the Jacobian Cov/v - I", "X1": "its integral in closed form"},
    sharpens={"P4.7 (2)": "no factor 3/2, every start"},
    needs=(modes(2),),
    derivation="derivations/saddle/growth.py",
    proof_needs=(one_sigma.because("the rest is measured, the proof is of one sigma"),),
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "That a start outside the radius escapes: the bound is sufficient, and the exact trap is "
        "wider where the path spends its time away from the midpoint. With a diameter of many "
        "distances the exponent is far from sharp."
    ),
)

FRACTIONS = (0.15, 0.35, 0.45)
MAX_LENGTHS, MAX_NODES = 2, 5
MAX_EXPONENT = 18.0  # pairs of paths start 1e-7 apart: beyond this their bound says nothing
LOG_STARTS = np.concatenate([np.log(10.0) * np.linspace(-300, -2, 12), np.log([0.05, 0.2, 0.5])])
WEIGHT_RATIOS = (1.0, 10.0)


def _exponent(length: float, v_start: ArrayLike, v_end: ArrayLike, factor: float) -> Array:
    """Lambda with its first term scaled: 1 for the claim itself."""
    shrink = 0.5 * np.log(np.divide(v_end, v_start))
    return factor * (bounds.growth_exponent(length, v_start, v_end) - shrink) + shrink


# -- the midpoint of two equal modes -------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """A pair from one noise level to another: log exact starts by fraction, and log ends of
    LOG_STARTS."""

    pair: Pair
    v_start: float
    v_end: float
    log_traps: Array
    log_ends: Array


@CLAIM.exact(unit="windows × radii")
def midpoint(case: Case, factor: float = 1.0) -> Iterator[Part]:
    """Start radii, growth, and the flow of log z against ball arithmetic. factor: on the first
    term of the exponent."""
    if not one_width(case):
        yield NotApplicable(
            "The logit of two modes obeys no equation of its own where widths differ."
        )
        return
    yield COMMON_SIGMA
    windows = case.memo("X3 windows", lambda: list(_windows(case)))
    ends = [(w.pair.length, w.v_start, w.v_end) for w in windows]
    exponent = np.array([[float(_exponent(*end, factor))] for end in ends])
    safe = np.log(FRACTIONS) - exponent
    place = dict(zip(("length", "v_start", "v_end"), np.array(ends).T[..., None], strict=True))
    starts = Side(
        "start radius over l that ends within 0.15, 0.35, 0.45",
        [w.log_traps for w in windows],
        at_least=safe,
        tolerance=LOG,
        telling=safe > VACUOUS_LOG_RADIUS,
        where=place,
    )
    yield starts
    yield Side(
        "growth of the distance to the midpoint",
        [w.log_ends - LOG_STARTS for w in windows],
        at_most=exponent,
        tolerance=LOG,
        where=place,
    )
    yield from case.memo("X3 regime", lambda: list(_in_regime(case)))

    def truth() -> Facts:
        window, radius = starts.worst
        length, v_start, v_end = ends[window]
        return Facts(
            truth=Log10.from_log(exact_log_trap(length, FRACTIONS[radius], v_start, v_end))
        )

    yield truth


def _windows(case: Case) -> Iterator[Window]:
    """Pairs of nodes of the papers' grid from where the pair is two thirds of a saddle on."""
    v = node_variances(case)
    for pair in of_distinct_length(neighbour_pairs(case.mixture, 12))[:MAX_LENGTHS]:
        first = _node_from(case, pair.length**2 / 2.7)
        for a, b in itertools.combinations(thinned(v[first:], MAX_NODES).tolist(), 2):
            k_a, k_b = pair.length**2 / a, pair.length**2 / b
            traps = flow_of_log_distance(np.log(FRACTIONS), k_b, k_a)
            ends = flow_of_log_distance(LOG_STARTS, k_a, k_b)
            yield Window(pair, a, b, traps, ends)


def _node_from(case: Case, v_first: float) -> int:
    """The first noisy node with v at most v_first, the last noisy one where there is none."""
    node = node_below(case, v_first)
    return len(node_variances(case)) - 2 if node is None else node


def _in_regime(case: Case) -> Iterator[Part]:
    """The papers' regime for the closest pair: start radii against ball arithmetic, with those of
    the full mixture where they have a closed form."""
    pair = neighbour_pairs(case.mixture, 1)[0]
    node = regime_node(case, pair.length)
    v = node_variances(case)
    if node is None or node >= len(v) - 2:
        return
    rows, sides = [], []
    for end, v_end in (("last noisy time", float(v[-2])), ("clean data", float(v[-1]))):
        v_start = float(v[node])
        k_start, k_end = pair.length**2 / v_start, pair.length**2 / v_end
        exact = flow_of_log_distance(np.log(FRACTIONS), k_end, k_start)
        exponent = bounds.growth_exponent(pair.length, v_start, v_end)
        for fraction, log_start in zip(FRACTIONS, exact.tolist(), strict=True):
            sides.append((log_start, exact_log_trap(pair.length, fraction, v_start, v_end), k_end))
            safe = Log10.from_log(float(bounds.log_safe_start(fraction, exponent)))
            trap = full_trap(case.mixture, pair, fraction, v_start, v_end)
            full = None if trap is None else Log10(trap.log10_radius)
            rows.append((end, fraction, safe, Log10.from_log(log_start), full))

    log_exact, log_truth, k = np.array(sides).T
    where = {"to": np.array([r[0] for r in rows]), "fraction": np.array([r[1] for r in rows])}
    yield against_truth(log_exact, log_truth, k, where)
    columns = ("to", "ends within", "r exp(-Λ)", "exact, two modes", "exact, full mixture")
    caption = "Start radii over l from the first node with l² ≥ 28 d v, closest pair"
    yield Table(caption, columns, rows)


# -- two paths -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Pairs of paths of one mixture: v (K,), distance (K, n), and the length in Lambda.

    size: of the means, however wide the modes: beyond it a bound says nothing.
    """

    name: str
    length: float
    size: float
    v: Array
    starts: Array
    distance: Array


@CLAIM.sampled(unit="pairs × nodes")
def two_paths(case: Case, factor: float = 1.0) -> Iterator[Part]:
    """The distance between two paths. factor: on the first term of the exponent."""
    if not one_width(case):
        yield from several_widths(case, factor)
        return
    yield COMMON_SIGMA
    groups = case.memo("X3 pairs", lambda: [*_two_mode_pairs(case), _mixture_pairs(case)])
    for name in dict.fromkeys(group.name for group in groups):
        yield Side.joined([_apart(group, factor) for group in groups if group.name == name])


def _apart(group: Pairs, factor: float) -> Side:
    """Distances against their bounds, which say something below the mixture's size."""
    exponent = _exponent(group.length, group.v[0], group.v[1:], factor)[:, None]
    start = group.distance[0]
    log_bound = np.log(start) + exponent
    # A bound far beyond the mixture says nothing: any finite number serves.
    bound = np.exp(np.minimum(log_bound, math.log(1e6 * group.size)))
    # Both paths share the solver's steps, so its error is a share of their distance; rounding of
    # coordinates and means grows as the distance itself does.
    coordinates = np.maximum(group.size, np.abs(group.starts).max(axis=(0, 2)))
    return Side(
        group.name,
        group.distance[1:],
        at_most=bound,
        tolerance=Tolerance(atol=1.0),
        scale=bound * (1e-6 + 1e-12 * coordinates / start) + 1e-12 * coordinates,
        telling=log_bound < math.log(group.size),
        where={"y": group.starts.swapaxes(0, 1)[None], "v_start": group.v[0]},
    )


def _solve(name: str, mixture: GaussianMixture, y: Array, v: Array, length: float) -> Pairs:
    """Both paths of each pair y (2, n, d) at every v."""
    size = max(float(np.abs(mixture.means).max()), length)
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * size)
    n = y.shape[1]
    flat = y.reshape(2 * n, -1)
    path = np.asarray(integrate_ode(mixture, flat, v, solver, keep="trajectory").trajectory)
    distance = np.linalg.norm(path[:, :n] - path[:, n:], axis=2)
    return Pairs(name, length, size, v, y, distance)


def _telling_nodes(case: Case, length: float, v_first: float) -> Array:
    """Variances at the nodes from v_first on, as long as a bound from there can say something.

    Where all nodes lie far above v_first, v_first itself or one just above the data starts them:
    paths that first shrink by orders of magnitude have lost their digits when they part.
    """
    v = node_variances(case)
    v = v[_node_from(case, v_first) :]
    v[0] = min(v[0], max(v_first, 4.0 * v[1]))
    exponent = bounds.growth_exponent(length, v[0], v)
    return v[: max(2, int(np.count_nonzero(exponent <= MAX_EXPONENT)))]


def _two_mode_pairs(case: Case) -> Iterator[Pairs]:
    """Two modes at the distance of the closest pair, starts around the separatrix and elsewhere."""
    rng = case.rng("X3 two modes")
    pair, own = closest_pair(case.mixture)
    v = _telling_nodes(case, pair.length, pair.length**2 / 2.7)
    n = case.pick(48, 400)
    for log_ratio in sorted({own, *np.log(WEIGHT_RATIOS).tolist()}):
        z = rng.uniform(-0.8, 0.8, n)
        z[::2] = separatrix(pair.length, log_ratio, float(v[0]))
        apart = 10.0 ** rng.uniform(-7.0, -0.5, n)
        share = rng.random(n)
        y = pair.length * np.array([z - share * apart, z + (1.0 - share) * apart])[..., None]
        two = two_modes(pair.length, float(case.mixture.sigma), log_ratio)
        yield _solve("distance of two paths, two modes", two, y, v, pair.length)


def _mixture_pairs(case: Case) -> Pairs:
    """Starts of the marginal at the node at which the diameter begins to matter, and near ones."""
    rng, mixture = case.rng("X3 mixture"), case.mixture
    diameter = float(geometry.pairwise_distances(mixture.means).max())
    v = _telling_nodes(case, diameter, 4.0 * diameter**2)
    n = max(16, case.pick(2048, 16_384) // mixture.d)
    law = GaussianMixture(mixture.means, math.sqrt(v[0]), mixture.weights)
    first = law.sample(n, rng)
    step = rng.standard_normal(first.shape)
    step *= (
        diameter * 10.0 ** rng.uniform(-6.0, 0.0, (n, 1)) / np.linalg.norm(step, axis=1)[:, None]
    )
    y = np.array([first, first + step])
    return _solve("distance of two paths, the mixture", mixture, y, v, diameter)


# -- trained models ------------------------------------------------------------------------------


@CLAIM.learned(unit="models × nodes × segments", of=networks)
def learned(case: Case, models: Sequence[TrainedModel], growth: float = 1.0) -> Iterator[Part]:
    """Widths against the learned exponent, then rates against the mass of the trap. growth: a
    factor on that exponent."""
    yield COMMON_SIGMA
    found = [traps(case, model) for model in models]
    exponent = np.array([[trap.growth for trap in every] for every in found])
    yield Side(
        "width of the learned trap over l",
        [[trap.width for trap in every] for every in found],
        at_least=2.0 * end_reach(case) * np.exp(-growth * exponent),
        tolerance=Tolerance(rtol=1e-6, atol=1e-4),
        where=on_segments(case, models, start_nodes(case)),
    )
    runs = [observed(case, model).ended for model in models]
    rates = {
        "papers' nodes": (runs, [every[0].interval for every in found]),
        "every late time": (
            [observed_fine(case, model) for model in models],
            [fine_interval(case, model) for model in models],
        ),
    }
    for nodes, (seen, trapped) in rates.items():
        yield Side(
            f"interpolation rate of DDIM against the mass of the learned trap, {nodes}",
            [share.rate for share in seen],
            equals=[strip_mass(case, interval, found[0][0].t) for interval in trapped],
            tolerance=Tolerance(rtol=0.5, atol=10.0),  # to a half of it and ten runs
            scale=1.0 / runs[0].trials,
            where={"model": np.array([model.name for model in models])},
        )
    yield Facts(model=named(models))
    yield lambda: shown(case, models, found)


CLAIM.must_fail(midpoint, "Λ with l²/16", factor=0.5)
CLAIM.must_fail_narrowly(midpoint, "Λ with (1 - {}) l²/8", 0.5, factor=lambda less: 1.0 - less)
CLAIM.must_fail(two_paths, "Λ with l²/16, two paths", factor=0.5)
CLAIM.must_fail_narrowly(
    two_paths, "Λ with (1 - {}) l²/8, two paths", 0.5, factor=lambda less: 1.0 - less
)
CLAIM.must_fail(two_paths, "no growth at all", when=lambda case: not one_width(case), factor=0.0)
CLAIM.must_fail_narrowly(
    two_paths,
    "(1 - {}) of what grows, several widths",
    1.0,
    when=lambda case: not one_width(case),
    factor=lambda less: 1.0 - less,
)
CLAIM.must_fail(learned, "learned: half of Λ", growth=0.5)
CLAIM.must_fail_narrowly(learned, "learned: (1 - {}) Λ", 0.5, growth=lambda less: 1.0 - less)


# -- a tube, at every place and level ------------------------------------------------------------


def in_tube(case: Case, room: float = 1.05) -> list[Statement] | None:
    """No eigenvalue of the covariance of the means in a tube is above l^2/4. room: a factor on
    l^2/4."""
    window = proof_window(case)
    box = None if window is None else dominated_tube(case, window, KAPPA)
    if window is None or box is None:
        return None
    law, axes = pair_law(case.mixture, window.pair), range(case.mixture.d)
    most = 0.25 * room * window.pair.length**2
    left = [[-of_law("covariance", a, b) + (most if a == b else 0.0) for b in axes] for a in axes]
    v = variances(case, window.t)
    return [
        Statement.over(f"covariance, minor {k}", law, term, *box, v)
        for k, term in enumerate(positive_definite(left), 1)
    ]


CLAIM.must_fail(certified(CLAIM, in_tube), "0.9 l²/(4v) - 1", room=0.9)

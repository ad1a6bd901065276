r"""Guidance moves ends by standard deviations.

Statement: Guided towards one mode $c$ with weight $w$, $dy/du = \mu_c + w(\mu_c - m) - y$. In
    $\xi = (y - \mu_c)/\sqrt v$ and $s = 1/\sqrt v$ it is $d\xi/ds = w(\mu_c - m)$. So the end of
    every path lies beyond that without guidance along every direction along which no mode is beyond
    $c$, and no two paths come farther apart than without guidance. On a line with $c$ at its end
    every end point and every confidence rise with $w$, and the spread is below that of $w = 0$. Of
    two modes $\xi_{end} - \xi$ lies between the solution of $x = w\,G(\xi + x)$ and $w\,G(\xi)$,
    $G(\xi) = \int d\kappa/(1 + e^{\kappa^2/2 + \kappa\xi} w_c/w_j)$, $\kappa = l/\sqrt v$: neither
    $\sigma$ nor $l$ is in it.
Hypotheses:
    - common_sigma: all modes share one sigma.
Measured: ends of the closest pair's two modes by the closed route, at 16 nodes of Gauss and Hermite
    and weights from 0.05 to 15; paths of the engine's guided score on the mixture, towards the mode
    farthest from the mean of all.
Predicted: the limits; where the mixture is a product of lines the closed route for each path.
Evidence: exact for two modes; sampled starts, solved to 1e-11. Tables show what the papers'
    samplers make of it: noise on the way forgets the overshoot.
Source: our result on the guidance of arXiv 2207.12598 v1, equation 6 (a mean that overshoots, less
    spread: arXiv 2403.01639, 2409.13074)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn import bounds
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.guidance import Ends, mixture_paths, sampled_ends, two_mode_ends
from verify.measure.paths import extent

CLAIM = Claim.from_docstring(
    __doc__,
    id="X17",
    short="guidance",
    rests_on={"G.1": "the flow without guidance", "X1": "its clock"},
    needs=(
        modes(2),
        one_sigma.because(
            "in xi every direction has the one clock, and the drift keeps its direction"
        ),
    ),
    derivation="derivations/maps/guidance.py",
    does_not_show=(
        "Anything of a class of several modes, or of one between others (X17'). Confidence may "
        "fall in more than one dimension where two other modes are seen from the class at an "
        "obtuse angle."
    ),
)

SHIFT = Tolerance(rtol=1e-7, atol=1e-8)  # in sigma: of the two quadratures


@CLAIM.exact(unit="classes × weights × starts")
def two(case: Case, less: float = 0.0, more: float = 0.0) -> Iterator[Part]:
    """Ends of two modes. less, more: shares by which the upper limit is lowered and the lower one
    raised."""
    for ends, limits in case.memo("X17 two modes", lambda: [*_with_limits(case)]):
        yield from _sides(ends, limits, less, more)
        rise = np.diff(ends.end, axis=0)
        yield Side(
            f"rise of the end with w over σ, log-odds {ends.log_odds:.3g}",
            rise,
            at_least=0.0,
            tolerance=SHIFT,
            where={"xi": ends.xi, "w": ends.weights[1:, None]},
        )
        shrink = np.diff(ends.end, axis=1) / np.diff(ends.xi)
        yield Side(
            f"distance of two paths over that without guidance, log-odds {ends.log_odds:.3g}",
            shrink,
            at_most=1.0,
            tolerance=Tolerance(rtol=1e-7),
            where={"xi": ends.xi[1:], "w": ends.weights[:, None]},
        )
    yield lambda: _table(case)


def _with_limits(case: Case) -> Iterator[tuple[Ends, tuple[Array, Array, Array]]]:
    """Ends with the least, the most and the far limit of their shift, (W, n) each."""
    for ends in two_mode_ends(case):
        of = ends.xi, ends.weights[:, None], ends.log_odds
        least, most = bounds.guidance_shift_limits(*of, ends.reach)
        yield ends, (least, most, bounds.guidance_shift_far(*of))


def _sides(
    ends: Ends, limits: tuple[Array, Array, Array], less: float, more: float
) -> Iterator[Side]:
    least, most, far = limits
    shift = ends.end - ends.xi
    where = {"xi": ends.xi, "w": ends.weights[:, None], "reach": list(ends.reach)}
    tail = f"log-odds {ends.log_odds:.3g}"
    yield Side(
        f"shift of the end over σ, {tail}",
        shift,
        at_most=(1.0 - less) * most,
        tolerance=SHIFT,
        where=where,
    )
    yield Side(
        f"shift of the end over σ from below, {tail}",
        shift,
        at_least=(1.0 + more) * least,
        tolerance=SHIFT,
        where=where,
    )
    yield Side(
        f"shift of the end over σ, Mills' ratio, {tail}",
        shift,
        at_most=(1.0 - less) * far,
        tolerance=SHIFT,
        where=where,
    )


CLAIM.must_fail_narrowly(two, "(1 - {}) of the upper limit", 0.5, less=lambda s: s)
CLAIM.must_fail_narrowly(two, "(1 + {}) of the lower limit", 1.0, more=lambda s: s)


def _table(case: Case) -> Table:
    """What guidance does to a mode's law: the flow, and the papers' samplers."""
    found = sampled_ends(case)
    rows = []
    for k, w in enumerate(found["weights"]):
        both = zip(found["mean"][:, k], found["spread"][:, k], strict=True)
        numbers = [value for pair in both for value in pair]
        rows.append((float(w), found["exact"][k], found["exact_spread"][k], *numbers))
    heads = [f"{name}, {what}" for name in found["names"] for what in ("mean", "spread")]
    return Table(
        "Two modes of the closest pair, equal weights: mean offset from the class and spread, in σ",
        ("w", "flow, mean", "flow, spread", *heads),
        rows,
    )


@CLAIM.sampled(unit="weights × starts")
def paths(case: Case, weight: float = 1.0, narrower: float = 0.0) -> Iterator[Part]:
    """The engine's guided paths. weight: a factor on the guidance of the closed route; narrower:
    a share by which two paths are to come closer still."""
    seen = case.memo("X17 paths", lambda: mixture_paths(case))
    size = extent(case.mixture)
    place = {"y": seen.start[None], "v_start": seen.v_from, "mode": seen.mode}
    beyond = (seen.end[1:] - seen.end[0]) @ seen.outward
    exact = Tolerance(atol=1e-8)
    yield Side(
        "end beyond that without guidance",
        beyond,
        at_least=0.0,
        tolerance=exact,
        scale=size,
        where={**place, "w": seen.weights[1:, None]},
    )
    ratio = (1.0 - narrower) * np.sqrt(seen.v_to / seen.v_from)
    apart = np.linalg.norm(np.diff(seen.end, axis=1), axis=2)
    before = np.linalg.norm(np.diff(seen.start, axis=0), axis=1)
    yield Side(
        "distance of two paths",
        apart,
        at_most=ratio * before,
        tolerance=exact,
        scale=size,
        where={"y": np.stack([seen.start[1:], seen.start[:-1]], axis=1)[None]},
    )
    if seen.exact is not None:
        linear = np.sqrt(seen.v_to / seen.v_from) * (seen.start - case.mixture.means[seen.mode])
        bare = case.mixture.means[seen.mode] + linear
        wanted = bare + weight * (seen.exact - bare)
        yield Side(
            "engine against the closed route",
            np.abs(seen.end - wanted).max(axis=2),
            at_most=0.0,
            tolerance=exact,
            scale=size,
            where={**place, "w": seen.weights[:, None]},
        )
    else:
        yield "No product of lines: the closed route does not say where these paths end."


CLAIM.must_fail_narrowly(paths, "two paths closer by {}", 0.5, narrower=lambda s: s)
CLAIM.must_fail_narrowly(
    paths,
    "closed route with (1 + {}) of its shift",
    0.5,
    when=lambda case: case.memo("X17 paths", lambda: mixture_paths(case)).exact is not None,
    weight=lambda s: 1.0 + s,
)

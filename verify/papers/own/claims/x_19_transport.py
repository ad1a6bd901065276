r"""What DDIM leaves in the transport distance.

Statement: DDIM within one mode returns $\prod_k\cos(\theta_k - \theta_{k+1})$ of the standard
    deviation, $\tan\theta = \sqrt\rho/\sigma$, on any grid, so $W_2 = \sqrt d\,\sigma\,(1 - \prod_k
    \cos\Delta\theta_k)$; for every number of steps equal angles are best and leave $\sqrt d\,\sigma
    \,(1 - \cos^K(\theta/K))$, with $K\,W_2 \to \sqrt d\,\sigma\,\theta^2/2$, at most $\pi^2/8$ of
    $\sqrt d\,\sigma$. On a line with one sigma and a smooth grid $\sqrt\rho = S(1 - k/K)$ the mass
    below a place is more by $c/K$, $c = \frac12\int S'^2y''p\,d\tau$ along the exact path that ends
    there: so are the modes' weights, and $K\,W_2 \to (\int(c/p_0)^2p_0\,dy)^{1/2}$.
Hypotheses:
    - common_sigma: all modes share one sigma.
Measured: the recursion within one mode on quadratic, uniform, log-SNR and tangent grids of 5 to 200
    steps, of standard deviations from that of the data's modes to 100 times it; weights of the
    modes and quantiles of the engine's DDIM with 50, 100 and 200 steps, on the mixture's line (its
    first axis, or the closest pair's) and with modes a fourth of their largest distance wide.
Predicted: the product; at most that of equal angles; the constants, of the two finest numbers of
    steps extrapolated, to 1 %, where the two coarser ones give the same to 2 %.
Evidence: exact within one mode; sampled levels on lines, by the engine. Tables compare grids at
    equal steps: on modes far apart weights err by c/K, so that $W_2$ falls as $K^{-1/2}$ only, and
    the tangent law of a mode, best for it alone, is the worst.
Source: our result; the tangent law of arXiv 2601.13602 v1, its schedule
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mixdyn import oracles
from mixdyn.problem.schedule import TimeGrid
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.smooth_maps import line_of
from verify.measure.transport import (
    KARRAS,
    N_QUANTILES,
    constant_of_levels,
    distances,
    distribution,
    even_levels,
    level_errors,
    middles,
    nodes,
    overlapping,
    power,
    start_of,
    tangent,
    w2_by_quantiles,
    width_of,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X19",
    short="W2 of DDIM",
    rests_on={"X7": "a step within one mode", "O2": "the path keeps its level"},
    needs=(
        modes(2),
        one_sigma.because("the product is of one width; X7 has the recursion of each direction"),
    ),
    derivation="derivations/maps/first_order.py",
    does_not_show=(
        "Which grid is best for a mixture: a mode asks for steps near its own width, weights for "
        "steps near the distance of modes, and W2 weighs the two by that distance."
    ),
)

STEPS = (5, 20, 50, 200)
WIDTHS = (1.0, 10.0, 100.0)
SPACINGS = ("quadratic", "uniform", "log_snr")
COUNTS = (50, 100, 200)


@dataclass(frozen=True)
class OneMode:
    """A grid on a mode: the share of the standard deviation by the recursion and by angles, and
    that of equal angles; sigma, steps, spacing."""

    spacing: str
    steps: int
    sigma: float
    recursion: float
    product: float
    best: float


def _one_modes(case: Case) -> Iterator[OneMode]:
    """On the schedule's times; and on the tangent law's own levels, by the recursion in y."""
    schedule, own = case.schedule, float(case.mixture.sigma)
    rho = np.where(np.isfinite(schedule.rho), schedule.rho, np.nan)
    for sigma in (own * factor for factor in WIDTHS):
        for steps in sorted({min(k, schedule.T) for k in STEPS}):
            for spacing in SPACINGS:
                build = getattr(TimeGrid, spacing)
                of = (schedule, steps) if spacing == "log_snr" else (schedule.T, steps)
                times = build(*of).times
                times = times[np.isfinite(rho[times])]
                s = np.sqrt(rho[times])
                yield _on(spacing, steps, sigma, s)
            top = float(np.sqrt(np.nanmax(rho)))
            yield _on("tangent", steps, sigma, nodes(tangent(sigma, top), steps))


def _on(spacing: str, steps: int, sigma: float, s: Array) -> OneMode:
    abar = 1.0 / (1.0 + s[::-1] ** 2)
    noise_var = s[::-1] ** 2 / (1.0 + s[::-1] ** 2)
    times = np.arange(len(s) - 1, -1, -1)
    end = oracles.linear_recursion_std(abar, times, 0.0, sigma, noise_var=noise_var)[-1]
    product = oracles.first_order_std(s, sigma)
    angle = float(np.arctan(s[0] / sigma))
    taken = len(s) - 1
    return OneMode(
        spacing, taken, sigma, float(end) / sigma, product, float(np.cos(angle / taken) ** taken)
    )


@CLAIM.exact(unit="grids")
def one_mode(case: Case, best: float = 0.0, off: float = 0.0) -> Iterator[Part]:
    """The recursion against angles. best: a share by which equal angles are to return less; off:
    by which the product is to be more."""
    found = case.memo("X19 one mode", lambda: list(_one_modes(case)))
    columns = {name: np.array([getattr(f, name) for f in found]) for name in vars(found[0])}
    where = {name: columns[name] for name in ("spacing", "steps", "sigma")}
    # The cosine of an angle near a right one, a step from many widths out, is known to eps tan of
    # it: 1e-8 from 1e8 widths.
    exact = Tolerance(rtol=1e-7)
    yield Side(
        "share of a mode's standard deviation that DDIM returns",
        columns["recursion"],
        equals=(1.0 + off) * columns["product"],
        tolerance=exact,
        where=where,
    )
    yield Side(
        "that share against equal angles",
        columns["recursion"],
        at_most=(1.0 - best) * columns["best"],
        tolerance=exact,
        where=where,
    )
    yield lambda: _table(case)


CLAIM.must_fail_narrowly(one_mode, "(1 + {}) of the product", 0.5, off=lambda s: s)
CLAIM.must_fail_narrowly(one_mode, "(1 - {}) of equal angles", 0.5, best=lambda s: s)


@CLAIM.sampled(unit="levels")
def lines(case: Case, more: float = 0.0) -> Iterator[Part]:
    """The engine on lines against the constants. more: a share by which these are raised."""
    found = case.memo("X19 lines", lambda: list(_lines(case)))
    for name, values, constant in found:
        before, measured = 2.0 * values[1] - values[0], 2.0 * values[2] - values[1]
        size = np.maximum(np.abs(constant).max(initial=0.0), 1e-2)
        settled = np.abs(measured - before) <= 0.02 * np.abs(measured) + 1e-3 * size
        yield Side(
            name,
            measured,
            equals=(1.0 + more) * constant,
            tolerance=Tolerance(rtol=0.01, atol=1e-3),
            scale=size,
            among=settled,
            where={"place": np.arange(np.size(constant)).reshape(np.shape(constant))},
        )


CLAIM.must_fail_narrowly(lines, "(1 + {}) of the constants", 0.5, more=lambda s: s)


def _lines(case: Case) -> Iterator[tuple[str, Array, Array]]:
    """What is compared, K times its error at each number of steps, and the constant."""
    line = line_of(case)
    wide = overlapping(line) if line.N > 1 else line
    levels = even_levels(N_QUANTILES)
    for name, of in (("tangent of the data", tangent), ("Karras", power)):
        grid, near = (
            of(width_of(law) if of is tangent else KARRAS, start_of(case, law))
            for law in (line, wide)
        )
        if line.N > 1:
            found = [k * level_errors(line, grid, k) for k in COUNTS]
            level = distribution(line, middles(line)[0])
            constant = constant_of_levels(line, grid, level).constant
            yield f"K times the error of the modes' weights, {name}", np.array(found), constant
        off = [k * w2_by_quantiles(wide, near, k, levels) for k in COUNTS]
        sizes = [np.sqrt(np.mean(e**2)) / float(wide.sigma) for e in off]
        error = constant_of_levels(wide, near, levels)
        exact = np.sqrt(np.mean((error.constant / error.density) ** 2)) / float(wide.sigma)
        yield f"K W2 over σ of wide modes, {name}", np.array(sizes), np.array(exact)


def _table(case: Case) -> Iterator[Table]:
    """W2 by grid and steps."""
    if case.mixture.N == 1:
        return
    seen = distances(case)
    heads = ("grid", *(f"{k} steps" for k in seen["steps"]))
    told = {
        "one": "W2 over σ of one mode, in one dimension",
        "wide": "W2 over σ on the line with modes a fourth of their distance wide",
        "line": f"W2 over σ on the line itself, modes {float(seen['length']):.3g} σ apart",
    }
    for key, caption in told.items():
        rows: list[tuple[float | str, ...]] = [
            (str(name), *map(float, row))
            for name, row in zip(seen["names"], seen[key], strict=True)
        ]
        yield Table(caption, heads, rows)

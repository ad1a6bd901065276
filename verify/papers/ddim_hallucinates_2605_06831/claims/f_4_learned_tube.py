r"""Paths of trained models stay within the envelope of the tube theorem.

Statement: From $\tau_1$ on, where one pair of modes dominates with margin $\kappa$ = 7, reverse
    paths converge to the segment between the two. Theorem 4.2 says so of the flow with the exact
    score: $d_\perp(y_t) \le e^{-u} d_\perp(y_\tau) + (1 - e^{-u}) R$ with $e^{-u} =
    \sqrt{v_t/v_\tau}$; from the fixed time $\tau_2$ on, but for a share of at most $\delta$ = 0.02,
    $d_\perp(y_t) \le \sqrt{v_t (d + 2\sqrt{d \log(1/\delta)} + 2 \log(1/\delta))} + R$. With the
    score of each shipped model at most a share $\delta$ of all paths leaves either.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - dominance: one fixed pair dominates from some node on, with more nodes to come.
Measured: DDIM with 50 quadratic steps and DDPM from noise: how many paths are beyond the envelope
    of their own $\tau_1$ at some later node (DDIM; DDPM's noise obeys no such bound), and how many
    leave the tube after $\tau_2$. The floor: what remains of DDIM's offset from the line when the
    part that its own steps would leave with the exact score, a product of
    $(\sigma^2 + \sqrt{\rho_t \rho_s})/v_t$, is taken away.
Predicted: shares of at most $\delta$. The exact score's on the same noise are beside them.
Evidence: learned; each share by the Clopper-Pearson interval that misses with probability 1e-6.
Source: arXiv 2605.06831 v1, Figures 4 and E.9
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mixdyn import geometry
from mixdyn.geometry import Mask
from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, NotApplicable, Part, Side
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.networks.envelopes import DELTA, Envelope, Followed, follow
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.paths import ReverseRuns, reverse_runs
from verify.measure.networks.rates import Cell
from verify.measure.networks.visits import with_interval
from verify.measure.paths import KAPPA, node_of_tau_2

CLAIM = Claim.from_docstring(
    __doc__,
    id="F4",
    short="paths to the segment",
    rests_on={"X2": "the envelope", "C.3": "the floor under it"},
    needs=(
        modes(2),
        one_sigma.because(
            "the field splits along and across a pair only where directions share a clock"
        ),
    ),
    does_not_show=(
        "That the trained field contracts as the exact one does: R, for margin 7 up to 0.084 of "
        "the distance of two modes on the paper's grid, is far above the floor and hides it. The "
        "table says on which share of the paths the floor takes over, and from which time on."
    ),
)

SMALL = 0.1  # a floor below this share of the contracted offset leaves the contraction visible
_LAST_NOISY = -2

Pairs = Sequence[tuple[ReverseRuns, Followed]]


@CLAIM.learned(unit="paths", of=networks)
def envelope(
    case: Case, models: Sequence[TrainedModel], shape: Envelope | None = None
) -> Iterator[Part]:
    """Paths of each trained model: DDIM's against the envelope of their own tau_1, those of both
    samplers against the tube."""
    if case.mixture.d == 1:
        yield NotApplicable("In one dimension every state lies on the line.")
        return
    pairs = [(run, follow(case, run, shape)) for run in reverse_runs(case, models)]
    learned = [(run, f) for run, f in pairs if run.learned]
    dominated = np.concatenate([f.dominated for _, f in learned])
    yield Hypothesis("dominance", float(dominated.mean()))
    if not dominated.any():
        return
    ddim = pairs[0][0].sampler
    for run, f in learned:
        label = f"{run.sampler}, {run.model.name}"
        if run.sampler == ddim:
            beyond = _ever(f.exceeds(f.allowed))
            yield Side(f"paths beyond the envelope, {label}", beyond, at_most=DELTA)
        yield Side(f"paths that leave the tube, {label}", _ever(f.outside), at_most=DELTA)
    yield Facts(
        model=", ".join(model.name for model in models),
        witness=lambda _: {"seed": case.stream("learned paths")},
    )
    yield lambda: _shown(case, pairs, [f for run, f in learned if run.sampler == ddim], ddim)


def _ever(marked: Mask) -> Proportion:
    """Paths marked at some node."""
    return Proportion(int(marked.any(axis=0).sum()), marked.shape[1])


def _shown(case: Case, pairs: Pairs, of_ddim: Sequence[Followed], ddim: str) -> Iterator[Part]:
    yield _note(of_ddim)
    yield _numbers(of_ddim, _shortest(case))
    yield _table(case, pairs, ddim)


def _shortest(case: Case) -> float:
    """The length of the closest pair."""
    return geometry.pair(case.mixture, *geometry.nearest_pairs(case.mixture)[0]).length


def _off(f: Followed) -> Mask:
    """Where the floor is above a small part of the contracted offset, (K, n)."""
    return np.asarray(f.floor > SMALL * f.own_steps)


def _numbers(followed: Sequence[Followed], length: float) -> dict[str, float | None]:
    """What the models share, the mean over them."""
    last = [f.quantile(f.floor, 0.5)[_LAST_NOISY] for f in followed]
    own = [f.share(_off(f))[_LAST_NOISY] for f in followed]
    spread = [np.sqrt(f.v[_LAST_NOISY]) for f in followed]
    return {
        "DDIM's floor at the last noisy node over l, median": float(np.mean(last)) / length,
        "the same over sqrt(v)": float(np.mean(np.array(last) / spread)),
        f"paths with a floor above {SMALL:.0%} of the offset there": float(np.mean(own)),
    }


def _note(followed: Sequence[Followed]) -> str:
    """When the floor shows below the bound, the paths of all models together."""
    count = sum(f.later.sum(axis=1) for f in followed)
    off = sum((f.later & _off(f)).sum(axis=1) for f in followed)
    last = np.flatnonzero(count)[-8:]
    shares = ", ".join(
        f"{show_share(off[k] / count[k], 2)} at t = {int(followed[0].times[k])}" for k in last
    )
    return f"Share of DDIM's paths with a floor above {SMALL:.0%} of their offset: {shares}."


def _table(case: Case, pairs: Pairs, ddim: str) -> Table:
    """Every score and sampler; what is said of DDIM alone is empty for DDPM."""
    length, node = _shortest(case), node_of_tau_2(case, KAPPA) or 0
    columns = (
        *("score", "sampler", "paths", "beyond the envelope", "from", "to"),
        *("leave the tube", "from", "to", "rms at t = 1 over sqrt(v)"),
        *(f"floor above {SMALL:.0%} of the offset at τ_2", "at t = 1", "of most paths from t"),
        *("floor/l at t = 1, median", "95 %", "floor/l at t = 0, median", "95 %"),
    )
    rows: list[tuple[Cell, ...]] = []
    for run, f in pairs:
        cells: list[Cell] = [run.model.name, run.sampler, f.later.shape[1]]
        is_ddim = run.sampler == ddim
        cells += with_interval(_ever(f.exceeds(f.allowed)) if is_ddim else None)
        cells += with_interval(_ever(f.outside))
        square = np.square(f.distance[_LAST_NOISY, f.later[_LAST_NOISY]])
        cells.append(float(np.sqrt(square.mean() / f.v[_LAST_NOISY])))
        cells += _ddim_cells(f, length, node) if is_ddim else [None] * 7
        rows.append(tuple(cells))
    return Table("Reverse paths against the envelope, with 95 % intervals", columns, rows)


def _ddim_cells(f: Followed, length: float, node: int) -> list[Cell]:
    """How far the offset is from what DDIM's steps leave with the exact score; the floor."""
    off = f.share(_off(f))
    most = np.flatnonzero(f.later.any(axis=1) & (np.arange(len(off)) >= node) & (off > 0.5))
    cells: list[Cell] = [float(off[node]), float(off[_LAST_NOISY])]
    cells.append(int(f.times[most[0]]) if len(most) else None)
    for place in (_LAST_NOISY, -1):
        cells += [float(f.quantile(f.floor, q)[place]) / length for q in (0.5, 0.95)]
    return cells


CLAIM.must_fail(envelope, "e^(-1.2 u) in place of e^(-u)", shape=Envelope(speed=1.2))
CLAIM.must_fail(envelope, "R = 0", shape=Envelope(remainder=0.0))

r"""The reverse SDE forgets a wrong start more than the flow.

Statement: On data $N(0, \Sigma)$, with $\Sigma_t = \bar\alpha_t \Sigma + (1-\bar\alpha_t) I$ and a
    start from $N(0, I)$ in place of $N(0, \Sigma_T)$, the reverse SDE reaches
    $\tilde\Sigma_t = \Sigma_t + e^{-2(B_T-B_t)} \Sigma_t^2 \Sigma_T^{-1} (\Sigma_T^{-1} - I)$, with
    $e^{-2(B_T-B_t)} = \bar\alpha_T/\bar\alpha_t$, and the probability flow
    $\hat\Sigma_t = \Sigma_T^{-1} \Sigma_t$. At every $t$, $W_2(\tilde p_t, p_t) \le W_2(\hat p_t,
    p_t)$.
Hypotheses: none; the levels are those of the problem's schedule.
Measured: the two variances from the closed reverse law and the closed flow of one mode, for
    eigenvalues from 1e-6 to 1e3; the error of each standard deviation.
Predicted: the two formulas; along every eigenvector the SDE's error is at most the flow's.
Evidence: exact.
Source: arXiv 2405.14250 v5, Propositions 2 to 4
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn import oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance

CLAIM = Claim.from_docstring(
    __doc__,
    id="W1",
    short="a wrong start",
    rests_on={"G.1": "the levels", "O1": "the reverse law", "O2": "the flow"},
    derivation="derivations/forward/gaussian_start.py",
    does_not_show="Anything about steps: both processes are solved exactly, see W2.",
)

_EIGENVALUES = np.geomspace(1e-6, 1e3, 25)
_EXACT = Tolerance(rtol=1e-11)


@CLAIM.exact(unit="eigenvalues and levels")
def start(
    case: Case, share: float = 1.0, power: float = 2.0, remembered: float = 1.0
) -> Iterator[Part]:
    """Variances and errors. share: a factor on the start's part of the SDE's variance; power: of
    Σ_t in it; remembered: a factor on what its error keeps of the start's."""
    schedule, lam = case.schedule, _EIGENVALUES
    at = np.unique(np.linspace(0, schedule.T - 1, 6).astype(int))
    last, ratio = _variance(schedule, lam, schedule.T), _ratio(schedule, at)
    here = _variance(schedule, lam, at[:, None])
    where = {"t": at[:, None], "eigenvalue": lam}
    kept = ratio * here**power / last
    sde, flow = case.memo("W1 solved", lambda: _solved(schedule, at))
    yield Side(
        "variance of the reverse SDE",
        sde,
        equals=here + share * kept * (1.0 / last - 1.0),
        tolerance=_EXACT,
        where=where,
    )
    yield Side("variance of the flow", flow, equals=here / last, tolerance=_EXACT, where=where)
    excess = 1.0 / last - 1.0
    yield Side(
        "error of the SDE",
        _error(excess * (remembered * ratio * here / last)),
        at_most=_error(excess),
        tolerance=Tolerance(rtol=1e-12, atol=1e-15),  # both 0 at the eigenvalue 1
        where=where,
    )


CLAIM.must_fail_narrowly(start, "(1 + {}) of the start's part", 0.5, share=lambda s: 1.0 + s)
CLAIM.must_fail(start, "Σ_t in place of Σ_t²", power=1.0)
CLAIM.must_fail(start, "half as much again of the start's error", remembered=1.5)


def _error(excess: Array) -> Array:
    """|sqrt(1 + excess) - 1|, without the difference of near numbers."""
    return np.asarray(np.abs(excess) / (1.0 + np.sqrt(np.maximum(1.0 + excess, 0.0))))


def _variance(schedule: NoiseSchedule, lam: Array, t: Array | int) -> Array:
    return np.asarray(schedule.alpha_bar[t] * lam + schedule.noise_var[t])


def _ratio(schedule: NoiseSchedule, at: Array) -> Array:
    return np.asarray(schedule.alpha_bar[schedule.T] / schedule.alpha_bar[at])[:, None]


def _solved(schedule: NoiseSchedule, at: Array) -> tuple[Array, Array]:
    """(levels, eigenvalues) of the SDE and of the flow from N(0, 1), each solved in closed form."""
    found, T = np.empty((2, len(at), len(_EIGENVALUES))), schedule.T
    for j, lam in enumerate(_EIGENVALUES.tolist()):
        mode = GaussianMixture([[0.0]], float(np.sqrt(lam)))
        for i, t in enumerate(at.tolist()):
            _, mean, var = oracles.reverse_law(
                mode,
                [[1.0]],
                schedule.alpha_bar[T],
                schedule.alpha_bar[t],
                noise_var_t=schedule.noise_var[T],
                noise_var_s=schedule.noise_var[t],
            )
            rho = (schedule.rho[T], schedule.rho[t])
            moved = oracles.flow_map(mode, [[1.0]], lam + rho[0], lam + rho[1])
            found[0, i, j] = mean[0, 0, 0] ** 2 + var[0]
            scale = schedule.alpha_bar[t] / schedule.alpha_bar[T]
            found[1, i, j] = scale * moved[0, 0] ** 2
    return found[0], found[1]

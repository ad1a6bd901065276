"""The predicted x0_hat along the last steps of trained networks, by what becomes of the path.

arXiv 2406.09358 v2, figure 5: three modes on a line and the 5 x 5 grid under DDPM. Hallucinations
are rare, so they are sought among paths that are undecided at the start, drawn from the exact p_t:
examples, on which no count rests (`detector` counts, and leaves no path out).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.interpolation.detector import START, draw_states, is_hallucination
from verify.measure.measurement import Measurement
from verify.measure.networks.models import Shipped, load, shipped

NETWORKS = ("modes-1-2-3-100k-0", "modes-grid-0")
_SHOWN, _DRAWN, _UNDECIDED = 24, 300_000, 0.02


@Measurement
def hal_paths(case: Case) -> dict[str, Any]:
    """n samples run on each network; names (M,); times (S,), falling; right and wrong
    (M, S, shown, 2): x0_hat of paths that end in a mode and of hallucinations, second coordinate 0
    on a line."""
    by_name = {s.name: s for s in shipped()}
    missing = [name for name in NETWORKS if name not in by_name]
    if missing:
        raise NotApplicableError(
            "this experiment needs the networks of arXiv 2406.09358",
            f"{', '.join(missing)} not shipped",
            "Train them with `mixdyn train`.",
        )
    runs = [_paths(case, by_name[name]) for name in NETWORKS]
    return {
        "n": [n for n, _, _ in runs],
        "names": NETWORKS,
        "times": np.arange(START, 0, -1),
        "right": np.array([right for _, right, _ in runs]),
        "wrong": np.array([wrong for _, _, wrong in runs]),
    }


class _Denoised:
    """Observer: x0_hat at every node."""

    def __init__(self, checkpoint: Shipped) -> None:
        self.schedule = checkpoint.schedule()

    def init(self, grid: TimeGrid, d: int) -> list[list[Array]]:
        return []

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        if eps is None:
            return [np.array(state)]
        noise_std = np.sqrt(self.schedule.noise_var[t])
        return [*state, (x - noise_std * eps) / self.schedule.alpha[t]]

    def merge(self, a: Any, b: Any) -> Any:
        return a + b

    def result(self, state: Any) -> Array:
        return np.concatenate(state, axis=1)


def _paths(case: Case, checkpoint: Shipped) -> tuple[int, Array, Array]:
    """Samples run, and paths (S, shown, 2) of both kinds."""
    mixture, schedule = checkpoint.mixture(), checkpoint.schedule()
    rng = case.rng(f"hal paths {checkpoint.name}")
    x, second = draw_states(mixture, schedule, _DRAWN if mixture.d == 1 else 8_000, rng)
    undecided = x[second >= _UNDECIDED]
    plain = x[: 4 * _SHOWN]
    starts = np.concatenate([plain, undecided])
    out = sample(
        load(checkpoint).score,
        schedule,
        DDPM(),
        x=starts,
        start=START,
        rng=case.stream("hal paths"),
        observers=[_Denoised(checkpoint)],
    )
    path = np.asarray(out.observations[0])
    wrong = is_hallucination(mixture, np.asarray(out.x))
    flat = np.zeros((len(path), path.shape[1], 2))
    flat[:, :, : mixture.d] = path
    right = flat[:, : len(plain)][:, ~wrong[: len(plain)]][:, :_SHOWN]
    found = flat[:, wrong][:, :_SHOWN]
    if found.shape[1] < _SHOWN:  # fewer hallucinations than places: repeat none, leave blank
        blank = np.full((len(path), _SHOWN - found.shape[1], 2), np.nan)
        found = np.concatenate([found, blank], axis=1)
    return len(starts), right, found

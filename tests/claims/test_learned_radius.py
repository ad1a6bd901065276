"""Runs started between two modes: the sweep, the row that judges it, and where the trap ends.

Most tests use made-up counts; the last one runs a shipped network on a few samples.
"""

from __future__ import annotations

import numpy as np
import pytest

from verify.ledger import cases, rows
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.measure.networks import radius_sweep, visits
from verify.measure.networks.models import EXACT, NETWORKS, TrainedModel, load, shipped
from verify.measure.networks.radius_sweep import Start
from verify.papers.ddim_hallucinates_2605_06831.claims import f_5_learned_radius as f5

MODELS = [TrainedModel("network", None, "reduced", 0)]


def standard() -> Case:
    return cases.standard()


def test_starts_lie_on_closest_pairs_at_their_radius_from_the_midpoint():
    case = standard()
    y = radius_sweep.starts(case, 0.2, 500)
    _, relative = visits.midpoint_distance(case.mixture.means, y)
    np.testing.assert_allclose(relative, 0.2, rtol=1e-9)
    gaps = np.linalg.norm(y[:, None] - case.mixture.means, axis=2)
    np.testing.assert_allclose(np.sort(gaps, axis=1)[:, :2].sum(axis=1), 0.70709, rtol=1e-4)
    assert np.abs(radius_sweep.starts(case, 0.2, 500, " 1") - y).max() > 0.1


def test_with_three_steps_left_the_exact_score_stops_short_up_to_the_radius_of_the_budget():
    case = standard()
    reach = 0.5 - 5 * 0.0070709 / 0.70709 / radius_sweep.ddim_contraction(case, 3)
    assert 0.2 < reach < 0.25
    hits, _ = radius_sweep.outcomes(
        case.mixture, case, radius_sweep.samplers(case)["DDIM"], Start(3, 50), (0.2, 0.25)
    )
    np.testing.assert_array_equal(hits, [50, 0])


def sweep(case: Case, steps_left: int, near, far=(0, 0, 0, 0, 0)) -> radius_sweep.Sweep:
    """4000 runs of one network: hits of 1000 at the two nearest radii, and `far` at every other."""
    hits = 4 * np.array([[a, a, *[b] * 9] for a, b in zip(near, far, strict=True)])
    return radius_sweep.Sweep(
        scores=("network", EXACT),
        samplers=tuple(radius_sweep.samplers(case)),
        radii=radius_sweep.LEARNED_RADII,
        steps_left=steps_left,
        start=visits.window_time(case, steps_left),
        n=4000,
        hits=np.array([hits, 0 * hits]),
        ends=np.zeros((2, *hits.shape)),
    )


def with_sweeps(near, far=(0, 0, 0, 0, 0)) -> Case:
    case = standard()
    for steps in (9, 11, 3):
        how = (NETWORKS, EXACT), radius_sweep.LEARNED_RADII, steps
        case.workspace[radius_sweep.sweep.key(case, *how)] = sweep(case, steps, near, far)
    return case


@pytest.mark.parametrize(
    ("near", "outcome"),
    [
        ((960, 620, 430, 310, 40), Outcome.HOLDS),
        ((400, 250, 120, 60, 1), Outcome.FAILS),
        ((960, 620, 430, 420, 40), Outcome.INCONCLUSIVE),
        ((960, 620, 430, 310, 600), Outcome.FAILS),
    ],
    ids=["as measured", "DDIM below one half", "two hybrids alike", "DDPM worst of the noisy"],
)
def test_figure_5s_row_needs_every_step_of_the_order_and_one_half(near, outcome):
    row = rows.row_of(f5.CLAIM, with_sweeps(near), f5.order, MODELS)
    assert row.verdict is outcome


def test_figure_5s_mutants_fail_and_its_note_tells_where_noise_harms():
    case = with_sweeps((960, 620, 430, 310, 40), far=(0, 30, 20, 20, 1))
    for control in f5.CLAIM.controls:
        row = rows.row_of(f5.CLAIM, case, f5.order, MODELS, **control.changed)
        assert row.verdict is Outcome.FAILS
    note = rows.row_of(f5.CLAIM, case, f5.order, MODELS).note
    assert "from 10, 15, 20, 25, 30, 35, 40, 45, 50 % of l at raw time 22" in note


def test_the_trap_ends_where_ddims_rate_crosses_one_half():
    found = sweep(standard(), 9, (900, 0, 0, 0, 0), far=(100, 0, 0, 0, 0))
    assert f5.crossing(found) == pytest.approx(0.075, rel=1e-12)
    assert f5.crossing(sweep(standard(), 9, (0, 0, 0, 0, 0))) is None


def test_a_trained_network_traps_ddim_next_to_a_midpoint_and_frees_ddpm():
    pytest.importorskip("torch")
    network = load(next(s for s in shipped() if s.name == "grid-reduced-0"))
    case = standard()
    both = radius_sweep.samplers(case)
    rates = {
        name: radius_sweep.outcomes(network.score, case, both[name], Start(22, 100), (0.01, 0.25))[
            0
        ]
        for name in ("DDIM", "DDPM")
    }
    # Measured 100 % and 6 % next to the midpoint, none a quarter of l off.
    assert rates["DDIM"][0] >= 95
    assert rates["DDPM"][0] <= 30
    assert rates["DDIM"][1] == 0

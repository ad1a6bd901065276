"""Where a margin does not see to a saddle, where the box does, and what is proved of either."""

import numpy as np
import pytest
from scipy.optimize import brentq

from mixdyn import bounds, dynamics, geometry
from mixdyn.errors import ConvergenceError, NotApplicableError
from mixdyn.mixture import GaussianMixture
from mixdyn.schedule import NoiseSchedule
from verify import cases, registry, runner
from verify.claim import Basis, Case, Profile
from verify.relations import Outcome
from verify.saddle_proofs import has_no_saddle, is_saddle
from verify.saddles import places

ENTRY = {entry.claim.id: entry for entry in registry.load_claims()}["P4.7 (1)"]
GRID = np.array([[x, y] for x in (0.0, 1.0) for y in (0.0, 1.0, 2.0)])
LIGHT_AT_THE_EDGE = [0.0025, 0.25, 0.25, 0.0025, 0.25, 0.245]
LIGHT_IN_THE_MIDDLE = [0.25, 0.0025, 0.25, 0.25, 0.0025, 0.245]


def grid(weights):
    return GaussianMixture(GRID, 0.01, np.array(weights) / np.sum(weights))


def rows(case):
    return {v.basis: v for v in runner.run_claim(ENTRY, case)}


@pytest.fixture(scope="module")
def light():
    return rows(Case("user", grid(LIGHT_AT_THE_EDGE), NoiseSchedule.linear()))


def test_a_light_pair_beside_heavy_modes_is_a_certified_counterexample_to_the_margin(light):
    verdict = light[Basis.CERTIFIED]
    assert verdict.verdict is Outcome.FAILS
    assert verdict.witness["pair"] == [0, 3]
    assert verdict.witness["v"] == pytest.approx(0.0666, abs=5e-5)
    assert verdict.numbers["least margin less the log of the others' weight"] == pytest.approx(
        1.0 / 0.0666 / 2.0 - np.log(0.995 / 0.0025), abs=0.02
    )
    assert "box" in verdict.note


def test_the_full_mixture_in_doubles_holds_there_and_reports_the_gap_of_the_box(light):
    verdict = light[Basis.SAMPLED]
    assert verdict.verdict is Outcome.HOLDS
    (box,) = [h for h in verdict.hypotheses if h.name == "box"]
    assert 0.9 < box.held_share < 1.0
    assert 10.0 < box.worst_gap < 100.0


def test_where_no_box_exists_the_row_does_not_apply_and_is_no_error():
    """An equal pair just above l^2 = 4 v with a third mode off its axis: one node, no saddle."""
    mixture = GaussianMixture([[0.0, 0.0], [3.0, 3.0], [10.0, 0.0]], 0.0424)
    v = 18.0 / 4.0217
    rho = v - 0.0424**2
    found = rows(Case("user", mixture, NoiseSchedule.from_betas([rho / (1.0 + rho)])))
    # The other node is clean data, where everything holds.
    assert found[Basis.CERTIFIED].verdict is Outcome.FAILS
    assert found[Basis.CERTIFIED].witness["v"] == pytest.approx(v, rel=1e-12)
    assert found[Basis.SAMPLED].n == 1
    assert found[Basis.SAMPLED].verdict is Outcome.HOLDS


def test_every_place_of_the_standard_problem_with_a_margin_has_a_box():
    case = cases.standard(0, Profile.QUICK)
    stated = [p for p in places(case) if p.stated]
    assert len(stated) == 560
    assert min(p.box.slack for p in stated) > 0.4
    certified = rows(case)[Basis.CERTIFIED]
    assert certified.verdict is Outcome.HOLDS
    assert certified.n == certified.n_held == 60


@pytest.mark.parametrize(
    ("weights", "pair", "v", "exists"),
    [
        (LIGHT_AT_THE_EDGE, (0, 3), 0.0666, False),
        (LIGHT_AT_THE_EDGE, (0, 3), 0.06, False),
        (LIGHT_AT_THE_EDGE, (0, 3), 0.055, True),
        (LIGHT_AT_THE_EDGE, (1, 4), 0.0666, True),
        (LIGHT_IN_THE_MIDDLE, (1, 4), 0.0666, False),  # two positive eigenvalues: no saddle
        (LIGHT_IN_THE_MIDDLE, (1, 4), 0.05, True),
    ],
)
def test_a_proof_says_one_thing_and_never_both(weights, pair, v, exists):
    mixture = grid(weights)
    two = geometry.pair(mixture, *pair)
    assert has_no_saddle(mixture, two, v) is not exists
    box = bounds.saddle_box(mixture, *pair, v)
    assert box.slack <= 0.0 or exists
    try:
        found = dynamics.saddle(mixture, two, v).point
    except (ConvergenceError, NotApplicableError):
        assert not exists
    else:
        assert is_saddle(mixture, two, v, found) is exists
        assert not is_saddle(mixture, two, v, found + 0.1 * two.direction)


def test_a_box_holds_the_saddle_that_the_engine_finds_and_tilts_no_more_than_it_says():
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(200):
        means = np.vstack([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0], rng.uniform(-1.6, 1.6, (3, 3))])
        weights = rng.dirichlet(np.full(5, 3.0))
        mixture = GaussianMixture(means, 0.01, weights)
        v = rng.uniform(0.01, 0.24)
        box = bounds.saddle_box(mixture, 0, 1, v)
        if box.slack <= 0.0:
            continue
        seen += 1
        found = dynamics.saddle(mixture, geometry.pair(mixture, 0, 1), v)
        z, xi = found.point[0], np.linalg.norm(found.point[1:])
        assert box.z_low <= z <= box.z_high
        assert xi <= box.radius + 1e-15
        assert found.eigenvalues[-1] > 0.0 > found.eigenvalues[-2]
        assert found.eigenvalues[-1] >= box.stretch - 1.0
    assert seen > 60


def test_the_box_is_lost_at_the_threshold_of_unequal_weights_where_no_mode_disturbs():
    """Two modes: conditions for a saddle are sharp up to the grid of spreads."""
    v = 1.0 / 9.0
    s = np.sqrt(1.0 - 4.0 / 9.0)
    critical = 4.5 * s - 2.0 * np.arctanh(s)

    def slack(log_ratio):
        w = 1.0 / (1.0 + np.exp(-log_ratio))
        mixture = GaussianMixture([[0.5], [-0.5]], 0.1, [w, 1.0 - w])
        return bounds.saddle_box(mixture, 0, 1, v).slack

    lost = brentq(slack, 0.0, 2.0 * critical)
    assert 0.97 * critical < lost < critical


def test_a_pair_below_the_threshold_of_a_saddle_has_no_box():
    mixture = GaussianMixture([[0.5], [-0.5]], 0.1)
    with pytest.raises(NotApplicableError):
        bounds.saddle_box(mixture, 0, 1, 0.25)
    assert bounds.saddle_box(mixture, 0, 1, 0.2499).slack > 0.0

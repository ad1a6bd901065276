"""Where a margin does not see to a saddle, where the box does, and what is proved of either."""

import numpy as np
import pytest
from flint import arb, ctx
from scipy.optimize import brentq

from mixdyn import bounds, dynamics, geometry, presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import ConvergenceError, NotApplicableError
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis
from verify.measure.saddles import proofs as saddle_proofs
from verify.measure.saddles.branch import places
from verify.measure.saddles.proofs import has_no_saddle, is_saddle

GRID = np.array([[x, y] for x in (0.0, 1.0) for y in (0.0, 1.0, 2.0)])
LIGHT_AT_THE_EDGE = [0.0025, 0.25, 0.25, 0.0025, 0.25, 0.245]
LIGHT_IN_THE_MIDDLE = [0.25, 0.0025, 0.25, 0.25, 0.0025, 0.245]


def grid(weights):
    return GaussianMixture(GRID, 0.01, np.array(weights) / np.sum(weights))


@pytest.fixture
def rows(ledger):
    return lambda case: ledger.rows("P4.7 (1)", case)


@pytest.fixture
def light(rows):
    return rows(Case("user", grid(LIGHT_AT_THE_EDGE), NoiseSchedule.linear()))


def test_a_light_pair_beside_heavy_modes_is_a_certified_counterexample_to_the_margin(light):
    verdict = light[Basis.CERTIFIED]
    assert verdict.verdict is Outcome.FAILS
    assert verdict.witness["pair"].tolist() == [0, 3]
    assert verdict.witness["v"] == pytest.approx(0.0666, abs=5e-5)
    assert verdict.numbers["least margin less the log of the others' weight"] == pytest.approx(
        1.0 / 0.0666 / 2.0 - np.log(0.995 / 0.0025), abs=0.02
    )


def test_the_full_mixture_in_doubles_holds_there_and_reports_the_gap_of_the_box(light):
    verdict = light[Basis.SAMPLED]
    assert verdict.verdict is Outcome.HOLDS
    (box,) = [h for h in verdict.hypotheses if h.name == "box"]
    assert 0.9 < box.held_share < 1.0
    assert 10.0 < box.worst_gap < 100.0


def test_where_no_box_exists_the_row_does_not_apply_and_is_no_error(rows):
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


def test_every_place_of_the_standard_problem_with_a_margin_has_a_box(rows, drawn_case):
    stated = [p for p in places(drawn_case) if p.stated]
    assert len(stated) == 560
    assert min(p.box.slack for p in stated) > 0.4
    certified = rows(drawn_case)[Basis.CERTIFIED]
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


@pytest.fixture
def pieces(monkeypatch):
    """The boxes whose shares of the modes were enclosed since the start of the test."""
    seen, plain = [], saddle_proofs.Law.shares

    def counted(law, y):
        seen.append(len(y))
        return plain(law, y)

    monkeypatch.setattr(saddle_proofs.Law, "shares", counted)
    return seen


@pytest.mark.parametrize("v_over_l2", [1 / 32.0, 1e-3, 1e-6])
def test_near_a_mode_in_64_dimensions_no_saddle_is_a_proof_of_one_piece(pieces, v_over_l2):
    mixture = presets.farthest_point(64)
    two = geometry.pair(mixture, *geometry.nearest_pairs(mixture)[0])
    assert has_no_saddle(mixture, two, v_over_l2 * two.length**2, two.mu_i)
    assert not pieces


@pytest.mark.parametrize(("n", "d"), [(12, 64), (40, 8)])
def test_a_proof_that_is_not_found_takes_no_more_work_in_many_dimensions(pieces, n, d):
    means = np.random.default_rng(3).standard_normal((n, d))
    mixture = GaussianMixture(means, 0.01)
    two = geometry.pair(mixture, *geometry.nearest_pairs(mixture)[0])
    assert not has_no_saddle(mixture, two, two.length**2 / 40.0)
    work = n**2 * d + d**3 / 10
    assert 0 < len(pieces) * work < 2 * saddle_proofs.MOST_WORK + 2 * work


@pytest.mark.parametrize("d", [1, 2, 8])
def test_a_ball_without_spread_has_no_point_with_a_positive_eigenvalue(d):
    """At the rim of the largest of 81 balls around a mode that pass."""
    rng = np.random.default_rng(4)
    mixture = GaussianMixture(rng.standard_normal((4, d)), 0.01, rng.dirichlet(np.ones(4)))
    center, v = mixture.means[0], 0.002
    with ctx.workprec(256):
        law = saddle_proofs.Law.of(mixture, v)
        middle = [arb(c) for c in center.tolist()]
        radii = np.linspace(0.0, 2.0, 81)
        passed = [saddle_proofs.has_no_spread(law, middle, r) for r in radii]
    count = passed.index(False)
    assert 0 < count < len(radii)
    assert not any(passed[count:])
    rays = np.vstack([rng.standard_normal((2000, d)), mixture.means[1:] - center])
    rim = center + radii[count - 1] * rays / np.linalg.norm(rays, axis=1)[:, None]
    assert dynamics.flow_spectrum(mixture, rim, v).max() < 0.0
    # Half-way to the nearest mode two share the weight: no ball reaches as far, and few fall short.
    gaps = np.linalg.norm(mixture.means[1:] - center, axis=1)
    assert gaps.min() / 8.0 < radii[count - 1] < gaps.min() / 2.0


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

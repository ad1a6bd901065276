"""Claims on modes of any covariances: which apply, and that they say of sigma^2 I what they say of
sigma."""

import dataclasses

import numpy as np
import pytest

from mixdyn import bounds, oracles
from mixdyn.geometry.dominance_times import tau_1, tau_2
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.support.errors import InputError, NotApplicableError
from verify.ledger.case import Case
from verify.ledger.derived import derived_row
from verify.ledger.needs import isotropic, one_covariance, one_sigma, proper
from verify.ledger.registry import load_claims
from verify.ledger.relations import Outcome
from verify.ledger.rows import check, row_of
from verify.measure import bent
from verify.measure.covariances import (
    common_axes,
    energies,
    law_at,
    posterior_times,
    separated_until,
    squared_lengths,
)
from verify.measure.growth import Spreading
from verify.measure.insurance.chains import Gaps
from verify.measure.paths import ddim_paths
from verify.papers.own.claims import x_1_intrinsic_time, x_3_growth, x_7_last_step
from verify.papers.own.claims import x_2_prime_convex_sets as x_2_prime

MEANS = np.array([[-0.8, -0.6], [0.8, -0.5], [-0.7, 0.7], [0.6, 0.8]])


def turned(angle, *stds):
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag(np.square(stds)) @ turn.T


def full():
    tilts = [(0.3, 0.006, 0.03), (1.2, 0.009, 0.018), (2.0, 0.015, 0.006), (0.8, 0.03, 0.012)]
    covariance = np.array([turned(*tilt) for tilt in tilts])
    covariance = 0.5 * (covariance + covariance.transpose(0, 2, 1))
    return GaussianMixture(MEANS, covariance=covariance, weights=[0.3, 0.3, 0.2, 0.2])


def low_rank():
    rng = np.random.default_rng(3)
    factors = 0.1 * rng.standard_normal((5, 3, 1))
    return GaussianMixture(rng.standard_normal((5, 3)), sigma=0.03, factors=factors)


def diagonal():
    means = np.array([[a, b] for a in (-1.0, 0.0, 1.0) for b in (-0.5, 0.5)])
    return GaussianMixture(means, variances=np.square([0.02, 0.1]))


def points():
    return GaussianMixture(np.random.default_rng(4).standard_normal((6, 2)), 0.0)


PROBLEMS = {"full": full, "low rank": low_rank, "diagonal": diagonal, "points": points}
# Those that are judged there, of the claims that rest on no network and no problem of their own.
ANY = {"A4.1", "A4.4", "G.5", "G.6", "I.1", "W1", "X1", "X13", "X15", "X2'", "X3", "X8"}
ONE = {"B.1 (1)", "P4.5", "P4.7 (1)", "X12"}  # of one covariance, zero among them
APPLY = {
    "full": ANY | {"G.1", "M1", "X14", "X16", "X7"},
    "low rank": ANY | {"G.1", "X14", "X16"},  # its modes leave no room for M1
    "diagonal": ANY | ONE | {"D.1", "G.1", "M1", "X11", "X14", "X16"},
    "points": ANY | ONE,
}


def case_of(mixture, steps=120):
    return Case("user", mixture, NoiseSchedule.linear(steps, 1e-3, 0.16))


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_whole_ledger_runs_and_what_does_not_apply_says_why(name):
    case, judged = case_of(PROBLEMS[name]()), set()
    for entry in load_claims():
        if entry.claim.obstacle(case.mixture) is not None:
            continue
        try:
            rows = check(entry.claim, case)
        except NotApplicableError:
            continue
        assert all(row.verdict is not Outcome.ERROR for row in rows), rows
        assert all(row.verdict is not Outcome.FAILS for row in rows), rows
        if any(
            row.verdict is not Outcome.NOT_APPLICABLE for row in rows if row.measured is not None
        ):
            judged.add(entry.claim.id)
    assert judged == APPLY[name]


def test_what_is_refused_is_refused_with_a_reason():
    law = full()
    for entry in load_claims():
        why = entry.claim.obstacle(law)
        if why is not None:
            assert "\n" not in why
            assert "isotropic modes" in why or "one covariance" in why
            assert "run 0.006 to 0.03" in why
    assert "point masses" in proper.obstacle(points())
    assert "point masses" in isotropic.obstacle(points())
    assert "point masses" in one_sigma.obstacle(points())
    assert one_covariance.obstacle(points()) is None
    assert one_covariance.obstacle(diagonal()) is None
    assert one_covariance.obstacle(low_rank()).startswith("the claim needs one covariance")
    several = GaussianMixture([[0.0], [1.0]], [0.1, 0.2])
    assert "0.1 to 0.2: because" in one_covariance.because("because").obstacle(several)


def test_a_proof_of_one_sigma_is_not_shown_for_several():
    known = {entry.claim.id: entry.claim for entry in load_claims()}
    for claim, case in ((known["X3"], case_of(full())), (known["G.1"], case_of(low_rank()))):
        row = derived_row(claim, case)
        assert row.verdict is Outcome.NOT_APPLICABLE
        assert row.note.endswith("the proof is of one sigma")
    assert derived_row(known["X12"], case_of(diagonal())).verdict is Outcome.HOLDS
    assert derived_row(known["X3"], case_of(GaussianMixture(MEANS, 0.1))).verdict is Outcome.HOLDS


# -- sigma^2 I is sigma --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both():
    round_modes = GaussianMixture(MEANS, 0.05, [0.3, 0.3, 0.2, 0.2])
    given = 0.05**2 * np.eye(2)
    matrices = GaussianMixture(MEANS, covariance=given, weights=round_modes.weights)
    return case_of(round_modes), case_of(matrices)


def test_posterior_odds_of_one_sigma_are_the_paper_s_margin(both):
    one, same = both
    paths = ddim_paths(one)
    v = one.schedule.effective_variance(0.05)[60]
    y = paths.y[20]
    found = energies(law_at(same.mixture, one.schedule.rho[60]), y)
    away = np.square(y[:, None] - MEANS).sum(axis=2)
    gaps = found - found.min(axis=1, keepdims=True)
    assert gaps == pytest.approx((away - away.min(axis=1, keepdims=True)) / (2 * v), abs=1e-9)
    times = tau_1(one.mixture, one.schedule, paths.times, paths.states(one), 7.0)
    for ours in (posterior_times(one, paths, 7.0), posterior_times(same, paths, 7.0)):
        assert (ours.last_fixed == times.last_fixed).all()
        assert (ours.pair == times.pair).all()


def test_separation_of_one_sigma_is_the_engine_s(both):
    one, same = both
    i, j = np.triu_indices(4, k=1)
    rho = separated_until(same.mixture, 4.0 * 7.0 * 2, i, j)
    found = np.searchsorted(one.schedule.rho, rho, side="right") - 1
    assert found.tolist() == tau_2(one.mixture, one.schedule, 7.0)[i, j].tolist()
    lengths = squared_lengths(law_at(same.mixture, 0.3))[i, j]
    expected = np.square(MEANS[i] - MEANS[j]).sum(axis=1) / (0.05**2 + 0.3)
    assert lengths == pytest.approx(expected, rel=1e-12)
    # The same rho for points: |Delta|^2/rho.
    apart = separated_until(GaussianMixture(MEANS, 0.0), 4.0 * 7.0 * 2, i, j)
    assert apart == pytest.approx(np.square(MEANS[i] - MEANS[j]).sum(axis=1) / 56.0, rel=1e-12)


def test_growth_of_one_covariance_becomes_the_closed_form(both):
    _, same = both
    rho = np.array([2.0, 0.4, 0.1])
    exponent = Spreading(same.mixture, np.zeros(2), 1.0).exponent(rho)
    diameter = max(np.linalg.norm(a - b) for a in MEANS for b in MEANS)
    v = 0.05**2 + rho
    assert exponent == pytest.approx(bounds.growth_exponent(diameter, v[0], v), rel=1e-9, abs=1e-12)


def test_no_growth_bound_holds_everywhere_where_covariances_cross():
    """The example that X3 names: at (r, r) the Hessian across the diagonal is 9 r^2/32 - 5/8."""
    cross = GaussianMixture(
        np.zeros((2, 2)), variances=[[1.0, 4.0], [4.0, 1.0]], allow_duplicates=True
    )
    across = np.array([1.0, -1.0]) / np.sqrt(2.0)
    r = np.array([1.0, 10.0, 1e3])
    hessian = cross.score_jacobian(np.column_stack([r, r]))
    assert hessian @ across @ across == pytest.approx(9.0 * r**2 / 32.0 - 0.625, rel=1e-12)


def test_common_axes_are_found_where_they_are():
    rows, variances = common_axes(diagonal())
    assert (np.abs(rows) == np.eye(2)[::-1]).all() or (np.abs(rows) == np.eye(2)).all()
    assert np.sort(variances[0]) == pytest.approx(np.square([0.02, 0.1]))
    assert common_axes(full()) is None
    per_mode = GaussianMixture(MEANS, variances=np.square([[0.1, 0.2]] * 3 + [[0.3, 0.1]]))
    assert common_axes(per_mode)[1][3] == pytest.approx([0.09, 0.01])


@pytest.mark.parametrize(
    ("claim", "measure", "changed"),
    [
        (x_1_intrinsic_time, "flow", {"fast": 1e-5}),
        (x_2_prime, "distance", {"speed": 1.5}),
        (x_3_growth, "two_paths", {"factor": 0.0}),
        (x_7_last_step, "recursion", {"last": 1.0 + 2e-8}),
    ],
)
def test_an_extended_row_can_fail(claim, measure, changed):
    case, measure = case_of(full(), 400), getattr(claim, measure)
    assert row_of(claim.CLAIM, case, measure).verdict is Outcome.HOLDS
    assert row_of(claim.CLAIM, case, measure, **changed).verdict is Outcome.FAILS


def test_intervals_of_coordinates_are_no_longer_convex_without_their_inside():
    row = row_of(
        x_2_prime.CLAIM, case_of(diagonal()), x_2_prime.distance, sets=x_2_prime.two_points
    )
    assert row.verdict is Outcome.FAILS
    assert row.quantity.endswith(x_2_prime.RANGES)


# -- products of lines ---------------------------------------------------------------------------


def test_the_chain_s_law_has_the_variance_of_each_axis():
    schedule, mixture = NoiseSchedule.linear(50, 1e-3, 0.2), diagonal()
    grid = TimeGrid.quadratic(50, 20).times
    laws = oracles.chain_law(mixture, schedule.alpha_bar, grid, 1.0)
    for law, values, std in zip(laws, ([-1.0, 0.0, 1.0], [-0.5, 0.5]), (0.02, 0.1), strict=True):
        line = GaussianMixture(np.array(values)[:, None], std)
        (own,) = oracles.chain_law(line, schedule.alpha_bar, grid, 1.0)
        assert law.log_probability(0.1, 0.3) == own.log_probability(0.1, 0.3)
    sizes = np.array([0.1, 0.3])
    parts = [oracles.log_gap_probability([law], s) for law, s in zip(laws, sizes, strict=True)]
    assert oracles.log_gap_probability(laws, sizes) == pytest.approx(np.logaddexp(*parts))
    assert Gaps(((np.array([0.0, 1.0])), np.array([0.0, 1.0])), sizes).hold(
        np.array([[0.2, 0.0], [0.0, 0.2], [0.0, 0.4]])
    ).tolist() == [True, False, True]
    for other in (full(), low_rank()):
        with pytest.raises(NotApplicableError, match="along the coordinate axes"):
            oracles.chain_law(other, schedule.alpha_bar, grid, 1.0)


# -- the bent segment ----------------------------------------------------------------------------


def test_the_bend_vanishes_for_one_variance_and_grows_to_its_closed_limit():
    assert bounds.pair_bend([1.0, -2.0], [0.3, 0.3], 5.0, 0.1) == 0.0
    assert bounds.hull_bend([1.0, 2.0], [0.3, 0.3], 5.0, 0.1) == 0.0
    p, q = np.cbrt([4e-4 + 1e-3, 0.04 + 1e-3])
    limit = abs(p - q) / np.sqrt(p * p + p * q + q * q)
    starts = np.array([2e-3, 0.01, 0.1, 9.0])
    gaps = bounds.clock_gap(4e-4, 0.04, starts, 1e-3)
    assert (np.diff(gaps) >= 0.0).all()
    assert gaps[-1] == pytest.approx(limit, rel=1e-14)
    assert bounds.clock_gap(0.0, 1.0, 3.0, 3.0) == 0.0
    with pytest.raises(InputError, match="different means"):
        bounds.pair_bend([0.0, 0.0], [1.0, 2.0], 1.0, 0.5)
    with pytest.raises(InputError, match="one length and one variance"):
        bounds.hull_bend([1.0, 1.0], [1.0], 1.0, 0.5)
    with pytest.raises(InputError, match="must be > 0"):
        bounds.clock_gap(0.0, 1.0, 1.0, 0.0)


def test_an_enclosure_holds_the_path_and_tightens():
    coarse, fine = (bent.enclose((0.05, 0.3), 0.1, 0.2, [0.02, 0.004], n) for n in (40, 160))
    width = [e.off_most - e.off_least for e in (coarse, fine)]
    assert (width[1] < 0.3 * width[0]).all()
    assert (fine.off_least > 0.05).all()
    assert (coarse.low <= fine.low).all()
    assert (fine.high <= coarse.high).all()
    round_modes = bent.enclose((0.05, 0.05), 0.1, 0.2, [0.004], 40)
    assert round_modes.off_least[0] == 0.0
    with pytest.raises(ValueError, match="between the midpoint"):
        bent.enclose((0.05, 0.3), 0.49, 5.0, [0.1], 40)


def test_both_routes_to_an_end_agree_and_one_clock_does_not():
    problem = bent.Problem("test", bent.two_modes((0.03, 0.3)), 0.3, 0.01)
    paths = bent.bundle(case_of(full()), problem, 20)
    assert paths.by_averages(paths.variances) == pytest.approx(paths.end, abs=1e-9)
    one_clock = paths.by_averages(np.full(2, paths.variances.mean()))
    assert np.abs(one_clock - paths.end).max() > 0.05
    assert (paths.off_hull <= paths.shrunk + paths.swing * paths.bend + 1e-9).all()
    wider = dataclasses.replace(problem, mixture=bent.two_modes((0.3, 0.3)))
    assert bent.bundle(case_of(full()), wider, 4).bend == 0.0

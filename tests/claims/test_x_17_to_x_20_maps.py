"""Rows X17 to X20: what guidance moves, what smooth maps leave, W2, reflow; and the counterexamples
that are kept."""

import math

import numpy as np
import pytest

from mixdyn import GaussianMixture, oracles, presets
from mixdyn.problem.schedule import NoiseSchedule
from verify.data.counterexamples import COUNTEREXAMPLES
from verify.ledger import cases
from verify.ledger.case import Case, Profile
from verify.ledger.relations import Outcome
from verify.ledger.rows import controls, row_of
from verify.ledger.verdict import NARROW
from verify.measure import guidance, rectified, smooth_maps, transport
from verify.papers.own.claims import x_17_guidance as x17
from verify.papers.own.claims import x_17_prime_between as between
from verify.papers.own.claims import x_20_prime_cheapest as cheapest
from verify.papers.own.claims import x_20_reflow as x20

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def case():
    return Case("standard", presets.grid(3), NoiseSchedule.linear(200, 1e-4, 0.1))


# -- guidance ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma", "length"), [(0.01, 1.0), (0.05, 0.7)])
def test_guided_ends_of_two_modes_do_not_know_sigma_or_distance(sigma, length):
    two = GaussianMixture([[0.0], [length]], sigma)
    problem = Case("two", two, NoiseSchedule.linear())
    (ends,) = guidance.two_mode_ends(problem)
    np.testing.assert_allclose(
        ends.mean, [0.0488, 0.649, 1.363, 2.264, 3.457], rtol=0.01, atol=1e-3
    )
    np.testing.assert_allclose(ends.spread[1:], [0.719, 0.582, 0.5, 0.45], rtol=0.01)


def test_weight_minus_one_is_the_flow_that_keeps_the_distribution_function():
    line = GaussianMixture([[-1.0], [0.2], [1.1]], 0.15, [0.5, 0.2, 0.3])
    y = np.linspace(-4.0, 4.0, 21)[:, None]
    guided = oracles.guided_flow(line, 1, -1.0, y, 5.0, 0.0225)
    np.testing.assert_allclose(guided, oracles.flow_map(line, y, 5.0, 0.0225), atol=1e-8)
    linear = 0.2 + math.sqrt(0.0225 / 5.0) * (y - 0.2)
    np.testing.assert_allclose(
        oracles.guided_flow(line, 1, 0.0, y, 5.0, 0.0225), linear, atol=1e-14
    )


def test_both_rows_of_guidance_hold_and_notice_a_small_fault(case):
    assert row_of(x17.CLAIM, case, x17.two).verdict is Outcome.HOLDS
    assert row_of(x17.CLAIM, case, x17.two, less=1e-3).verdict is Outcome.FAILS
    assert row_of(x17.CLAIM, case, x17.two, more=1e-3).verdict is Outcome.FAILS
    assert row_of(x17.CLAIM, case, x17.paths).verdict is Outcome.HOLDS
    assert row_of(x17.CLAIM, case, x17.paths, weight=1.001).verdict is Outcome.FAILS


def test_the_kept_counterexample_throws_ends_out_of_three_aligned_modes():
    folder = COUNTEREXAMPLES / "x17_prime"
    read = cases.user(folder / "mixture.toml", folder / "schedule.toml", 0, Profile.QUICK)
    row = row_of(between.CLAIM, read, between.between)
    assert row.verdict is Outcome.FAILS
    assert row.measured == pytest.approx(1123.98, rel=1e-3)
    seen = guidance.middle_ends(read)
    out = (np.abs(seen["ddim"]) > 5.0).mean(axis=1)
    weights = seen["weights"]
    assert out[weights <= 31.0].max() == 0.0
    assert out[weights == 63.0] > 0.9


def test_an_end_that_rises_and_falls_with_the_weight_has_moved_back():
    ends = np.array([[0.0, 3.0], [2.0, 2.0], [1.5, 1.0]])
    np.testing.assert_allclose(between.moved_back(ends), [0.5, 0.0])


# -- smooth maps ---------------------------------------------------------------------------------


def test_a_linear_map_leaves_just_what_its_slope_demands():
    from scipy.special import ndtr

    from mixdyn import bounds

    q, slope = 0.3, 2.5
    exact = ndtr(q + 0.4 / slope) - ndtr(q)
    assert bounds.gap_probability(q, 0.4, slope) == pytest.approx(exact, rel=1e-13)
    halves = bounds.gap_probability([q, q + 0.2 / slope], 0.2, slope).sum()
    assert halves == pytest.approx(exact, rel=1e-13)


def test_the_bound_on_a_line_tends_to_the_mass_from_below():
    from mixdyn import bounds

    two = GaussianMixture([[0.0], [9.0]], 1.0, [0.3, 0.7])
    (ends,) = smooth_maps.gaps_of(two)
    share = []
    for parts in (1, 16, 256, 4096):
        gap = smooth_maps.exact_gap(two, *ends, parts)
        share.append(
            bounds.gap_probability(gap.quantile, gap.width, gap.largest).sum() / gap.inside
        )
    assert np.all(np.diff(share) > 0.0)
    assert 0.998 < share[-1] < 1.0


def test_gradients_along_a_run_are_those_of_its_end(case):
    from mixdyn.score import ExactScore

    score = ExactScore(case.mixture, case.schedule)
    pairs, z = [(150, 60), (60, 20), (20, 3), (3, 0)], np.array([[0.3, -0.2], [1.1, 0.4]])
    along = np.array([0.6, 0.8])
    _, gradient = smooth_maps.mapped(score, case.schedule, pairs, z, along)
    for k in range(2):
        e = 1e-5 * np.eye(2)[k]
        both = [
            smooth_maps.mapped(score, case.schedule, pairs, z + s * e, along)[0] for s in (1, -1)
        ]
        slope = (both[0] - both[1]) @ along / 2e-5
        np.testing.assert_allclose(gradient[:, k], slope, rtol=1e-4, atol=1e-6)


# -- transport -----------------------------------------------------------------------------------


def test_equal_angles_leave_the_power_of_a_cosine_and_others_less():
    sigma, top, steps = 0.05, 80.0, 20
    even = transport.nodes(transport.tangent(sigma, top), steps)
    best = math.cos(math.atan(top / sigma) / steps) ** steps
    assert oracles.first_order_std(even, sigma) == pytest.approx(best, rel=1e-12)
    for other in (transport.power(7.0, top), transport.power(2.0, top)):
        assert oracles.first_order_std(transport.nodes(other, steps), sigma) < best
    many = transport.nodes(transport.tangent(sigma, top), 2000)
    missing = 1.0 - oracles.first_order_std(many, sigma)
    assert 2000 * missing == pytest.approx(math.pi**2 / 8, rel=2e-3)


def test_weights_of_modes_err_by_the_closed_constant_over_the_steps():
    line = GaussianMixture([[-1.0], [0.0], [1.3]], 0.02, [0.2, 0.5, 0.3])
    grid = transport.tangent(transport.width_of(line), 8.0)
    level = transport.distribution(line, transport.middles(line)[0])
    constant = transport.constant_of_levels(line, grid, level).constant
    coarse, fine = (k * transport.level_errors(line, grid, k) for k in (60, 120))
    np.testing.assert_allclose(2.0 * fine - coarse, constant, rtol=5e-3)


# -- reflow --------------------------------------------------------------------------------------


def test_reflow_of_a_line_returns_its_pairs(case):
    seen = rectified.reflow_of_line(case)
    np.testing.assert_allclose(seen.end, seen.coupled, atol=1e-9)
    assert seen.slope > 0.0
    faster = rectified.reflow_of_line(case, speed=1.01)
    assert np.abs(faster.end - faster.coupled).max() > 1e-4


def test_the_least_margin_is_sought_from_the_lowest_starts(case):
    sheared = rectified.planes(case)["sheared"]
    seen = rectified.plane_map(case, sheared)
    lowest = rectified.descended(case, sheared, seen)
    first = np.sort(seen.margin)[: len(lowest.start)]
    assert (np.sort(lowest.margin) <= first).all()
    assert lowest.margin.min() < first.min()
    np.testing.assert_allclose(lowest.end, rectified.flow_map(sheared, lowest.start), rtol=1e-12)
    assert rectified.planes(case, 0.0)["sheared"].means == pytest.approx(case.mixture.means)


@pytest.mark.parametrize(
    ("claim", "name", "side"), [(between, "weights up to", 5), (cheapest, "sheared by", 3)]
)
def test_what_fails_has_a_smallest_fault(claim, name, side):
    """A line of five has a class whose two sides differ: the flow turns there as the weight grows;
    on one of three DDIM alone leaves the class, at once and by far."""
    problem = Case("grid", presets.grid(side), NoiseSchedule.linear(200, 1e-4, 0.1))
    (narrow,) = (row for at, row in controls(claim.CLAIM, problem).items() if at.startswith(name))
    assert narrow.verdict is Outcome.FAILS
    assert max(c.excess or 0.0 for c in narrow.comparisons) <= NARROW


def test_a_sheared_grid_keeps_its_lines_apart_and_is_not_the_cheapest(case):
    flat, sheared = (
        rectified.plane_map(case, mixture) for mixture in rectified.planes(case).values()
    )
    assert flat.asymmetry.max() < 1e-6
    assert sheared.asymmetry.max() > 0.1
    assert min(flat.margin.min(), sheared.margin.min()) > 0.99
    pair = rectified.alignment(case, sheared.start, sheared.end)
    direct = np.square(pair.start - pair.end).sum()
    exchanged = np.square(pair.start - pair.end[::-1]).sum()
    assert pair.least < 0.0
    assert exchanged < direct
    assert rectified.alignment(case, flat.start, flat.end).least > 0.0
    assert row_of(x20.CLAIM, case, x20.straight).verdict is Outcome.HOLDS
    assert row_of(x20.CLAIM, case, x20.straight, turn=2.0).verdict is Outcome.FAILS
    assert row_of(cheapest.CLAIM, case, cheapest.monotone).verdict is Outcome.FAILS

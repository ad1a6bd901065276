"""M1 as stated falls where steps are too coarse, even on the lines of its paper; its corrected form
survives there."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import erfc

from mixdyn import oracles
from mixdyn.geometry import Region
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.observers import ClassCounts
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.score import model_for
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis
from verify.measure.interpolation.line_law import line_law
from verify.measure.outside_modes import DecidedEnds, Line, even_schedule, resolution, tail_mass
from verify.papers.mode_interpolation_2406_09358.claims import m_1_prime_continuous as corrected

H, F = Outcome.HOLDS, Outcome.FAILS
Q = math.erfc(5.0 / math.sqrt(2.0))


def user(means, sigma, weights=None):
    return Case("user", GaussianMixture(means, sigma, weights), NoiseSchedule.linear())


@pytest.fixture(scope="module")
def close_pair():
    """Two of three modes 100 sigma apart, a thousandth of the last noise level's scale."""
    return user([[1.0], [2.0], [2.00001]], 1e-7)


@pytest.fixture(scope="module")
def uneven():
    """The means of arXiv 2406.09358 v2 with unequal weights."""
    return user([[1.0], [2.0], [4.0]], 0.05, [0.2, 0.5, 0.3])


@pytest.fixture
def rows(ledger):
    return lambda case, claim_id: ledger.rows(claim_id, case)


def test_a_pair_below_the_last_noise_level_refutes_the_statement_and_names_the_hypothesis(
    rows,
    close_pair,
):
    found = rows(close_pair, "M1")
    proof = found.pop(Basis.CERTIFIED)  # it bounds what is outside from above
    assert proof.verdict is Outcome.INCONCLUSIVE
    assert {v.verdict for v in found.values()} == {F}
    exact = found[Basis.EXACT]
    assert exact.measured == pytest.approx(0.663, abs=1e-3)
    assert found[Basis.SAMPLED].measured == pytest.approx(exact.measured, abs=5e-3)
    (resolved,) = [v for k, v in exact.numbers.items() if "resolves it" in k]
    assert resolved == resolution(close_pair)
    assert {h.name for h in exact.hypotheses} == {"room", "noise"}  # what the statement asks for
    assert resolution(close_pair) == pytest.approx(1e-10 / (8e-4 * -math.log(Q)), rel=1e-3)
    assert "M1'" in exact.note


def test_where_a_hypothesis_fails_the_row_says_which_and_not_that_the_statement_falls(rows):
    far = rows(user([[1000.0], [1002.0]], 0.1), "M1")
    for basis, verdict in far.items():
        assert verdict.verdict is Outcome.NOT_APPLICABLE
        assert "noise" in verdict.note
        if basis is not Basis.CERTIFIED:
            assert verdict.note.startswith("The last marginal is not noise: its divergence")
        assert "falls" not in verdict.note
    overlapping = rows(user([[0.0], [1.0]], 0.3), "M1")
    del overlapping[Basis.CERTIFIED]
    assert all("pair overlaps" in v.note for v in overlapping.values())


def test_its_last_step_alone_leaves_two_thirds_while_the_flow_leaves_the_tail(rows, close_pair):
    verdict = rows(close_pair, "M1'")[Basis.EXACT]
    assert verdict.verdict is H
    flow, _, last, bound = verdict.tables[0].rows[0][:4]
    assert flow == pytest.approx(Q, rel=0.01)
    assert last == pytest.approx(2.0 / 3.0, rel=1e-4)
    assert bound == 1.0
    # Where the pair is not resolved no claim is made about the last step.
    assert not [c for c in verdict.comparisons if "last step" in c.name]


def test_a_thousand_steps_exceed_the_tail_of_unequal_weights_by_half(rows, uneven):
    found = rows(uneven, "M1")
    exact = found[Basis.EXACT]
    assert exact.verdict is F
    assert exact.bound == pytest.approx(Q, rel=1e-12)
    assert exact.measured == pytest.approx(8.03e-7, rel=1e-3)
    assert found[Basis.SAMPLED].verdict is Outcome.INCONCLUSIVE
    assert all(v.verdict is H for v in rows(uneven, "M1'").values())


def test_the_distance_from_the_flow_is_of_first_order_in_the_steps(uneven):
    line = Line(uneven.mixture, 0.25)
    flow = line.after_flow(uneven.schedule)
    rho = float(uneven.schedule.rho[-1])
    distance = [
        np.abs(line.after_ddim(even_schedule(0.05, rho, steps)) - flow).sum()
        for steps in (400, 800, 1600)
    ]
    assert 0.4 < distance[1] / distance[0] < 0.5
    assert 0.44 < distance[2] / distance[1] < 0.5


def test_what_the_flow_leaves_outside_agrees_with_the_integrated_ode(uneven):
    """Starts carried forward by an ODE solver that shares nothing with the closed form."""
    means, w = np.array([1.0, 2.0, 4.0]), np.array([0.2, 0.5, 0.3])
    line = Line(uneven.mixture, 0.25)
    masses = line.after_flow(uneven.schedule)
    top = 0.0025 + float(uneven.schedule.rho[-1])

    def slope(log_v, y):
        logs = np.log(w) - (y[:, None] - means) ** 2 / (2.0 * math.exp(log_v))
        gamma = np.exp(logs - logs.max(axis=1, keepdims=True))
        return 0.5 * (y - (gamma @ means) / gamma.sum(axis=1))

    ends = np.array([1.25, 1.75, 2.25, 3.75])
    back = solve_ivp(
        slope, (math.log(0.0025), math.log(top)), ends, method="DOP853", rtol=1e-13, atol=1e-12
    ).y[:, -1]
    z = float(uneven.schedule.alpha[-1]) * back
    share = 0.5 * (erfc(-z / math.sqrt(2.0)))
    assert masses[1:3] == pytest.approx(share[1::2] - share[::2], rel=1e-4)


def test_the_last_step_of_one_mode_has_the_tail_of_its_shrunk_normal():
    line = GaussianMixture([[-50.0], [50.0]], 1.0)
    schedule = NoiseSchedule.from_betas([0.5, 0.99])
    after = Line(line, 5.0).after_last_step(schedule)
    # x0-hat has the standard deviation sigma^2/sqrt(v_1), v_1 = 2, inside a mode.
    assert after.sum() == pytest.approx(math.erfc(5.0 * math.sqrt(2.0) / math.sqrt(2.0)), rel=1e-9)


def test_even_steps_have_one_ratio_of_effective_variances_and_end_at_the_given_noise():
    v = even_schedule(0.1, 5.0, 40).effective_variance(0.1)
    assert v[[0, -1]] == pytest.approx([0.01, 5.01], rel=1e-12)
    assert v[1:] / v[:-1] == pytest.approx(np.full(40, (501.0) ** (1 / 40)), rel=1e-11)


@pytest.mark.parametrize("spacing", [40.0, 8.0])
def test_counts_of_the_samples_that_are_run_are_those_of_running_all(spacing):
    """Modes far apart, of which few samples are run; overlapping ones, of which many are."""
    axes = np.meshgrid([0.0, 1.0, 3.0], [0.0, spacing * 0.02], indexing="ij")
    means = np.stack(axes, axis=-1).reshape(-1, 2) - 0.5
    mixture = GaussianMixture(means, 0.02, [0.1, 0.1, 0.2, 0.2, 0.2, 0.2])
    case = Case("user", mixture, NoiseSchedule.linear(60, 1e-3, 0.3))
    grid, n = TimeGrid.full(60), 70_000
    ends = DecidedEnds(case, mixture, grid)
    every = sample(
        mixture,
        case.schedule,
        DDIM(spacing=grid),
        n=n,
        rng=7,
        first=500,
        observers=[ClassCounts(mixture)],
        keep="none",
    ).observations[0]
    assert ends.counts(n, 7, 500) == (every[Region.INTERPOLATION], every[Region.INVALID])
    assert spacing == 8.0 or ends.share < 0.01
    assert every[Region.INTERPOLATION] > 0


def test_the_tail_mass_counts_dimensions_and_the_wider_radius_above_ten():
    assert tail_mass(GaussianMixture(np.zeros((1, 1)), 1.0)) == pytest.approx(Q, rel=1e-10)
    assert tail_mass(GaussianMixture(np.zeros((1, 2)), 3.0)) == pytest.approx(
        math.exp(-12.5), rel=1e-10
    )
    assert tail_mass(GaussianMixture(np.zeros((1, 64)), 1.0)) == pytest.approx(4.27e-8, rel=1e-3)


def test_a_share_that_holds_lies_below_its_bound_with_its_whole_interval(rows, uneven):
    verdict = rows(uneven, "M1'")[Basis.SAMPLED]
    assert verdict.verdict is H
    for comparison in verdict.comparisons:
        assert comparison.relation.kind == "statistical"
        assert "to within" in comparison.name  # the margin over a bound that is attained
        count = Proportion(comparison.n - comparison.n_held, comparison.n)
        assert count.interval(comparison.relation.miss)[1] <= comparison.bound
        assert comparison.resolution is not None
    (control,) = verdict.mutants
    assert control.narrow


def test_a_rate_one_and_a_half_times_the_bound_does_not_hold():
    bound, n = 0.001, 400_000
    margin = corrected.deciding_margin(bound, n)
    assert 0.1 < margin < 1.0
    beyond = Proportion(int(1.6 * bound * n), n)
    share = corrected.Share("x", bound, beyond, bound, margin)
    assert share.side().comparison.outcome is not H
    assert corrected.deciding_margin(bound, 1000) is None  # so few draws decide nothing about it


def test_the_closed_form_row_rejects_a_fall_a_little_steeper_than_measured(rows, uneven):
    verdict = rows(uneven, "M1'")[Basis.EXACT]
    assert [m for m in verdict.mutants if m.narrow]


@pytest.fixture
def row(ledger, standard_case):
    return ledger.rows("M1 (2)", standard_case)[Basis.EXACT]


def test_the_papers_own_lines_refute_the_statement_in_a_row_of_their_own(row):
    assert row.verdict is Outcome.FAILS
    assert row.n_held == 0
    table = {line[0]: line[1:] for line in row.tables[0].rows}
    for places, share in (("1-2-3", 8.80e-9), ("1-2-4", 4.41e-9), ("1-2", 6.63e-9)):
        assert table[f"modes at {places}"][0] == pytest.approx(share, rel=2e-3)
    assert row.numbers["P(|z| > 6)"] == pytest.approx(1.973e-9, rel=1e-3)


def test_the_stored_counterexample_reproduces_the_number_by_two_quadratures(row):
    found = row.witness
    modes, sigma = np.array(found["modes"]), found["sigma"]
    mixture = GaussianMixture(modes[:, None], sigma)
    clock = NoiseSchedule.linear(found["steps"], 0.001, 0.2)
    grid = TimeGrid.full(clock.T)
    (law,) = oracles.chain_law(
        mixture, clock.alpha_bar, grid.times, 1.0, noise_var=clock.noise_var, spacing=0.6
    )
    edge = found["radius over sigma"] * sigma
    low, high = law.pull_back(modes[:-1] + edge), law.pull_back(modes[1:] - edge)
    measured = 10.0**row.measured.exponent
    assert np.exp(law.log_probability(low, high)).sum() == pytest.approx(measured, rel=1e-4)
    other = line_law(model_for(mixture, clock), DDPM().plan(clock, grid), spacing=0.5)
    between = sum(other.probability(a + edge, b - edge) for a, b in itertools.pairwise(modes))
    assert between == pytest.approx(measured, rel=5e-3)
    assert measured > 4.0 * math.erfc(6.0 / math.sqrt(2.0))


def test_the_statement_holds_in_continuous_time_and_with_twice_the_steps(row):
    kinds = {c.name: c for c in row.comparisons}
    flow = kinds["outside every mode, flow in continuous time"]
    assert flow.outcome is Outcome.HOLDS
    assert abs(flow.excess) < 0.01  # it leaves the tail itself
    finer = kinds["outside every mode, DDPM of twice the steps"]
    assert finer.outcome is Outcome.HOLDS
    assert finer.tightness < 0.1


def test_ddim_is_proved_to_leave_more_than_the_tail_on_every_line(ledger, standard_case, row):
    proved = ledger.rows("M1 (2)", standard_case)[Basis.CERTIFIED]
    assert proved.verdict is Outcome.FAILS
    assert proved.n_held == 0
    known = {line[0].removeprefix("modes at "): line[2] for line in row.tables[0].rows}
    for places in ("1-2-3", "1-2-4", "1-2", "1-2-4-5"):
        least, most = (
            proved.numbers[f"{places}, DDIM, every step: at {end}"] for end in ("least", "most")
        )
        assert 1.97e-9 < least <= known[places] <= most < 1.02 * least
        assert proved.numbers[f"{places}, DDIM, 50 quadratic steps: at least"] > 2.0 * most
    assert all(control.verdict is Outcome.FAILS for control in proved.mutants)


def test_its_control_is_a_tail_just_too_small(row):
    (control,) = row.mutants
    assert control.narrow

"""The guarantee's rows: made-up runs for their verdicts, small problems for their parts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mixdyn import bounds, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.path_cost import PathDivergence
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.score import ExactScore
from mixdyn.support.errors import InputError, NotApplicableError
from verify.ledger import rows
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis
from verify.measure.insurance import chains, terms
from verify.measure.insurance import errors as insured_errors
from verify.measure.insurance.chains import (
    CappedDDIM,
    Chain,
    Gaps,
    coarse_chain,
    exact_laws,
    find_chains,
    log_gap,
)
from verify.measure.insurance.score_pushes import push
from verify.papers.own.claims import x_11_insurance as x11

SCHEDULE = NoiseSchedule.linear(60, 1e-3, 0.25)
MIXTURE = GaussianMixture([[x, y] for x in (-1.0, 0.2, 1.0) for y in (-0.7, 0.7)], 0.05)
CHAIN = coarse_chain(SCHEDULE, 0.8, 12)


def small_case() -> Case:
    return Case("small", MIXTURE, SCHEDULE, seed=1, random=True)


def made_up(cost, gap, log_p=-30.0) -> terms.Insured:
    gaps = np.asarray(gap, bool)
    costs = np.asarray(cost, float)
    return terms.Insured("made up", CHAIN, log_p, terms.budget_for(log_p), costs, costs, gaps, gaps)


def test_the_sampled_row_holds_and_not_with_the_law_of_another_eta(monkeypatch):
    monkeypatch.setattr(insured_errors, "_WORK", 100_000)
    case = small_case()
    (row,) = rows.check(x11.CLAIM, case)
    assert row.verdict is Outcome.HOLDS
    assert row.basis is Basis.SAMPLED
    assert rows.row_of(x11.CLAIM, case, x11.known, law=1).verdict is Outcome.FAILS


def test_a_cost_quartered_promises_more_than_a_push_leaves():
    rarity = 42.0  # with a push of 0.6 L some per cent of the paths are in a gap of such rarity
    run = made_up(np.full(1000, 0.6 * rarity), np.arange(1000) < 20, -rarity)
    found = {
        cost: [s.comparison.outcome for s in x11.pushed(run, 0.6 * rarity, cost=cost)]
        for cost in (1.0, 0.25)
    }
    assert found[1.0] == [Outcome.HOLDS] * 3
    assert found[0.25] == [Outcome.HOLDS, Outcome.FAILS, Outcome.HOLDS]


def test_off_the_grid_the_rare_event_takes_the_laws_place(monkeypatch):
    monkeypatch.setattr(insured_errors, "_WORK", 100_000)
    monkeypatch.setattr(insured_errors, "_BETWEEN", 40_000)
    diamond = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], 0.03)
    case = Case("off", diamond, SCHEDULE, random=True)
    (row,) = rows.check(x11.CLAIM, case)
    assert row.verdict is Outcome.HOLDS
    laws = [c for c in row.comparisons if "2.5 sigma" in c.name]
    assert len(laws) == 4
    assert rows.row_of(x11.CLAIM, case, x11.known, law=1).verdict is Outcome.FAILS
    chain = coarse_chain(SCHEDULE, 1.0)
    rare = chains.estimated(case, chain, 0.15)
    assert log_gap(case, chain) == rare.interval(chains.LAW_MISS)[1] > rare.log_p


def test_on_the_grid_the_rare_event_agrees_with_the_law():
    """Of the tube between two modes, which is within the gap of one coordinate."""
    case = small_case()
    found = chains.estimated(case, CHAIN, 0.25)
    law = exact_laws(case, CHAIN)
    near = [
        np.logaddexp.reduce(
            one.log_probability(
                one.pull_back(one.axis.values - 0.25), one.pull_back(one.axis.values + 0.25)
            )
        )
        for one in law
    ]
    between = [oracles.log_gap_probability([one], 0.25) for one in law]
    exact = np.logaddexp(between[0] + near[1], between[1] + near[0])
    low, high = found.interval(1e-8)
    assert low <= exact <= high
    assert high - low < 1.5


def test_modes_without_a_gap_are_refused():
    near = GaussianMixture([[0.0], [0.9]], 0.1)
    with pytest.raises(NotApplicableError, match="ten sigma"):
        log_gap(Case("near", near, SCHEDULE), CHAIN)
    crowd = GaussianMixture([[0.0, 0.0], [0.5, 0.1], [0.2, 0.6]], 0.1)
    with pytest.raises(NotApplicableError, match="room"):
        log_gap(Case("crowd", crowd, SCHEDULE), CHAIN)


def test_the_budget_is_a_function_of_the_exact_chain_alone():
    assert terms.budget_for(-40.0) == pytest.approx(float(bounds.path_budget(-40.0, 1e-4)))
    assert terms.budget_for(-9.0) == pytest.approx(1.0)


def test_paths_in_gaps_that_paid_for_it_are_within_the_guarantee():
    paid = np.r_[np.full(40, 50.0), np.full(960, 0.01)]
    run = made_up(paid, paid > 1.0)
    assert run.exceeded.successes == 40
    for limit in (run.pathwise(), run.stopped()):
        assert run.rate.interval(1e-6)[1] <= limit < 0.2


def test_paths_in_gaps_that_paid_nothing_are_beyond_the_guarantee():
    run = made_up(np.full(1000, 0.01), np.arange(1000) < 100)
    assert run.rate.interval(1e-6)[0] > run.pathwise()
    assert run.rate.interval(1e-6)[0] > run.stopped()


def test_the_capped_sampler_is_ddim_where_no_step_is_capped():
    grid = TimeGrid.quadratic(60, 12)
    plain, capped = (kind(12, eta=0.8).plan(SCHEDULE, grid) for kind in (DDIM, CappedDDIM))
    assert capped.share == pytest.approx(plain.share, rel=1e-14)
    assert capped.noise_std == pytest.approx(plain.noise_std, rel=1e-14)
    with pytest.raises(InputError, match="eta"):
        DDIM(12, eta=9.0).plan(SCHEDULE, grid)
    full = CappedDDIM(12, eta=9.0).plan(SCHEDULE, grid)
    assert full.share[:-1] == pytest.approx(np.ones(11), rel=1e-14)


def test_the_noise_factor_of_a_chain_is_read_off_its_plan():
    assert CHAIN.eta == pytest.approx(np.full(11, 0.8), rel=1e-12)


def test_random_problems_have_no_chain_of_all_steps():
    names = [chain.name for chain in find_chains(small_case())]
    assert names == [f"50 steps, η = {eta:g}" for eta in (0.5, 1.0, 1.25, 1.5)]


def test_a_point_is_in_a_gap_between_grid_lines_only():
    gaps = Gaps((np.array([0.0, 1.0]), np.array([0.0])), 0.2)
    points = np.array([[0.5, 0.0], [0.1, 0.0], [1.5, 0.0], [0.1, 0.9], [0.79, 5.0]])
    assert gaps.hold(points).tolist() == [True, False, False, False, True]


def test_a_push_costs_every_path_what_it_says_and_moves_them_all_its_way():
    case = small_case()
    pushed = push(CHAIN, 0.05, 0, 3.0)
    model = pushed.model(ExactScore(MIXTURE, SCHEDULE))
    ends = []
    for score in (model, ExactScore(MIXTURE, SCHEDULE)):
        observer = PathDivergence(MIXTURE, CHAIN.plan)
        out = sample(score, SCHEDULE, CHAIN.sampler, n=200, rng=2, observers=[observer])
        ends.append(out.observations[0])
    assert ends[0].cost == pytest.approx(np.full(200, 3.0), rel=1e-9)
    assert not ends[1].cost.any()
    near = np.abs(ends[0].x - ends[1].x)[:, 0] < 0.3  # the others ended in another mode
    assert near.sum() > 40
    assert (ends[0].x > ends[1].x)[near, 0].all()
    assert case.mixture.d == 2


def test_no_push_of_the_same_cost_moves_a_mode_farther():
    """Against a push of equal size at every step and one at the last step alone."""
    best = push(CHAIN, 0.05, 0, 3.0)
    rho, alpha_t = SCHEDULE.rho[CHAIN.plan.grid.times[:-1]], SCHEDULE.alpha[CHAIN.plan.t[:-1]]
    q = rho[1:] / rho[:-1]
    r = np.sqrt(q * (1.0 - 0.64 * (1.0 - q)))
    gain = (1.0 - r) * rho[:-1] * alpha_t
    variance = 0.64 * rho[1:] * (1.0 - q)

    def moved(size):
        shift = gain * size
        shift = shift * math.sqrt(3.0 / (shift**2 / (2.0 * variance)).sum())
        y = 0.0
        for k in range(len(shift)):
            slope = (0.05**2 + r[k] * rho[k]) / (0.05**2 + rho[k])
            y = slope * y + shift[k]
        return y

    others = [np.ones(11), np.eye(11)[-1], np.eye(11)[0], np.linspace(0.1, 1.0, 11)]
    assert all(moved(best.size) > moved(size) for size in others)


def test_cells_next_to_a_hit_count_too():
    hit = np.zeros((5, 6), bool)
    hit[0, 2] = True
    wide = terms.dilated(hit)
    assert wide.sum() == 6
    assert wide[:2, 1:4].all()


def test_the_exact_last_step_gives_back_the_exact_probability_up_to_a_cell():
    case = small_case()
    after = terms.log_gap_after(case, CHAIN, ("exact", ExactScore(MIXTURE, SCHEDULE)))
    before = log_gap(case, CHAIN)
    assert before <= after + 1e-9
    assert after < before + 4.0


def test_outside_two_dimensions_the_last_step_is_not_examined():
    line = Case("line", GaussianMixture([[0.0], [1.0]], 0.02), SCHEDULE)
    assert terms.log_gap_after(line, CHAIN, ("none", None)) is None


def test_blurs_and_pushes_cover_what_the_docstring_says():
    assert insured_errors.BLURS == (0.05, 0.1, 0.25)
    assert insured_errors.PUSHES[0] < 1.0 < insured_errors.PUSHES[1]
    assert Chain.of("x", CappedDDIM(12, eta=1.0), SCHEDULE).plan.grid.steps == 12

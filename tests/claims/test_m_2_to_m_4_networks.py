"""What M2, M3, M4 and X10 measure, against other routes, and how their rows are judged."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.score import model_for
from mixdyn.support.statistics import Proportion
from verify.ledger import cases, registry, rows, runner
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis, NegativeControl, Verdict
from verify.measure.interpolation import line_law as lines
from verify.measure.interpolation.causes import Cells
from verify.measure.interpolation.line_law import LineLaw, line_law
from verify.measure.interpolation.networks import (
    PlaneCounts,
    exact_gaps_of,
    gap_probabilities,
    gaps,
    kinds,
    law_on_line,
    networks,
    own_case,
)
from verify.measure.interpolation.networks import plane_counts as measured_planes
from verify.measure.interpolation.problems import (
    FAR,
    LINES,
    NEAR,
    PLANES,
    TRAINING_SIZES,
    line_name,
    modes_at,
    schedule,
)
from verify.measure.interpolation.smoothing import smoothing
from verify.measure.networks.models import TrainedModel
from verify.measure.networks.rate_sweeps import common_rates
from verify.measure.networks.rates import Rates
from verify.measure.outside_modes import ddim_starts, normal_mass
from verify.papers.mode_interpolation_2406_09358.claims import m_3_nearest_neighbours as m3
from verify.papers.mode_interpolation_2406_09358.claims import m_4_data_and_distance as m4
from verify.papers.own.claims import x_10_causes as x10

pytest.importorskip("torch")

ENTRIES = {entry.claim.id: entry for entry in registry.load_claims()}


@pytest.fixture
def case() -> Case:
    return cases.standard()


def rows_of(claim_id, case) -> dict:
    return {row.basis: row for row in runner.run_claim(ENTRIES[claim_id], case)}


# -- the law of a chain on a line ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("places", [NEAR, (1.0, 2.0)])
def test_the_quadrature_of_ddpm_gives_the_closed_gaps_of_the_exact_chain(case, places):
    law = law_on_line(case, places, "DDPM")
    found = np.log(gap_probabilities(law, places))
    assert np.allclose(found, exact_gaps_of(case, places), atol=2e-3)
    assert law.mass.min() >= 0.0
    assert law.mass.sum() + law.escaped == pytest.approx(1.0, abs=1e-9)


def test_the_law_of_ddim_is_that_of_the_starts_that_bisection_finds(case):
    clock, sampler = schedule(), DDIM()
    ends = np.array(gaps(NEAR)).T
    low, high = ddim_starts(modes_at(NEAR), clock, ends, sampler.grid(clock))
    starts = 0.5 * (low + high)
    predicted = normal_mass(starts[0], starts[1])
    found = gap_probabilities(law_on_line(case, NEAR, "DDIM"), NEAR)
    assert np.allclose(found, predicted, rtol=0.02)


@pytest.mark.slow
def test_samples_of_a_network_fall_into_the_gaps_as_often_as_its_law_says(case):
    """The network with a trap between 2 and 4 under DDIM: 5.8 % of the samples."""
    model = networks(case, modes_at(FAR))[-1].model
    clock, n = schedule(), 4000
    x = np.asarray(sample(model.score, clock, DDIM(), n=n, rng=5).x)[:, 0]
    low, high = gaps(FAR)[1]
    seen = Proportion(int(((x > low) & (x < high)).sum()), n)
    least, most = seen.interval(1e-8)
    assert least < gap_probabilities(law_on_line(case, FAR, "DDIM", model), FAR)[1] < most
    assert seen.rate > 0.02


def test_a_coarse_noisy_chain_loses_no_mass():
    clock = schedule()
    plan = DDIM(4, eta=1.0).plan(clock, DDIM(4).grid(clock))
    law = line_law(model_for(modes_at(NEAR), clock), plan)
    assert law.probability(-9.0, 9.0) + law.escaped == pytest.approx(1.0, abs=1e-9)
    density = law.density(np.linspace(-2.0, 6.0, 81))
    assert density.sum() * 0.1 == pytest.approx(1.0, abs=1e-6)


def test_points_placed_for_one_step_serve_those_of_like_noise(monkeypatch):
    """A chain of 1000 steps places points some fifty times, and its law is that of points placed at
    every step to well within the 2 % to which laws are compared."""
    clock, placed = schedule(), []
    plan = DDPM().plan(clock, DDPM().grid(clock))
    place = lines._places
    monkeypatch.setattr(lines, "_places", lambda *how: placed.append(how) or place(*how))
    found = gap_probabilities(line_law(model_for(modes_at(FAR), clock), plan), FAR)
    assert len(placed) < 60
    monkeypatch.setattr(lines, "_ALIKE", -1.0)
    every = gap_probabilities(line_law(model_for(modes_at(FAR), clock), plan), FAR)
    assert len(placed) > 1000
    assert np.allclose(found, every, rtol=0.01, atol=0.0)


# -- M4 ------------------------------------------------------------------------------------------


def made_up_law(places, probabilities) -> LineLaw:
    """All of the probability of each gap in its middle third, the rest below the first mode."""
    ends, mass = [0.0, 0.1], [1.0 - sum(probabilities)]
    for (low, high), p in zip(gaps(places), probabilities, strict=True):
        third = (high - low) / 3.0
        ends += [low + third, high - third]
        mass += [0.0, p]
    return LineLaw(np.array(ends), np.array(mass))


def with_laws(case, near, far) -> Case:
    """Made-up probabilities of the two gaps in place of every network's, by size."""
    for places, rates in ((NEAR, near), (FAR, far)):
        of_size = dict(zip(TRAINING_SIZES, rates, strict=True))
        for network in networks(case, modes_at(places), seeds=True):
            key = law_on_line.key(case, places, "DDPM", network.model)
            case.workspace[key] = made_up_law(places, of_size[network.points])
    return case


def first_seeds(found) -> list[m4.Measured]:
    """One network a size."""
    return [m for m in found if m.name.endswith("-0")]


def m_4(case, found, **changed) -> Verdict:
    return rows.row_of(m4.CLAIM, case, m4.learned, found, **changed)


def fails_narrowly(row) -> bool:
    return NegativeControl.of("", row).narrow


FALLING = [(8e-5, 8e-5), (4e-5, 5e-5), (3e-5, 3e-5), (1e-5, 1e-5)]
# What the shipped networks of the modes at 1, 2, 4 have: less at the ends, more in between.
HUMP = [(2.9e-5, 3.6e-5), (5.2e-5, 4.2e-5), (8.0e-5, 2.8e-5), (1.5e-5, 3.6e-5)]


@pytest.mark.parametrize(
    ("far", "words"),
    [
        (FALLING, "Modes at 1-2-4: 0.00016, 9e-05, 6e-05, 2e-05 by size; it falls at every step."),
        (HUMP, "it rises from 25,000 to 50,000 and from 50,000 to 100,000 points."),
    ],
)
def test_one_seed_a_size_decides_no_step_and_the_note_tells_where_it_rises(case, far, words):
    found = first_seeds(m4.measured(with_laws(case, FALLING, far)))
    row = m_4(case, found)
    assert row.verdict is Outcome.INCONCLUSIVE
    assert row.resolution is None
    assert words in row.note
    assert "Fewer than 3 training seeds a size" in row.note
    steps = [c for c in row.comparisons if c.relation.kind == "over seeds"]
    assert len(steps) == 6
    assert {c.outcome for c in steps} == {Outcome.INCONCLUSIVE}
    assert row.quantity == max(steps, key=lambda c: c.measured).name
    assert fails_narrowly(m_4(case, found, change=m4.denser))


def made_up(near, far, seeds=(0.95, 1.0, 1.06)) -> list[m4.Measured]:
    """Networks of every size, which differ from seed to seed by a few in a hundred."""
    return [
        m4.Measured(f"{line_name(places)} {points} {seed}", places, points, (seed * a, seed * b))
        for places, rates in ((NEAR, near), (FAR, far))
        for points, (a, b) in zip(TRAINING_SIZES, rates, strict=True)
        for seed in seeds
    ]


@pytest.mark.parametrize(
    ("far", "outcome"), [(FALLING, Outcome.HOLDS), (HUMP, Outcome.FAILS)], ids=["falls", "hump"]
)
def test_with_three_seeds_a_size_every_step_decides(case, far, outcome):
    found = made_up(FALLING, far)
    row = m_4(case, found)
    assert row.verdict is outcome
    assert row.resolution is not None
    assert "Fewer than" not in row.note
    for change in (m4.denser, m4.mirrored):
        assert m_4(case, found, change=change).verdict is Outcome.FAILS
    if outcome is Outcome.FAILS:
        assert row.quantity == "modes at 1-2-4: 50,000 points below 25,000"


def test_the_ends_are_compared_where_only_they_have_the_seeds(case):
    found = made_up(FALLING, HUMP)
    ends = TRAINING_SIZES[0], TRAINING_SIZES[-1]
    few = [m for m in found if m.points in ends or m.name.endswith(" 1.0")]
    row = m_4(case, few)
    decided = {c.name: c.outcome for c in row.comparisons if c.outcome is not Outcome.INCONCLUSIVE}
    asked = [name for name in decided if "500,000 points below 25,000" in name]
    assert len(asked) == 2
    assert {decided[name] for name in asked} == {Outcome.HOLDS}
    assert row.verdict is Outcome.INCONCLUSIVE
    assert "Training seeds by size: 3, 1, 1, 3." in row.note


def test_three_seeds_that_stray_as_far_as_the_sizes_do_decide_nothing(case):
    found = made_up(FALLING, FALLING, seeds=(0.3, 1.0, 3.0))
    assert m_4(case, found).verdict is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("seeds", "decide"), [((1.0,), False), ((0.9, 1.0, 1.1), True)])
def test_sizes_are_reversed_only_where_the_seeds_decide(case, monkeypatch, seeds, decide):
    monkeypatch.setattr(m4, "measured", lambda case: made_up(FALLING, FALLING, seeds))
    (control,) = (c for c in m4.CLAIM.controls if c.name == "sizes reversed")
    assert control.when(case) is decide


def test_the_density_of_the_wide_gap_decides_and_not_its_probability(case):
    """Gaps 0.4 and 1.4 long: three times the probability is less density, four times is more."""
    wide, wider = ([(p, factor * p) for p, _ in FALLING] for factor in (3.0, 4.0))
    row = m_4(case, made_up(FALLING, wide, seeds=(1.0,)))
    assert row.verdict is Outcome.INCONCLUSIVE
    assert {c.outcome for c in row.comparisons if c.relation.kind == "upper"} == {Outcome.HOLDS}
    assert m_4(case, made_up(FALLING, wider, seeds=(1.0,))).verdict is Outcome.FAILS


def test_the_exact_score_of_a_gap_hardly_narrower_is_told_apart(case):
    row = functools.partial(
        rows.row_of, m4.CLAIM, case, m4.exact, functools.partial(exact_gaps_of, case)
    )
    assert row().verdict is Outcome.HOLDS
    assert fails_narrowly(row(places=(1.0, 2.0, 2.995)))


# -- M3 ------------------------------------------------------------------------------------------


def test_sides_diagonals_and_what_is_neither_are_told_apart():
    for name, mixture in PLANES.items():
        a, b, c = mixture.means[0], mixture.means[1], mixture.means[6]
        side, diagonal = 0.5 * (a + b), 0.5 * (a + c)
        neither = a + 0.31 * (b - a) + 0.5 * (c - b)
        x = np.array([a, side, side + 1e-3, diagonal, neither])
        assert kinds(mixture, x).tolist() == [2, 1, 1], name


def plane_counts(side, diagonal, exact=0) -> list[PlaneCounts]:
    return [
        PlaneCounts(
            plane, "DDIM", "made up", 20_000, np.array([side, diagonal, 0]), np.array([exact, 0, 0])
        )
        for plane in PLANES
    ]


def m_3(case, counted) -> Verdict:
    return rows.row_of(m3.CLAIM, case, m3.learned, counted)


@pytest.mark.parametrize(
    ("side", "diagonal", "outcome"),
    [
        (1000, 5, Outcome.HOLDS),
        (1000, 300, Outcome.FAILS),
        (5, 1000, Outcome.FAILS),
        (10, 2, Outcome.INCONCLUSIVE),
    ],
)
def test_m_3_asks_for_nearly_all_interpolations_on_sides(case, side, diagonal, outcome):
    assert m_3(case, plane_counts(side, diagonal)).verdict is outcome


def test_m_3_with_too_few_interpolations_under_one_sampler_is_undecided_and_says_so(case):
    """150 interpolations, all on sides: no share of 95 % follows, whatever the others show."""
    ddim = plane_counts(1000, 5)
    ddpm = [dataclasses.replace(p, sampler="DDPM", learned=np.array([150, 0, 0])) for p in ddim]
    row = m_3(case, [*ddim, *ddpm])
    assert row.verdict is Outcome.INCONCLUSIVE
    assert "Too few interpolations to decide a share of 95%: grid, DDPM; diamond, DDPM." in row.note


def test_m_3s_rows_have_narrow_controls(case):
    case.workspace[measured_planes.key(case)] = plane_counts(1000, 5)
    for row in rows_of("M3", case).values():
        assert row.verdict is Outcome.HOLDS
        assert {c.verdict for c in row.mutants} == {Outcome.FAILS}
        assert any(c.narrow for c in row.mutants)


def test_m_3_does_not_apply_where_the_steps_alone_interpolate(case):
    counted = plane_counts(1000, 5, exact=100)
    assert m_3(case, counted).verdict is Outcome.NOT_APPLICABLE


# -- M2 ------------------------------------------------------------------------------------------


def wide_score(factor) -> TrainedModel:
    """The exact score of the modes at 1, 2, 3 with `factor` times their sigma."""
    wide = GaussianMixture(modes_at(NEAR).means, factor * 0.05)
    return TrainedModel(f"wide {factor:g}", model_for(wide, schedule()))


def test_the_fit_finds_the_sigma_of_wider_modes_and_leaves_nothing(case):
    found = smoothing(own_case(case, modes_at(NEAR)), wide_score(2.0))
    assert np.allclose(found.sigma[found.room], 2.0, rtol=0.03)
    assert (found.left[found.room] < 0.01).all()
    assert (found.eigenvalue < found.exact_eigenvalue)[found.room].all()
    assert (found.width > found.exact_width)[found.room].all()


def test_the_exact_score_has_no_error_and_its_midpoint_the_eigenvalue_of_two_modes(case):
    found = smoothing(own_case(case, modes_at(NEAR)), wide_score(1.0))
    assert np.allclose(found.between, 0.0, atol=1e-9)
    assert np.allclose(found.near, 0.0, atol=1e-9)
    clock = schedule()
    v = 0.05**2 + clock.rho[found.times[:4]]
    assert np.allclose(found.exact_eigenvalue[:4].T, 1.0 / (4.0 * v) - 1.0, rtol=1e-6)


@pytest.mark.slow
def test_networks_on_lines_flatten_the_turn_and_the_row_sees_the_exact_score_does_not(case):
    row = rows_of("M2", case)[Basis.LEARNED]
    assert row.verdict is Outcome.HOLDS
    assert {c.verdict for c in row.mutants} == {Outcome.FAILS}
    assert "Fails narrowly: a turn no wider" in row.controls
    assert 1.2 < row.numbers["fitted sigma over the true one, median"] < 2.0
    assert row.numbers["eigenvalue over the exact one, median"] < 0.3


# -- X10 -----------------------------------------------------------------------------------------


def test_the_shares_of_score_and_sampler_add_up_and_swapping_samplers_changes_one_sign():
    cells = Cells(
        "made up",
        "none",
        {"exact, DDIM": 0.01, "exact, DDPM": 0.002, "learned, DDIM": 0.2, "learned, DDPM": 0.05},
    )
    assert sum(cells.shares()) == pytest.approx(0.2 - 0.002)
    swapped = x10.renamed(cells, DDIM="DDPM", DDPM="DDIM")
    assert swapped.shares() == pytest.approx((cells.shares()[0], -cells.shares()[1]))
    assert cells.interaction() == pytest.approx(0.2 - 0.05 - 0.01 + 0.002)
    above = x10.above(cells, "learned, DDIM", "learned, DDPM").comparison
    assert above.outcome is Outcome.HOLDS
    exact = x10.renamed(cells, learned="exact")
    above = x10.above(exact, "learned, DDIM", "exact, DDIM").comparison
    assert above.outcome is Outcome.FAILS


def test_a_count_is_compared_with_a_computed_probability_by_its_interval():
    cells = Cells("made up", "none", {"a": Proportion(7, 12_000), "b": 1e-18, "c": 5e-4, "d": 0.1})
    outcomes = [x10.above(cells, "a", name).comparison.outcome for name in "bcd"]
    assert outcomes == [Outcome.HOLDS, Outcome.INCONCLUSIVE, Outcome.FAILS]


def with_causes(case, learned_ddpm) -> Case:
    """Made-up cells everywhere: the exact score's 1e-9, a network's 1e-2 under DDIM."""
    found = [np.array([4000 - k, k, 0]) for k in (100, round(4000 * learned_ddpm))]
    shape = (1, 2, 3)
    case.workspace[common_rates.key(case)] = Rates(
        models=("a network",),
        recipes=("reduced",),
        samplers=("DDIM-50", "DDPM-1000"),
        counts=np.array(found).reshape(shape),
        exact=np.array([[4000, 0, 0]] * 2).reshape(shape),
        spread=np.ones((1, 2)),
        exact_spread=np.ones((1, 2)),
    )
    case.workspace[measured_planes.key(case)] = [
        dataclasses.replace(plane, sampler=sampler, learned=plane.learned // divisor)
        for plane in plane_counts(1000, 5)
        for sampler, divisor in (("DDIM", 1), ("DDPM", 10))
    ]
    case.workspace["exact gap of the grid"] = np.log(0.5e-9)
    for places in LINES:
        model = networks(case, modes_at(places))[-1].model
        exact = np.full(len(places) - 1, np.log(1e-9))
        case.workspace[f"exact gaps {line_name(places)}"] = exact
        for who, sampler, p in (
            (None, "DDIM", 1e-9),
            (model, "DDIM", 1e-2),
            (model, "DDPM", learned_ddpm),
        ):
            law = made_up_law(places, [p] * (len(places) - 1))
            case.workspace[law_on_line.key(case, places, sampler, who)] = law
    return case


@pytest.mark.slow
def test_x_10_holds_where_both_causes_matter_and_fails_where_ddpm_is_no_better(case):
    (row,) = runner.run_claim(ENTRIES["X10"], with_causes(case, 2e-3))
    assert row.verdict is Outcome.HOLDS
    assert {c.verdict for c in row.mutants} == {Outcome.FAILS}
    exact = next(c for c in row.mutants if c.name == "exact score in place of the learned one")
    assert exact.narrow
    assert exact.excess == pytest.approx(0.15 / (0.063 + 0.001))  # of three gaps of 1e-9
    assert "One network: how much another would differ is unknown." in row.note
    assert len(row.tables[0].rows) == 1 + len(LINES) + len(PLANES)
    assert [h.held_share for h in row.hypotheses] == [1.0]
    (row,) = runner.run_claim(ENTRIES["X10"], with_causes(cases.standard(), 2e-2))
    assert row.verdict is Outcome.FAILS
    assert "DDIM makes fewer on modes at 1-2-3" in row.note


# -- the exact score -----------------------------------------------------------------------------


def test_the_exact_gaps_are_small_but_above_the_tail_of_the_data(case):
    """DDPM's steps alone leave more than the modes' own tails beyond 6 sigma have, 2e-9."""
    total = gap_probabilities(law_on_line(case, NEAR, "DDPM"), NEAR).sum()
    assert 2.0e-9 < total < 2.0e-8

"""The rows about rates of trained networks decide by intervals, on samples that can be added up.

Most tests put made-up counts where a case keeps its measured ones, so that they judge the rows and
not the networks; the last ones run shipped networks on a few samples.
"""

from __future__ import annotations

import bisect
import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact

from mixdyn.geometry import Region
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.samplers import DDIM, DDPM
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import VERDICT_MISS, Proportion
from verify.drawing import style
from verify.ledger import cases, registry, runner
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis
from verify.measure.networks import ablated, paths, rate_sweeps
from verify.measure.networks.ablated import BASE, SAMPLERS, Setting, ablated_models
from verify.measure.networks.models import TrainedModel, load, shipped, trained_models
from verify.measure.networks.order import (
    Order,
    compare_fall,
    compare_independent,
    compare_order,
    looks,
    trials_of_each,
)
from verify.measure.networks.rate_sweeps import (
    common_rates,
    ddim_name,
    eta_name,
    rates_over_eta,
    rates_over_steps,
)
from verify.measure.networks.rates import STEPS_ALONE, Draws, Rates, Run, count_models, over_seeds
from verify.measure.score_errors.blurred import blurred_score
from verify.report.figures import FIGURES

pytest.importorskip("torch")

IDS = ("F1", "F3", "E.13", "E.16")
ENTRIES = {entry.claim.id: entry for entry in registry.load_claims()}
STEPS = (50, 100, 200, 500, 1000)
ETAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25)
N = 4000


def counts(hits) -> np.ndarray:
    """Class counts (..., 3) of N samples, given interpolations (...) and no invalid ones."""
    found = np.asarray(hits)
    return np.stack([N - found, found, np.zeros_like(found)], axis=-1)


def made_up(samplers, hits, exact_hits=0) -> Rates:
    """Counts with these interpolations, hits (models, samplers)."""
    learned = np.asarray(hits)
    shape = learned.shape
    return Rates(
        models=tuple(f"grid-reduced-{k}" for k in range(shape[0])),
        recipes=("reduced",) * shape[0],
        samplers=tuple(samplers),
        counts=counts(learned),
        exact=counts(np.full(shape, exact_hits)),
        spread=np.full(shape, 0.0057),
        exact_spread=np.full(shape, 0.004),
    )


STEP_NAMES = (*map(ddim_name, STEPS), "DDPM-1000")
ETA_NAMES = tuple(map(eta_name, ETAS))
# About the measured shares, of 4000.
OVER_STEPS = [[92, 50, 36, 34, 30, 0], [92, 52, 42, 48, 36, 2], [76, 48, 27, 20, 33, 1]]
OVER_ETAS = [[94, 74, 50, 42, 13, 11, 2], [84, 83, 69, 46, 20, 10, 3], [75, 68, 54, 34, 20, 9, 2]]


def case_with(steps=OVER_STEPS, etas=OVER_ETAS, exact_hits=0, settings=()) -> Case:
    """The standard problem with made-up counts in place of measured ones."""
    case = cases.standard()
    case.workspace[rates_over_steps.key(case)] = made_up(STEP_NAMES, steps, exact_hits)
    case.workspace[rates_over_eta.key(case)] = made_up(ETA_NAMES, etas, exact_hits)
    for setting, hits in settings:
        key = ablated.model_rates.key(ablated.case_of(case, setting), MADE_UP)
        case.workspace[key] = made_up(SAMPLERS, [hits], exact_hits)
        if setting == BASE:  # counted among the case's own networks
            counted = dataclasses.replace(case.workspace.pop(key), models=(MADE_UP.name,))
            case.workspace[common_rates.key(case)] = counted
    return case


MADE_UP = TrainedModel("made up", None)
ABLATED = (
    (BASE, (90, 1)),
    (Setting(sigma=0.1), (300, 20)),
    (Setting(spacing=1.0), (200, 2)),
    (Setting(spacing=3.0), (60, 0)),
)


@pytest.fixture(autouse=True)
def ablated_networks(monkeypatch):
    models = {setting: MADE_UP for setting, _ in ABLATED}
    monkeypatch.setattr(ablated, "ablated_models", lambda case: models)


def verdict_of(claim_id, case):
    (row,) = runner.run_claim(ENTRIES[claim_id], case)
    return row


# -- comparing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("larger", "smaller", "outcome"),
    [
        (100, 10, Outcome.HOLDS),
        (10, 100, Outcome.FAILS),
        (40, 20, Outcome.INCONCLUSIVE),
        (0, 0, Outcome.INCONCLUSIVE),
    ],
)
def test_an_order_of_two_rates_is_decided_only_where_their_intervals_lie_apart(
    larger, smaller, outcome
):
    found = compare_order("", Proportion(larger, N), Proportion(smaller, N))
    assert found.outcome is outcome
    assert found.measured == larger / N


@pytest.mark.parametrize(("few", "many"), [(0, 20), (3, 33), (5, 22), (60, 140), (700, 800)])
def test_two_independent_counts_are_ordered_where_fishers_test_is(few, many):
    one, other = Proportion(few, N), Proportion(many, 2 * N // 3)
    table = [[many, other.trials - many], [few, N - few]]
    p = fisher_exact(table, alternative="greater").pvalue
    found = compare_independent("", other, one)
    assert found.excess == pytest.approx(-math.log(p) / math.log(5e-7), rel=1e-8)
    assert (found.outcome is Outcome.HOLDS) == (p <= 5e-7)
    turned = compare_independent("", one, other)
    assert turned.excess == -found.excess
    assert (turned.outcome is Outcome.FAILS) == (p <= 5e-7)
    # What intervals can tell apart the test can, and with less.
    assert (compare_order("", other, one).outcome is Outcome.HOLDS) <= (p <= 5e-7)


@pytest.mark.parametrize("ratio", [3.0, 30.0])
def test_the_trials_that_an_order_needs_show_it_nine_times_in_ten_and_fewer_do_not(ratio):
    counted, relation = Proportion(120, 6000), Order()
    n = relation.needed(counted, ratio, 100_000)
    for trials, shown in ((n, True), (n - 1, False)):
        hits = np.arange(trials + 1)
        decides = [relation.against(counted, Proportion(int(k), trials)) <= -1.0 for k in hits[:60]]
        chance = binom.pmf(hits[:60], trials, counted.rate / ratio)[decides].sum()
        assert (chance >= 0.9) == shown
    assert relation.needed(counted, ratio, 100) == 100


@pytest.mark.parametrize(("larger", "smaller"), [(0.25, 0.2), (0.04, 0.005), (0.6, 0.36)])
def test_the_trials_of_each_rate_show_their_order_nine_times_in_ten(larger, smaller):
    counted = [Proportion(round(1000 * rate), 1000) for rate in (larger, smaller)]
    n, relation = trials_of_each(*counted, 20_000), Order()
    many, few = np.random.default_rng(0).binomial(n, [[larger], [smaller]], (2, 400))
    shown = [
        relation.against(Proportion(int(a), n), Proportion(int(b), n)) <= -1.0
        for a, b in zip(many, few, strict=True)
    ]
    assert 0.84 < np.mean(shown) < 0.96
    assert trials_of_each(*counted, n // 2) is None


def test_the_bound_of_an_order_is_the_facing_end_of_the_other_interval():
    above, below = Proportion(100, N), Proportion(10, N)
    assert compare_order("", above, below).bound == below.interval(1e-6)[1]
    assert compare_order("", below, above).bound == above.interval(1e-6)[0]


def test_a_fall_counts_a_rise_between_neighbours_against_it_and_says_what_it_cannot_decide():
    names = ("a", "b", "c")
    flat = compare_fall(made_up(names, [[200, 50, 55]]), names)
    assert [c.outcome for c in flat.comparisons] == [Outcome.HOLDS]
    assert [c.name for c in flat.undecided] == ["b above c"]
    seen = flat.undecided[0].resolution
    words = flat.in_words()
    assert "of 2 single steps 1 fall beyond doubt (a above b), 1 are undecided" in words
    assert f"only a rise by {100 * seen:.2g} percentage points" in words
    risen = compare_fall(made_up(names, [[300, 10, 90]]), names)
    assert [c.outcome for c in risen.comparisons] == [Outcome.HOLDS, Outcome.FAILS]
    tiny = dataclasses.replace(made_up(names, [[200, 2, 1]]), counts=np.full((1, 3, 3), 1))
    words = compare_fall(tiny, names).in_words()
    assert "2 are undecided: at some of them no rise, however large, would have been seen" in words


@pytest.mark.parametrize("compare", [compare_order, compare_independent])
@pytest.mark.parametrize("first", [0, 40, 400])
def test_the_resolution_of_an_order_is_the_rise_that_fails_nine_times_in_ten(first, compare):
    here, n = Proportion(first, N), 2 * N
    found = compare("", here, Proportion(2 * first, n))
    assert found.outcome is Outcome.INCONCLUSIVE
    least = bisect.bisect_left(
        range(n),
        True,
        lo=2 * first,
        key=lambda k: compare("", here, Proportion(k, n)).outcome is Outcome.FAILS,
    )
    true_rate = here.rate + found.resolution
    assert binom.sf(least - 1, n, true_rate) == pytest.approx(0.9, abs=1e-9)
    assert compare("", Proportion(1, 3), Proportion(1, 3)).resolution is None


def test_the_interval_over_seeds_is_students_and_absent_where_seeds_do_not_differ():
    # Mean 2, standard deviation 1, three seeds: 2 +- 4.302653/sqrt(3).
    low, high = over_seeds([1.0, 2.0, 3.0])
    np.testing.assert_allclose([low, high], [2 - 2.4841377, 2 + 2.4841377], rtol=1e-7)
    assert over_seeds([0.5]) is None
    assert over_seeds([0.0, 0.0, 0.0]) is None


# -- counting ------------------------------------------------------------------------------------


def test_models_and_samplers_draw_samples_of_their_own_and_the_exact_score_those_of_all():
    case = cases.standard()
    score = blurred_score(case.mixture, case.schedule)
    models = [TrainedModel(name, score) for name in ("a", "b")]
    few = DDIM(10)
    rates = count_models(case, models, [Run("few", few, 300), Run("more", few, 400)])
    assert rates.counts.shape == (2, 2, 3)
    drawn = Draws(case.schedule, 1400, case.stream("rates"))
    np.testing.assert_array_equal(
        rates.counts.sum(axis=(0, 1)), drawn.ends(score, case.mixture, few)[0]
    )
    np.testing.assert_array_equal(
        rates.exact.sum(axis=(0, 1)), drawn.ends(case.mixture, case.mixture, few)[0]
    )
    last = dataclasses.replace(drawn, n=400, first=1000)
    np.testing.assert_array_equal(rates.counts[1, 1], last.ends(score, case.mixture, few)[0])
    assert len(np.unique(rates.spread)) == rates.spread.size


def test_counts_under_further_samplers_stand_beside_the_first_ones():
    rates = made_up(("a", "b", "c"), [[10, 1, 5], [30, 3, 7]])
    turned = rates.only(2).beside(rates.only(0), rates.only(1))
    assert turned.samplers == ("c", "a", "b")
    assert [p.successes for p in turned.each("c")] == [5, 7]
    one = turned.of_model("grid-reduced-1")
    assert (one.models, [one.of(0, name).successes for name in "abc"]) == (
        ("grid-reduced-1",),
        [30, 3, 7],
    )


class Counting:
    """A score that counts the states it is asked about."""

    own_threads, d = True, 2

    def __init__(self, score) -> None:
        self.score, self.rows = score, 0

    def eps(self, x, t):
        self.rows += len(x)
        return self.score.eps(x, t)


def test_the_papers_samplers_are_counted_on_the_runs_that_claims_about_paths_share(monkeypatch):
    case = Case("user", cases.standard().mixture, NoiseSchedule.linear(60, 1e-4, 0.3))
    score = Counting(blurred_score(case.mixture, case.schedule))
    models = [TrainedModel(name, score) for name in ("a", "b")]
    monkeypatch.setattr(paths, "_DDIM_RUNS", 600)
    monkeypatch.setattr(paths, "_DDPM_RUNS", 200)
    monkeypatch.setattr(rate_sweeps, "require_models", lambda case: models)
    monkeypatch.setattr(rate_sweeps, "named_scores", lambda case, names: models)
    monkeypatch.setattr(rate_sweeps, "ETAS", (0.0, 0.5))
    monkeypatch.setattr(rate_sweeps, "_ETA_SAMPLES", 80)
    runs = paths.by_sampler(paths.reverse_runs(case, models))
    shared = 600 * 50 + 200 * 60
    assert score.rows == shared
    steps, etas = rates_over_steps(case), rates_over_eta(case)
    assert score.rows == shared + 80 * 50
    assert (steps.samplers, etas.samplers) == (tuple(runs), ("eta = 0", "eta = 0.5"))
    for name, group in runs.items():
        assert [p.successes for p in steps.each(name)] == [r.counted.successes for r in group]
    np.testing.assert_array_equal(etas.counts[:, 0], steps.counts[:, 0])
    np.testing.assert_array_equal(steps.exact.sum(axis=2), [[300, 100]] * 2)
    few = Draws(case.schedule, 600, case.stream(paths.STREAM)).ends(
        case.mixture, case.mixture, DDIM(50)
    )
    np.testing.assert_array_equal(steps.from_exact().counts[0, 0], few[0])


def test_exchanging_two_samplers_of_one_model_leaves_the_others_alone():
    rates = made_up(("a", "b", "c"), [[10, 1, 5], [30, 3, 7]]).exchanged("a", "b", -1)
    hits = [[rates.of(k, name).successes for name in "abc"] for k in (0, 1)]
    assert hits == [[10, 1, 5], [3, 30, 7]]
    assert [p.successes for p in rates.each("a")] == [10, 3]


def test_the_mean_share_is_that_of_the_counts_of_all_models():
    rates = made_up(("a", "b"), [[10, 1], [30, 3]])
    assert rates.mean("a").rate == 40 / (2 * N)
    assert rates.mean("b", Region.TRUE_MODE).rate == 1 - 4 / (2 * N)


# -- verdicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim_id", IDS)
def test_counts_as_measured_hold_and_no_mutant_does(claim_id):
    row = verdict_of(claim_id, case_with(settings=ABLATED))
    assert row.verdict is Outcome.HOLDS
    assert row.basis is Basis.LEARNED
    assert {m.verdict for m in row.mutants} == {Outcome.FAILS}
    assert row.controls.startswith("Fails narrowly")
    assert 0.0 < row.resolution < 0.05


@pytest.mark.parametrize("claim_id", ["F1", "F3", "E.13"])
def test_counts_of_networks_that_differ_are_said_to_be_of_their_mean_alone(claim_id):
    """Twice as many on one network: the interval of all counts together contains no network."""
    steps = [[180, 110, 90, 80, 80, 0], *OVER_STEPS[1:]]
    etas = [[180, 150, 120, 90, 60, 11, 2], *OVER_ETAS[1:]]
    row = verdict_of(claim_id, case_with(steps, etas))
    assert row.verdict is Outcome.HOLDS
    assert "not the share of another" in row.note
    assert "The networks differ beyond chance in " in row.note
    table = next(t for t in row.tables if "chi-square" in t.columns)
    line = dict(zip(table.columns, table.rows[0], strict=True))
    assert line["largest network"] == 180 / N
    assert line["largest network"] > line["to"] > line["from"]
    assert line["p"] < 1e-6


@pytest.mark.parametrize("claim_id", ["F1", "F3", "E.13"])
def test_steps_that_interpolate_without_a_network_make_a_row_not_applicable(claim_id):
    too_many = int(STEPS_ALONE * N) + 1
    row = verdict_of(claim_id, case_with(exact_hits=too_many))
    assert row.verdict is Outcome.NOT_APPLICABLE
    assert verdict_of(claim_id, case_with(exact_hits=too_many - 1)).verdict is Outcome.HOLDS


def test_one_network_without_the_gap_leaves_figure_1_undecided_and_one_reversed_fails_it():
    level = [*OVER_STEPS[:2], [20, 20, 20, 20, 20, 12]]
    assert verdict_of("F1", case_with(steps=level)).verdict is Outcome.INCONCLUSIVE
    reverse = [*OVER_STEPS[:2], [5, 20, 20, 20, 20, 120]]
    row = verdict_of("F1", case_with(steps=reverse))
    assert row.verdict is Outcome.FAILS
    assert "grid-reduced-2" in row.quantity


def test_figure_1_states_the_difference_over_training_seeds():
    numbers = verdict_of("F1", case_with()).numbers
    gaps = np.array([92, 90, 75]) / N
    half_width = 4.302652730 * gaps.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(
        list(numbers.values()),
        [gaps.mean(), gaps.mean() - half_width, gaps.mean() + half_width],
        rtol=1e-8,
    )


def test_ddim_that_comes_down_to_ddpm_leaves_figure_3_undecided():
    steps = [[92, 50, 30, 10, 2, 1]] * 3
    row = verdict_of("F3", case_with(steps=steps))
    assert row.verdict is Outcome.INCONCLUSIVE
    assert row.quantity == "DDIM-1000 above DDPM-1000"


def test_a_rate_that_rises_again_fails_figures_3_and_e13():
    row = verdict_of("F3", case_with(steps=[[92, 20, 20, 20, 60, 1]] * 3))
    assert row.verdict is Outcome.FAILS
    rising = [[94, 74, 50, 10, 40, 9, 2]] * 3
    assert verdict_of("E.13", case_with(etas=rising)).verdict is Outcome.FAILS


def test_more_noise_than_the_bridges_is_reported_and_not_judged():
    beyond = [[*row[:-1], 200] for row in OVER_ETAS]
    row = verdict_of("E.13", case_with(etas=beyond))
    assert row.verdict is Outcome.HOLDS
    assert "at eta = 1.25, the share is 0.05 " in row.note


def test_ablations_without_a_network_are_listed_and_lower_the_share_that_applies():
    row = verdict_of("E.16", case_with(settings=ABLATED))
    np.testing.assert_allclose(row.applicable_share, 3 / 9)
    assert "T = 500; T = 2000; T = 3000; sigma = 0.01; sigma = 0.05; spacing = 1.5" in row.note
    trends = {(r[0], r[1]): r[-1] for r in row.tables[1].rows}
    assert trends["sigma", "DDIM"] == "rises"
    assert trends["spacing", "DDIM"] == "falls"
    assert trends["spacing", "DDPM"] == "not resolved"


def test_the_standard_problem_alone_is_no_ablation(monkeypatch):
    model = TrainedModel("the only one", None, "reduced", 0)
    monkeypatch.setattr(ablated, "ablated_models", lambda case: {BASE: model})
    case = cases.standard()
    row = verdict_of("E.16", case)
    assert row.verdict is Outcome.NOT_APPLICABLE
    assert "changed setting" in row.note
    with pytest.raises(NotApplicableError, match="changed setting"):
        FIGURES["E.16"].result(case)


# -- which networks ------------------------------------------------------------------------------


def test_ablated_networks_are_of_the_recipe_that_covers_most_settings(monkeypatch):
    def found(case):
        problem = case.mixture.digest, case.schedule.digest
        known = {
            (s.mixture.digest, s.schedule.digest): recipes
            for s, recipes in (
                (BASE, ["paper", "reduced"]),
                (Setting(sigma=0.1), ["reduced", "reduced"]),
            )
        }
        return [TrainedModel(f"{r}-{k}", None, r, k) for k, r in enumerate(known.get(problem, []))]

    monkeypatch.setattr(ablated, "trained_models", found)
    models = ablated_models(cases.standard())
    assert {s.name: m.name for s, m in models.items()} == {
        "standard": "reduced-1",
        "sigma = 0.1": "reduced-0",
    }


def test_a_setting_is_counted_on_its_own_grid_and_schedule(monkeypatch):
    short = Setting(T=500, sigma=0.1)
    score = blurred_score(short.mixture, short.schedule)
    model = TrainedModel("blurred", score, "reduced", 0)
    monkeypatch.setattr(ablated, "ablated_models", lambda case: {short: model})
    monkeypatch.setattr(ablated, "_DDIM_SAMPLES", 300)
    monkeypatch.setattr(ablated, "_DDPM_SAMPLES", 40)
    case = cases.standard()
    found = ablated.ablated_rates(case)[short]
    draws = Draws(short.schedule, 300, case.stream("rates"))
    few = draws.ends(score, short.mixture, DDIM(50))[0]
    np.testing.assert_array_equal(found.counts[0, 0], few)
    assert found.counts[0, 1].sum() == 40
    assert few[Region.INTERPOLATION] > 0
    exact = draws.ends(short.mixture, short.mixture, DDIM(50))[0]
    np.testing.assert_array_equal(found.exact[0, 0], exact)


def test_the_first_look_is_where_no_success_decides_and_both_err_no_more_than_one():
    plain = Proportion(120, 6000)
    (first, early), (last, late) = looks(plain, 30.0, 2500)
    assert early + late == pytest.approx(VERDICT_MISS)
    for trials, decides in ((first, True), (first - 1, False)):
        outcome = compare_independent("", plain, Proportion(0, trials), early).outcome
        assert (outcome is Outcome.HOLDS) == decides
    likely = int(binom.ppf(0.9, last, plain.rate / 30.0))
    found = compare_independent("", plain, Proportion(likely, last), late)
    assert found.outcome is Outcome.HOLDS
    assert looks(Proportion(0, 6000), 30.0, 2500) == [(2500, VERDICT_MISS)]


@pytest.mark.parametrize(("hits", "n_looks"), [(0, 1), (2, 2), (700, 1)])
def test_ddpm_is_counted_on_samples_of_its_own_until_the_order_is_decided(
    hits, n_looks, monkeypatch
):
    """hits: interpolations among DDPM's first samples, of 120 in 6000 with DDIM."""
    asked = []

    def count(case, models, runs, first):
        (run,) = runs
        asked.append((run.name, first, run.n))
        found = 120 if run.name == "DDIM" else min(hits, run.n) if len(asked) == 2 else 0
        return dataclasses.replace(
            made_up([run.name], [[found]]), counts=np.array([[[run.n - found, found, 0]]])
        )

    monkeypatch.setattr(ablated, "count_models", count)
    case = dataclasses.replace(cases.standard(), mixture=Setting(sigma=0.1).mixture)
    rates = ablated.model_rates(case, TrainedModel("a network", None, "reduced", 0))
    sizes = [size for size, _ in looks(Proportion(120, 6000), 30.0, 2500)][:n_looks]
    assert asked[0] == ("DDIM", 0, 6000)
    ends = [("DDPM", 6000 + a, b - a) for a, b in zip([0, *sizes], sizes, strict=False)]
    assert asked[1:] == ends
    assert rates.counts[0].sum(axis=1).tolist() == [6000, sizes[-1]]
    plain, noisy = (rates.of(0, name) for name in SAMPLERS)
    misses = dict(looks(plain, 30.0, 2500))
    assert ablated.compare(case, "", plain, noisy).relation.miss == misses[sizes[-1]]


def test_further_samples_of_the_same_models_add_up():
    schedule, mixture = BASE.schedule, Setting(sigma=0.1).mixture
    case = dataclasses.replace(cases.standard(), mixture=mixture, schedule=schedule)
    model = TrainedModel("blurred", blurred_score(mixture, schedule), None)
    every, first, more = (
        count_models(case, [model], [Run("DDIM", DDIM(10), n)], begin)
        for begin, n in ((0, 150), (0, 60), (60, 90))
    )
    both = first.joined(more)
    np.testing.assert_array_equal(both.counts, every.counts)
    np.testing.assert_array_equal(both.exact, every.exact)
    np.testing.assert_allclose([both.spread, both.exact_spread], [every.spread, every.exact_spread])


def test_every_setting_is_one_change_to_the_standard_problem():
    settings = ablated.every_setting()
    assert len(settings) == len(set(settings)) == 10
    assert sum("," in s.name for s in settings) == 0
    case = cases.standard()
    assert (BASE.mixture, BASE.schedule.digest) == (case.mixture, case.schedule.digest)


@pytest.mark.parametrize("figure", ["F3", "E.13"])
def test_a_figure_of_networks_that_are_not_there_is_refused_with_the_remedy(figure):
    line = Case("user", GaussianMixture([[0.0], [1.0]], 0.02), NoiseSchedule.linear())
    with pytest.raises(NotApplicableError, match="mixdyn train"):
        FIGURES[figure].result(line)


# -- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "stated"),
    [
        ("F1", "interpolate in 1.9 % to 2.3 % of samples with DDIM in 50 steps, in 0 % to 0.05 %"),
        ("F3", "from 2.2 % at 50 to 0.82 % at 1000 steps; DDPM makes 0.025 %"),
        ("E.13", "from 2.1 % at eta = 0 to 0.25 % at eta = 1, and the spread"),
        ("E.16", "at 4 of 4 settings with a trained network, most at sigma = 0.1 (7.5 % against"),
    ],
)
def test_a_figure_states_the_counts_it_was_given(figure, stated, monkeypatch):
    spec = FIGURES[figure]
    case = case_with(settings=ABLATED)
    # The counts are of three networks, however many are shipped.
    three = [model for model in trained_models(case) if model.recipe == "reduced"]
    monkeypatch.setattr(rate_sweeps, "named_scores", lambda case, names: three)
    with style.settings():
        drawn = spec.draw(spec.result(case))
    assert stated in " ".join(drawn.get_suptitle().split())
    assert all(ax.get_xlabel() for ax in drawn.axes)


# -- shipped networks ----------------------------------------------------------------------------


def test_a_shipped_network_interpolates_under_ddim_and_hardly_with_full_noise():
    case = cases.standard()
    model = load(next(s for s in shipped() if s.name == "grid-reduced-0"))
    runs = [Run("ddim", DDIM(50), 1500), Run("full noise", DDIM(50, eta=1.25), 1500)]
    rates = count_models(case, [model], runs)
    plain, noisy = rates.of(0, "ddim"), rates.of(0, "full noise")
    # 1500 samples: 33 expected of DDIM and 0.6 with noise, so about 5.6 standard deviations apart.
    assert compare_independent("", plain, noisy).outcome is Outcome.HOLDS
    assert 15 <= plain.successes <= 60
    assert rates.from_exact().of(0, "ddim").successes == 0


def test_ddpm_of_a_shipped_network_makes_fewer_interpolations_than_ddim():
    case = cases.standard()
    model = load(next(s for s in shipped() if s.name == "grid-reduced-2"))
    rates = count_models(case, [model], [Run("ddim", DDIM(50), 1500), Run("ddpm", DDPM(), 300)])
    assert rates.of(0, "ddpm").successes <= 2
    assert rates.of(0, "ddim").successes >= 15

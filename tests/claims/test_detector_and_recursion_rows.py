"""The rows on Hal and on recursive training: what they decide on, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from scipy import stats

from mixdyn import GaussianMixture, NoiseSchedule
from mixdyn.geometry import Region
from mixdyn.support.errors import FileError
from verify.ledger import rows
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Origin, Verdict
from verify.measure import retraining
from verify.measure.interpolation import detector
from verify.measure.interpolation.detector import EDGES, WINDOWS, Detection
from verify.measure.interpolation.separation import area, likelihood_ratio
from verify.papers.mode_interpolation_2406_09358.claims import (
    m_5_detector,
    m_6_recursion,
    m_7_filter,
)


@pytest.fixture
def standard(standard_case):
    return standard_case


@pytest.mark.parametrize("claim", ["M5", "M6", "M7"])
def test_a_saved_row_says_so_names_its_recipe_and_rejects_its_controls(ledger, standard, claim):
    row = ledger.row(claim, standard)
    assert row.origin is Origin.STORED
    assert "commit" in row.note
    assert len(row.mutants) == 2
    assert all(control.caught for control in row.mutants)
    assert any(control.narrow for control in row.mutants)


@pytest.mark.parametrize("claim", ["M6", "M7"])
def test_a_row_on_two_chains_speaks_of_these_and_counts_what_is_undecided(ledger, standard, claim):
    row = ledger.row(claim, standard)
    assert row.verdict is Outcome.HOLDS
    assert "saved" in row.statement
    assert "another chain" in row.does_not_show
    assert "are undecided" in row.note
    low, high = (row.numbers[key] for key in row.numbers if key.endswith(("95 % from", ": to")))
    assert low < 1.0 < high or claim == "M7"  # two seeds leave even the sign open


def with_hits(filter_: str, hits: list[int]) -> retraining.Recursion:
    """A recursion of these interpolations among 1000 samples a generation."""
    (one, *_) = retraining.saved().of(filter_)
    generations = tuple(
        dataclasses.replace(
            one.generations[0],
            index=k + 1,
            regions=(1000 - hit, hit, 0),
            kept_regions=(1000 - hit, hit, 0),
        )
        for k, hit in enumerate(hits)
    )
    return dataclasses.replace(one, generations=generations)


@pytest.mark.parametrize(
    ("hits", "outcome"),
    [
        ([20, 60, 110], Outcome.HOLDS),
        ([20, 15, 110], Outcome.HOLDS),  # a fall that intervals cannot tell from chance
        ([20, 300, 110], Outcome.FAILS),  # one that they can
        ([20, 20, 30], Outcome.INCONCLUSIVE),
        ([110, 60, 20], Outcome.FAILS),
    ],
)
def test_growth_is_decided_by_intervals_at_every_generation(standard, hits, outcome):
    held = dataclasses.replace(retraining.saved(), runs=(with_hits("none", hits),))
    row = rows.row_of(m_6_recursion.CLAIM, standard, m_6_recursion.growth, held)
    assert row.verdict is outcome
    if hits == [20, 15, 110]:
        assert "1 are undecided: only a fall by" in row.note


@pytest.mark.parametrize(
    ("random", "hal", "outcome"),
    [
        ([20, 60, 110], [20, 20, 20], Outcome.HOLDS),
        ([20, 20, 110], [20, 120, 20], Outcome.FAILS),  # worse in between
        ([20, 60, 30], [20, 20, 20], Outcome.INCONCLUSIVE),
    ],
)
def test_filters_are_compared_at_every_generation(standard, random, hal, outcome):
    runs = (with_hits("random", random), with_hits("hal", hal))
    held = dataclasses.replace(retraining.saved(), runs=runs)
    row = rows.row_of(m_7_filter.CLAIM, standard, m_7_filter.filters, held)
    assert row.verdict is outcome


def test_recursions_of_different_plans_are_not_gathered(tmp_path):
    for name, seed, window in (("a", 0, 4), ("b", 1, 4), ("c", 0, 5)):
        (tmp_path / name).mkdir()
        plan = {"filter": "none", "seed": seed, "window": window, "discard": None, "recipe": {}}
        (tmp_path / name / "recursion.json").write_text(json.dumps(plan))
    with pytest.raises(FileError, match="differ in filter and seed alone"):
        retraining.gather([tmp_path / "a", tmp_path / "c"])


@pytest.mark.slow
def test_what_recurse_writes_is_gathered_with_its_provenance(tmp_path):
    pytest.importorskip("torch")
    from mixdyn.learned import Recipe
    from mixdyn.retraining.recursion import RecursionPlan, recurse

    mixture = GaussianMixture([[-1.0, 0.3], [1.0, 0.3]], 0.1)
    recipe = Recipe("tiny", 10, 32, 1e-2, 1e-4, points=100, hidden=16, embedding=8)
    plan = RecursionPlan(mixture, NoiseSchedule.linear(30, 1e-3, 0.4), recipe, seed=2)
    found = recurse(plan, tmp_path / "none", 2)
    out = tmp_path / "all.json"
    assert retraining.main([str(tmp_path / "none"), "--out", str(out)]) == 0
    held = retraining.saved(out)
    assert held.runs[0].generations == tuple(found)
    assert held.runs[0].clouds[1].shape == (100, 2)
    assert held.mixture == mixture
    assert {"commit", "hardware", "recipe"} <= set(held.about)
    assert held.runs[0].between(0) == found[0].share(Region.INTERPOLATION)


@pytest.mark.parametrize("module", [retraining, detector])
def test_a_damaged_file_is_refused(module, tmp_path):
    path = tmp_path / "damaged.json"
    shutil.copy(module.SAVED, path)
    module.saved(path)
    path = tmp_path / "emptied.json"
    path.write_text("{}")
    with pytest.raises(FileError, match="a file of"):
        module.saved(path)


def test_the_area_is_mann_whitney_s_and_its_error_that_of_the_pairs():
    rng = np.random.default_rng(0)
    wrong, right = np.round(rng.normal(1.0, 1.0, 60), 1), np.round(rng.normal(0.0, 1.0, 90), 1)
    found, error = area(wrong, right)
    assert found == pytest.approx(stats.mannwhitneyu(wrong, right).statistic / 5400, rel=1e-12)
    pairs = (wrong[:, None] > right) + 0.5 * (wrong[:, None] == right)
    by_wrong, by_right = pairs.mean(axis=1), pairs.mean(axis=0)
    expected = np.sqrt(by_wrong.var(ddof=1) / 60 + by_right.var(ddof=1) / 90)
    assert error == pytest.approx(expected, rel=1e-12)


def test_the_fitted_likelihood_ratio_reaches_the_best_test_between_two_normal_laws():
    """N(0, 1) against N(0, 4) in each of nine coordinates: only the squares tell them apart."""
    rng = np.random.default_rng(1)
    wide, narrow = 1.3 * rng.standard_normal((2000, 9)), rng.standard_normal((4000, 9))
    found, error = area(*likelihood_ratio(wide, narrow))
    best, _ = area(np.square(wide[1::2]).sum(axis=1), np.square(narrow[1::2]).sum(axis=1))
    assert found > best - 3 * error
    assert area(wide[1::2, 0], narrow[1::2, 0])[0] < 0.55


BINS = len(EDGES) - 1


def detection(right, wrong, d=1) -> Detection:
    """One network with the same counts (2, BINS) in every window."""
    every = [np.broadcast_to(counts, (len(WINDOWS), 2, BINS)).copy() for counts in (right, wrong)]
    about = {"points": 1000, "share": 1e-4, "conditioned": True}
    about["closed law"] = {"level": 1.0, "mean of right": 1.0, "right above": 1, "right": 2}
    areas = {f"Hal, {w} steps": (0.9, 0.01) for w in WINDOWS} | {"rival": (0.8, 0.02)}
    return Detection(f"made up in {d}", d, every[1], every[0], areas, about)


def spread_out(n: int, first: int, last: int) -> np.ndarray:
    """(BINS,) n counts in each of some bins."""
    counts = np.zeros(BINS, int)
    counts[first:last] = n
    return counts


def test_shares_are_counted_from_a_level_on_in_all_or_in_the_second_half():
    right = np.array([spread_out(1, 100, 200), spread_out(1, 150, 250)])
    wrong = np.array([spread_out(1, 190, 200), spread_out(1, 180, 220)])
    found = detection(right, wrong)
    assert found.kept(15, 195).rate == pytest.approx((95 + 45) / 200)
    assert found.kept(15, 195, rest=True).rate == pytest.approx(45 / 100)
    assert found.removed(15, 195).rate == pytest.approx((5 + 25) / 50)
    assert found.removed(15, 195, rest=True).rate == pytest.approx(25 / 40)
    assert found.level(15, 0.95) == 240
    # Half of the other bins in place of half of the hallucinations, half by half.
    half = m_5_detector.mixed(found, 0.5)
    assert half.wrong[0, 1, 150] == 0
    assert half.wrong[0].sum() <= 50


def test_the_window_is_chosen_on_first_halves_alone():
    right, wrong = (np.array([spread_out(1, *ends)] * 2) for ends in ((100, 200), (190, 200)))
    found = detection(right, wrong)
    found.wrong[:, 0] = spread_out(1, 100, 110)
    found.wrong[3, 0] = spread_out(1, 190, 200)
    found.wrong[4, 1] = spread_out(9, 190, 200)  # best only on the half that is counted
    assert found.best_window(0.9) == WINDOWS[3]


@pytest.mark.parametrize("rest", [False, True])
def test_sure_levels_are_the_tolerance_limits_of_the_order_statistics(rest):
    """Wilks: that of m of n samples keeps a share p with probability P(Binomial(n, p) < m)."""
    found = detection(np.array([spread_out(30, 100, 1100)] * 2), np.ones((2, BINS), int))
    few, many = found.sure_levels(15, 0.98, rest=rest)
    n = 30_000 if rest else 60_000
    law, step = stats.binom(n, 0.98), n // 1000
    least, most = (found.kept(15, level, rest=rest).successes for level in (many, few))
    assert law.sf(least - 1) <= 0.5e-6 < law.sf(least - step - 1)
    assert law.cdf(most) <= 0.5e-6 < law.cdf(most + step)
    assert few < found.level(15, 0.98) < many


def m_5(standard, *detections) -> Verdict:
    held = detections, {"commit": "0" * 12, "hardware": "CPU", "seed": 0}
    return rows.row_of(m_5_detector.CLAIM, standard, m_5_detector.operating_points, held)


CLEAN = np.array([spread_out(100, 100, 1100)] * 2)  # 200,000: a level of 98 % lies near bin 1080


@pytest.mark.parametrize(
    ("caught", "missed", "outcome"),
    [
        (10_000, 100, Outcome.HOLDS),
        (10_000, 2_000, Outcome.FAILS),
        (10_000, 530, Outcome.INCONCLUSIVE),
        (40, 1, Outcome.INCONCLUSIVE),
    ],
)
def test_m_5_judges_both_numbers_at_one_level(standard, caught, missed, outcome):
    """Hallucinations far above the level of 98 %, and some well below it."""
    wrong = spread_out(caught, 1200, 1201) + spread_out(missed, 500, 501)
    good = detection(CLEAN, np.array([spread_out(10_000, 1200, 1201)] * 2))
    row = m_5(standard, good, detection(CLEAN, np.array([wrong] * 2)))
    assert row.verdict is outcome
    assert row.n == (2 * (caught + missed) if outcome is not Outcome.HOLDS else 20_000)


def test_one_network_that_misses_is_not_hidden_by_the_others(standard):
    """The counts of all together remove 96 %; one of six networks removes 70 %."""
    good = detection(CLEAN, np.array([spread_out(10_000, 1200, 1201)] * 2))
    bad = spread_out(1400, 1200, 1201) + spread_out(600, 500, 501)
    row = m_5(standard, *[good] * 5, detection(CLEAN, np.array([bad] * 2)))
    assert row.verdict is Outcome.FAILS
    assert row.measured == pytest.approx(0.7)


def test_hallucinations_caught_only_where_less_is_kept_fail(standard):
    """Between the levels of 96 and 97 % lie all of them: 95 % removed, but never 98 % kept."""
    wrong = np.array([spread_out(1_000, 1062, 1068)] * 2)
    assert m_5(standard, detection(CLEAN, wrong)).verdict is Outcome.FAILS
    plane = detection(CLEAN, wrong, d=2)  # where 95 % kept is all that is asked
    assert m_5(standard, plane).verdict is Outcome.HOLDS


def test_the_saved_populations_are_as_large_as_the_law_of_the_chains_says():
    """On lines by the quadrature of M4; in the plane by counting."""
    held, _ = detector.saved()
    by_name = {d.name: d for d in held}
    # Gaps alone, by `line_law`: hallucinations beyond the outermost modes come on top.
    for name, gaps in (("modes-1-2-3-25k-0", 1.2955e-4), ("modes-1-2-4-100k-0", 1.0813e-4)):
        assert by_name[name].about["share"] == pytest.approx(gaps, rel=0.01)
    for d in held:
        assert d.about["conditioned"] is (d.d == 1)
        assert d.right[0].sum() > 30_000


def test_the_law_of_hal_holds_and_its_mutants_do_not(ledger, standard):
    row = ledger.row("M5'", standard)
    assert row.verdict is Outcome.HOLDS
    seen = {k: v for k, v in row.numbers.items() if k.startswith("smallest difference seen")}
    assert len(seen) == len(row.comparisons) == 5
    assert 0.02 < seen["smallest difference seen, over the prediction: mean inside one mode"] < 0.06
    assert all(control.caught for control in row.mutants)


def test_the_law_of_hal_is_not_asked_where_no_mode_ever_owns_a_path(ledger, own_case):
    close = GaussianMixture([[0.0], [0.05]], 0.1)
    row = ledger.row("M5'", dataclasses.replace(own_case, mixture=close))
    assert row.verdict is Outcome.NOT_APPLICABLE

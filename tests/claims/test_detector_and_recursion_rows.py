"""The rows on Hal and on recursive training: what they decide on, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from scipy import stats

from mixdyn import GaussianMixture, NoiseSchedule
from mixdyn.errors import FileError
from mixdyn.geometry import Region
from verify import cases, registry
from verify.claim import Origin, Profile
from verify.relations import Outcome
from verify.trained import detector, recursions
from verify.trained.detector import WINDOWS, Detection, area, likelihood_ratio

ENTRIES = {entry.claim.id: entry for entry in registry.load_claims()}
SAVED = ("M5", "M6", "M7")


@pytest.fixture(scope="module")
def standard():
    return cases.standard(0, Profile.QUICK)


@pytest.mark.parametrize("claim", SAVED)
def test_a_saved_row_says_so_names_its_recipe_and_survives_its_mutants(standard, claim):
    (row,) = ENTRIES[claim].check(standard)
    assert row.origin is Origin.STORED
    assert "commit" in row.note
    assert row.verdict is Outcome.HOLDS
    mutants = ENTRIES[claim].mutants(standard)
    assert len(mutants) == 2
    assert all(m.verdict is not Outcome.HOLDS for m in mutants.values())


@pytest.mark.parametrize("claim", SAVED)
def test_random_problems_have_no_saved_row(claim):
    assert ENTRIES[claim].check(cases.random(1, 0, Profile.QUICK)) == []


@pytest.mark.parametrize(
    ("claim", "remedy"),
    [("M5", "the standard case shows them"), ("M6", "mixdyn recurse"), ("M7", "mixdyn recurse")],
)
def test_another_mixture_of_the_user_has_no_saved_row(standard, claim, remedy):
    other = dataclasses.replace(
        standard, name="user", mixture=GaussianMixture([[0.0], [1.0]], 0.1), workspace={}
    )
    (row,) = ENTRIES[claim].check(other)
    assert row.verdict is Outcome.NOT_APPLICABLE
    assert remedy in row.note


def with_hits(filter_: str, hits: list[int]) -> recursions.Recursion:
    """A recursion of these interpolations among 1000 samples a generation."""
    (one, *_) = recursions.saved().of(filter_)
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
def test_growth_is_decided_by_intervals_at_every_generation(standard, monkeypatch, hits, outcome):
    held = dataclasses.replace(recursions.saved(), runs=(with_hits("none", hits),))
    monkeypatch.setattr(recursions, "saved", lambda: held)
    (row,) = ENTRIES["M6"].check(standard)
    assert row.verdict is outcome


@pytest.mark.parametrize(
    ("random", "hal", "outcome"),
    [
        ([20, 60, 110], [20, 20, 20], Outcome.HOLDS),
        ([20, 20, 110], [20, 120, 20], Outcome.FAILS),  # worse in between
        ([20, 60, 30], [20, 20, 20], Outcome.INCONCLUSIVE),
    ],
)
def test_filters_are_compared_at_every_generation(standard, monkeypatch, random, hal, outcome):
    runs = (with_hits("random", random), with_hits("hal", hal))
    held = dataclasses.replace(recursions.saved(), runs=runs)
    monkeypatch.setattr(recursions, "saved", lambda: held)
    (row,) = ENTRIES["M7"].check(standard)
    assert row.verdict is outcome


def test_recursions_of_different_plans_are_not_gathered(tmp_path):
    for name, seed, window in (("a", 0, 4), ("b", 1, 4), ("c", 0, 5)):
        (tmp_path / name).mkdir()
        plan = {"filter": "none", "seed": seed, "window": window, "discard": None, "recipe": {}}
        (tmp_path / name / "recursion.json").write_text(json.dumps(plan))
    with pytest.raises(FileError, match="differ in filter and seed alone"):
        recursions.gather([tmp_path / "a", tmp_path / "c"])


def test_what_recurse_writes_is_gathered_with_its_provenance(tmp_path):
    pytest.importorskip("torch")
    from mixdyn.learned import Recipe
    from mixdyn.recursion import RecursionPlan, recurse

    mixture = GaussianMixture([[-1.0, 0.3], [1.0, 0.3]], 0.1)
    recipe = Recipe("tiny", 10, 32, 1e-2, 1e-4, points=100, hidden=16, embedding=8)
    plan = RecursionPlan(mixture, NoiseSchedule.linear(30, 1e-3, 0.4), recipe, seed=2)
    found = recurse(plan, tmp_path / "none", 2)
    out = tmp_path / "all.json"
    assert recursions.main([str(tmp_path / "none"), "--out", str(out)]) == 0
    held = recursions.saved(out)
    assert held.runs[0].generations == tuple(found)
    assert held.runs[0].clouds[1].shape == (100, 2)
    assert held.mixture == mixture
    assert {"commit", "hardware", "recipe"} <= set(held.about)
    assert held.runs[0].between(0) == found[0].share(Region.INTERPOLATION)


@pytest.mark.parametrize("module", [recursions, detector])
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


def test_levels_come_from_one_half_and_are_counted_on_the_other():
    bins = len(detector.EDGES) - 1
    right, wrong = np.zeros((len(WINDOWS), 2, bins), int), np.zeros((len(WINDOWS), 2, bins), int)
    right[:, 0, 100:200], right[:, 1, 150:250] = 1, 1
    wrong[:, 0, 190:200], wrong[:, 1, 180:220] = 1, 1
    wrong[0, 0, 190:200], wrong[0, 0, 100:110] = 0, 1  # the shortest window sees nothing there
    found = Detection("made up", 1, wrong, right, {}, {})
    assert found.kept(15, 0.95).rate == pytest.approx(45 / 100)
    assert found.removed(15, 0.95).rate == pytest.approx((5 + 25) / 50)
    assert found.removed(15, 0.95, rest=True).rate == pytest.approx(25 / 40)
    assert found.best_window(0.95) == WINDOWS[1]


def test_the_law_of_hal_holds_and_its_mutants_do_not(standard):
    entry = ENTRIES["M5'"]
    assert entry.check(standard).verdict is Outcome.HOLDS
    assert {m.verdict for m in entry.mutants(standard).values()} == {Outcome.FAILS}


def test_the_law_of_hal_is_not_asked_where_no_mode_ever_owns_a_path():
    close = GaussianMixture([[0.0], [0.05]], 0.1)
    case = dataclasses.replace(cases.standard(0, Profile.QUICK), mixture=close)
    assert ENTRIES["M5'"].check(case).verdict is Outcome.NOT_APPLICABLE

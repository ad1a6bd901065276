"""Recursive training: filters, generations, how a run is taken up again; the command."""

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn import GaussianMixture
from mixdyn.cli import app
from mixdyn.geometry import Region
from mixdyn.learned import Recipe
from mixdyn.retraining.generations import mode_divergence, read_summary, summarise
from mixdyn.retraining.recursion import RecursionPlan, keep, recurse
from mixdyn.support.errors import FileError, InputError

HAL = np.random.default_rng(0).permutation(200) / 200.0


@pytest.fixture
def plan(problem):
    recipe = Recipe("tiny", 30, 64, 1e-2, 1e-4, points=200, hidden=16, embedding=8)
    return RecursionPlan(*problem, recipe, "hal", seed=3, discard=0.2, window=5)


def changed(plan, **values):
    return dataclasses.replace(plan, **values)


def test_hal_drops_the_largest_and_chance_drops_as_many(plan):
    kept = keep(plan, HAL, 1)
    assert kept.sum() == 160
    assert HAL[kept].max() < HAL[~kept].min()
    random = keep(changed(plan, filter="random"), HAL, 1)
    assert random.sum() == 160
    assert HAL[~random].min() < HAL[random].max(), "chance does not look at Hal"
    assert keep(changed(plan, filter="none"), HAL, 1).all()


def test_chance_differs_from_generation_to_generation_and_by_seed(plan):
    random = changed(plan, filter="random")
    first = keep(random, HAL, 1)
    assert np.array_equal(first, keep(random, HAL, 1))
    assert not np.array_equal(first, keep(random, HAL, 2))
    assert not np.array_equal(first, keep(changed(random, seed=4), HAL, 1))


def test_every_generation_after_the_first_is_trained_on_what_was_kept(plan, tmp_path):
    found = recurse(plan, tmp_path, 2)
    assert [g.trained_on for g in found] == [200, 160]
    assert [sum(g.kept_regions) for g in found] == [160, 160]
    with np.load(tmp_path / "generation-001.npz") as held:
        assert held["hal"][held["kept"]].max() <= held["hal"][~held["kept"]].min()
    other = recurse(changed(plan, filter="none"), tmp_path / "none", 2)
    assert other[0].regions == found[0].regions, "the first generation knows no filter"
    assert other[1].trained_on == 200


def test_a_broken_off_recursion_ends_in_the_same_counts(plan, tmp_path):
    whole = recurse(plan, tmp_path / "whole", 2)

    class Stop(Exception):
        pass

    def stop(generation, stage, done, total):
        if (generation, stage) == (2, "sampling"):
            raise Stop

    with pytest.raises(Stop):
        recurse(plan, tmp_path / "broken", 2, progress=stop)
    names = {p.name for p in (tmp_path / "broken").iterdir()}
    assert "generation-002.safetensors" in names
    assert "generation-002.json" not in names
    seen = []
    resumed = recurse(plan, tmp_path / "broken", 2, progress=lambda *stage: seen.append(stage[:2]))
    assert set(seen) == {(2, "sampling")}, "what was finished is kept"
    assert resumed == whole


@pytest.mark.parametrize(
    ("values", "named"), [({"filter": "none"}, "filter"), ({"seed": 4}, "seed")]
)
def test_a_folder_goes_on_only_as_it_was_begun(plan, tmp_path, values, named):
    recurse(plan, tmp_path, 1)
    with pytest.raises(FileError, match=named):
        recurse(changed(plan, **values), tmp_path, 2)


def test_a_folder_with_strange_generations_or_without_samples_is_refused(plan, tmp_path):
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "generation-001.json").write_text("{}")
    with pytest.raises(FileError, match=r"must hold recursion\.json"):
        recurse(plan, tmp_path / "strange", 1)
    recurse(plan, tmp_path / "lost", 1)
    (tmp_path / "lost" / "generation-001.npz").unlink()
    with pytest.raises(FileError, match="keep its samples"):
        recurse(plan, tmp_path / "lost", 2)
    (tmp_path / "lost" / "generation-001.json").write_text(json.dumps({"index": 1}))
    with pytest.raises(FileError, match="must hold its counts"):
        recurse(plan, tmp_path / "lost", 1)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"filter": "best"}, "filter must be one of none, random, hal"),
        ({"discard": 1.0}, "discard must be below 1"),
        ({"discard": 0.999}, "some samples must be left"),
        ({"window": 41}, "window must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_a_plan_names_the_rule_that_it_breaks(plan, values, rule):
    with pytest.raises(InputError, match=rule):
        changed(plan, **values)


def test_a_generation_counts_regions_modes_and_spread():
    mixture = GaussianMixture([[-1.0, 0.0], [1.0, 0.0]], 0.1, [0.25, 0.75])
    x = np.array([[-1.0, 0.1], [1.0, -0.1], [1.0, 0.1], [0.0, 0.0], [0.0, 3.0]])
    kept = np.array([True, False, True, True, False])
    found = summarise(mixture, 2, 7, (x, kept), 0.5)
    assert found.regions == (3, 1, 1)
    assert found.kept_regions == (2, 1, 0)
    assert found.mode_counts == (1, 2)
    assert found.spread == pytest.approx(np.sqrt(0.5))
    assert found.share(Region.INTERPOLATION).rate == pytest.approx(0.2)
    exact = np.log((1 / 3) / 0.25) / 3 + 2 / 3 * np.log((2 / 3) / 0.75)
    assert found.divergence(mixture.weights) == pytest.approx(exact, rel=1e-12)
    assert found.surviving(mixture.weights) == 2


def test_a_generation_without_a_true_mode_has_no_spread():
    mixture = GaussianMixture([[-1.0, 0.0], [1.0, 0.0]], 0.1)
    found = summarise(mixture, 1, 2, (np.full((2, 2), 9.0), np.ones(2, bool)), 0.0)
    assert found.regions == (0, 0, 2)
    assert found.spread is None
    assert found.divergence(mixture.weights) == float("inf")


def test_a_mode_is_lost_below_a_tenth_of_its_weight():
    mixture = GaussianMixture([[-1.0], [1.0]], 0.01)
    for lone, modes in ((5, 2), (4, 1)):
        x = np.repeat([[-1.0], [1.0]], [lone, 100 - lone], axis=0)
        found = summarise(mixture, 1, 100, (x, np.ones(100, bool)), 0.0)
        assert found.surviving(mixture.weights) == modes


def test_weights_without_a_sample_diverge_without_bound():
    assert mode_divergence(np.zeros(3, np.int64), np.full(3, 1 / 3)) == float("inf")
    assert mode_divergence(np.array([2, 2]), np.array([0.5, 0.5])) == pytest.approx(0.0, abs=1e-15)


def test_a_summary_survives_the_file(plan, tmp_path):
    (found,) = recurse(plan, tmp_path, 1)
    assert read_summary(tmp_path / "generation-001.json") == found


# -- the command: a table per generation, a folder that goes on, one line for bad input ------------


TINY = ["--steps", "20", "--batch", "32", "--points", "60", "--hidden", "16", "--threads", "1"]
CLOCK = ["--schedule", "linear:T=30,beta_start=0.001,beta_end=0.4"]


@pytest.fixture
def mixture(tmp_path):
    path = tmp_path / "pair.toml"
    path.write_text("means = [[-1.0, 0.3], [1.0, 0.3]]\nsigma = 0.1\n")
    return ["--mixture", str(path)]


def invoke(*words):
    return CliRunner().invoke(app, ["recurse", *map(str, words)])


def test_a_recursion_goes_on_where_it_stopped_and_prints_every_generation(mixture, tmp_path):
    words = [
        *mixture,
        *CLOCK,
        *TINY,
        "--filter",
        "hal",
        "--discard",
        "0.25",
        "--out",
        tmp_path / "r",
    ]
    first = invoke(*words, "--generations", "1", "--json")
    assert first.exit_code == 0, first.output
    (one,) = json.loads(first.stdout)["generations"]
    assert (one["trained_on"], one["n"], one["of_modes"]) == (60, 60, 2)
    written = (tmp_path / "r" / "generation-001.npz").stat().st_mtime_ns
    both = json.loads(invoke(*words, "--generations", "2", "--json").stdout)
    assert both["generations"][0] == one
    assert both["generations"][1]["trained_on"] == 45
    assert both["recipe"] == "reduced, changed"
    assert (tmp_path / "r" / "generation-001.npz").stat().st_mtime_ns == written
    table = invoke(*words, "--generations", "2")
    assert "Generations, filter hal" in table.stdout
    assert "of 2" in table.stdout


def test_a_checkpoint_says_what_to_type_to_make_it_again(mixture, tmp_path):
    from mixdyn.learned.headers import read_about

    invoke(*mixture, *CLOCK, *TINY, "--generations", "1", "--seed", "5", "--out", tmp_path / "r")
    command = read_about(tmp_path / "r" / "generation-001.safetensors")["command"]
    assert command.startswith("mixdyn recurse --mixture")
    for words in ("--filter none", "--seed 5", "--points 60", "--window 4", "--out r"):
        assert words in command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--discard", "1.5", "--filter", "hal"], "discard must be below 1"),
        (["--recipe", "best"], "recipe must be one of reduced, full"),
        (["--generations", "0"], "generations must be an integer"),
        (["--window", "31"], "window must be an integer"),
        (["--hidden", "0"], "hidden must be an integer"),
        (["--seed", "-1"], "seed must be an integer"),
        (["--schedule", "linear:T=0"], "T must be"),
        (["--device", "abacus"], "a device is 'cpu' or 'cuda'"),
    ],
)
def test_bad_input_is_one_clear_line(mixture, tmp_path, words, message):
    done = invoke(*mixture, *CLOCK, *TINY, "--out", tmp_path / "r", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_file_in_place_of_the_folder_is_refused(mixture, tmp_path):
    (tmp_path / "r").write_text("")
    done = invoke(*mixture, *CLOCK, *TINY, "--out", tmp_path / "r")
    assert done.exit_code == 2
    assert "folder must be creatable" in done.stderr

"""`mixdyn check`: the numbers of the standard problem, and what other mixtures get."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn.cli import app
from mixdyn.cli import diagnosis as diagnosis_module
from mixdyn.cli.diagnosis import CheckRequest, diagnose
from mixdyn.cli.words import explain
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import grid, line, two_modes
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import MemoryLimitError
from mixdyn.support.numbers import Log10, dump_json

SCHEDULE = NoiseSchedule.linear()


def _diagnose(mixture, schedule=SCHEDULE, **options):
    options.setdefault("n_trajectories", 2)
    return diagnose(CheckRequest(mixture, schedule, **options), lambda _done, _total: None)


@pytest.fixture(scope="module")
def standard():
    return _diagnose(grid(), n_pairs=3)


def test_the_standard_grid_is_a_hundred_sigma_apart_with_forty_shortest_pairs(standard):
    assert standard.n_shortest == 40
    assert len(standard.pairs) == 3
    nearest = standard.pairs[0]
    assert nearest.length_sigma == pytest.approx(100.0, rel=1e-12)
    assert nearest.length_radii == pytest.approx(10.0, rel=1e-12)


def test_the_standard_grid_separates_at_the_papers_times(standard):
    assert standard.pairs[0].tau_2_raw == [51, 25, 13]
    assert standard.pairs[0].tau_2_steps == [13, 9, 7]


def test_the_default_tau_is_the_first_node_where_neighbours_are_separated(standard):
    (stage,) = standard.stages
    assert (stage.tau_raw, stage.tau_steps) == (22, 9)


def test_the_saddle_has_the_two_mode_eigenvalues(standard):
    pair = standard.stages[0].pairs[0]
    assert pair.saddle is not None
    assert pair.saddle.a == pytest.approx(0.5, abs=1e-9)
    expected = [-1.0, pair.stiffness / 4 - 1]
    np.testing.assert_allclose(pair.saddle.eigenvalues, expected, rtol=1e-9)


def test_the_exact_traps_of_the_standard_grid_are_reproduced(standard):
    traps = {(t.end, t.fraction): t.radius_l for t in standard.stages[0].pairs[0].traps}
    expected = {
        ("last_noisy", 0.15): -87.2506,
        ("last_noisy", 0.35): -14.5120,
        ("clean", 0.15): -264.834,
        ("clean", 0.35): -47.3206,
    }
    assert set(traps) == set(expected)
    for key, exponent in expected.items():
        assert traps[key].exponent == pytest.approx(exponent, rel=1e-5)


def test_growth_is_the_integral_of_the_saddles_eigenvalue(standard):
    stage, v = standard.stages[0], SCHEDULE.effective_variance(grid().sigma)
    clock = np.linspace(0.0, 0.5 * math.log(v[22] / v[1]), 20_001)
    rate = standard.pairs[0].length ** 2 / (4 * v[22] * np.exp(-2 * clock)) - 1
    integral = float(np.sum((rate[1:] + rate[:-1]) / 2 * np.diff(clock)))
    assert stage.pairs[0].growth["last_noisy"] == pytest.approx(integral, rel=1e-7)
    safe = stage.pairs[0].safe_start_l["last_noisy"]
    assert safe.exponent == pytest.approx(math.log10(0.35) - integral / math.log(10), rel=1e-7)


def test_a_start_too_late_for_ddim_is_in_time_for_ddpm(standard):
    noisy = standard.stages[0].budgets[0]
    v = SCHEDULE.effective_variance(grid().sigma)
    assert noisy.ode_factor == pytest.approx(math.sqrt(v[1] / v[22]), rel=1e-12)
    assert noisy.sde_factor == pytest.approx(v[1] / v[22], rel=1e-12)
    assert noisy.ode_halfway_sigma > 5 > noisy.sde_halfway_sigma
    assert noisy.ode_needs_raw is not None
    assert v[noisy.ode_needs_raw] >= 100 * v[1] > v[noisy.ode_needs_raw - 1]  # (50/5)^2


def test_the_spread_within_a_mode_is_the_papers_last_step_effect(standard):
    spread = {row.sampler: row.final_over_sigma for row in standard.spread}
    expected = {"DDIM, 50 steps": 0.563, "DDIM, 1000 steps": 0.565, "DDPM, 1000 steps": 0.547}
    assert spread == pytest.approx(expected, abs=5e-4)
    assert standard.spread[0].last_step == pytest.approx(1 / 3, rel=1e-3)


def test_the_words_name_the_numbers_they_interpret(standard):
    words = " ".join(explain(standard))
    for part in ("100 sigma apart", "from raw time 25 on, the last 9 DDIM steps", "3.08e-15 l"):
        assert part in words
    assert "still reaches one of them" in words
    assert "A schedule that ends well below sigma^2" in words


def test_tau_1_is_reported_for_both_processes_and_all_three_crossings(standard):
    labels = {(c.process, c.kappa, c.crossing) for c in standard.crossings}
    assert len(labels) == len(standard.crossings) == 2 * 3 * 3
    for c in standard.crossings:
        assert c.raw_50 is None or c.raw_05 is None or c.raw_05 <= c.raw_50 <= c.raw_95


def test_a_wide_trap_is_called_one_that_holds_what_errors_put_there():
    assert "an error of the score has put there" in " ".join(explain(_diagnose(line(), taus=(5,))))


def test_a_pair_with_a_mode_in_between_says_why_it_has_no_saddle_and_no_exact_trap():
    outer = _diagnose(line(), taus=(20,)).stages[0].pairs[2]
    assert (outer.i, outer.j, outer.saddle, outer.traps) == (0, 2, None, [])
    assert "need a saddle between them" in outer.no_saddle
    assert "adjacent on one axis" in outer.no_traps


def test_one_sigma_per_mode_leaves_pairs_and_spread_and_says_what_is_missing():
    found = _diagnose(GaussianMixture([[0.0], [1.0]], [0.05, 0.1]))
    assert (found.crossings, found.stages) == ([], [])
    assert found.pairs[0].length_sigma == pytest.approx(10.0)
    assert found.pairs[0].tau_2_raw == [None, None, None]
    assert {row.sigma for row in found.spread} == {0.05, 0.1}
    assert "one sigma common to all modes" in found.notes[0]


def test_modes_inside_each_other_have_no_stage_and_the_note_says_so():
    found = _diagnose(two_modes(separation=0.1, sigma=0.1))
    assert found.stages == []
    assert "no saddle to report" in found.notes[0]
    assert "interpolation between them cannot be seen" in explain(found)[0]


def test_between_separation_and_fusion_tau_falls_back_to_where_the_midpoint_turns_unstable():
    mixture = two_modes(separation=0.3, sigma=0.1)
    found = _diagnose(mixture)
    v = SCHEDULE.effective_variance(0.1)
    (stage,) = found.stages
    assert 4 * v[stage.tau_raw] < 0.3**2 <= 4 * v[stage.tau_raw + 1]
    assert "turns unstable" in found.notes[0]


def test_a_trap_of_any_depth_is_given_exactly():
    found = _diagnose(two_modes(separation=2.0, sigma=0.002), taus=(22,))
    radii = {(t.end, t.fraction): t.radius_l for t in found.stages[0].pairs[0].traps}
    # (0.35 l)^2/(2 v) nats at l = 1000 sigma, up to what the start and the prefactors add
    assert radii["clean", 0.15].exponent == pytest.approx(-26_600.0, rel=2e-3)
    assert radii["last_noisy", 0.35].exponent == pytest.approx(-159.258, rel=1e-5)


def test_a_mixture_without_an_exact_trap_gets_the_bound_and_the_reason_in_words():
    triangle = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.3, 1.0]], 0.05)
    words = " ".join(explain(_diagnose(triangle, taus=(20,))))
    assert "would keep in the middle of modes 0 and 1" in words
    assert "the exact width was not computed (" in words


def test_the_number_of_trajectories_is_cut_to_the_memory_they_may_use(monkeypatch):
    monkeypatch.setattr(diagnosis_module, "_TRAJECTORY_BYTES", 8 * 2 * 5 * 20)
    assert _diagnose(two_modes(d=2), n_trajectories=None, ddim={"steps": 4}).n_trajectories == 20
    assert _diagnose(two_modes(d=2), n_trajectories=20, ddim={"steps": 4}).n_trajectories == 20
    with pytest.raises(MemoryLimitError, match="Choose samples <= 20"):
        _diagnose(two_modes(d=2), n_trajectories=21, ddim={"steps": 4})
    monkeypatch.setattr(diagnosis_module, "_TRAJECTORY_BYTES", 0)
    assert _diagnose(two_modes(d=2), n_trajectories=None, ddim={"steps": 4}).n_trajectories == 16


def test_json_is_strict_and_carries_exponents_beyond_double_range(tmp_path):
    steep = two_modes(separation=2.0, sigma=0.002)
    text = dump_json(vars(_diagnose(steep, taus=(22,))))
    row = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in strict JSON"))
    trap = row["stages"][0]["pairs"][0]["traps"][0]
    assert (trap["fraction"], trap["radius_l"]) == (0.15, 0.0)
    assert trap["log10_radius_l"] == pytest.approx(-994.727, rel=1e-5)
    safe = row["stages"][0]["pairs"][0]["safe_start_l"]
    assert safe["clean"] == 0.0
    assert safe["log10_clean"] < -5e4


def test_infinities_and_nan_become_null():
    values = json.loads(dump_json({"a": math.inf, "b": [math.nan, 1.0], "c": Log10(400.0)}))
    assert values == {"a": None, "b": [None, 1.0], "c": None, "log10_c": 400.0}


def test_the_command_prints_tables_or_json_of_the_same_diagnosis(tmp_path):
    path = tmp_path / "own.toml"
    GaussianMixture([[0.0], [1.0], [2.5]], 0.05, [0.2, 0.3, 0.5]).save(path)
    arguments = ["check", str(path), "--samples", "2", "--steps", "5", "--tau", "30", "--tau", "5"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("Unstable points between modes") == 2
    assert "In words" in shown.stdout
    found = CliRunner().invoke(app, [*arguments, "--json", "--kappa", "3"])
    row = json.loads(found.stdout)
    assert [stage["tau_raw"] for stage in row["stages"]] == [30, 5]
    assert row["kappas"] == [3.0]
    assert row["pairs"][0]["weight_ratio"] == pytest.approx(2 / 3)
    assert len(row["words"]) > 5


def _uncovered(mixture, i, j):
    """The share of the segment i-j outside every mode's radius, by intervals."""
    start, edge = mixture.means[i], mixture.means[j] - mixture.means[i]
    cuts = []
    for mean, sigma in zip(mixture.means, mixture.sigmas, strict=True):
        along = (mean - start) @ edge / (edge @ edge)
        across = np.linalg.norm(mean - start - along * edge)
        half = math.sqrt(max((5 * sigma) ** 2 - across**2, 0.0) / (edge @ edge))
        cuts.append((along - half, along + half))
    places = np.linspace(0.0, 1.0, 40_001)
    return 1.0 - np.mean(np.any([(a <= places) & (places <= b) for a, b in cuts], axis=0))


COVERED = {
    "a wide mode at the place of a narrow one": ([[0.0, 0], [0, 0], [3, 0]], [0.1, 1.0, 0.2]),
    "a wide third mode over the segment": ([[0.0, 0], [3, 0], [1.5, 4]], [0.1, 0.1, 1.0]),
    "a wide third mode over a part": ([[0.0, 0], [3, 0], [1.5, 4]], [0.1, 0.1, 0.83]),
    "nothing between": ([[0.0, 0], [3, 0], [9, 9]], [0.1, 0.2, 0.3]),
}


@pytest.mark.parametrize("name", COVERED)
def test_words_about_a_sample_between_modes_agree_with_its_class(name):
    mixture = GaussianMixture(*COVERED[name])
    diagnosis = _diagnose(mixture)
    nearest, words = diagnosis.pairs[0], explain(diagnosis)[0]
    share = _uncovered(mixture, nearest.i, nearest.j)
    assert nearest.seen_share == pytest.approx(share, abs=1e-3)
    assert ("clearly an interpolation" in words) == (share > 0.0)
    assert ("cannot be seen" in words) == (share == 0.0)


def test_the_widest_mode_stands_for_a_place_that_several_share():
    diagnosis = _diagnose(GaussianMixture([[0.0, 0], [0, 0], [3, 0]], [0.1, 1.0, 0.2]))
    assert (diagnosis.n_shortest, len(diagnosis.pairs)) == (1, 1)
    nearest = diagnosis.pairs[0]
    assert (nearest.i, nearest.j, nearest.length_sigma) == (1, 2, 3.0)


def test_check_says_what_a_start_from_pure_noise_costs_where_it_is_not_p_t():
    mixture = two_modes(weights=[0.9, 0.1])
    short = _diagnose(mixture, NoiseSchedule.linear(100))
    assert [start.t for start in short.starts] == [81, 100]
    assert short.starts[1].noisy_low[1] == pytest.approx(0.1958, abs=1e-4)
    assert short.starts[1].flow[1] == pytest.approx(0.2577, abs=1e-4)
    said = [words for words in explain(short) if "N(0, I) is not p_t" in words]
    assert len(said) == 2
    assert "mode 1 of weight 0.1 gets 0.1958 with noise (ddpm, exact), 0.2577 without" in said[1]
    json.loads(dump_json(vars(short)))
    long = _diagnose(grid())
    assert not any("is not p_t" in words for words in explain(long))
    assert all(start.words == "" for start in long.starts)


def test_modes_apart_by_more_widths_than_traps_can_be_computed_for_are_diagnosed():
    found = _diagnose(GaussianMixture([[0.0], [1.0], [3.0]], 1e-8))
    reasons = [pair.no_traps for stage in found.stages for pair in stage.pairs if pair.no_traps]
    assert any("narrower than 2^-" in reason for reason in reasons)

"""Visits and envelopes are counted right, and their rows judge what was counted.

Most tests use made-up runs or a score with a known error in place of a network; the last ones run a
shipped network on a few samples.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from mixdyn.geometry import Region, classify, nearest_pairs, pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.score import ExactScore
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import Proportion
from verify.ledger import cases, rows
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis
from verify.measure.networks import envelopes, visits
from verify.measure.networks import paths as learned_paths
from verify.measure.networks.models import TrainedModel, load, shipped
from verify.measure.networks.visits import Decomposition, Visits
from verify.measure.paths import ddim_grid
from verify.papers.ddim_hallucinates_2605_06831.claims import e_11_visit_window as e11
from verify.papers.ddim_hallucinates_2605_06831.claims import f_4_learned_tube as f4
from verify.papers.ddim_hallucinates_2605_06831.claims import i_1_decomposition as i1
from verify.report.figures import FIGURES

NETWORKS = [TrainedModel(f"network {k}", None, "reduced", k) for k in range(2)]


@pytest.fixture(autouse=True)
def few_runs(monkeypatch):
    monkeypatch.setattr(learned_paths, "_DDIM_RUNS", 6_000)
    monkeypatch.setattr(learned_paths, "_DDPM_RUNS", 3_000)


def standard() -> Case:
    return cases.standard()


def small() -> Case:
    """Four modes and sixty steps: thousands of runs cost a moment."""
    mixture = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 0.02)
    return Case("user", mixture, NoiseSchedule.linear(60, 1e-4, 0.3))


class Shifted:
    """The exact score of a case with a constant error added to its noise prediction."""

    def __init__(self, case: Case, error) -> None:
        self._exact = ExactScore(case.mixture, case.schedule)
        self.error, self.d = np.asarray(error), case.mixture.d

    def eps(self, x, t):
        return self._exact.eps(x, t) + self.error


# -- visits --------------------------------------------------------------------------------------


def test_every_window_keeps_the_least_distance_of_its_own_nodes():
    case = standard()
    latest = [97, 34, 13]
    observer = visits.MidpointVisits(case.mixture, case.schedule, latest)
    out = sample(
        case.mixture,
        case.schedule,
        DDIM(spacing=ddim_grid(case)),
        n=40,
        rng=3,
        observers=[observer],
        keep="trajectory",
    )
    seen = out.observations[0]
    means = case.mixture.means
    for w, first in enumerate(latest):
        relative = []
        for t, x in zip(out.times, out.trajectory, strict=True):
            if 1 <= t <= first:
                y = x / case.schedule.alpha[t]
                order = np.linalg.norm(y[:, None] - means, axis=2).argsort(axis=1)[:, :2]
                i, j = means[order].transpose(1, 0, 2)
                gap = np.linalg.norm(y - (i + j) / 2, axis=1)
                relative.append(gap / np.linalg.norm(i - j, axis=1))
        np.testing.assert_allclose(seen.closest[:, w], np.min(relative, axis=0), rtol=1e-12)
        at = list(out.times).index(first)
        y = out.trajectory[at] / case.schedule.alpha[first]
        nearest = np.linalg.norm(y[:, None] - means, axis=2).argmin(axis=1)
        np.testing.assert_array_equal(seen.nearest[:, w], nearest)
    assert (np.diff(seen.closest, axis=1) >= 0).all()


def test_the_papers_window_begins_at_raw_time_34_and_those_of_e11_at_193_to_6():
    assert visits.window_time(standard()) == 34
    times = [visits.window_time(standard(), steps) for steps in learned_paths.WINDOWS]
    assert (times[0], times[learned_paths.WINDOW], times[-1]) == (193, 34, 6)


def test_a_decomposition_puts_each_count_over_its_own_condition():
    part = Decomposition.of(
        np.array([1, 1, 1, 0, 0], dtype=bool), np.array([1, 0, 0, 1, 1], dtype=bool)
    )
    assert part == Decomposition(n=5, visits=3, hits=3, both=1)
    assert part.hit_given_visit == Proportion(1, 3)
    assert part.hit_given_none == Proportion(2, 2)
    assert part.visit_given_hit == Proportion(1, 3)
    assert (part.p_visit, part.p_hit) == (Proportion(3, 5), Proportion(3, 5))


def test_a_condition_that_never_happens_has_no_rate():
    none, every = Decomposition(5, 0, 0, 0), Decomposition(5, 5, 1, 1)
    assert none.hit_given_visit is None
    assert none.visit_given_hit is None
    assert every.hit_given_none is None
    assert Decomposition.pooled([none, every]) == Decomposition(10, 5, 1, 1)


# -- runs ----------------------------------------------------------------------------------------


def test_each_model_takes_a_block_of_samples_of_its_own_and_the_exact_score_the_first():
    case = small()
    models = [TrainedModel(name, Shifted(case, [0.0, 0.0])) for name in "ab"]
    runs = learned_paths.reverse_runs(case, models)
    assert [(r.model.name, r.sampler) for r in runs[::2]] == [
        ("exact score", "DDIM-50"),
        ("a", "DDIM-50"),
        ("b", "DDIM-50"),
    ]
    again = sample(
        case.mixture,
        case.schedule,
        DDIM(spacing=ddim_grid(case)),
        n=50,
        rng=case.stream("learned paths"),
        first=len(runs[2].visits.end),
        keep="trajectory",
    )
    y = again.trajectory / case.schedule.alpha[again.times][:, None, None]
    np.testing.assert_allclose(runs[4].paths.y[:, :50], y, rtol=0, atol=1e-9)
    np.testing.assert_allclose(runs[2].visits.end, runs[0].visits.end, rtol=0, atol=1e-9)
    assert np.abs(runs[4].visits.end - runs[2].visits.end).max() > 0.1


def test_on_a_schedule_so_short_that_both_samplers_start_at_its_end_they_share_no_start():
    case = dataclasses.replace(small(), schedule=NoiseSchedule.linear(40, 1e-4, 0.4))
    models = [TrainedModel(name, case.mixture) for name in "ab"]
    few, every = learned_paths.by_sampler(learned_paths.reverse_runs(case, models)).values()
    starts = np.concatenate([run.paths.y[0] for run in (*few, *every) if run.learned])
    assert few[0].paths.times[0] == 40
    assert len(np.unique(starts, axis=0)) == len(starts)


def test_states_are_kept_of_the_first_runs_only_across_blocks():
    case = small()
    observer = learned_paths.NodeStates(case.schedule, np.array([60, 7, 0]), 10, 6)
    state = observer.init(None, 2)
    x = np.arange(16.0).reshape(8, 2)
    blocks = []
    for block in (slice(10, 14), slice(14, 18)):
        part = state
        for t in (60, 30, 7, 0):
            part = observer.step(part, block, t, None, x[block.start - 10 : block.stop - 10], None)
        blocks.append(part)
    kept = observer.result(observer.merge(*blocks))
    expected = x[:6] / case.schedule.alpha[[60, 7, 0]][:, None, None]
    np.testing.assert_array_equal(kept, expected)


# -- the decomposition's rows --------------------------------------------------------------------


def made_up_runs(case: Case, sampler: str, counts) -> learned_paths.SampledRuns:
    """Runs with (n, visits, interpolations, both); every visit is in every window."""
    n, n_visits, hits, both = counts
    closest = np.full((n, len(learned_paths.WINDOWS)), 1.0)
    closest[:n_visits] = 0.1
    hit = np.zeros(n, dtype=bool)
    hit[:both] = True
    hit[n - (hits - both) :] = hits > both
    middle = pair(case.mixture, *nearest_pairs(case.mixture)[0]).midpoint
    end = np.where(hit[:, None], middle, case.mixture.means[0])
    seen = Visits(closest, np.zeros(closest.shape, np.int64), end)
    return learned_paths.SampledRuns(
        sampler=sampler, visits=seen, interpolates=hit, paths=None, counted=Proportion(hits, n)
    )


def key_of(case: Case, model: TrainedModel, block: int) -> str:
    return learned_paths.sampled_runs.key(case, model, block, len(NETWORKS))


def with_runs(ddim, ddpm) -> Case:
    """The standard problem with made-up runs of two networks and of the exact score."""
    case = standard()
    blocks = [(TrainedModel("exact score", case.mixture), 0), *zip(NETWORKS, range(2), strict=True)]
    exact = (2000, 1000, 0, 0)
    for model, k in blocks:
        learned = model.recipe is not None
        case.workspace[key_of(case, model, k)] = [
            made_up_runs(case, "DDIM-50", ddim if learned else exact),
            made_up_runs(case, "DDPM-1000", ddpm if learned else exact),
        ]
    return case


MEASURED = {"ddim": (20_000, 10_000, 410, 409), "ddpm": (4000, 2900, 2, 2)}


def learned_row(claim_id, case, **changed):
    """The learned row of a claim on the two networks of a case."""
    claim, row = {"I.1": (i1.CLAIM, i1.learned), "E.11": (e11.CLAIM, e11.every_choice)}[claim_id]
    return rows.row_of(claim, case, row, NETWORKS, **changed)


@pytest.mark.parametrize("claim_id", ["I.1", "E.11"])
def test_counts_as_measured_hold_and_a_wrong_sum_or_exchanged_samplers_fail(claim_id):
    case = with_runs(**MEASURED)
    row = learned_row(claim_id, case)
    assert row.verdict is Outcome.HOLDS
    assert (row.basis, row.model) == (Basis.LEARNED, "network 0, network 1")
    assert learned_row(claim_id, case, exchanged=True).verdict is Outcome.FAILS
    if claim_id == "I.1":
        assert learned_row(claim_id, case, weighted=False).verdict is Outcome.FAILS


@pytest.mark.parametrize("claim_id", ["I.1", "E.11"])
@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"ddim": (20_000, 10_000, 410, 205)}, Outcome.INCONCLUSIVE),
        ({"ddim": (20_000, 18_000, 410, 200)}, Outcome.FAILS),
        ({"ddpm": (4000, 2900, 118, 118)}, Outcome.INCONCLUSIVE),
        ({"ddpm": (4000, 2900, 400, 400)}, Outcome.FAILS),
    ],
    ids=["visits at random", "visits avoided", "DDPM alike", "DDPM worse"],
)
def test_visits_that_mean_nothing_or_a_ddpm_as_bad_are_not_passed(claim_id, changed, outcome):
    row = learned_row(claim_id, with_runs(**(MEASURED | changed)))
    assert row.verdict is outcome
    assert row.witness


def test_the_table_shows_both_directions_with_their_intervals_and_the_seeds():
    row = learned_row("I.1", with_runs(**MEASURED))
    table = row.tables[0]
    lines = {cells[:2]: dict(zip(table.columns, cells, strict=False)) for cells in table.rows}
    line = lines["network 1", "DDIM-50"]
    assert (line["P(M)"], line["P(H|M)"], line["P(M|H)"]) == (0.5, 0.0409, 409 / 410)
    cells = next(cells for cells in table.rows if cells[:2] == ("network 1", "DDIM-50"))
    at = table.columns.index("P(H|M)")
    np.testing.assert_array_equal(cells[at + 1 : at + 3], Proportion(409, 10_000).interval())
    assert lines["exact score", "DDIM-50"]["P(M|H)"] is None
    assert lines["reduced: over 2 seeds", "DDIM-50"]["P(H|M)"] == 0.0409


def test_networks_that_differ_beyond_chance_are_not_shown_by_their_mean_alone():
    case = with_runs(**MEASURED)
    better = made_up_runs(case, "DDIM-50", (20_000, 10_000, 200, 199))
    case.workspace[key_of(case, NETWORKS[1], 1)][0] = better
    row = learned_row("I.1", case)
    assert re.search(r"P\(H\|M\), DDIM-50 \(2 .{0,8}4\.1 %, chi-square 74\.8 on 1\)", row.note)
    line = next(cells for cells in row.tables[1].rows if cells[0] == "P(H|M), DDIM-50")
    assert line[2] == pytest.approx(0.0304)
    assert line[5:7] == pytest.approx([0.0199, 0.0409])
    low, high = line[3:5]
    assert 0.0199 < low < high < 0.0409  # another network lies outside the pooled interval


def test_a_network_without_interpolations_is_counted_as_one_that_says_nothing():
    case = with_runs(**MEASURED)
    none = made_up_runs(case, "DDPM-1000", (4000, 2900, 0, 0))
    case.workspace[key_of(case, NETWORKS[1], 1)][1] = none
    row = learned_row("I.1", case)
    assert row.verdict is Outcome.HOLDS
    assert row.nonvacuous_share == 0.75  # of two networks' two samplers


def test_the_parts_must_add_up_to_the_interpolations_counted_while_sampling():
    case = with_runs(**MEASURED)
    runs = case.workspace[key_of(case, NETWORKS[1], 1)]
    runs[0] = dataclasses.replace(runs[0], counted=Proportion(411, 20_000))
    row = learned_row("I.1", case)
    assert row.verdict is Outcome.FAILS
    assert row.quantity == "runs with H, DDIM-50"


# -- envelopes -----------------------------------------------------------------------------------


def followed(case: Case, score, name="network"):
    runs = learned_paths.reverse_runs(case, [TrainedModel(name, score)])
    return envelopes.follow(case, runs[2])


def test_the_floor_of_a_constant_error_is_what_ddims_recursion_makes_of_it():
    case = small()
    error = 0.003
    found = followed(case, Shifted(case, [0.0, error]))
    exact = followed(case, Shifted(case, [0.0, 0.0]), "exact")
    rho, sigma2 = case.schedule.rho[found.times], float(case.mixture.sigma) ** 2
    # y_s = y_t + (sqrt(rho_s) - sqrt(rho_t)) eps: an error of eps moves y by so many times itself.
    last = len(found.times) - 1
    begun = np.argmax(found.later, axis=0) - 1
    undisturbed = exact.floor[last] < 1e-5
    compared = 0
    for path in np.flatnonzero(found.dominated & undisturbed)[:200]:
        floor = 0.0
        for k in range(begun[path], last):
            keep = (sigma2 + np.sqrt(rho[k] * rho[k + 1])) / (sigma2 + rho[k])
            floor = keep * floor + (np.sqrt(rho[k]) - np.sqrt(rho[k + 1])) * error
        # Across a vertical pair the error is along the line, and no floor.
        if found.floor[last, path] > 1e-4:
            np.testing.assert_allclose(found.floor[last, path], floor, atol=3e-5)
            compared += 1
    assert compared > 30


def test_the_exact_score_keeps_within_the_envelope_and_an_error_of_its_size_does_not():
    case = small()
    assert not followed(case, Shifted(case, [0.0, 0.0]), "exact").exceeds(np.inf).any()
    found = followed(case, Shifted(case, [0.3, 0.3]))
    assert found.exceeds(found.allowed).any(axis=0).mean() > 0.2
    exact = followed(case, Shifted(case, [0.0, 0.0]), "exact")
    assert not exact.exceeds(exact.allowed).any()
    assert exact.share(exact.floor > 0.1 * exact.own_steps)[-2] < 0.02


def test_the_envelope_starts_at_each_paths_own_distance_and_shrinks_as_the_spread():
    case = small()
    found = followed(case, Shifted(case, [0.0, 0.0]))
    path = int(np.flatnonzero(found.dominated)[0])
    tau = int(np.argmax(found.later[:, path])) - 1
    ratio = np.sqrt(found.v / found.v[tau])
    expected = ratio[tau + 1 :] * found.distance[tau, path]
    np.testing.assert_allclose(found.contracted[tau + 1 :, path], expected, rtol=1e-12)
    assert (found.allowed[tau + 1 :, path] >= expected).all()


def test_the_distance_to_the_segment_is_that_of_the_streaming_observer():
    from mixdyn.run.observers import SegmentDistance

    case = small()
    runs = learned_paths.reverse_runs(case, [])
    n = runs[0].paths.n
    summary = sample(
        case.mixture,
        case.schedule,
        DDIM(spacing=ddim_grid(case)),
        n=n,
        rng=case.stream("learned paths"),
        observers=[SegmentDistance(case.mixture, case.schedule)],
        keep="none",
    ).observations[0]
    distance = envelopes.segment_distances(case, runs[0].paths)
    np.testing.assert_allclose(distance.mean(axis=1), summary.mean, rtol=1e-10)


@pytest.mark.parametrize(
    ("error", "outcome"), [([0.0, 0.002], Outcome.HOLDS), ([0.5, 0.5], Outcome.FAILS)]
)
def test_figure_4s_row_holds_for_a_small_error_and_fails_for_one_that_moves_the_paths(
    error, outcome
):
    case = small()
    models = [TrainedModel("network", Shifted(case, error))]
    assert rows.row_of(f4.CLAIM, case, f4.envelope, models).verdict is outcome
    twice = envelopes.Envelope(speed=2.0, remainder=0.0)
    mutant = rows.row_of(f4.CLAIM, case, f4.envelope, models, shape=twice)
    assert mutant.verdict is Outcome.FAILS


def test_a_line_leaves_no_direction_for_figure_4():
    case = Case("user", GaussianMixture([[0.0], [1.0]], 0.02), NoiseSchedule.linear(60, 1e-4, 0.3))
    row = rows.row_of(f4.CLAIM, case, f4.envelope, [TrainedModel("network", case.mixture)])
    assert row.verdict is Outcome.NOT_APPLICABLE
    assert "one dimension" in row.note


# -- without networks ----------------------------------------------------------------------------


@pytest.mark.parametrize("figure", ["F4", "F5", "E.11"])
def test_a_figure_of_networks_that_are_not_there_refuses(figure):
    with pytest.raises(NotApplicableError, match="none is shipped"):
        FIGURES[figure].result(small())


# -- a shipped network ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("torch")
    return load(next(s for s in shipped() if s.name == "grid-reduced-0"))


def test_a_trained_networks_interpolations_have_visited_a_midpoint(network):
    case = standard()
    observer = visits.MidpointVisits(case.mixture, case.schedule, [34])
    sampler = DDIM(spacing=ddim_grid(case))
    out = sample(network.score, case.schedule, sampler, n=3000, rng=1, observers=[observer])
    hit = classify(case.mixture, out.x) == Region.INTERPOLATION
    part = Decomposition.of(out.observations[0].visited(), hit)
    # About 2 % of 3000, all but one in a thousand after a visit; half of all runs make one.
    assert 20 < part.hits < 130
    assert part.visit_given_hit.rate > 0.9
    assert 0.4 < part.p_visit.rate < 0.6

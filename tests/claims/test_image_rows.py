"""The rows on images: what they decide, on made-up samples, and what they refuse."""

import dataclasses

import numpy as np
import pytest

from mixdyn.images import digits, triangles
from mixdyn.support.numbers import dump_json
from mixdyn.support.statistics import VERDICT_MISS, Proportion
from tests import toy_images
from tests.toy_images import drawn_of
from verify.ledger import rows
from verify.ledger.relations import Outcome
from verify.measure.images import counts as counting
from verify.measure.images import generations, quality
from verify.measure.images.midpoints import pairs
from verify.measure.images.sampling import quantised
from verify.papers.ddim_hallucinates_2605_06831.claims import e_10_triangles as e_10
from verify.papers.mode_interpolation_2406_09358.claims import (
    m_8_1_shapes,
    m_8_2_shapes_recursion,
    m_8_3_digits_recursion,
)

HOLDS, FAILS, OPEN = Outcome.HOLDS, Outcome.FAILS, Outcome.INCONCLUSIVE


def triangle_images(ddim, ddpm, n=300):
    return [
        drawn_of(f"triangles-{steps}-0", sampler, wrong, n)
        for steps, share in ((750, 2), (6000, 1))
        for sampler, wrong in (("ddim-50", share * ddim), ("ddim-250", ddim), ("ddpm", ddpm))
    ]


@pytest.mark.parametrize(
    ("ddim", "ddpm", "outcome"), [(80, 10, HOLDS), (30, 25, OPEN), (10, 120, FAILS)]
)
def test_ddim_against_ddpm_is_decided_by_counts(standard_case, ddim, ddpm, outcome):
    found = triangle_images(ddim, ddpm)
    row = rows.row_of(e_10.CLAIM, standard_case, e_10.wrong_counts, found)
    assert row.verdict is outcome
    assert "Not run: triangles-750-1" in row.note
    assert ("were the rates those counted: mean over networks" in row.note) == (outcome is OPEN)
    dump_json({"row": row.as_row()})
    assert row.comparisons[0].n == 600
    assert len(row.tables[0].rows) == 6


def test_a_length_of_training_that_shows_the_contrary_counts_against_the_claim(standard_case):
    found = triangle_images(120, 10)
    turned = [
        drawn_of(one.network, one.sampler, 5 if one.sampler != "ddpm" else 90, 300)
        if one.steps == 6000
        else one
        for one in found
    ]
    row = rows.row_of(e_10.CLAIM, standard_case, e_10.wrong_counts, turned)
    assert row.verdict is FAILS
    assert "6000 steps" in row.quantity


def test_controls_of_triangles_are_caught_and_narrow(standard_case, monkeypatch):
    monkeypatch.setattr(e_10, "drawn", toy_images.drawn)
    found = {row.basis: row for row in rows.check(e_10.CLAIM, standard_case)}
    (row,) = found.values()
    assert row.verdict is HOLDS
    controls = rows.controls(e_10.CLAIM, standard_case)
    assert {one.verdict for one in controls.values()} == {FAILS}


def test_midpoints_differ_by_one_triangle():
    whole, less = pairs(20, 24, 3)
    seen = [
        counting.counted(quantised(side, 24), 3.0, "triangles")["counts"] for side in (whole, less)
    ]
    assert np.ravel(seen).tolist() == [3] * 20 + [2] * 20
    assert np.array_equal(whole, triangles(20, 24, 3).rows)


@pytest.mark.parametrize(("apart", "outcome"), [(4.0, OPEN), (0.0, FAILS)])
def test_hal_on_shapes_is_decided_at_levels_that_are_sure(standard_case, apart, outcome):
    found = drawn_of("shapes-0", "ancestral-250", 40, 400, apart=apart)
    row = rows.row_of(m_8_1_shapes.CLAIM, standard_case, m_8_1_shapes.detector, found)
    assert row.verdict is outcome
    many = drawn_of("shapes-0", "ancestral-250", 700, 2000, apart=6.0)
    row = rows.row_of(m_8_1_shapes.CLAIM, standard_case, m_8_1_shapes.detector, many)
    assert row.verdict is HOLDS
    assert row.numbers["share of images that repeat a shape"] >= 0.35


def test_levels_that_may_keep_a_share_enclose_the_one_that_does():
    right = np.random.default_rng(0).random(500)
    at, low, high = generations.operating_levels(right, 0.95)
    assert low < at < high
    for level, side in ((low, 1), (high, 0)):
        kept = int((right <= level).sum())
        ends = Proportion(kept, 500).interval(VERDICT_MISS)
        assert ends[0] <= 0.95 <= ends[1]
        beyond = kept + (-1 if side else 1)
        ends = Proportion(beyond, 500).interval(VERDICT_MISS)
        assert not ends[0] <= 0.95 <= ends[1]


@pytest.mark.parametrize(
    ("module", "name"), [(m_8_2_shapes_recursion, "shapes"), (m_8_3_digits_recursion, "digits")]
)
def test_recursions_are_compared_in_the_last_generation(standard_case, module, name):
    held = toy_images.runs(name)
    row = rows.row_of(module.CLAIM, standard_case, module.filters, held)
    assert row.verdict is HOLDS
    assert "generation 3" in row.quantity
    swapped = held.swapped()
    row = rows.row_of(module.CLAIM, standard_case, module.filters, swapped)
    assert row.verdict is FAILS
    short = dataclasses.replace(
        held,
        runs=tuple(dataclasses.replace(r, generations=r.generations[:1]) for r in held.runs),
    )
    row = rows.row_of(module.CLAIM, standard_case, module.filters, short)
    assert row.verdict is OPEN
    assert "Not run: the third generation" in row.note


def test_quality_knows_real_digits_and_noise():
    judge = quality.classifier()
    assert judge.accuracy.rate > 0.96
    real = digits()
    same = quality.quality(real.rows, real.labels)
    assert abs(same.fid) < 1e-6
    assert same.precision.rate == same.recall.rate == 1.0
    rng = np.random.default_rng(0)
    noisy = quality.quality(real.rows + 0.3 * rng.standard_normal(real.rows.shape), real.labels)
    noise = quality.quality(rng.uniform(-1, 1, real.rows.shape), real.labels)
    assert same.fid < noisy.fid < noise.fid
    assert noise.precision.rate < 0.2
    assert noise.agreed.rate < 0.3
    one, other = rng.standard_normal((4000, 3)), 2.0 + 3.0 * rng.standard_normal((4000, 3))
    assert abs(quality.frechet(one, quality.Law.of(other)) - (12.0 + 3 * 4.0)) < 1.5


@pytest.mark.parametrize(
    ("values", "outcome"), [((2.0, 1.0), HOLDS), ((1.0, 2.0), FAILS), ((1.1, 1.0), OPEN)]
)
def test_estimates_are_ordered_five_errors_apart(values, outcome):
    found = generations.compare_values("x", *values, 0.1, 10)
    assert found.outcome is outcome
    assert (abs(found.excess) >= 1.0) == (outcome is not OPEN)
    # (5 + 1.28 errors)^2 of a difference of one: 39 times the ten samples.
    words = "About 390 of each would show" if outcome is OPEN else ""
    assert generations.samples_needed(found, 0.1).startswith(words)
    assert bool(generations.samples_needed(found, 0.1)) == (outcome is OPEN)


def test_counts_that_are_not_those_of_the_kept_images_are_refused(tmp_path):
    import json

    from mixdyn.support.errors import FileError
    from verify.measure.images.sampling import FORMAT, packed

    real = triangles(3, 24, 0)
    block = {"n": 3, "n_eval": 5, "counts": [[3], [3], [2]], "odd": [0, 0, 0]}
    block["pixels"] = packed(quantised(real.rows, 24))
    path = tmp_path / "triangles-9-0--ddpm.json"
    path.write_text(json.dumps({"format": FORMAT, "about": {"side": 24}, "blocks": [block]}))
    with pytest.raises(FileError, match="counts are those of the images kept beside them"):
        counting._read(path)


def test_the_score_of_the_images_draws_copies_and_a_network_must_differ(ledger, standard_case):
    found = ledger.rows("X23", standard_case)
    assert {row.verdict for row in found.values()} == {HOLDS}
    for row in found.values():
        assert all(control.caught for control in row.mutants)
        assert any(control.narrow for control in row.mutants)
    (learned,) = (row for row in found.values() if row.tables)
    own, seen, fresh = (np.array(learned.tables[0].rows)[:, k] for k in (1, 2, 3))
    assert (np.diff(own) >= -0.02).all()
    assert (seen[own > 0.99] < 0.01 * fresh[own > 0.99]).all()

"""Statements over boxes: what they cover, and that false ones are refuted where they are false."""

import dataclasses
import itertools

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Law, Outcome, Statement
from mixdyn.proof.interval import Interval
from verify.ledger import cases
from verify.ledger.relations import Outcome as Verdict
from verify.ledger.rows import row_of
from verify.ledger.verdict import Basis
from verify.measure import continuum
from verify.papers.ddim_hallucinates_2605_06831.claims import a_4_1_dominance as a41
from verify.papers.ddim_hallucinates_2605_06831.claims import c_4_6_tracking as c46
from verify.papers.own.claims import x_5_two_mode_bound as x5


@pytest.fixture(scope="module")
def case():
    return dataclasses.replace(cases.standard(), random=True)


def test_cells_cover_a_range_from_end_to_end_by_a_ratio_at_most():
    found = list(continuum.cells(1e-4, 0.3, 1.7))
    assert found[0][0] == 1e-4
    assert found[-1][1] == 0.3
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    assert max(high / low for low, high in found) <= 1.7 * (1 + 1e-12)


@pytest.mark.parametrize(("k", "born"), [(3.5, False), (4.5, True)])
def test_a_saddle_of_two_modes_is_proved_after_its_birth_and_refuted_before(k, born):
    two = Law.of(presets.two_modes(d=1), [0.0], [[1.0]])
    length = float(np.ptp(two.means))
    v = length**2 / k
    stated = list(continuum.saddle("", two, 0.05 * length, (v, 1.001 * v)))
    outcomes = {one.decide().outcome for one in stated}
    assert outcomes == {Outcome.PROVED} if born else Outcome.REFUTED in outcomes


def test_a_node_is_proved_at_a_mode_and_refuted_at_a_midpoint(case):
    mixture = case.mixture
    middle = 0.5 * (mixture.means[12] + mixture.means[13])
    for centre, outcome in ((mixture.means[12], Outcome.PROVED), (middle, Outcome.REFUTED)):
        law = Law.of(mixture, centre, np.eye(2))
        found = {one.decide().outcome for one in continuum.node("", law, 0.01, (1e-3, 5e-3))}
        assert outcome in found
        assert len(found) == 1 or outcome is Outcome.REFUTED


def test_a_tube_is_as_wide_as_dominance_allows(case):
    window = continuum.proof_window(case)
    wide = continuum.dominated_tube(case, window, 7.0)
    narrow = continuum.dominated_tube(case, window, 16.0)
    assert wide[1][1] > narrow[1][1] > 0
    assert continuum.dominated_tube(case, window, 1000.0) is None


def test_a_refuted_row_fails_and_names_the_statement_and_the_point(case):
    row = next(m for m in a41.CLAIM.measurements if m.basis is Basis.CERTIFIED)
    stated = a41.tube(case)
    assert row_of(a41.CLAIM, case, row.measure, stated).verdict is Verdict.HOLDS
    false = row_of(a41.CLAIM, case, row.measure, stated, kappa=30.0)
    assert false.verdict is Verdict.FAILS
    assert false.witness["of"] == "margin 30 in the tube"
    z, v = np.array(false.witness["z and v"][:2]), false.witness["z and v"][2]
    law = stated[0].law
    gaps = np.square(law.centre + z @ law.axes - law.means).sum(axis=1)
    pair = continuum.proof_window(case).pair
    others = np.delete(gaps, [pair.i, pair.j])
    assert (others.min() - min(gaps[pair.i], gaps[pair.j])) / (2 * v) < 30.0


def test_the_proved_midpoint_bound_is_far_above_the_truth_and_far_below_one(case):
    bound = next(p for p in x5.proved_bound(case) if isinstance(p, dict))
    (value,) = bound.values()
    assert -200 < value.exponent < -150


def test_widths_that_differ_have_no_proof_of_this_kind():
    uneven = GaussianMixture([[-1.0], [1.0]], [0.1, 0.2])
    case = dataclasses.replace(cases.standard(), mixture=uneven)
    assert continuum.proof_window(case) is None
    assert not continuum.can_prove(case)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_block_is_called_negative_exactly_where_its_eigenvalues_are(d):
    rng, rate = np.random.default_rng(d), 0.2
    law = Law.of(GaussianMixture(rng.standard_normal((5, d)), 0.3), np.zeros(d), np.eye(d))
    seen = []
    for place in rng.standard_normal((200, d)):
        v, at = 0.25, place * 0.7
        logits = -np.square(at - law.means).sum(axis=1) / (2 * v)
        gamma = np.exp(logits - logits.max())
        gamma /= gamma.sum()
        apart = law.means - gamma @ law.means
        top = np.linalg.eigvalsh((gamma[:, None] * apart).T @ apart / v - np.eye(d))[-1]
        box = Interval.of(np.append(at, v)[None])
        low = min(
            float(Statement.over("", law, term, *at, v).bound(box).lo[0])
            for term in continuum.negative(range(d), rate)
        )
        seen.append(top < -rate)
        assert (low > 0) == seen[-1] or abs(top + rate) < 1e-9
    assert 20 < sum(seen) < 180


def test_unequal_weights_refute_no_contraction_that_holds(case):
    """The diagonal does not dominate a row of the second cube, whose eigenvalues are low enough."""
    uneven = GaussianMixture([[-1.0, 0.0], [1.0, 0.3], [0.2, 1.4]], 0.1, [0.98, 0.015, 0.005])
    asked = dataclasses.replace(case, mixture=uneven)
    outcomes = [one.decide().outcome for one in c46.basins(asked)]
    assert outcomes == [Outcome.PROVED] * 18
    assert Outcome.REFUTED in {one.decide().outcome for one in c46.basins(asked, factor=0.9)}

"""The rows on 25 modes in many dimensions: what they decide on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mixdyn.geometry.dominance_times import NEVER, tau_2
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import FileError
from verify.ledger import rows
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Origin
from verify.measure.dominance import KAPPAS, Times, closest, summary, times_along
from verify.measure.networks import many_dimensions
from verify.papers.ddim_hallucinates_2605_06831.claims import (
    e_2_many_dimensions as e2,
)
from verify.papers.ddim_hallucinates_2605_06831.claims import (
    e_2_prime_envelope as prime,
)
from verify.papers.ddim_hallucinates_2605_06831.claims import (
    e_6_dominance_times as e6,
)
from verify.papers.ddim_hallucinates_2605_06831.claims import (
    e_7_separation_times as e7,
)
from verify.papers.ddim_hallucinates_2605_06831.claims import (
    e_8_order_of_times as e8,
)

PATHS = 1_000


@pytest.mark.parametrize("claim", ["E.6", "E.7", "E.8"])
def test_the_times_follow_dimension_and_margin_and_every_control_is_caught(
    ledger, standard_case, claim
):
    for row in ledger.rows(claim, standard_case).values():
        assert row.verdict is Outcome.HOLDS
        assert all(control.caught for control in row.mutants)
        assert any(control.narrow for control in row.mutants)


def two_dimensions(wins: int, least: int = 5) -> dict[str, object]:
    """Paths in d = 2 and 8 for one margin, so many of which are earlier in d = 8."""
    fixed = np.full((2, 1, PATHS), least + 10)
    fixed[1, 0, :wins] += 1
    fixed[0, 0, -1] = least
    own = np.full((1, PATHS), least)
    found = summary([Times(d, f, f, own) for d, f in zip((2, 8), fixed, strict=True)])
    return {**found, "kappa": (7.0,)}


@pytest.mark.parametrize(
    ("wins", "least", "outcome"),
    [
        (700, 5, Outcome.HOLDS),
        (700, 0, Outcome.FAILS),  # one path is dominated at clean data only
        (510, 5, Outcome.INCONCLUSIVE),
        (300, 5, Outcome.FAILS),  # ties count against it
    ],
)
def test_dominance_is_earlier_where_more_than_half_of_the_pairs_say_so(
    standard_case, wins, least, outcome
):
    found = two_dimensions(wins, least)
    assert found["earlier"].tolist() == [[wins + (wins < PATHS)]]
    assert rows.row_of(e6.CLAIM, standard_case, e6.times, found).verdict is outcome


def test_paths_that_one_mode_dominates_alone_have_no_order():
    fixed, own = np.array([[9, 5, 3, NEVER]]), np.array([[9, 6, NEVER, NEVER]])
    found = summary([Times(2, fixed, fixed, own)])
    assert found["paired"].tolist() == [[2]]
    assert found["before"].tolist() == [[1]]
    assert found["own"][0, 0].tolist() == [6, 6, 9]


@pytest.mark.parametrize(
    ("before", "outcome"),
    [(700, Outcome.HOLDS), (510, Outcome.INCONCLUSIVE), (300, Outcome.FAILS)],
)
def test_the_order_is_decided_among_the_paths_of_two_modes(standard_case, before, outcome):
    found = {"n": 2 * PATHS, "d": [2], "kappa": [7.0], "paired": [[PATHS]], "before": [[before]]}
    row = rows.row_of(e8.CLAIM, standard_case, e8.order, found)
    assert row.verdict is outcome
    assert row.applicable_share == pytest.approx(0.5)


def test_times_along_a_path_by_hand():
    """A path along the axis, far from the third mode until the end: modes 0 and 1 own it."""
    mixture = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 30.0]], 0.05)
    schedule = NoiseSchedule.linear()
    nodes = np.array([300, 50, 1, 0])
    y = np.array([[0.5, 0.0], [0.5, 0.0], [1.0, 0.0], [1.0, 0.0]])[:, None, :]
    found = times_along(mixture, schedule, nodes, y * schedule.alpha[nodes][:, None, None])
    assert (found.fixed == 300).all()
    pairs = [tau_2(mixture, schedule, kappa)[0, 1] for kappa in KAPPAS]
    assert found.own[:, 0].tolist() == pairs


def simplex(n: int, sigma: float) -> GaussianMixture:
    """n modes at one distance in n - 1 dimensions, of unit variance in each coordinate."""
    _, _, axes = np.linalg.svd(np.eye(n) - 1.0 / n)
    corners = axes[: n - 1].T
    corners *= np.sqrt((1.0 - sigma**2) * n) / np.sqrt(np.square(corners).sum(axis=0))
    return GaussianMixture(corners, sigma)


def test_a_simplex_reaches_the_ceiling_and_no_farthest_points_do(standard_case):
    m = simplex(9, 0.01)
    length = e7._shortest(m)
    held = e7.Problem(m, length, closest(m, standard_case.schedule))
    assert length**2 / (4.0 * m.d) == pytest.approx(held.ceiling, rel=1e-12)
    for p in e7.problems(standard_case):
        assert p.length**2 / (4.0 * p.mixture.d) < 0.99 * p.ceiling


# -- networks ------------------------------------------------------------------------------------


@pytest.fixture
def networks(standard_case):
    return many_dimensions.held(standard_case)


def test_saved_networks_are_those_that_are_shipped(standard_case, networks):
    shipped = many_dimensions.shipped_names(standard_case)
    assert [(one.d, one.name) for one in networks.networks] == shipped
    for one in networks.networks:
        assert (one.counts.sum(axis=1) == one.exact.sum(axis=1)).all()
        assert one.fixed.shape == (len(KAPPAS), one.traced)
        assert one.exact[0, 0] == one.exact[0].sum(), "the exact score misses no mode"


@pytest.mark.parametrize(("claim", "outcome"), [("E.2", Outcome.HOLDS), ("E.2'", Outcome.FAILS)])
def test_rows_on_saved_networks_say_so(ledger, standard_case, claim, outcome):
    row = ledger.row(claim, standard_case)
    assert row.verdict is outcome
    assert row.origin is Origin.STORED
    assert "commit" in row.note
    assert row.witness
    assert all(control.caught for control in row.mutants)


def with_counts(networks, ddim, ddpm):
    """The first network alone, with other ends."""
    one = dataclasses.replace(networks.networks[0], d=8, counts=np.array([ddim, ddpm]))
    return dataclasses.replace(networks, networks=(one,))


@pytest.mark.parametrize(
    ("ddim", "ddpm", "outcome"),
    [
        ([9000, 500, 500], [990, 5, 5], Outcome.HOLDS),
        ([9900, 50, 50], [900, 50, 50], Outcome.FAILS),
        ([9900, 50, 50], [985, 5, 10], Outcome.INCONCLUSIVE),
        ([0, 0, 10000], [300, 0, 700], Outcome.NOT_APPLICABLE),
    ],
)
def test_a_network_is_asked_where_ddpm_reaches_the_modes(
    standard_case, networks, ddim, ddpm, outcome
):
    found = with_counts(networks, ddim, ddpm)
    row = rows.row_of(e2.CLAIM, standard_case, e2.gap, found)
    assert row.verdict is outcome
    assert ("is not asked" in row.note) == (outcome is Outcome.NOT_APPLICABLE)


def test_the_envelope_holds_where_few_paths_leave_it(standard_case, networks):
    one = networks.networks[0]
    few = dataclasses.replace(one, traced=10_000, beyond=20, outside=np.array([15, 0]))
    found = dataclasses.replace(networks, networks=(few,))
    row = rows.row_of(prime.CLAIM, standard_case, prime.envelope, found)
    assert row.verdict is Outcome.HOLDS


@pytest.mark.parametrize("text", ["", "{}", '{"format":"verify.many_dimensions.0"}'])
def test_a_damaged_file_is_one_clear_line(tmp_path, text):
    path = tmp_path / "saved.json"
    path.write_text(text)
    with pytest.raises(FileError):
        many_dimensions.saved(path)


def test_a_network_measured_anew_has_the_saved_shapes(standard_case, monkeypatch, networks):
    """On few samples; and what the exact score does does not depend on the network."""
    monkeypatch.setattr(many_dimensions, "_DDIM", (60, 0))
    monkeypatch.setattr(many_dimensions, "_DDPM", (3, 0))
    monkeypatch.setattr(many_dimensions, "_TRACED", 40)
    d, name = many_dimensions.shipped_names(standard_case)[0]
    case = dataclasses.replace(standard_case, workspace={}, folder=None)
    one, old = many_dimensions.of_network(case, d, name), networks.networks[0]
    assert one.counts.sum(axis=1).tolist() == [60, 3]
    np.testing.assert_allclose(one.v, old.v, rtol=1e-4)
    assert one.distances.shape == old.distances.shape
    assert (one.fixed[:, :3] == old.fixed[:, :3]).all()  # the same noise, path by path

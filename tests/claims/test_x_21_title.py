"""X21: what each link loses, and the difference that is proved on trained networks."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mixdyn.support.statistics import Proportion
from verify.ledger import rows
from verify.ledger.relations import Outcome
from verify.measure.insurance.title import Title
from verify.measure.midpoint.difference import links
from verify.papers.own.claims import x_21_title as x21

from .test_insurance_rows import made_up


@pytest.fixture(scope="module")
def found(standard_case):
    return {link.of: link for link in links(standard_case)}


def test_the_published_chain_breaks_at_the_midpoint_bound(found):
    assert found["P5.1"].log_bound > 0.0
    assert found["P5.1"].log_truth == pytest.approx(math.log(4.4e-265), abs=0.1)
    assert found["X5"].log_bound == pytest.approx(found["X5"].log_truth, rel=1e-5)


def test_every_link_bounds_its_truth_and_ours_lose_less(found):
    for link in found.values():
        assert link.log_loss >= -1e-5 * abs(link.log_truth)
    for published, ours in (("T4.2", "X2'"), ("P4.7 (2)", "X3"), ("P5.1", "X5")):
        assert found[ours].log_loss < found[published].log_loss


def test_a_start_that_stays_is_1e_4013_as_published_and_1e_538_by_ours(found):
    in_tens = {of: link.log_bound / math.log(10.0) for of, link in found.items()}
    assert in_tens["P4.7 (2)"] == pytest.approx(-4013, abs=2)
    assert in_tens["X3"] == pytest.approx(-538, abs=1)
    assert found["X3"].log_truth / math.log(10.0) == pytest.approx(-264, abs=1)


def test_the_exact_row_holds_and_a_wrong_link_falls(standard_case):
    verdicts = [
        rows.row_of(x21.CLAIM, standard_case, x21.chain, **wrong).verdict
        for wrong in ({}, {"growth": 0.4}, {"stretch": 1.001})
    ]
    assert verdicts == [Outcome.HOLDS, Outcome.FAILS, Outcome.FAILS]


def title(ddim: int, ddpm: int, exceeded: int, n: int = 8000) -> Title:
    """Two made-up networks, whose paths of DDPM cost too much in so many of n cases."""
    runs = tuple(
        made_up(np.r_[np.full(exceeded, 50.0), np.zeros(n - exceeded)], np.zeros(n, bool), -40.0)
        for _ in range(2)
    )
    return Title(("a", "b"), (Proportion(ddim, n),) * 2, (Proportion(ddpm, n),) * 2, runs)


def test_what_links_take_away_adds_up_to_the_proved_difference():
    made = title(200, 2, 10)
    for miss in (0.05, 1e-6):
        assert sum(value for _, value in made.steps(miss)) == pytest.approx(made.proved(miss))
    assert made.proved(0.05) > made.proved(1e-6) > 0.0
    assert [one.models for one in made.apart()] == [("a",), ("b",)]


def test_expensive_paths_prove_nothing():
    assert title(200, 2, 400).proved(0.05) < 0.0
    assert title(200, 2, 10).swapped().proved(0.05) < 0.0
    none = replace(title(0, 0, 0))
    assert none.proved(0.05) < 0.0

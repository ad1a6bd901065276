"""Narrow negative controls: how small a fault a check still rejects, found from a gross one."""

import dataclasses

import numpy as np
import pytest

from tests import toys
from verify.ledger.controls import narrowest
from verify.ledger.relations import Outcome, Upper, compare
from verify.ledger.verdict import NARROW, Finding, NegativeControl

CLAIM, CASE = toys.claim(), toys.case()


def mutant(excess, sizes=None):
    """A check whose sides come apart by excess(size) tolerances of 1e-9."""

    def judge(size):
        if sizes is not None:
            sizes.append(size)
        sides = [(1e-9 * value, 0.0) for value in np.atleast_1d(excess(size))]
        comparisons = [compare("x", Upper(atol=1e-9), *side) for side in sides]
        return CLAIM.judge(CASE, Finding(comparisons, witness=lambda c: {"x": 1}))

    return judge


KINDS = {
    "two sides that meet": lambda s: 3e8 * s,
    "a loose bound": lambda s: 5e7 * s - 2e7,
    "a bound that all but holds": lambda s: 1e3 * s - 990.0,
    "two comparisons of which one begins late": lambda s: [4e5 * s - 3e5, 1e11 * (s - 0.01) - 4e5],
    "one that grows as a square": lambda s: 1e9 * s**2 - 1e4,
    "one that is beyond all range at first": lambda s: np.exp(700.0 * s) - 1e3,
}


def test_where_the_claim_itself_fails_the_search_ends_early_with_the_gross_fault():
    sizes = []
    found = narrowest("off by {}", mutant(lambda s: 1e6 + s, sizes), 0.5)
    assert set(found) == {"off by 0.5"}
    assert len(sizes) < 8
    assert 0.0 in sizes


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_found_that_fails_narrowly_and_the_name_gives_its_size(kind):
    sizes = []
    ((name, found),) = narrowest("off by {}", mutant(KINDS[kind], sizes), 1.0).items()
    control = NegativeControl.of(name, found)
    assert control.caught
    assert 1.0 < control.excess <= NARROW
    size = float(name.removeprefix("off by "))
    again = NegativeControl.of(name, mutant(KINDS[kind])(size))
    assert again.excess == control.excess
    assert len(sizes) <= 40


def test_a_gross_fault_that_is_narrow_itself_is_judged_once():
    sizes = []
    ((name, _),) = narrowest("off by {}", mutant(lambda s: 40.0 * s, sizes), 0.5).items()
    assert name == "off by 0.5"
    assert sizes == [0.5]


def test_a_check_that_jumps_keeps_the_smallest_fault_that_it_was_seen_to_reject():
    ((name, found),) = narrowest("{}", mutant(lambda s: 1e6 if s > 0.3 else 0.0), 1.0).items()
    assert found.verdict is Outcome.FAILS
    assert 0.3 < float(name) < 0.3001
    assert not NegativeControl.of(name, found).narrow


def test_a_fault_that_no_size_reveals_makes_no_control():
    assert narrowest("off by {}", mutant(lambda s: 0.0), 1.0) == {}


def test_a_size_that_decides_nothing_counts_as_not_seen():
    """Below 0.2 this check gives NaN, which is no rejection."""

    def judge(size):
        found = mutant(lambda s: 1e6 * s)(size)
        return dataclasses.replace(found, verdict=Outcome.INCONCLUSIVE) if size < 0.2 else found

    ((name, found),) = narrowest("{}", judge, 1.0).items()
    assert found.verdict is Outcome.FAILS
    assert float(name) >= 0.2

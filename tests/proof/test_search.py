"""Boxes are proved, refuted at a point, or left undecided with the worst of them."""

import numpy as np
import pytest

from mixdyn.proof import Budget, Interval, Outcome, decide, leaves

BOX = [[-1.0, 2.0], [0.5, 1.5]]


def _above(least: float):
    """(x - 1/3)^2 + y^2 > least; its minimum over BOX is 1/4."""
    return lambda b: (b[..., 0] - 1.0 / 3.0).square() + b[..., 1].square() - least


def test_a_true_statement_is_proved_by_leaves_that_tile_the_box():
    found = decide(_above(0.2499), BOX)
    assert found.outcome is Outcome.PROVED
    pieces = np.array(list(leaves(BOX, found.tree)))
    assert np.prod(np.ptp(pieces, axis=-1), axis=1).sum() == pytest.approx(3.0, rel=1e-12)
    inside = _above(0.2499)(Interval(pieces[..., 0], pieces[..., 1]))
    assert np.all(inside.lo > 0)
    assert found.boxes < 500
    assert 0.0 < found.least <= 0.0001


def test_a_false_statement_is_refuted_at_a_point_where_it_is_false():
    found = decide(_above(0.26), BOX)
    assert found.outcome is Outcome.REFUTED
    x, y = found.point
    assert (x - 1 / 3) ** 2 + y**2 < 0.26


def test_a_statement_true_by_no_room_stays_undecided_near_where_it_is_tight():
    found = decide(_above(0.25), [[-1.0, 2.0], [0.5, 1.5]], Budget(boxes=3000))
    assert found.outcome is Outcome.UNDECIDED
    assert found.boxes <= 3000
    assert np.all(np.abs(found.worst.mean(axis=1) - [1 / 3, 0.5]) < 0.05)
    assert not found


def test_an_interrupt_passes_and_the_watch_hears_of_every_batch():
    heard = []

    def stop(looked, waiting):
        heard.append(looked)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decide(_above(0.25), BOX, watch=stop)
    assert heard == sorted(heard)


@pytest.mark.parametrize("tree", ["", "0.", "0...", ".."])
def test_what_is_no_tree_is_refused(tree):
    with pytest.raises(ValueError, match="tree"):
        list(leaves(BOX, tree))

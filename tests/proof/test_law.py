"""Enclosures over boxes contain the exact values at their points, in balls of 300 bits."""

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Interval
from mixdyn.proof.law import Law, basis

flint = pytest.importorskip("flint")
RNG = np.random.default_rng(5)
LAWS = {
    "line": Law.of(GaussianMixture([[-1.0], [0.2], [1.5]], 0.04, [0.5, 0.2, 0.3]), [0.1], [[0.7]]),
    "space": Law.of(
        GaussianMixture(RNG.normal(size=(6, 3)), 0.1, RNG.uniform(0.1, 1.0, 6)),
        RNG.normal(size=3),
        RNG.normal(size=(2, 3)),
    ),
    "grid": Law.of(presets.grid(), [0.35, 0.0], 0.7 * basis([1.0, 0.0], 2)),
}
POINTS = {"line": 5000, "space": 4000, "grid": 1000}


def _boxes(law: Law, n: int) -> Interval:
    """Of all sizes, around places among the modes, at all levels."""
    rng, k = np.random.default_rng(7), len(law.axes)
    middle = np.column_stack([rng.normal(size=(n, k)), 10.0 ** rng.uniform(-4.0, 0.5, n)])
    wide = 10.0 ** rng.uniform(-12.0, -0.5, (n, 1)) * np.append(np.ones(k), 0.0)
    wide[:, -1] = middle[:, -1] * 10.0 ** rng.uniform(-12.0, -0.3, n)
    wide *= rng.uniform(size=wide.shape) < 0.9  # some sides have no width
    return Interval(middle - wide, middle + wide)


def _exact(law: Law, point: list[float]) -> dict:
    """By the definitions, from densities."""
    arb, n, d = flint.arb, *law.means.shape
    *z, v = (arb(x) for x in point)
    mu = [[arb(x) for x in row] for row in law.means.tolist()]
    axes = [[arb(x) for x in row] for row in law.axes.tolist()]
    y = [
        arb(c) + sum(t * e[i] for t, e in zip(z, axes, strict=True))
        for i, c in enumerate(law.centre.tolist())
    ]
    gaps = [[a - b for a, b in zip(y, m, strict=True)] for m in mu]
    p = [
        arb(w) * (-sum(g * g for g in gap) / (2 * v)).exp()
        for w, gap in zip(law.weights.tolist(), gaps, strict=True)
    ]
    total = sum(p)
    gamma = [each / total for each in p]
    m = [sum(g * row[i] for g, row in zip(gamma, mu, strict=True)) for i in range(d)]
    along = [
        [sum(a * (b - c) for a, b, c in zip(e, row, m, strict=True)) for row in mu] for e in axes
    ]
    cov = [
        [sum(g * a * b for g, a, b in zip(gamma, s, t, strict=True)) for t in along] for s in along
    ]
    dot = [[sum(a * b for a, b in zip(s, t, strict=True)) for t in axes] for s in axes]
    first, last = axes[0], axes[-1]
    return {
        "share": gamma[n - 1],
        "log_ratio": (gamma[0] / gamma[1]).log(),
        "log_powers": (gamma[0] * gamma[1] / gamma[n - 1] ** 2).log(),
        "mean": sum(
            a * (b - arb(c)) for a, b, c in zip(first, m, law.centre.tolist(), strict=True)
        ),
        "field": sum(a * (b - c) for a, b, c in zip(last, m, y, strict=True)),
        "covariance": cov[0][-1],
        "jacobian": cov[-1][-1] / v - dot[-1][-1],
    }


@pytest.mark.parametrize("name", LAWS)
def test_every_enclosure_contains_the_value_at_a_random_point_of_its_box(name):
    law, n = LAWS[name], POINTS[name]
    boxes, last = _boxes(law, n), len(LAWS[name].axes) - 1
    share = np.random.default_rng(6).uniform(size=boxes.shape)
    at = np.clip(share * (boxes.hi - boxes.lo) + boxes.lo, boxes.lo, boxes.hi)
    arguments = {
        "share": (len(law.means) - 1,), "log_ratio": (0, 1),
        "log_powers": (0, 1, 1, 1, len(law.means) - 1, -2), "mean": (0,), "field": (last,),
        "covariance": (0, last), "jacobian": (last, last),
    }  # fmt: skip
    ends = {key: Interval(np.full(n, np.nan), np.full(n, np.nan)) for key in arguments}
    # As proofs batch them, and in the order drawn, where boxes share what modes matter.
    drawn = [np.arange(start, min(start + 250, n // 2)) for start in range(0, n // 2, 250)]
    for rows in [*(rows[rows >= n // 2] for rows in law.batches(boxes)), *drawn]:
        if rows.size:
            local = law.over(boxes[rows])
            for key, where in arguments.items():
                part = getattr(local, key)(*where)
                ends[key].lo[rows], ends[key].hi[rows] = part.lo, part.hi
    with flint.ctx.workprec(300):
        for i, point in enumerate(at.tolist()):
            for key, value in _exact(law, point).items():
                low, high = float(ends[key].lo[i]), float(ends[key].hi[i])
                wrong = value < low or value > high
                assert not wrong, (key, point)
    assert all(np.isfinite(end.hi - end.lo).all() for end in ends.values())


def test_enclosures_shrink_with_their_boxes_the_field_in_proportion_to_the_square():
    """The mean value form's excess over the range is of second order in the width."""
    law = LAWS["grid"]
    excess = []
    for wide in (1e-3, 1e-4):
        box = np.array([[0.03, 0.02, 0.03]])
        part = wide * np.array([[1.0, 1.0, 0.01]])
        found = law.over(Interval(box - part, box + part)).field(0)
        corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T * part + box
        values = law.over(Interval.of(corners)).field(0)
        excess.append(float((found.hi - found.lo)[0] - (values.hi.max() - values.lo.min())))
    assert 0.0 < excess[1] < excess[0] / 80.0


def test_modes_that_matter_nowhere_are_one_term_and_still_counted():
    law = Law.of(GaussianMixture([[0.0], [1.0], [4.0]], 0.1), [0.0], [[1.0]])
    local = law.over(Interval(np.array([[0.1, 0.1]]), np.array([[0.2, 0.11]])))
    assert local.gamma.shape == (1, 2)
    share = local.share(2)
    assert share.lo == 0.0
    assert 0.0 < share.hi < 1e-19


def test_where_one_mode_matters_alone_the_field_points_at_it():
    law = Law.of(GaussianMixture([[0.0], [1.0], [4.0]], 0.1), [0.0], [[1.0]])
    local = law.over(Interval(np.array([[0.1, 1e-3]]), np.array([[0.2, 2e-3]])))
    assert local.gamma.shape == (1, 1)
    assert 0.0 <= local.covariance(0, 0).hi < 1e-60
    assert local.field(0).contains(np.array([-0.15]))
    assert np.all(np.abs(local.field(0).lo + 0.2) < 1e-12)


def test_places_cancel_in_the_powers_of_a_rectangle():
    law = Law.of(presets.grid(), [0.1, 0.2], np.eye(2))
    found = law.over(Interval(np.array([[-9.0, -9.0, 0.01]]), np.array([[9.0, 9.0, 90.0]])))
    assert found.log_powers(0, 1, 6, 1, 1, -1, 5, -1).abs().hi < 1e-9
    with pytest.raises(ValueError, match="sum to 0"):
        found.log_powers(0, 1, 6, 1)


def test_a_basis_begins_with_the_direction_given():
    rows = basis([3.0, 4.0, 0.0], 3)
    assert rows[0] == pytest.approx([0.6, 0.8, 0.0])
    assert rows @ rows.T == pytest.approx(np.eye(3))

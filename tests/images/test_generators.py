"""Images with a known truth, and what is read off them."""

import numpy as np
import pytest

from mixdyn.images import KINDS, digits, find_parts, repeated, shapes, triangles, wrong_count
from mixdyn.images.drawing import area, coverage
from mixdyn.support.errors import InputError, MemoryLimitError


@pytest.mark.parametrize("corners", KINDS.values())
def test_ink_is_the_area_and_its_centre_the_polygons(corners):
    rng = np.random.default_rng(corners)
    offset = rng.uniform(-0.5, 0.5, (200, 2))
    drawn = coverage(corners, 4.0, offset, 11)
    ink = drawn.sum((1, 2))
    assert np.abs(ink / area(corners, 4.0) - 1).max() < 0.06
    place = np.arange(11) - 5
    rows = (drawn * place[None, :, None]).sum((1, 2)) / ink
    columns = (drawn * place[None, None, :]).sum((1, 2)) / ink
    assert np.abs(np.stack([rows, columns], 1) - offset).max() < 0.2


def test_a_square_that_fills_whole_pixels_is_exact():
    radius = 2.0 * np.sqrt(2.0)  # apothem 2: from edge to edge of pixels
    drawn = coverage(4, radius, np.array([[0.5, 0.5]]), 7)[0]
    inside = np.zeros((7, 7))
    inside[2:6, 2:6] = 1.0
    assert np.abs(drawn - inside).max() < 1e-12
    assert drawn.sum() == pytest.approx(area(4, radius))


@pytest.mark.parametrize("side", [24, 32, 64])
@pytest.mark.parametrize("maker", [triangles, shapes])
def test_every_count_is_read_off_right(maker, side):
    """No error in these; 10,000 of each at each side were looked at once, without one."""
    drawn = maker(1500, side, seed=3)
    parts = find_parts(drawn.images, drawn.radius, drawn.kinds)
    assert np.array_equal(parts.counts(), drawn.counts)
    assert not parts.odd.any()
    assert parts.misfit.max() < 0.2
    assert drawn.images.min() == -1.0
    assert drawn.images.max() <= 1.0


def test_shapes_stand_in_their_columns_half_of_the_time():
    drawn = shapes(4000, seed=1)
    assert np.abs(drawn.counts.mean(0) - 0.5).max() < 0.04  # five standard deviations
    parts = find_parts(drawn.images, drawn.radius)
    column = np.floor(parts.centre[:, 1] / (drawn.side / 3) + 1e-9).astype(int)
    assert np.array_equal(column, parts.kind)
    assert not repeated(parts).any()


def test_what_is_wrong_is_seen():
    """Two images drawn over each other: one shape twice, or one part that is none of the shapes
    where the two overlap; one on the other looks like one."""
    drawn = shapes(2000, seed=5)
    both = np.maximum(drawn.images[0::2], drawn.images[1::2])
    parts = find_parts(both, drawn.radius)
    twice = np.any(drawn.counts[0::2] + drawn.counts[1::2] > 1, axis=1)
    seen = repeated(parts)
    assert not seen[~twice].any()
    assert not parts.with_odd()[~twice].any()
    assert (seen | parts.with_odd())[twice].mean() > 0.8
    assert 0.5 < seen[twice].mean() < 0.9
    three = triangles(500, seed=2)
    fewer = three.images.copy()
    fewer[:, :, :12] = -1.0
    cut = find_parts(fewer, three.radius, ("triangle",))
    assert 0.5 < wrong_count(cut, 3).mean() < 1.0
    assert cut.with_odd().any()  # triangles cut through
    assert not wrong_count(find_parts(three.images, three.radius, ("triangle",)), 3).any()


def test_specks_and_blank_images_hold_nothing():
    blank = np.full((3, 24, 24), -1.0)
    blank[1, 4, 4] = 1.0
    parts = find_parts(blank, 3.0)
    assert parts.counts().tolist() == [[0, 0, 0]] * 3
    assert wrong_count(parts, 3).all()


def test_images_follow_from_their_seed_alone():
    assert triangles(20, seed=4).digest == triangles(20, seed=4).digest
    assert triangles(20, seed=4).digest != triangles(20, seed=5).digest
    seen, unseen = shapes(30).held_out(7, 1)
    assert len(unseen.images) == 7
    assert len(seen.images) == 30


def test_real_images_are_split_never_drawn():
    pytest.importorskip("sklearn")
    real = digits()
    assert real.images.shape == (1797, 8, 8)
    assert real.classes == 10
    seen, unseen = real.held_out(2000, 3)
    assert len(seen.images) + len(unseen.images) == 1797
    assert len(unseen.images) == 179
    rows = {row.tobytes() for row in seen.images}
    assert not any(row.tobytes() in rows for row in unseen.images)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: triangles(0), "n must be an integer >= 1"),
        (lambda: shapes(10, side=8), "side must be an integer in 24..256"),
        (lambda: find_parts(np.zeros((2, 8, 8)), 2.0, ["circle"]), "shapes are triangle, square"),
        (lambda: find_parts(np.zeros((2, 8, 8)), 2.0, []), "shapes are triangle, square"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_more_images_than_memory_are_refused():
    with pytest.raises(MemoryLimitError, match="the images"):
        triangles(10**9)

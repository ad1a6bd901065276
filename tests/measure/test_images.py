"""What is counted, kept and drawn again of samples of networks for images."""

import dataclasses
import json

import numpy as np
import pytest

from mixdyn import DDIM, GaussianMixture, NoiseSchedule, sample
from mixdyn.images import digits, shapes, triangles
from mixdyn.support.errors import FileError
from verify.measure.images import recursing, sampling
from verify.measure.images.sampling import Way, counted, packed, quantised, unpacked
from verify.measure.images.watching import LEVELS, Decisions, HalWindows

SCHEDULE = NoiseSchedule.linear(40, 1e-3, 0.3)


def test_pixels_survive_bytes_and_text_and_so_do_their_counts():
    real = triangles(30, 24, seed=5)
    pixels = quantised(real.rows, 24)
    assert np.abs(pixels / 127.5 - 1.0 - real.images).max() <= 0.5 / 127.5 + 1e-6
    assert np.array_equal(unpacked(packed(pixels), 24), pixels)
    seen = counted(pixels, real.radius, "triangles")
    assert seen["counts"] == [[3]] * 30
    assert seen["odd"] == [0] * 30
    columns = shapes(30, 32, seed=5)
    found = counted(quantised(columns.rows, 32), columns.radius, "shapes")["counts"]
    assert np.array_equal(found, columns.counts)


def test_a_faint_part_is_undecided_and_does_not_count():
    real = triangles(6, 24, seed=1)
    ink = 0.5 * (real.rows + 1.0)
    third = ink.reshape(6, 24, 24).copy()
    for image in third:  # the part that begins highest keeps half of its ink
        rows = np.flatnonzero(image.max(1))
        image[: rows[0] + 5] *= 0.5
    watch = Decisions(SCHEDULE, 24, real.radius)
    whole = watch.look(real.rows)
    assert whole.tolist() == [[3] * 6, [0] * 6]
    faint = watch.look(2.0 * third.reshape(6, -1) - 1.0)
    assert faint[1].any()
    assert (faint[0] + faint[1] <= 3).all()


def test_hal_over_windows_of_times_is_the_variance_of_the_predictions():
    mixture = GaussianMixture([[-1.0, 0.2], [1.0, 0.4]], 0.2)
    windows = ((30, 10), (9, 1), (40, 40))
    path = sample(mixture, SCHEDULE, DDIM(20, "uniform", 1.0), n=7, rng=2, keep="trajectory")
    watch = HalWindows(SCHEDULE, windows)
    seen = sample(
        mixture, SCHEDULE, DDIM(20, "uniform", 1.0), n=7, rng=2, observers=[watch]
    ).observations[0]
    for k, (high, low) in enumerate(windows[:2]):
        at = [i for i, t in enumerate(path.times) if low <= t <= high]
        x0 = []
        for i in at:
            t, x = int(path.times[i]), path.trajectory[i]
            score = mixture.diffused(SCHEDULE.alpha_bar[t]).score(x)
            x0.append((x + SCHEDULE.noise_var[t] * score) / SCHEDULE.alpha[t])
        expected = np.var(x0, axis=0).mean(1)
        assert np.allclose(seen[:, k], expected, rtol=1e-9, atol=1e-14)
    assert np.isnan(seen[:, 2]).all()  # one node has no variance


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network of a few steps, named like one of triangles."""
    pytest.importorskip("torch")
    from mixdyn.learned import ImageRecipe, ImageTrainer
    from mixdyn.learned.image_checkpoints import save_image_checkpoint

    recipe = ImageRecipe("tiny", 6, 4, 1e-3, 1e-4, channels=8, condition=16)
    trainer = ImageTrainer(triangles(20, 24), SCHEDULE, recipe, 0)
    trainer.advance(6)
    path = tmp_path_factory.mktemp("networks") / "triangles-6-0.safetensors"
    save_image_checkpoint(path, trainer, trainer.validation().measure(trainer.network))
    return path


def test_blocks_are_drawn_where_the_file_ends_and_come_out_the_same(network, tmp_path, monkeypatch):
    way = Way("ddim-8", lambda: DDIM(8), 5, True, (1, 2, 2, 2))
    monkeypatch.setattr(sampling, "WAYS", {"triangles": (way,)})
    words = ["--folder", str(network.parent), "--out", str(tmp_path), "--rounds"]
    assert sampling.main([*words, "1"]) == 0
    path = sampling.path_of("triangles-6-0", "ddim-8", tmp_path)
    first = sampling.read_saved(path)
    assert sampling.main([*words, "2"]) == 0
    both = sampling.read_saved(path)
    assert both["blocks"][:1] == first["blocks"]
    assert [b["n"] for b in both["blocks"]] == [5, 5]
    assert both["blocks"][0]["sha256"] != both["blocks"][1]["sha256"]
    assert len(both["blocks"][0]["by_level"][0]) == len(LEVELS)
    assert sampling.draw(network, way, 1) == both["blocks"][1]
    network_before = network.read_bytes()
    monkeypatch.setattr(
        sampling, "WAYS", {"triangles": (dataclasses.replace(way, rounds=(3,) * 4),)}
    )
    try:
        network.write_bytes(network_before + b"\0")
        with pytest.raises(FileError, match="one file holds samples of one network"):
            sampling.extend(network, way, 2, path)
    finally:
        network.write_bytes(network_before)
    path.write_text(json.dumps({"format": "another"}))
    with pytest.raises(FileError, match="holds format, about and blocks"):
        sampling.read_saved(path)


def test_filters_drop_the_same_share_of_every_class():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 20)
    made = recursing.Generated(np.zeros((80, 8, 8), np.uint8), rng.random(80), labels)
    for name, left in (("none", 80), ("random", 72), ("hal", 72)):
        chosen = made.kept(name, 0.1, 1)
        assert len(chosen) == left
        if name != "none":
            assert np.bincount(labels[chosen]).tolist() == [18] * 4
    dropped = np.setdiff1d(np.arange(80), made.kept("hal", 0.1, 1))
    for label in range(4):
        own = labels == label
        assert set(dropped[labels[dropped] == label]) == set(
            np.flatnonzero(own)[np.argsort(made.hal[own])[-2:]]
        )


@pytest.mark.slow
def test_a_recursion_goes_on_where_it_stopped(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    tiny = dataclasses.replace(
        recursing.PLANS["digits"], steps=3, batch=4, n=20, evaluations=10, channels=8
    )
    monkeypatch.setattr(recursing, "PLANS", {"digits": tiny})
    first = recursing.recurse("digits", "hal", tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = recursing.recurse("digits", "hal", tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    recursing.recurse("digits", "random", tmp_path)
    held = recursing.gather("digits", tmp_path, [0])
    assert [run["filter"] for run in held["runs"]] == ["random", "hal"]
    assert {len(run["generations"]) for run in held["runs"]} == {3}
    one, other = (run["generations"] for run in held["runs"])
    assert one[0]["pixels"] == other[0]["pixels"]  # the first generation is shared
    assert one[1]["pixels"] != other[1]["pixels"] or one[0]["kept"] == other[0]["kept"]
    assert digits().classes == 10


def test_the_uniform_grid_leaves_out_a_last_step_without_signal():
    cosine = NoiseSchedule.cosine(100)
    full, grid = DDIM(25, "uniform").grid(cosine), sampling.uniform(cosine, 25)
    assert cosine.alpha_bar[full.times[0]] < 1e-5 <= cosine.alpha_bar[grid.times[0]]
    assert set(grid.times[1:].tolist()) <= set(full.times.tolist())
    assert cosine.alpha_bar[grid.times[0] + 1] < 1e-5
    linear = NoiseSchedule.linear(50, 1e-4, 0.2)
    assert (
        sampling.uniform(linear, 10).times.tolist()
        == DDIM(10, "uniform").grid(linear).times.tolist()
    )

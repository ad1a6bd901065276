"""A user's own images, as they come."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from mixdyn.images import read_image_set, read_images
from mixdyn.support.errors import FileError, InputError

BYTES = np.random.default_rng(0).integers(0, 256, (5, 6, 6)).astype(np.uint8)
LABELS = np.array([0, 3, 1, 1, 2])
SCALED = BYTES.astype(np.float64) / 127.5 - 1.0


def idx(values, magic):
    return struct.pack(f">{1 + values.ndim}I", magic, *values.shape) + values.tobytes()


def agrees(found):
    return np.abs(found.images - SCALED).max() < 1e-6 and found.images.dtype == np.float32


def test_an_archive(tmp_path):
    for name, images in (("bytes", BYTES), ("shares", BYTES / 255.0), ("signed", SCALED)):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=LABELS)
        found = read_images(tmp_path / f"{name}.npz")
        assert agrees(found)
        assert found.labels.tolist() == LABELS.tolist()
        assert found.classes == 4


@pytest.mark.parametrize("packed", [False, True])
def test_idx_as_mnist_comes(tmp_path, packed):
    pack, end = (gzip.compress, ".gz") if packed else (bytes, "")
    images = tmp_path / f"train-images-idx3-ubyte{end}"
    images.write_bytes(pack(idx(BYTES, 0x803)))
    assert read_images(images).labels is None
    labels = idx(LABELS.astype(np.uint8), 0x801)
    (tmp_path / f"train-labels-idx1-ubyte{end}").write_bytes(pack(labels))
    found = read_images(images, side=6)
    assert agrees(found)
    assert found.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("mode", ["L", "RGB", "LA"])
def test_a_folder_of_pictures(tmp_path, mode):
    for k, pixels in enumerate(BYTES):
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"{k}.png")
    assert agrees(read_images(tmp_path))


def test_by_name(tmp_path):
    np.savez(tmp_path / "mine.npz", images=BYTES)
    assert read_image_set(str(tmp_path / "mine.npz")).name == "mine"
    assert read_image_set("shapes:n=7,side=24").images.shape == (7, 24, 24)
    with pytest.raises(InputError, match=r"a set of images is .* or one of triangles, shapes"):
        read_image_set("cats")
    with pytest.raises(InputError, match="shapes takes the options n, side, seed"):
        read_image_set("shapes:size=3")


def bad(tmp_path):
    def archive(**arrays):
        np.savez(tmp_path / "bad.npz", **arrays)
        return tmp_path / "bad.npz"

    def file(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    def folder(*pixels):
        for k, one in enumerate(pixels):
            Image.fromarray(one).save(tmp_path / f"{k}.png")
        return tmp_path

    objects = np.array([None])
    return {
        "no images": (lambda: archive(other=BYTES), "unknown keys"),
        "pickled": (lambda: archive(images=objects), "pickled objects are refused"),
        "not square": (lambda: archive(images=BYTES[:, :5]), "images are square"),
        "colours": (lambda: archive(images=np.zeros((2, 4, 4, 3))), "images are square"),
        "none": (lambda: archive(images=BYTES[:0]), "images are square"),
        "nan": (lambda: archive(images=SCALED * np.nan), "pixels are finite"),
        "scale": (lambda: archive(images=BYTES * 1.0), "pixels are bytes 0..255"),
        "labels": (lambda: archive(images=BYTES, labels=LABELS[:3]), "one class >= 0 an image"),
        "below": (lambda: archive(images=BYTES, labels=LABELS - 1), "one class >= 0 an image"),
        "halves": (lambda: archive(images=BYTES, labels=LABELS / 2), "labels are whole numbers"),
        "no archive": (lambda: file("a.npz", b"PK\x03\x04 no"), "an archive of plain named arrays"),
        "absent": (lambda: tmp_path / "absent.idx", "images come as .npz"),
        "no file": (lambda: tmp_path / "absent.npz", "must exist and be readable"),
        "cut": (lambda: file("a.idx", idx(BYTES, 0x803)[:50]), "images come as .npz"),
        "other": (lambda: file("a.idx", idx(BYTES, 0x903)), "magic number 0x903"),
        "short": (lambda: file("a.idx", b"\x00"), "images come as .npz"),
        "cut gzip": (lambda: file("a.gz", gzip.compress(b"0" * 99)[:20]), "images come as .npz"),
        "empty": (lambda: tmp_path, "a folder of images holds .png files"),
        "sizes": (lambda: folder(BYTES[0], BYTES[1][:4, :4]), "images are of one size"),
        "no png": (lambda: file("0.png", b"none").parent, "a .png must be whole"),
    }


@pytest.mark.parametrize("kind", sorted(bad(None)))
def test_bad_images_are_one_line(tmp_path, kind):
    make, message = bad(tmp_path)[kind]
    with pytest.raises(FileError, match=message) as refused:
        read_images(make())
    assert "\n" not in str(refused.value)


def test_another_size_than_asked_for(tmp_path):
    np.savez(tmp_path / "mine.npz", images=BYTES)
    with pytest.raises(FileError, match="the images must be 8 x 8; received 6 x 6"):
        read_images(tmp_path / "mine.npz", side=8)

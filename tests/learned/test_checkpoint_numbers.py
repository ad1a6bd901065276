"""No number in a checkpoint's description, however large, ends in anything but a FileError."""

import json
import shutil

import pytest
import safetensors.torch

from mixdyn.learned import Architecture, LearnedScore, Trainer, load_checkpoint
from mixdyn.learned.files import read_tensors, write_tensors
from mixdyn.learned.headers import read_about
from mixdyn.learned.runs import train_to_file
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import FileError, InputError, MemoryLimitError

HUGE = "1e400", "-1e400", "1" + "0" * 30, "1" + "0" * 5000, "[" * 5000, "null", "true", '"a"', "1.5"
PLACES = [
    ("seed",),
    ("index_base",),
    *[("architecture", name) for name in ("d", "hidden", "blocks", "embedding")],
    *[("schedule", name) for name in ("T", "beta_start")],
    ("mixture", "sigma"),
    ("mixture", "means"),
    *[("loss", name) for name in ("loss", "irreducible", "excess", "excess_std")],
    ("recipe",),
    ("architecture",),
    ("schedule",),
    ("mixture",),
    ("loss",),
]


@pytest.fixture(scope="module")
def made(problem, tiny, tmp_path_factory):
    """A checkpoint trained once for all tests here."""
    path = tmp_path_factory.mktemp("made") / "tiny.safetensors"
    train_to_file(Trainer(*problem, tiny, seed=3), path)
    return path


@pytest.fixture
def checkpoint_file(made, tmp_path):
    """A copy of it."""
    return shutil.copy(made, tmp_path / made.name)


def _with_number(path, place, text):
    """The same file with the JSON text at one place of its description replaced."""
    tensors, about = read_tensors(path)
    metadata = {}
    for key, value in about.items():
        if key != place[0]:
            metadata[key] = json.dumps(value)
        elif len(place) == 1:
            metadata[key] = text
        else:
            assert place[1] in value
            metadata[key] = json.dumps({**value, place[1]: "HERE"}).replace('"HERE"', text)
    path.write_bytes(safetensors.torch.save(tensors, metadata))
    return path


def _is_real_there(place, text):
    """Whether the place takes any real number and the text is one."""
    real = len(place) == 2 and place[0] == "loss" and place[1] != "n"
    return real and text in {"1.5", "1" + "0" * 30}


@pytest.mark.parametrize(
    ("place", "text"),
    [(place, text) for place in PLACES for text in HUGE if not _is_real_there(place, text)],
    ids=lambda value: "/".join(value) if isinstance(value, tuple) else value[:8],
)
def test_a_number_that_is_none_is_a_file_error(checkpoint_file, place, text):
    path = _with_number(checkpoint_file, place, text)
    with pytest.raises(FileError) as caught:
        load_checkpoint(path)
    assert len(str(caught.value)) < 900


def test_a_network_larger_than_its_tensors_is_never_built(checkpoint_file):
    path = _with_number(checkpoint_file, ("architecture", "blocks"), "65536")
    with pytest.raises(FileError, match="every tensor of its architecture"):
        load_checkpoint(path)


def test_a_network_beyond_the_stated_memory_is_refused():
    for shape in ({"hidden": 65536}, {"blocks": 65536, "hidden": 1024}, {"kind": "fourier"}):
        schedule = NoiseSchedule.linear(10_000_000, 1e-9, 1e-8)
        wide = Architecture(**{"embedding": 1024, **shape})
        with pytest.raises(MemoryLimitError, match=r"a network must fit 8e\+09 bytes"):
            wide.build(schedule)


@pytest.mark.parametrize("path", [0, None, b"a.safetensors"])
def test_what_names_no_file_is_refused(path, trainer):
    calls = (
        load_checkpoint,
        LearnedScore.load,
        read_about,
        read_tensors,
        lambda p: write_tensors(p, {}, {}),
    )
    for call in calls:
        with pytest.raises(InputError, match="a file is named by a string"):
            call(path)

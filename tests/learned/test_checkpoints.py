"""A checkpoint is used only where it fits, and only whole."""

import json
import pickle
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch

from mixdyn import GaussianMixture
from mixdyn.learned import Architecture, LearnedScore, Trainer, load_checkpoint
from mixdyn.learned.files import read_tensors, write_tensors
from mixdyn.learned.headers import read_about
from mixdyn.learned.runs import train_to_file
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import FileError, InputError, MemoryLimitError


def rewritten(path, tensors=None, **about):
    """The same file with some tensors or values replaced."""
    old_tensors, old_about = read_tensors(path)
    write_tensors(path, old_tensors | (tensors or {}), old_about | about)
    return path


def test_a_checkpoint_gives_back_the_network_its_problem_and_its_provenance(
    checkpoint_file, trainer, problem
):
    loaded = load_checkpoint(checkpoint_file)
    assert (loaded.mixture, loaded.schedule) == problem
    assert loaded.recipe == trainer.recipe.as_dict()
    assert loaded.seed == 3
    assert loaded.about["command"] == "mixdyn train --recipe tiny"
    assert loaded.quality.excess > 0.0
    held = trainer.network.state_dict()
    assert all(torch.equal(held[k], v) for k, v in loaded.network.state_dict().items())


def test_what_a_checkpoint_is_about_can_be_read_without_torch(checkpoint_file, problem):
    about = read_about(checkpoint_file)
    assert about["mixture_digest"] == problem[0].digest
    assert about == read_tensors(checkpoint_file)[1]


def test_no_draft_is_left_beside_a_checkpoint(checkpoint_file):
    assert [p.name for p in checkpoint_file.parent.iterdir()] == ["tiny.safetensors"]


@pytest.mark.parametrize("kept", [0, 5, 2000, -4])
def test_a_truncated_checkpoint_is_refused(checkpoint_file, kept):
    checkpoint_file.write_bytes(checkpoint_file.read_bytes()[:kept])
    with pytest.raises(FileError, match="whole and in the safetensors format"):
        load_checkpoint(checkpoint_file)


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weight": 1.0}))
    with pytest.raises(FileError, match="safetensors format"):
        load_checkpoint(path)
    with pytest.raises(FileError, match="safetensors header"):
        read_about(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.safetensors"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(FileError, match=r"none\.safetensors.*Check the path"):
        read_about(tmp_path / "none.safetensors")


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    write_tensors(path, {"w": torch.zeros(2)}, {"format": "pt"})
    with pytest.raises(FileError, match="mixdyn train"):
        load_checkpoint(path)


@pytest.mark.parametrize("kind", ["bfloat16", "complex64", "int32"])
def test_numbers_of_another_kind_are_refused(checkpoint_file, kind):
    bias = read_tensors(checkpoint_file)[0]["leave.bias"]
    rewritten(checkpoint_file, {"leave.bias": bias.to(getattr(torch, kind))})
    with pytest.raises(FileError, match=kind):
        load_checkpoint(checkpoint_file)


def test_half_the_precision_is_read(checkpoint_file):
    bias = read_tensors(checkpoint_file)[0]["leave.bias"].half()
    rewritten(checkpoint_file, {"leave.bias": bias})
    x = np.zeros((1, bias.numel()))
    halved = LearnedScore.load(checkpoint_file).eps(x, 1)
    rewritten(checkpoint_file, {"leave.bias": bias.float()})
    assert np.array_equal(halved, LearnedScore.load(checkpoint_file).eps(x, 1))


def test_a_tensor_that_is_missing_or_of_another_shape_is_refused(checkpoint_file):
    tensors, about = read_tensors(checkpoint_file)
    write_tensors(checkpoint_file, {k: v for k, v in tensors.items() if k != "leave.bias"}, about)
    with pytest.raises(FileError, match="every tensor of its architecture"):
        load_checkpoint(checkpoint_file)
    write_tensors(checkpoint_file, tensors | {"leave.bias": torch.zeros(3)}, about)
    with pytest.raises(FileError, match="every tensor of its architecture"):
        load_checkpoint(checkpoint_file)


def test_an_architecture_that_is_not_that_of_the_tensors_is_refused(checkpoint_file):
    architecture = read_about(checkpoint_file)["architecture"]
    rewritten(checkpoint_file, architecture=architecture | {"blocks": 4})
    with pytest.raises(FileError, match="architecture"):
        load_checkpoint(checkpoint_file)
    rewritten(checkpoint_file, architecture=architecture | {"kind": "unet"})
    with pytest.raises(FileError, match="'mlp' or 'fourier'"):
        load_checkpoint(checkpoint_file)


def test_a_network_with_nan_is_refused(checkpoint_file):
    rewritten(checkpoint_file, {"leave.bias": torch.tensor([0.0, float("nan")])})
    with pytest.raises(FileError, match="must be finite"):
        load_checkpoint(checkpoint_file)


@pytest.mark.parametrize("key", ["mixture_digest", "beta_digest"])
def test_a_digest_that_is_not_that_of_the_problem_is_refused(checkpoint_file, key):
    rewritten(checkpoint_file, **{key: "0" * 64})
    with pytest.raises(FileError, match=key):
        load_checkpoint(checkpoint_file)


def test_a_description_without_a_part_is_refused(checkpoint_file):
    tensors, about = read_tensors(checkpoint_file)
    write_tensors(checkpoint_file, tensors, {k: v for k, v in about.items() if k != "recipe"})
    with pytest.raises(FileError, match="recipe"):
        load_checkpoint(checkpoint_file)


def test_another_index_base_is_refused(checkpoint_file):
    rewritten(checkpoint_file, index_base=0)
    with pytest.raises(FileError, match="counted from 1"):
        load_checkpoint(checkpoint_file)


def test_a_model_is_refused_for_a_problem_it_was_not_trained_on(checkpoint_file, problem):
    mixture, schedule = problem
    with pytest.raises(FileError, match="d = 2, the mixture 1"):
        LearnedScore.load(checkpoint_file, mixture=GaussianMixture([[0.0], [1.0]], 0.1))
    with pytest.raises(FileError, match="the mixture that it was trained on"):
        LearnedScore.load(checkpoint_file, mixture=GaussianMixture(mixture.means, 0.2))
    with pytest.raises(FileError, match="the schedule that it was trained on"):
        LearnedScore.load(checkpoint_file, schedule=NoiseSchedule.linear(41, 1e-3, 0.4))
    assert LearnedScore.load(checkpoint_file, mixture=mixture, schedule=schedule).d == 2


def test_the_header_is_strict_json(checkpoint_file):
    with pytest.raises(ValueError, match="JSON"):
        write_tensors(checkpoint_file, {}, {"loss": float("nan")})
    assert json.dumps(read_about(checkpoint_file), allow_nan=False)


def test_every_per_mode_sigma_survives(problem, tiny, tmp_path):
    from mixdyn.learned import Trainer
    from mixdyn.learned.runs import train_to_file

    mixture = GaussianMixture([[0.0], [1.0]], [0.1, 0.2])
    train_to_file(Trainer(mixture, problem[1], tiny, 0), tmp_path / "m.safetensors")
    loaded = load_checkpoint(tmp_path / "m.safetensors").mixture
    assert loaded == mixture
    assert np.array_equal(loaded.sigmas, [0.1, 0.2])


# -- no number, however large, ends in anything but a FileError ------------------------------------


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
def copied(made, tmp_path):
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
def test_a_number_that_is_none_is_a_file_error(copied, place, text):
    path = _with_number(copied, place, text)
    with pytest.raises(FileError) as caught:
        load_checkpoint(path)
    assert len(str(caught.value)) < 900


def test_a_network_larger_than_its_tensors_is_never_built(copied):
    path = _with_number(copied, ("architecture", "blocks"), "65536")
    with pytest.raises(FileError, match="every tensor of its architecture"):
        load_checkpoint(path)


def test_a_network_beyond_the_stated_memory_is_refused():
    schedule = NoiseSchedule.linear(10_000_000, 1e-9, 1e-8)
    for shape in ({"hidden": 65536}, {"blocks": 65536, "hidden": 1024}, {"kind": "fourier"}):
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

"""Networks for images: training that resumes, checkpoints, models of a class."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from mixdyn import DDIM, NoiseSchedule, sample  # noqa: E402
from mixdyn.cli import app  # noqa: E402
from mixdyn.images import ImageSet, shapes  # noqa: E402
from mixdyn.learned import ImageScore, load_image_checkpoint  # noqa: E402
from mixdyn.learned.files import read_tensors, write_tensors  # noqa: E402
from mixdyn.learned.image_architecture import ImageArchitecture  # noqa: E402
from mixdyn.learned.image_checkpoints import save_image_checkpoint  # noqa: E402
from mixdyn.learned.image_training import (  # noqa: E402
    HeldOut,
    ImageRecipe,
    ImageTrainer,
    NoisyImages,
    keep_memory,
)
from mixdyn.learned.loading import trained_on  # noqa: E402
from mixdyn.learned.runs import train_to_file  # noqa: E402
from mixdyn.learned.training import train  # noqa: E402
from mixdyn.support.errors import FileError, InputError  # noqa: E402

SCHEDULE = NoiseSchedule.cosine(T=50)
TINY = ImageRecipe("tiny", 12, 8, 1e-3, 1e-5, channels=8, condition=16)


@pytest.fixture(scope="module")
def images():
    """Two classes of 8 x 8 images: bright above, bright below."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    pixels = np.full((60, 8, 8), -1.0, np.float32)
    pixels[labels == 0, :4] = 1.0
    pixels[labels == 1, 4:] = 1.0
    pixels += 0.05 * rng.standard_normal(pixels.shape).astype(np.float32)
    return ImageSet("halves", np.clip(pixels, -1, 1), labels=labels)


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    """A network of half a minute that has learned the classes."""
    recipe = ImageRecipe("short", 250, 32, 3e-3, 1e-4, channels=8, condition=32)
    trainer = ImageTrainer(images, SCHEDULE, recipe, 1)
    path = tmp_path_factory.mktemp("trained") / "halves.safetensors"
    quality = train_to_file(trainer, path, command="train it", save=save_image_checkpoint)
    return path, trainer, quality


@pytest.mark.parametrize("shape", [ImageArchitecture(32), ImageArchitecture(8, 16, 24, classes=3)])
def test_the_shapes_are_those_of_the_network(shape):
    network = shape.build(SCHEDULE)
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == shape.shapes()
    assert sum(p.numel() for p in network.parameters()) == shape.weights()


def test_a_time_for_all_rows_or_one_each():
    network = ImageArchitecture(8, 8, 16, classes=2).build(SCHEDULE)
    for parameter in network.parameters():  # else the blocks do nothing yet
        torch.nn.init.normal_(parameter, std=0.2)
    x = torch.randn(5, 64)
    label = torch.tensor([1, 1, 1, 1, 1])
    each = network(x, torch.full((5,), 7), label)
    shared = network(x, torch.tensor([7]), label[:1])
    assert torch.allclose(each, shared, atol=1e-4)
    assert not torch.allclose(network(x, torch.tensor([7])), shared)


def test_an_interrupted_run_goes_on_to_the_same_bits(images, tmp_path):
    whole, first, second = (ImageTrainer(images, SCHEDULE, TINY, 4) for _ in range(3))
    whole.advance(12)
    first.advance(5)
    first.save_state(tmp_path / "p.safetensors")
    second.load_state(tmp_path / "p.safetensors")
    second.advance(7)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    other = ImageTrainer(shapes(20, 24), SCHEDULE, TINY, 4)
    with pytest.raises(FileError, match="differs in images, images_digest"):
        other.load_state(tmp_path / "p.safetensors")


def test_classes_are_left_out_now_and_then(images):
    data = NoisyImages(images, SCHEDULE, 0, torch.device("cpu"), unlabelled=0.25)
    label = data.batch(4000)[2]
    assert set(label.tolist()) == {0, 1, 2}
    assert abs((label == 0).double().mean().item() - 0.25) < 0.035
    plain = NoisyImages(shapes(5, 24), SCHEDULE, 0, torch.device("cpu"))
    assert plain.batch(9)[2].tolist() == [0] * 9


def test_training_is_measured_on_images_it_has_not_seen(trained):
    _, trainer, quality = trained
    before = ImageTrainer(trainer.images, SCHEDULE, trainer.recipe, 1)
    untrained = before.validation(final=True).measure(before.network)
    assert quality.n == 2000
    assert quality.loss + 10 * quality.loss_std < 0.5 * untrained.loss
    seen = {row.tobytes() for row in trainer.data.pixels.numpy()}
    assert len(seen) == 54
    assert not any(row.tobytes() in seen for row in trainer._unseen.images.reshape(6, -1))


def test_the_loss_of_the_empty_prediction_is_one(images):
    class Nothing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x, t, label):
            return torch.zeros_like(x)

    found = HeldOut(images, SCHEDULE, 0, 1000).measure(Nothing())
    assert abs(found.loss - 1.0) < 5 * found.loss_std


def test_a_checkpoint_says_all_and_samples_its_classes(trained):
    path, trainer, quality = trained
    held = load_image_checkpoint(path)
    assert held.about["images"] == "halves"
    assert held.about["images_digest"] == trainer.images.digest
    assert held.about["loss"]["loss"] == quality.loss
    assert held.about["command"] == "train it"
    for label, share in ((0, 1.0), (1, 0.0)):
        model = ImageScore(held, label=label, guidance=1.0)
        found = sample(model, held.schedule, DDIM(steps=25), n=24, rng=3).x.reshape(-1, 8, 8)
        above = found[:, :4].mean((1, 2)) > found[:, 4:].mean((1, 2))
        assert above.mean() == share
    free = sample(ImageScore(held), held.schedule, DDIM(steps=25), n=64, rng=3).x.reshape(-1, 8, 8)
    assert 0.1 < (free[:, :4].mean((1, 2)) > 0).mean() < 0.9


def test_guidance_is_a_line_through_two_predictions(trained):
    x = np.random.default_rng(0).standard_normal((4, 64))
    held = load_image_checkpoint(trained[0])
    free, told = ImageScore(held).eps(x, 20), ImageScore(held, label=1).eps(x, 20)
    guided = ImageScore(held, label=1, guidance=2.0).eps(x, 20)
    assert np.allclose(guided, 3.0 * told - 2.0 * free, atol=1e-6)
    assert np.abs(told - free).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": 2}, r"label must be an integer in 0\.\.1; received 2"),
        ({"guidance": 1.0}, "guidance is >= 0, towards a class"),
        ({"label": 0, "guidance": -1.0}, "guidance is >= 0, towards a class"),
    ],
)
def test_a_class_out_of_range_is_one_line(trained, options, message):
    with pytest.raises(InputError, match=message):
        ImageScore(trained[0], **options)


def test_images_of_another_size_are_one_line(trained):
    with pytest.raises(InputError, match=r"64"):
        ImageScore(trained[0]).eps(np.zeros((2, 100)), 3)
    with pytest.raises(InputError, match="t must be an integer in 1"):
        ImageScore(trained[0]).eps(np.zeros((2, 64)), 0)


def test_a_class_of_a_network_without(tmp_path):
    trainer = ImageTrainer(shapes(12, 24), SCHEDULE, TINY, 0)
    quality = trainer.validation().measure(trainer.network)
    save_image_checkpoint(tmp_path / "m.safetensors", trainer, quality)
    with pytest.raises(InputError, match="a class needs a network with classes"):
        ImageScore(tmp_path / "m.safetensors", label=0)


def test_truncated_and_foreign_checkpoints_are_one_line(trained, checkpoint_file, tmp_path):
    with pytest.raises(FileError, match="a network for images has format"):
        load_image_checkpoint(checkpoint_file)
    with pytest.raises(FileError, match="a checkpoint of a mixture is needed here"):
        trained_on(str(trained[0]))
    words = ["sample", "--mixture", "grid", "--schedule", "linear:T=50", "-n", "3"]
    words += ["--model", str(trained[0]), "--out", str(tmp_path / "s.npz")]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "a checkpoint of a mixture is needed here" in refused.stderr
    assert refused.stderr.count("\n") == 1
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(trained[0].read_bytes()[:5000])
    with pytest.raises(FileError, match="must be whole and in the safetensors format"):
        load_image_checkpoint(cut)
    tensors, about = read_tensors(trained[0])
    for key, value, message in (
        ("architecture", {**about["architecture"], "side": 9}, "a multiple of 4"),
        ("architecture", {**about["architecture"], "channels": 16}, "every tensor of its"),
        ("beta_digest", "0" * 64, "must be that of the problem it holds"),
        ("predicts", "v", "predicts eps at times counted from 1"),
    ):
        write_tensors(cut, tensors, {**about, key: value})
        with pytest.raises(FileError, match=message):
            load_image_checkpoint(cut)


def test_the_command_trains_resumes_and_says_what_it_did(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "train --images shapes:n=40,side=24 --recipe unet-small --steps 4 --batch 4"
    words = f"{words} --schedule cosine:T=20 --out m.safetensors --json"
    made = CliRunner().invoke(app, words.split())
    assert made.exit_code == 0, made.output
    said = json.loads(made.stdout)
    assert said["steps"] == 4
    assert said["loss"] > 0
    held = load_image_checkpoint("m.safetensors")
    assert held.about["command"].startswith("mixdyn train --images shapes:n=40,side=24")
    assert held.schedule.T == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "a network is trained on a mixture or on images; received neither"),
        ("--images shapes --mixture grid", "received mixture and images"),
        ("--images=", "a folder of images holds .png files; received none"),
        ("--images digits:n=3", "digits takes no options; received 'n=3'"),
        ("--images cats", "or one of triangles, shapes, digits"),
        ("--images shapes --recipe short", "recipe must be one of unet, unet-short, unet-small"),
        ("--images shapes --hidden 4", "its recipe's width; received --hidden"),
        ("--images shapes:n=4,side=30", "a multiple of 4; received 30"),
    ],
)
def test_bad_requests_are_one_line(tmp_path, words, message):
    out = tmp_path / "m.safetensors"
    found = CliRunner().invoke(app, ["train", "--out", str(out), *words.split()])
    assert found.exit_code == 2, found.output
    assert message in found.stderr
    assert found.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


MEMORY = """
from pathlib import Path
import numpy as np
from mixdyn.learned.image_training import keep_memory, memory_kept

def left():
    def pages():
        return int(Path("/proc/self/statm").read_text().split()[1])
    before = pages()
    np.ones(2**24)
    return (pages() - before) * 4096

with memory_kept():
    inside = left()
print(left(), inside, keep_memory(), left())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux what is held")
def test_memory_is_kept_where_the_c_library_can_be_told_and_while_a_network_computes():
    ran = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    behind, inside, told, always = ran.stdout.split()
    assert int(behind) < 2**24
    if told == "True":
        assert min(int(inside), int(always)) > 2**26
    assert keep_memory() == keep_memory()


def test_a_finished_run_leaves_no_partial_file(images, tmp_path):
    partial = tmp_path / "p.safetensors"
    train(ImageTrainer(images, SCHEDULE, TINY, 0), partial=partial)
    assert not partial.exists()

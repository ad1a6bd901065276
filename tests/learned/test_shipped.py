"""What is shipped is what its header says, and fits in a repository."""

import shlex

import pytest
import torch
from typer.testing import CliRunner

from mixdyn.cli import app
from mixdyn.images import read_image_set
from mixdyn.learned import load_checkpoint, load_image_checkpoint
from mixdyn.learned.objective import Validation
from verify.data.checkpoints import CHECKPOINTS
from verify.ledger.case import Case, Profile
from verify.ledger.cases import random, standard
from verify.measure.networks import models

IMAGES = sorted((CHECKPOINTS / "images").glob("*.safetensors"))
SEEDS = sorted((CHECKPOINTS / "seeds").glob("*.safetensors"))
SHIPPED = sorted(CHECKPOINTS.glob("*.safetensors"))


def test_all_checkpoints_together_are_small_and_three_seeds_are_of_the_standard_problem():
    assert sum(path.stat().st_size for path in SHIPPED + SEEDS) < 10_000_000
    found = models.shipped_for(standard(0, Profile.QUICK))
    seeds = {s.about["seed"] for s in found if s.recipe == "reduced"}
    assert len(seeds) >= 3


@pytest.mark.parametrize("path", SHIPPED + SEEDS, ids=lambda p: p.stem)
def test_a_shipped_checkpoint_reproduces_its_excess_and_names_its_provenance(path):
    """On other draws than the file's own; 8 standard errors of both, as they are heavy-tailed."""
    loaded = load_checkpoint(path)
    seen = Validation(loaded.mixture, loaded.schedule, seed=loaded.seed + 999).measure(
        loaded.network
    )
    spread = (seen.excess_std**2 + loaded.quality.excess_std**2) ** 0.5
    assert abs(seen.excess - loaded.quality.excess) < 8 * spread
    assert len(loaded.about["commit"]) == 40  # and not "-dirty"
    assert loaded.about["hardware"]
    words = shlex.split(loaded.about["command"])
    assert words[:2] == ["mixdyn", "train"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options["--seed"] == str(loaded.seed)
    assert loaded.recipe["name"].startswith(options["--recipe"])


@pytest.mark.parametrize("path", SEEDS, ids=lambda p: p.stem)
def test_a_further_seed_differs_from_the_first_in_nothing_else(path):
    own, first = (
        load_checkpoint(CHECKPOINTS / p) for p in (path, f"{path.stem[:-1]}0.safetensors")
    )
    assert own.seed == int(path.stem[-1]) > first.seed == 0
    assert own.recipe == first.recipe
    assert (own.mixture, own.schedule) == (first.mixture, first.schedule)


@pytest.mark.parametrize("path", IMAGES, ids=lambda p: p.stem)
def test_a_network_for_images_fits_and_names_its_provenance(path):
    assert path.stat().st_size < 4_000_000
    held = load_image_checkpoint(path)
    assert len(held.about["commit"]) == 40
    assert held.about["loss"]["n"] >= 100
    words = shlex.split(held.about["command"])
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options["--seed"] == str(held.about["seed"]) == path.stem[-1]
    assert read_image_set(options["--images"]).digest == held.about["images_digest"]


def test_networks_for_images_fit_together():
    assert sum(path.stat().st_size for path in IMAGES) < 24_000_000


def test_the_command_of_a_checkpoint_trains_it_again(tmp_path, monkeypatch):
    """The same bits on the machine type that made it: the first steps of a shipped run."""
    monkeypatch.chdir(tmp_path)
    words = ["train", "--mixture", "line:d=2", "--recipe", "short", "--steps", "30"]
    words += ["--batch", "64", "--seed", "7", "--out", "m.safetensors", "--json"]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    command = shlex.split(load_checkpoint("m.safetensors").about["command"])
    kept = load_checkpoint("m.safetensors").network.state_dict()
    refused = CliRunner().invoke(app, command[1:])
    assert refused.exit_code == 2
    assert "--fresh" in refused.output
    again = CliRunner().invoke(app, [*command[1:], "--fresh"])
    assert again.exit_code == 0, again.output
    new = load_checkpoint("m.safetensors").network.state_dict()
    assert all(torch.equal(kept[k], new[k]) for k in kept)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--recipe", "quick"], "recipe must be one of"),
        (["--steps", "0"], "steps must be an integer"),
        (["--device", "tpu"], "'cpu' or 'cuda'"),
        (["--threads", "0"], "threads must be an integer"),
        (["--out", "m.pt"], ".safetensors file"),
        (["--out", "missing/m.safetensors"], "must be a file in a folder that exists"),
        (["--mixture", "cube"], "a mixture is"),
    ],
    ids=lambda v: v[0] if isinstance(v, list) else "",
)
def test_bad_input_to_train_is_one_line_and_writes_nothing(options, rule, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "--mixture", "line", "--out", "m.safetensors", *options]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert rule in " ".join(result.output.split())
    assert len(result.output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_samples_can_be_drawn_from_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["sample", "--mixture", "grid", "-n", "50", "--steps", "5", "--out", "s.npz"]
    path = str(CHECKPOINTS / "grid-short-0.safetensors")
    assert CliRunner().invoke(app, [*words, "--model", path]).exit_code == 0
    refused = CliRunner().invoke(app, [*words, "--model", path, "--predicts", "x0"])
    assert refused.exit_code == 2
    assert "a checkpoint says itself what it predicts" in refused.output
    refused = CliRunner().invoke(app, [*words[:2], "ring", *words[3:], "--model", path])
    assert refused.exit_code == 2
    assert "the mixture that it was trained on" in " ".join(refused.output.split())


def test_a_case_finds_the_models_of_its_own_problem_only():
    case = standard(0, Profile.QUICK)
    names = [m.name for m in models.trained_models(case)]
    assert "grid-reduced-0" in names
    assert "grid-short-0" not in names
    everything = models.trained_models(case, undertrained=True)
    assert [m.name for m in everything][: len(names)] == names
    assert "grid-short-0" in [m.name for m in everything]
    assert models.trained_models(case)[0] is models.trained_models(case)[0]  # loaded once
    assert models.shipped_for(random(1, 0, Profile.QUICK)) == []


def test_a_users_model_takes_the_place_of_the_shipped_ones():
    from verify.ledger.cases import user

    path = str(CHECKPOINTS / "grid-short-0.safetensors")
    case = user(None, None, 0, Profile.QUICK, path)
    assert [m.name for m in models.trained_models(case)] == ["grid-short-0.safetensors"]
    without = Case("user", case.mixture, case.schedule)
    assert case.digest != without.digest

"""Checkpoints: a trained network with all that is needed to use it and to train it again."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import itertools
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import check_integer, check_real
from ..support.errors import FileError, InputError, shortened
from ..support.files import as_path
from ..support.provenance import commit
from .architecture import Architecture, Quality, Tensors, Weights
from .files import read_tensors, write_tensors
from .headers import refuse_images
from .image_architecture import ImageArchitecture

if TYPE_CHECKING:
    import torch

    from .networks import Network
    from .training import Trainer

FORMAT = "mixdyn.checkpoint.1"
_TEXT_KEYS = ("beta_digest", "mixture_digest", "predicts", "commit", "hardware", "command")


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint.

    weights : the network's shape and tensors, as arrays. mixture, schedule : what it was trained
    on. recipe : the recipe's values. seed : of the training run. quality :
    measured at the end of training. about : everything else in the file (commit, hardware,
    versions, command).
    """

    path: Path
    weights: Weights
    mixture: GaussianMixture
    schedule: NoiseSchedule
    recipe: dict[str, Any]
    seed: int
    quality: Quality
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def architecture(self) -> Architecture:
        """The network's shape."""
        return self.weights.architecture

    @functools.cached_property
    def network(self) -> Network:
        """The network in torch: float32, on the CPU, in evaluation mode."""
        return self.weights.build(self.schedule)


def save_checkpoint(
    path: str | os.PathLike[str], trainer: Trainer, quality: Quality, *, command: str = ""
) -> None:
    """Write a trained network with its provenance, atomically."""
    mixture = trainer.mixture
    about = {
        "format": FORMAT,
        "mixture_digest": mixture.digest,
        "mixture": {
            "means": mixture.means.tolist(),
            "sigma": mixture.sigma if isinstance(mixture.sigma, float) else mixture.sigma.tolist(),
            "weights": mixture.weights.tolist(),
        },
        **provenance(trainer, command),
        "loss": dataclasses.asdict(quality),
    }
    write_tensors(path, trainer.network.state_dict(), about)


def provenance(trainer: Trainer, command: str) -> dict[str, Any]:
    """What a checkpoint says of its network and of the run, whatever it was trained on."""
    import torch

    return {
        "architecture": trainer.network.architecture.as_dict(),
        "predicts": "eps",
        "index_base": 1,
        "beta_digest": trainer.schedule.digest,
        "schedule": trainer.schedule.parameters,
        "recipe": trainer.recipe.as_dict(),
        "seed": trainer.seed,
        "commit": commit(),
        "hardware": hardware(trainer.device),
        "versions": {"mixdyn": __version__, "torch": torch.__version__},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command,
    }


def load_checkpoint(
    path: str | os.PathLike[str],
    *,
    mixture: GaussianMixture | None = None,
    schedule: NoiseSchedule | None = None,
) -> Checkpoint:
    """Read and check a checkpoint.

    Raises FileError when the file is broken, of another kind, inconsistent with its own digests or
    architecture, or made for another mixture or schedule than the ones given.
    """
    source = as_path(path)
    tensors, about = read_tensors(source, "np")
    refuse_images(source, about)
    if about.get("format") != FORMAT:
        raise FileError(
            f"a checkpoint has format {FORMAT}",
            f"format {about.get('format')!r} in {source}, {_layers(tensors)}",
            "Train one with `mixdyn train`, or build the network in a module of yours, load these "
            "tensors and name it as module:name; a torch module serves as it is.",
        )
    with told_by(source):
        loaded = _assemble(source, tensors, about)
    _check_match(loaded, mixture, schedule)
    return loaded


@contextlib.contextmanager
def told_by(source: Path) -> Iterator[None]:
    """Whatever is wrong with what a file says becomes a FileError that names it."""
    try:
        yield
    except InputError as error:
        raise FileError(error.rule, f"{error.received} in {source}", error.remedy) from None
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        fault = shortened(error)
        raise FileError(
            "a checkpoint must hold its description and every tensor of its architecture",
            f"{source} ({type(error).__name__}: {fault})",
            "Fetch the file again.",
        ) from None


def _layers(tensors: Tensors) -> str:
    """What shapes tell of foreign tensors: the widths of a plain MLP, never its activation nor how
    it takes the time."""
    maps = [tuple(value.shape) for value in tensors.values() if value.ndim == 2]
    chained = all(a[0] == b[1] for a, b in itertools.pairwise(maps))
    others = [value for value in tensors.values() if value.ndim > 2]
    if maps and chained and not others:
        widths = "-".join(str(width) for width in (maps[0][1], *(out for out, _ in maps)))
        return f"by its shapes an MLP {widths} of unknown activation and input of time"
    return f"{len(tensors)} tensors"


def _assemble(path: Path, tensors: Tensors, about: dict[str, Any]) -> Checkpoint:
    architecture = Architecture(**about["architecture"])
    mixture = GaussianMixture(**about["mixture"])
    _require_digest(about, "mixture_digest", mixture.digest)
    schedule = clock_of(about)
    check_tensors(architecture, tensors)
    return Checkpoint(
        path,
        Weights(architecture, tensors),
        mixture,
        schedule,
        dict(about["recipe"]),
        check_integer(about["seed"], "seed", 0, 2**64 - 1),
        _quality(about["loss"]),
        {key: about[key] for key in _TEXT_KEYS if key in about} | {"versions": about["versions"]},
    )


def _quality(held: dict[str, Any]) -> Quality:
    quality = Quality(**held)
    for key, value in vars(quality).items():
        if key == "n":
            check_integer(value, key, 1)
        else:
            check_real(value, key)
    return quality


def clock_of(about: dict[str, Any]) -> NoiseSchedule:
    """The schedule of a checkpoint, which predicts eps at times counted from 1."""
    schedule = NoiseSchedule.from_parameters(about["schedule"])
    _require_digest(about, "beta_digest", schedule.digest)
    _require(
        about["predicts"] == "eps" and check_integer(about["index_base"], "index_base", 0) == 1,
        "a checkpoint predicts eps at times counted from 1",
        f"predicts {about['predicts']!r}, index_base {about['index_base']!r}",
    )
    return schedule


def _require_digest(about: dict[str, Any], key: str, held: str) -> None:
    rule = f"a checkpoint's {key} must be that of the problem it holds"
    _require(about[key] == held, rule, repr(about[key]))


def check_tensors(architecture: Architecture | ImageArchitecture, tensors: Tensors) -> None:
    """Refuse tensors that are not those of an architecture, or not finite."""
    kinds = {value.dtype.name for value in tensors.values() if value.dtype.kind != "f"}
    _require(not kinds, "a checkpoint's tensors must be floating-point", ", ".join(sorted(kinds)))
    finite = all(bool(np.isfinite(value).all()) for value in tensors.values())
    _require(finite, "a checkpoint's tensors must be finite", "NaN or infinity")
    rule = "a checkpoint must hold every tensor of its architecture"
    held = sum(value.size for value in tensors.values())
    asked = architecture.weights()
    # First the sum: the names of a network far larger than its tensors are not worth writing out.
    _require(asked <= held, rule, f"{held} numbers for an architecture of {asked} and more")
    shapes, found = architecture.shapes(), {key: value.shape for key, value in tensors.items()}
    odd = sorted({key for key, _ in shapes.items() ^ found.items()})
    _require(not odd, rule, f"others, or others in shape: {', '.join(odd)}"[:200])


def _require(condition: bool, rule: str, received: str) -> None:
    if not condition:
        raise InputError(rule, received, "Fetch the file again.")


def _check_match(
    loaded: Checkpoint, mixture: GaussianMixture | None, schedule: NoiseSchedule | None
) -> None:
    """A model says nothing about a mixture or a clock that it was not trained on."""
    if mixture is not None and mixture.d != loaded.mixture.d:
        raise FileError(
            "a checkpoint must have the dimension of the mixture",
            f"{loaded.path} has d = {loaded.mixture.d}, the mixture {mixture.d}",
            "Choose the mixture that it was trained on.",
        )
    for name, wanted, held in (
        ("mixture", mixture, loaded.mixture),
        ("schedule", schedule, loaded.schedule),
    ):
        if wanted is not None and wanted.digest != held.digest:
            raise FileError(
                f"a checkpoint must be used with the {name} that it was trained on",
                f"{loaded.path} has digest {held.digest[:12]}, the {name} {wanted.digest[:12]}",
                f"Choose that {name}, or train a model for this one.",
            )


def hardware(device: torch.device) -> str:
    """One line about what computes on `device`."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {platform.machine()}, {torch.get_num_threads()} thread(s)"

"""Saved results: arrays with the recipe that made them, in one NPZ file per experiment and case.

An experiment is a function of a case (mixture, schedule, seed, profile) that returns named plain
arrays. A figure reads a `Result` and nothing else. Results are kept under a key of everything they
depend on, so that a broken-off run goes on where it stopped and a stale result is never drawn.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixdyn.support.errors import InputError
from mixdyn.support.files import write_atomically
from mixdyn.support.provenance import package_versions
from verify.ledger.claim import Case
from verify.ledger.sources import digest_of

Data = Mapping[str, ArrayLike]
_PACKAGES = ("numpy", "scipy", "numba")
# What NumPy, zipfile and json raise on a damaged or foreign file.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Result:
    """What an experiment measured: named arrays, and the recipe that reproduces them."""

    recipe: Mapping[str, Any]
    data: Mapping[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.data[name]

    def number(self, name: str) -> float:
        """The single number stored under `name`."""
        return float(self.data[name])

    def count(self, name: str = "n") -> int:
        """The single count stored under `name`."""
        return int(self.data[name])

    def labels(self, name: str) -> list[str]:
        """The texts stored under `name`."""
        return [str(text) for text in self.data[name]]

    def save(self, path: Path) -> None:
        """Write the arrays and the recipe (as JSON) to an NPZ file."""
        recipe = np.array(json.dumps(self.recipe, allow_nan=False, sort_keys=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            path,
            lambda handle: np.savez_compressed(
                handle, allow_pickle=False, recipe=recipe, **self.data
            ),
        )

    @classmethod
    def load(cls, path: Path) -> Result | None:
        """The result in a file, or None where there is none or it is damaged."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                data = {name: archive[name] for name in archive.files}
            return cls(json.loads(str(data.pop("recipe"))), data)
        except _DAMAGE:
            return None


@dataclass(frozen=True)
class Experiment:
    """A measurement. run returns named arrays; the key "n" holds its sample counts.

    own_mixture: whether it builds its mixtures itself and takes no mixture from the case.
    """

    name: str
    run: Callable[[Case], Data]
    own_mixture: bool = False

    @property
    def path(self) -> Path:
        """The file that defines it."""
        return Path(inspect.getfile(self.run))

    @functools.cached_property
    def code_digest(self) -> str:
        """SHA-256 over everything that the experiment's file imports, shipped data included."""
        return digest_of(self.path)

    def key(self, case: Case) -> str:
        """Everything the result depends on, as 16 hexadecimal digits."""
        parts = (self.name, self.code_digest, case.digest, case.seed, case.profile)
        return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:16]


def _recipe(experiment: Experiment, case: Case, data: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    mixture, schedule = case.mixture, case.schedule
    facts = {"N": mixture.N, "d": mixture.d, "digest": mixture.digest}
    return {
        "experiment": experiment.name,
        "case": case.name,
        "origin": case.origin,
        "mixture": None if experiment.own_mixture else facts,
        "schedule": {"T": schedule.T, "digest": schedule.digest},
        "seed": case.seed,
        "profile": str(case.profile),
        "n": data["n"].tolist(),
        "code": experiment.code_digest,
        "versions": package_versions(_PACKAGES),
    }


def measure(experiment: Experiment, case: Case) -> Result:
    """Run an experiment on a case.

    Raises NotApplicableError where the case's mixture does not allow it, InputError for a result
    without its sample counts.
    """
    start = time.perf_counter()
    data = {name: np.asarray(values) for name, values in experiment.run(case).items()}
    if "n" not in data:
        raise InputError(
            "an experiment returns its sample counts under 'n'",
            f"{experiment.name} with {sorted(data)}",
            "Add them.",
        )
    recipe = _recipe(experiment, case, data)
    recipe["seconds"] = round(time.perf_counter() - start, 2)
    return Result(recipe, data)


def obtain(experiment: Experiment, case: Case, folder: Path) -> Result:
    """The saved result of an experiment on a case, measured and saved first where there is none."""
    slug = re.sub(r"\W+", "-", f"{case.name}-{experiment.name}").lower()
    path = folder / f"{slug}-{experiment.key(case)}.npz"
    found = Result.load(path)
    if found is None:
        found = measure(experiment, case)
        found.save(path)
    return found

"""Where DDPM's samples of every shipped network end, as measured once and saved.

T evaluations a sample make a reference for thirty networks a matter of minutes, so its counts are
kept: `python -m verify.measure.networks.ddpm_ends` makes `verify/data/saved/ddpm_ends.json` again.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.retraining.generations import read_json
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.errors import FileError
from verify.data.saved import RESULTS, code_of
from verify.measure.ends import Ends, ends_of
from verify.measure.networks.models import load, shipped

SAVED = RESULTS / "ddpm_ends.json"
_FORMAT = "verify.ddpm_ends.1"
_SAMPLES, _SEED = 20_000, 99  # a seed that no row draws other samplers' noise from


@functools.cache
def about(path: Path = SAVED) -> dict[str, Any]:
    """What the file says of itself. Raises FileError for one that is missing or damaged."""
    held = read_json(path)
    if not isinstance(held, dict) or held.get("format") != _FORMAT or "networks" not in held:
        raise FileError(
            "a file of DDPM's ends holds format, about and networks",
            path,
            "Make it again with `python -m verify.measure.networks.ddpm_ends`.",
        )
    return held


def ddpm_ends(name: str, mixture: GaussianMixture) -> Ends | None:
    """Of the shipped network of this name, trained on the mixture; None where it has none."""
    held = about()["networks"].get(name)
    if held is None:
        return None
    modes = np.array(held["modes"])
    expected = mixture.weights * modes.sum()
    return Ends(
        counts=np.array(held["counts"]),
        modes=modes,
        expected=expected,
        chi_square=float((np.square(modes - expected) / expected).sum()),
        spread=held["spread"],
        # Of a normal law: of the root of a mean of d n squares.
        spread_error=held["spread"] / float(np.sqrt(2.0 * mixture.d * modes.sum())),
        n_eval=held["n_eval"],
    )


def measured() -> dict[str, Any]:
    """All networks again: tens of minutes."""
    found = {}
    for checkpoint in shipped():
        mixture, schedule = checkpoint.mixture(), checkpoint.schedule()
        run = sample(load(checkpoint).score, schedule, DDPM(), n=_SAMPLES, rng=_SEED)
        ends = ends_of(mixture, np.asarray(run.x), run.n_eval)
        found[checkpoint.name] = {
            "counts": ends.counts.tolist(),
            "modes": ends.modes.tolist(),
            "spread": ends.spread,
            "n_eval": ends.n_eval,
        }
    return written(found)


def written(networks: dict[str, Any]) -> dict[str, Any]:
    """Store the counts of the networks."""
    held = {
        "format": _FORMAT,
        "about": {"samples": _SAMPLES, "seed": _SEED, "code": code_of(Path(__file__))},
        "networks": networks,
    }
    SAVED.write_text(json.dumps(held, separators=(",", ":")) + "\n", encoding="utf-8")
    return held


if __name__ == "__main__":
    measured()

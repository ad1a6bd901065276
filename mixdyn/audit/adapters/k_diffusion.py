"""Functions sample_* of k-diffusion on its own grids of sigmas, in double precision.

Named with or without `sample_`. Settings are those of the function and of the grid
(get_sigmas_karras by default; grid= exponential, polyexponential or vp); sigma_min, sigma_max are
0.01, 150 where nothing is said. The model is a denoiser, asked at the sigma that it is handed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ...affine.drivers import CLEAN, Draw, Driver
from ...score.protocol import Level
from ..calls import Model, TorchSampler, named_in, provenance, sorted_out
from . import STEPS, Offer, needed

INSTALL = "pip install --no-deps k-diffusion==0.1.1.post1; pip install torchvision torchsde tqdm"
_RANGE = {"sigma_min": 0.01, "sigma_max": 150.0}


def samplers() -> list[Offer]:
    """Its functions sample_*."""
    return [(name, {}) for name in dir(_sampling()) if name.startswith("sample_")]


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of sample_`name`."""
    library, steps = _sampling(), steps or STEPS
    name = f"sample_{name.removeprefix('sample_')}"
    play = named_in("k_diffusion", library, name, callable, "sample_euler")
    given = dict(settings)
    grid = f"get_sigmas_{given.pop('grid', 'karras')}"
    laid = named_in("k_diffusion", library, grid, callable, "sample_euler with grid='karras'")
    if "sigmas" in inspect.signature(play).parameters:
        taken = inspect.signature(laid).parameters
        ends = {key: value for key, value in _RANGE.items() if key in taken}
        of_grid, own = sorted_out(name, {"its grid": laid, "it": play}, given)
        sigmas = laid(steps, **{**ends, **of_grid}).double()
        where: dict[str, Any] = {"sigmas": sigmas}
        first, last = float(sigmas[0]), float(sigmas[-1])
    else:
        (own,) = sorted_out(name, {"it": play}, given)
        where = {**_RANGE, **own}
        first, last = where["sigma_max"], where["sigma_min"]
        if "n" in inspect.signature(play).parameters:
            where["n"] = steps
    noisy = "noise_sampler" in inspect.signature(play).parameters

    def run(x: Any, model: Model, draw: Draw) -> Any:
        from ..tensors import BrownianPath

        def denoiser(states: Any, sigma: Any) -> Any:
            return model(states, Level(1.0, float(sigma[0]) ** 2))

        # Their Brownian tree is asked for overlapping intervals, and draws hidden numbers.
        path = {"noise_sampler": BrownianPath(tuple(x.shape), draw)} if noisy else {}
        return play(denoiser, x, **{**path, **own, **where}, disable=True)

    end = CLEAN if last == 0.0 else Level(1.0, last**2)
    return TorchSampler(run, "x0", first, provenance("k-diffusion", name, steps, settings), end)


def _sampling() -> ModuleType:
    """Its module of samplers alone, where the package as a whole wants what trains and judges."""
    whole = "k_diffusion.sampling"
    try:
        return importlib.import_module(whole)
    except ImportError:
        spec = importlib.util.find_spec("k_diffusion")
    bare = ModuleType("k_diffusion")
    bare.__path__ = list((spec and spec.submodule_search_locations) or [])
    sys.modules["k_diffusion"] = bare
    try:
        return needed(whole, INSTALL)
    finally:  # whoever imports the package itself gets all of it
        for key in [key for key in sys.modules if key.partition(".")[0] == "k_diffusion"]:
            del sys.modules[key]

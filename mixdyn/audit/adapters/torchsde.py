"""Methods of torchsde.sdeint on the reverse diffusion of a process (mixdyn.audit.processes), whose
settings stand beside those of sdeint, in `steps` even steps. Noise is declared diagonal, and
additive for srk, which is no affine map otherwise.

sdeint asks the drift once before its first step, for its shape; that call counts. The Brownian
motion is ours: its own redraws what its cache has lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...affine.drivers import Draw, Driver
from ..calls import Model, TorchSampler, provenance
from ..processes import SDES, process_beside
from . import STEPS, Offer, needed

INSTALL = "pip install torchsde==0.2.6"
_ITO = ("euler", "milstein", "srk")  # noise that depends on time alone: both kinds are one equation


def samplers() -> list[Offer]:
    """The methods of sdeint."""
    methods = needed("torchsde.settings", INSTALL).METHODS
    return [(value, {}) for key, value in vars(methods).items() if not key.startswith("_")]


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of sdeint with method=`name` and process="vp", or another."""
    library, steps = needed("torchsde", INSTALL), steps or STEPS
    process, own = process_beside(name, {"sdeint": library.sdeint}, SDES, steps, settings)
    first, last = float(process.times[0]), float(process.times[-1])

    def play(x: Any, model: Model, draw: Draw) -> Any:
        import torch

        class Reverse:
            noise_type = "additive" if name == "srk" else "diagonal"
            sde_type = "ito" if name in _ITO else "stratonovich"

            def f(self, s: Any, states: Any) -> Any:
                return process.reverse_drift(states.detach(), first - float(s), model)

            def g(self, s: Any, states: Any) -> Any:
                size = process.g2(first - float(s)) ** 0.5 + 0.0 * states
                return size if self.noise_type == "diagonal" else torch.diag_embed(size)

        path = _path(library, tuple(x.shape), draw)
        even = {"dt": (first - last) / (len(process.times) - 1), **own}
        ts = torch.tensor([0.0, first - last], dtype=torch.float64)
        return library.sdeint(Reverse(), x, ts, bm=path, method=name, **even)[-1].detach()

    found = provenance("torchsde", name, steps, settings)
    return TorchSampler(play, "eps", process.start_std, found, process.level(last))


def _path(library: Any, shape: tuple[int, ...], draw: Draw) -> Any:
    """A Brownian motion as sdeint wants it, of handed normals."""
    import torch

    from ..tensors import BrownianPath

    values = BrownianPath(shape, draw)

    class Path(library.BaseBrownian):  # type: ignore[misc,name-defined]
        dtype, device = torch.float64, torch.device("cpu")
        shape = torch.Size(values.shape)
        levy_area_approximation = "space-time"

        def __repr__(self) -> str:
            return "a path of handed normals"

        def __call__(
            self, ta: Any, tb: Any = None, return_U: bool = False, return_A: bool = False
        ) -> Any:
            length = float(tb) - float(ta)
            moved = values(ta, tb) * length**0.5
            if not return_U:
                return moved
            # Its integral over the interval: independent of all that is known beside the ends.
            bent = torch.from_numpy(np.asarray(draw(values.shape))) * (length / 12.0) ** 0.5
            return moved, length * (0.5 * moved + bent)

    return Path()

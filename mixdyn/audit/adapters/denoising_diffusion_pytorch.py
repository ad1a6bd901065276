"""GaussianDiffusion of denoising-diffusion-pytorch: `sample`, with states (n, d) as images of d
channels and one pixel, in double precision; settings are those of its constructor.

`steps` are sampling_timesteps: as many as `timesteps` run its ancestral sampler, fewer its DDIM.
The level is its table's, in single precision, at the timestep that it hands over. States are in
[-1, 1]: its auto_normalize, on by default, returns them as (x + 1)/2, and is off here. It clips
x_0 at every step and cannot be told not to, so none of its samplers has a plan.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from ...affine.drivers import Draw, Driver
from ...score.protocol import Level
from ..calls import Model, TorchSampler, guarded, named_in, provenance, sorted_out
from . import Offer, needed

INSTALL = "pip install denoising-diffusion-pytorch==2.3.4"
_OBJECTIVES = {"pred_noise": "eps", "pred_x0": "x0", "pred_v": "v"}


def samplers() -> list[Offer]:
    """Its one class of samplers, with the network that it takes by default and one of the noise."""
    needed("denoising_diffusion_pytorch", INSTALL)
    return [("GaussianDiffusion", {}), ("GaussianDiffusion", {"objective": "pred_noise"})]


def driver(name: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of GaussianDiffusion."""
    library = needed("denoising_diffusion_pytorch", INSTALL)
    kind = named_in(
        "denoising_diffusion_pytorch",
        library,
        name,
        lambda it: it is library.GaussianDiffusion,
        "GaussianDiffusion",
    )
    (own,) = sorted_out(name, {"it": kind}, settings)
    count = {} if steps is None else {"sampling_timesteps": steps}

    def made(channels: int, model: Model | None) -> Any:
        import torch

        class Exact(torch.nn.Module):  # type: ignore[misc]
            self_condition = False

            def forward(self, images: Any, t: Any, self_cond: Any = None) -> Any:
                assert model is not None
                abar = float(diffusion.alphas_cumprod[t[0]])
                at = Level(abar**0.5, 1.0 - abar, abar)
                return model(images.flatten(1), at).reshape(images.shape)

        network = Exact()
        network.channels = network.out_dim = channels
        diffusion = guarded(
            kind, network, image_size=1, **{"auto_normalize": False, **count, **own}
        )
        return diffusion

    def play(x: Any, model: Model, draw: Draw) -> Any:
        import torch

        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # its bars cannot be switched off
                return made(x.shape[1], model).sample(len(x)).flatten(1)
        finally:
            torch.set_default_dtype(before)

    predicts = _OBJECTIVES.get(made(1, None).objective, "eps")
    found = provenance("denoising-diffusion-pytorch", name, steps, settings)
    return TorchSampler(play, predicts, 1.0, found, draws_start=True)

"""Denoising score matching on a mixture, and how far a network is from the best possible one.

The loss is E |eps_net(x_t, t) - eps|^2 / d, t uniform on 1..T. Its minimiser is the posterior mean
E[eps | x_t], which a mixture gives in closed form; the loss splits into what no network can remove
(the conditional variance of eps) and the excess E |eps_net - E[eps | x_t]|^2 / d.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from .architecture import Quality
from .networks import Network

_CHUNK = 8192
_VALIDATION_KEY = 0x76616C69  # keeps validation noise apart from the training set's


class NoisyData:
    """A training set with the noise added on the fly, on one device.

    The draws come from a torch generator on that device, so nothing crosses a bus, and its state
    is all there is to save.
    """

    def __init__(
        self, points: np.ndarray, schedule: NoiseSchedule, seed: int, device: torch.device
    ) -> None:
        self.points = torch.from_numpy(points).float().to(device)
        self.alpha = torch.from_numpy(schedule.alpha.copy()).float().to(device)
        self.noise_std = torch.from_numpy(np.sqrt(schedule.noise_var)).float().to(device)
        self.generator = torch.Generator(device).manual_seed(seed)

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """(x_t (n, d), t (n,), eps (n, d)) of `size` draws with replacement."""
        options = {"generator": self.generator, "device": self.points.device}
        row = torch.randint(len(self.points), (size,), **options)
        t = torch.randint(1, len(self.alpha), (size,), **options)
        eps = torch.randn(size, self.points.shape[1], **options)
        x = self.alpha[t, None] * self.points[row] + self.noise_std[t, None] * eps
        return x, t, eps


def loss(network: Network, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """Mean squared error of the predicted noise, per coordinate."""
    return (network(x, t) - eps).square().mean()


def exact_eps(mixture: GaussianMixture, schedule: NoiseSchedule, x: Tensor, t: Tensor) -> Tensor:
    """E[eps | x_t = x] (n, d) in float64; x (n, d), t (n,) of integers 1..T.

    Written out in torch, because training may run where the engine's compiler does not exist;
    tests hold it against `ExactScore.eps`.
    """
    means = torch.from_numpy(mixture.means.copy())
    alpha_t = torch.from_numpy(schedule.alpha.copy())[t, None]
    noise_var = torch.from_numpy(schedule.noise_var.copy())[t, None]
    var = alpha_t**2 * torch.from_numpy(mixture.sigmas.copy()) ** 2 + noise_var  # (n, N)
    away = x[:, None, :] - alpha_t[:, None] * means
    log_joint = torch.log(torch.from_numpy(mixture.weights.copy())) - 0.5 * (
        away.square().sum(-1) / var + mixture.d * torch.log(var)
    )
    pull = torch.softmax(log_joint, dim=1) / var
    return noise_var.sqrt() * (pull[:, :, None] * away).sum(1)


class Validation:
    """Fresh data, fixed noise, exact answers: measures a network against the best possible one."""

    def __init__(
        self, mixture: GaussianMixture, schedule: NoiseSchedule, seed: int, n: int = 16_384
    ) -> None:
        rng = np.random.default_rng([seed, _VALIDATION_KEY])
        self.n = n
        self.t = torch.from_numpy(rng.integers(1, schedule.T + 1, size=n))
        eps = rng.standard_normal((n, mixture.d))
        clean = mixture.sample(n, rng)
        times = self.t.numpy()
        noise_std = np.sqrt(schedule.noise_var[times])[:, None]
        self.eps = torch.from_numpy(eps)
        self.x = torch.from_numpy(schedule.alpha[times][:, None] * clean + noise_std * eps)
        parts = [
            exact_eps(mixture, schedule, x, t)
            for x, t in zip(self.x.split(_CHUNK), self.t.split(_CHUNK), strict=True)
        ]
        self.best = torch.cat(parts)
        self.irreducible = float((self.best - self.eps).square().mean())

    @torch.inference_mode()
    def measure(self, network: Network) -> Quality:
        """The network's loss and excess."""
        device = next(network.parameters()).device
        parts = [
            network(x.float().to(device), t.to(device)).double().cpu()
            for x, t in zip(self.x.split(_CHUNK), self.t.split(_CHUNK), strict=True)
        ]
        predicted = torch.cat(parts)
        excess = (predicted - self.best).square().mean(1)
        return Quality(
            loss=float((predicted - self.eps).square().mean()),
            irreducible=self.irreducible,
            excess=float(excess.mean()),
            excess_std=float(excess.std() / self.n**0.5),
            n=self.n,
        )

"""A trained network as a model: float64 arrays in, float64 arrays out."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..score.residual import ResidualNetwork
from ..support.checks import Array, check_integer, check_points
from .architecture import Weights, sinusoids
from .checkpoints import Checkpoint, load_checkpoint

if TYPE_CHECKING:
    from .evaluation import TorchNetwork
    from .networks import Network


class LearnedScore:
    """The score interface of a trained network.

    Parameters
    ----------
    network : predicts eps; copied, so the original keeps its precision and place. Or its weights.
    schedule : the clock it was trained on.
    precision : "float32" as trained, or "float64" for derivatives and for checks of rounding.
    device : "cpu" or "cuda".

    A residual MLP on a CPU is computed by the engine, without torch: in float32 a row's bits depend
    on that row alone. Any other is computed by torch, see `evaluation`.
    """

    def __init__(
        self,
        network: Network | Weights,
        schedule: NoiseSchedule,
        *,
        precision: Literal["float32", "float64"] = "float32",
        device: str = "cpu",
    ) -> None:
        if device != "cpu":
            from .training import check_device

            check_device(device)
        self.schedule, self.precision, self.device = schedule, precision, device
        self.weights = network if isinstance(network, Weights) else network.weights()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        mixture: GaussianMixture | None = None,
        schedule: NoiseSchedule | None = None,
        device: str = "cpu",
    ) -> LearnedScore:
        """From a checkpoint file, checked against the mixture and schedule when given."""
        return cls.of(load_checkpoint(path, mixture=mixture, schedule=schedule), device=device)

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, device: str = "cpu") -> LearnedScore:
        """From a loaded checkpoint."""
        return cls(checkpoint.weights, checkpoint.schedule, device=device)

    @functools.cached_property
    def network(self) -> Network:
        """The network in torch, in this precision and on this device."""
        import torch

        built = self.weights.build(self.schedule)
        return built.to(device=self.device, dtype=getattr(torch, self.precision))

    @functools.cached_property
    def _function(self) -> ResidualNetwork | TorchNetwork:
        held, clock = self.weights.architecture, self.schedule
        if held.kind == "mlp" and self.device == "cpu":
            features = sinusoids(np.arange(clock.T + 1.0), held.embedding)
            return ResidualNetwork(self.weights.tensors, features, self.precision)
        from .evaluation import TorchNetwork

        return TorchNetwork(self.network)

    @property
    def own_threads(self) -> bool:
        """Whether the engine's threads rest while this model's work."""
        return self._function.own_threads

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.weights.architecture.d

    def in_double(self) -> LearnedScore:
        """The same network in float64."""
        return LearnedScore(self.weights, self.schedule, precision="float64", device=self.device)

    def _checked(self, x: ArrayLike, t: int) -> tuple[Array, int]:
        return check_points(x, self.d), check_integer(t, "t", 1, self.schedule.T)

    def eps(self, x: ArrayLike, t: int) -> Array:
        """Noise prediction at x (n, d) and time t in 1..T."""
        return self._function.eps(*self._checked(x, t))

    def score(self, x: ArrayLike, t: int) -> Array:
        """Score -eps/noise_std at x (n, d) and time t in 1..T."""
        eps = self.eps(x, t)
        return -eps / np.sqrt(self.schedule.noise_var[t])

    def jacobian(self, x: ArrayLike, t: int) -> Array:
        """Derivative of the learned score at x (n, d), (n, d, d); row i is the gradient of its
        i-th component. Not symmetric: a learned score need not be a gradient."""
        slopes = self._function.jacobian(*self._checked(x, t))
        return -slopes / np.sqrt(self.schedule.noise_var[t])

"""The order that `ProbabilityFlow` takes by default, on grids of every kind."""

import numpy as np
import pytest

from mixdyn import GaussianMixture, NoiseSchedule, ProbabilityFlow, sample

pytestmark = pytest.mark.compiled

SCALED_LINEAR = NoiseSchedule.from_betas(np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
COARSE = {  # steps whose extrapolation to the fourth order leaves the modes
    "one to all of 20": (NoiseSchedule.linear(20, 0.005, 0.9), (10, 20)),
    "50 steep": (NoiseSchedule.linear(50, 0.005, 0.9), (10, 20, 50)),
    "Stable Diffusion's": (SCALED_LINEAR, (10, 20, 50)),
    "DDPM's": (NoiseSchedule.linear(), (10, 20, 50)),
}


@pytest.mark.parametrize("spacing", ["log_snr", "uniform", "leading", "quadratic"])
@pytest.mark.parametrize("name", COARSE)
def test_no_grid_makes_the_default_order_leave_more_outside_than_the_second(name, spacing):
    mixture = GaussianMixture([[-1.0], [1.0]], 0.05)
    schedule, counts = COARSE[name]

    def outside(steps, order):
        x = sample(mixture, schedule, ProbabilityFlow(steps, order, spacing), n=20_000, rng=0).x
        return np.count_nonzero(np.abs(np.abs(x) - 1.0) > 0.25)

    for steps in counts:
        assert outside(steps, None) <= outside(steps, 2), steps

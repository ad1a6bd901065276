#!/usr/bin/env bash
# azula 0.11.1, REABSampler(order=2 or 3), a multistep sampler of the order asked for: it is of first
# order whatever `order` is. Its step multiplies the integral by sqrt(alpha_s^2 + sigma_t^2), the
# signal of the time it goes to and the noise of the time it comes from, where its own documentation
# has sqrt(1 + e^(2s)), both of the time it goes to. With the exact denoiser of data N(0.7, 0.5^2) on
# the RectifiedSchedule its error halves when the steps double, at every order, where xEABSampler's
# and zEABSampler's of order 2 fall to a quarter. Nothing is raised and nothing is printed.
# A careful guess would be an error that falls at least as the square of the step for order=2.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "torch==2.13.0" "numpy==2.4.6" "azula==0.11.1"
"$work/venv/bin/python" - <<'PYTHON'
import math

import azula
import torch
from azula.denoise import Denoiser, DiracPosterior
from azula.noise import RectifiedSchedule
from azula.sample import REABSampler, xEABSampler, zEABSampler

print("azula", azula.__version__, "torch", torch.__version__)
assert azula.__version__ == "0.11.1"
MEAN, STD, STOP = 0.7, 0.5, 0.1


class Exact(Denoiser):
    schedule = RectifiedSchedule()

    def forward(self, x, t):
        alpha, sigma = self.schedule(t)
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return DiracPosterior(mean=MEAN + gain * (x - alpha * MEAN))


def spread(t):
    alpha, sigma = Exact.schedule(torch.tensor(t, dtype=torch.float64))
    return float((alpha**2 * STD**2 + sigma**2).sqrt())


def error(kind, order, steps):
    """Of the spread at the time `stop`, started from the data's law, by an affine map's ends."""
    sampler = kind(
        Exact(), order=order, steps=steps, stop=STOP, silent=True, dtype=torch.float64
    )
    ends = sampler(torch.tensor([-1.0, 1.0], dtype=torch.float64) * spread(1.0))
    return abs(float(ends[1] - ends[0]) / 2 / spread(STOP) - 1)


def rate(kind, order):
    coarse, fine = error(kind, order, 128), error(kind, order, 256)
    print(f"{kind.__name__} order={order}: error {coarse:.2e}, {fine:.2e} with twice the steps")
    return math.log2(coarse / fine)


for order in (1, 2, 3):
    assert abs(rate(REABSampler, order) - 1.0) < 0.1
assert rate(xEABSampler, 2) > 1.8 and rate(zEABSampler, 2) > 1.8
PYTHON

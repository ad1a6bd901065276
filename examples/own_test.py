"""A test of one's own sampler: it fails with the figure when a step is wrong."""

from itertools import pairwise

import numpy as np

from mixdyn.testing import assert_sampler


def euler(model, x, rng, steps):
    sigmas = np.append(np.geomspace(80.0, 0.001, steps), 0.0)
    for now, then in pairwise(sigmas):
        x = x + (x - model(x, now)) / now * (then - now)
    return x


assert_sampler(euler, 100, level="sigma", predicts="x0", gain_atol=0.05, order=1.0)
print("the spread it returns is right to one in twenty, and it is of first order")

# prints
# the spread it returns is right to one in twenty, and it is of first order

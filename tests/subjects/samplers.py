"""Samplers of a made-up library, with a fault each but for the first; steps of DDIM in sigma."""

import itertools

import numpy as np

SIGMAS = 10.0


def _grid(steps):
    return np.append(SIGMAS * (0.02 / SIGMAS) ** (np.arange(steps) / (steps - 1)), 0.0)


def right(model, x, rng, steps, told=1.0, left=1.0, hidden=0.0):
    grid = _grid(steps)
    for now, then in itertools.pairwise(grid):
        x = x + (then - now) * model(x, told * now if now > 0.1 else now)
    return left * x + hidden


def late(model, x, rng, steps):
    """The model is told a level 3 % below that of the state."""
    return right(model, x, rng, steps, told=0.97)


def shrunk(model, x, rng, steps):
    """Whatever the steps, a tenth of the spread is lost."""
    return right(model, x, rng, steps, left=0.9)


class _Counter:
    runs = 0


def unseeded(model, x, rng, steps):
    """A run differs from the one before."""
    _Counter.runs += 1
    return right(model, x, rng, steps, hidden=1e-6 * _Counter.runs)

"""What counts as right, for the sentences of a card and for the gallery's judgement alike."""

from __future__ import annotations

SPREAD = 0.02  # relative
MEAN = 0.05  # standard deviations of the data
CLOCK = 0.02  # log of true over asked noise
OUTSIDE = 1e-3  # share of a mixture outside its modes


def spread_off(gain: float, half: float = 0.0) -> float:
    """How far a spread is off the data's, relatively, beyond the half of its interval."""
    return max(abs(gain - 1.0) - half, 0.0)


def mean_off(error: float, std: float, half: float = 0.0) -> float:
    """How far a mean is off, in standard deviations of the data, beyond the half of its interval;
    error and half in units of the data."""
    return max(abs(error) - half, 0.0) / std

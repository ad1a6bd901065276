"""Samples of networks for images, as `verify.measure.images.sampling` counted them. No measuring.

A file a network and sampler, and one a recursion: counts, Hal, and of some samples the pixels.
"""

from pathlib import Path

IMAGES = Path(__file__).resolve().parent

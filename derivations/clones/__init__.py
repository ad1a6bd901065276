r"""Clones.

Two draws of the reversed diffusion from one noisy state: where they end alike, a path has chosen.
"""

PLACE = 11

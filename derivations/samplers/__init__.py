"""Samplers.

One family of steps contains DDIM and DDPM. Given the clean point it is exact; what it loses is
the posterior spread that a point estimate of the clean point drops.
"""

PLACE = 2

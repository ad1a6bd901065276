r"""The price of a sampler.

The divergence of exact paths from a sampler's, in nats: a sum over the steps that the mean square
error of the denoiser gives at every grid.
"""

PLACE = 10

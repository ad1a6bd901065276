r"""Noise as insurance.

Two samplers that share their noise have a path divergence. It turns an error of the score into a
bound on any event, cheapest per step at $\eta = 1$.
"""

PLACE = 9

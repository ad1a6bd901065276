"""The saddle between two modes.

Between two modes the ODE has a saddle. How long it holds a trajectory is bounded by a growth
exponent in closed form.
"""

PLACE = 6

"""At the modes.

Near a mode there is a stable equilibrium, and trajectories that reach it track each other.
"""

PLACE = 5

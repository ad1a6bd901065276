"""The reverse SDE leaves the midpoint.

Projected on the line of a pair the SDE is one-dimensional. Confinement and return bound the
probability of ending at the midpoint; a comparison of squares gives it sharply.
"""

PLACE = 7

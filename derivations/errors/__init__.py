"""Unequal weights, inexact scores, diagonals.

What changes when weights differ or the score carries an error, and why the diagonals of a grid
are avoided.
"""

PLACE = 8

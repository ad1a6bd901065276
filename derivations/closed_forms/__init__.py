"""Closed forms.

Against these the engine and the samplers are measured: the exact law of the reverse SDE, the
exact flow of separable mixtures, and the directions in which everything is linear.
"""

PLACE = 3

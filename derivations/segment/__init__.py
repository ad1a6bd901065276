"""Convergence to the segment between two modes.

Once two modes dominate, the others act only through a small remainder, and a trajectory is pulled
into a tube around the segment that joins the two.
"""

PLACE = 4

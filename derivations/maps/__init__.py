r"""What maps from noise to data cost.

Guidance, the price of smoothness, the distance that first-order steps leave, and paths made
straight: results on the map $x_T \mapsto x_0$ that no noise interrupts.
"""

PLACE = 12

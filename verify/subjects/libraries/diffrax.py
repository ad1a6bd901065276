"""Explicit Runge-Kutta methods of diffrax on the probability flow of the VP process, in even steps.

Orders as the documentation states them (https://docs.kidger.site/diffrax/api/solvers/ode_solvers).
Those of fifth and eighth order take thousands of evaluations in 200 steps, and are left out.
"""

from __future__ import annotations

from ..subject import Subject

SUBJECTS = [
    Subject("diffrax", method, order, levels=False)
    for method, order in (("Midpoint", 2), ("Heun", 2), ("Ralston", 2), ("Bosh3", 3))
]

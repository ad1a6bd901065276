"""Methods of torchdiffeq.odeint with fixed steps, on the probability flow of the VP process."""

from __future__ import annotations

from ..subject import Subject

SUBJECTS = [
    Subject("torchdiffeq", method, order, levels=False)
    for method, order in (("euler", 1), ("midpoint", 2), ("heun2", 2), ("heun3", 3), ("rk4", 4))
]

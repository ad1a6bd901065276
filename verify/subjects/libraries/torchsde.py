"""Methods of torchsde.sdeint on the reverse diffusion of the VP process, in even steps.

The order is the weak order that each method states as its attribute `weak_order`
(https://github.com/google-research/torchsde/tree/master/torchsde/_core/methods): what a spread
converges with.
"""

from __future__ import annotations

from ..subject import Subject

SUBJECTS = [
    Subject("torchsde", method, order, levels=False)
    for method, order in (
        ("euler", 1),
        ("milstein", 1),
        ("heun", 1),
        ("euler_heun", 1),
        ("midpoint", 1),
        ("reversible_heun", 1),
        ("srk", 1.5),
    )
]

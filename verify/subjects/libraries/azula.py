"""Samplers of azula on its VP schedule, from t = 1 to 0.001.

Their docstrings state the orders (https://azula.readthedocs.io/stable/api/azula.sample.html): Euler
first, Heun second, the Adams-Bashforth kinds that of their setting `order`, 2 unless it is given.
"""

from __future__ import annotations

from ..subject import Subject

SUBJECTS = [
    Subject("azula", f"{sampler}Sampler", order)
    for sampler, order in (
        ("Euler", 1),
        ("DDIM", None),
        ("DDPM", None),
        ("Heun", 2),
        ("Ito", None),
        ("PC", None),
        ("vAB", 2),
        ("zAB", 2),
        ("zEAB", 2),
        ("xEAB", 2),
        ("REAB", 2),
    )
]

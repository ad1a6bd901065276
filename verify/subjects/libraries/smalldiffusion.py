"""The function `samples` of smalldiffusion on its schedules. Its makers name its uses (DDIM, DDPM,
accelerated) and state no order (https://github.com/yuanchenyang/smalldiffusion)."""

from __future__ import annotations

from ..subject import Subject

SUBJECTS = [
    Subject("smalldiffusion", "samples", None, settings)
    for settings in ({}, {"mu": 0.5}, {"gam": 2.0}, {"schedule": "LogLinear"})
]

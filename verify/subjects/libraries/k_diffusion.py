"""Functions sample_* of k-diffusion on Karras's grid from 150 down to 0.01."""

from __future__ import annotations

from ..subject import Subject

SUBJECTS = [
    Subject("k_diffusion", sampler, order)
    for sampler, order in (
        ("euler", 1),
        ("euler_ancestral", None),
        ("heun", 2),
        ("dpm_2", 2),
        ("lms", 4),
        ("dpmpp_2s_ancestral", None),
        ("dpmpp_sde", None),
        ("dpmpp_2m", 2),
        ("dpmpp_2m_sde", None),
        ("dpmpp_3m_sde", None),
    )
]

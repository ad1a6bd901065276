"""Schedulers of diffusers, on the linear table of 1000 steps from 0.0001 to 0.02, not clipped."""

from __future__ import annotations

import functools

from ..subject import Subject

_LINEAR = {"beta_start": 1e-4, "beta_end": 0.02}
_its = functools.partial(Subject, "diffusers", usual=_LINEAR)
_unclipped = functools.partial(Subject, "diffusers", usual={"clip_sample": False})
_plain = functools.partial(Subject, "diffusers")

SUBJECTS = [
    _unclipped("DDIMScheduler", 1),
    _unclipped("DDIMScheduler", 1, {"timestep_spacing": "trailing"}),
    _unclipped("DDPMScheduler"),
    _its("EulerDiscreteScheduler", 1),
    _its("EulerAncestralDiscreteScheduler"),
    _its("HeunDiscreteScheduler", 2),
    _its("KDPM2DiscreteScheduler", 2),
    _its("LMSDiscreteScheduler", 4),
    _its("PNDMScheduler", 4),
    _its("DPMSolverMultistepScheduler", 2),
    _its("DPMSolverMultistepScheduler", 2, {"use_karras_sigmas": True}),
    _its("DPMSolverSinglestepScheduler", 2),
    _its("DPMSolverSDEScheduler"),
    _its("DPMSolverSDEScheduler", None, {"noise_sampler_seed": 0}),
    _its("UniPCMultistepScheduler", 2),
    _its("DEISMultistepScheduler", 2),
    _its("SASolverScheduler"),
    _plain("EDMEulerScheduler", 1),
    _plain("EDMDPMSolverMultistepScheduler", 2),
    _plain("CosineDPMSolverMultistepScheduler", 2),
    _plain("FlowMatchEulerDiscreteScheduler", 1),
    _plain("FlowMatchHeunDiscreteScheduler", 2),
]

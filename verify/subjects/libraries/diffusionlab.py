"""Samplers of diffusionlab on its processes. No order is stated in its docstrings."""

from __future__ import annotations

from ..subject import Subject

PROCESSES = ("VPLinear", "VPCosine", "VE", "EDM", "FlowMatching")
SUBJECTS = [
    Subject("diffusionlab", sampler, None, {"process": process})
    for sampler in ("DDMSampler", "EulerSampler")
    for process in PROCESSES
]

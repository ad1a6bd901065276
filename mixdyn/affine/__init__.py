"""Samplers as matrices: how they are read off, what follows from them, and how they run.

A sampler that is affine in its start, the model's outputs and its normal draws is a `Plan`. This
room reads plans off samplers of any kind and computes with them: NumPy and SciPy alone, no sampler
of another library (their adapters have a room of their own), no bound and no closed form.

drivers     samplers of ours and functions of a user, driven by a stranger's model and noise
impulses    `transcribe`, the one batched run         predictions  what a model is asked for
plan        the matrices                              gaussian     their law on Gaussian data
recursion   each input from the last few calls        stepper      a plan on a model
price       what another model costs, in nats         comparing    plans side by side, and as text
files       plans on disk                             parts        errors of grid, pairing, solver
"""

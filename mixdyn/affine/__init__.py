"""Samplers as matrices: how they are read off, what follows from them, and how they run.

A sampler that is affine in its start, the model's outputs and its normal draws is a `Plan`. This
room reads plans off samplers of any kind and computes with them; NumPy alone, no other library's
samplers (their adapters are files of another room), no bound and no closed form of a theorem.

`drivers`: samplers of ours and functions of a user, driven by a stranger's model and noise.
`impulses`: the one batched run. `predictions`: what a model is asked for. `plan`: the matrices.
`gaussian`: what they do on Gaussian data. `recursion`: their steps, each from the last few.
"""

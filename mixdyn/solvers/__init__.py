"""The flow and the reverse diffusion in continuous time: fields, solvers, tableaus. No sampler."""

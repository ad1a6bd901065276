"""Samplers of other libraries: adapters that drive them, one file a library, and their cards.

An adapter turns a public sampler into a `Driver` (mixdyn.affine.drivers), which is then read off,
computed with and run like any other. A library is imported when its adapter is used, never before;
the extra `audit` brings diffusers, the others say what to install.

adapters    what a library's samplers look like, a file each, found by the library's name
calls       settings to whom they belong, errors as one line, the driver of what runs on tensors
processes   the equations that solvers of differential equations are handed
tensors     noise and arrays of torch, as drivers hand them over
measuring   what is measured, off the plan or by sampling
grids       what a sampler would list at every number of steps
card        `audit`, all that is said of a sampler      words       three sentences of it
page        cards as one HTML page
"""

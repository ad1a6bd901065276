"""Paths beside the midpoint of a pair: traps, windows, the diffusion that bounds them."""

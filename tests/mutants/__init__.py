"""Mutants: every constant of a formula, changed by 1 %, must make a comparison fail."""

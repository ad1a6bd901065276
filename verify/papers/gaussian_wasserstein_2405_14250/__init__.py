"""Diffusion models for Gaussian distributions: Wasserstein errors (arXiv 2405.14250)."""

from verify.ledger.paper import Paper

PAPER = Paper(__doc__, place=3, arxiv="2405.14250", version=5)

"""Understanding Hallucinations in Diffusion Models through Mode Interpolation, arXiv 2406.09358."""

from verify.ledger.paper import Paper

PAPER = Paper(__doc__, place=2, arxiv="2406.09358", version=2)

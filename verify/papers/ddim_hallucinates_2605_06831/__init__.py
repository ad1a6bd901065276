"""Why DDIM Hallucinates More Than DDPM (arXiv 2605.06831)."""

from verify.ledger.paper import Paper

PAPER = Paper(__doc__, place=0, arxiv="2605.06831", version=1)

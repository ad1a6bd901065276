"""The proof engine: chains, rewriting, formulas. No lemma."""

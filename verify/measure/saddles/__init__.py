"""Saddles between two modes: branches, proofs, and where a trained score has them."""

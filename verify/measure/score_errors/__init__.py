"""Scores that are wrong by a known amount, and the paths they give."""

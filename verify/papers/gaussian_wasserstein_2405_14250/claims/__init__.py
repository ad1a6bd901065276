"""One file a claim: the theorem, its measurement, its controls."""

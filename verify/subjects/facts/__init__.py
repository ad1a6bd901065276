"""One file a fact: its statement, its measurement, its control."""

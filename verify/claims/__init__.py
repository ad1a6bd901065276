"""One file per published result."""

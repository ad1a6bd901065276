"""One folder a paper: what it is, its claims and their figures. No engine, no page."""

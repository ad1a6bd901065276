"""Prices of samplers in nats: on exact paths, on other grids, with trained networks."""

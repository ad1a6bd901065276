"""Trained networks on the grid of paper [D] and on a problem of the user: rates, visits, fields."""

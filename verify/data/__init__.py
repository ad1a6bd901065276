"""Shipped data: checkpoints, stored measurements of hours, recorded verdicts. No measuring."""

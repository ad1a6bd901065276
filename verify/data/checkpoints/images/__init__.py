"""Trained networks for images: what imports this package depends on them all."""

from pathlib import Path

CHECKPOINTS = Path(__file__).resolve().parent

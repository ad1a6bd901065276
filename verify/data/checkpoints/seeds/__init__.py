"""Further training seeds of networks on lines: what imports this package depends on them all."""

from pathlib import Path

CHECKPOINTS = Path(__file__).resolve().parent

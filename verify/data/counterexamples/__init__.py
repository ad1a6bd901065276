"""Problems on which the adversary broke a claim, shrunk, a folder each. No measuring."""

from pathlib import Path

COUNTEREXAMPLES = Path(__file__).resolve().parent

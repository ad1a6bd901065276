"""Problems on which the adversary broke a claim, shrunk: a folder each, with the command that shows
it again. No measuring."""

from pathlib import Path

COUNTEREXAMPLES = Path(__file__).resolve().parent

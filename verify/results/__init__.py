"""Slow measurements, stored with the recipe that made them: who imports this depends on them."""

from pathlib import Path

RESULTS = Path(__file__).resolve().parent

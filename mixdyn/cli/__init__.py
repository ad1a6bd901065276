"""The command line, one file a command; no other room imports it."""

from .main import app, main

__all__ = ["app", "main"]

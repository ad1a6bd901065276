"""The command line: `mixdyn sample` and `mixdyn check`."""

from .main import app, main

__all__ = ["app", "main"]

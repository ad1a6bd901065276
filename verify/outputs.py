"""Where the ledger's files go, and the versions that made them."""

from __future__ import annotations

from pathlib import Path

from mixdyn.files import check_output, make_folder

__all__ = ["check_writable", "make_folder"]


def check_writable(path: Path) -> None:
    """FileError unless a file can be written at `path`."""
    check_output(path)

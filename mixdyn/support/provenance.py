"""Where a result comes from: the commit of the checkout, and the machine that computed it."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def commit() -> str | None:
    """The checkout's commit, marked when files differ from it; None outside a checkout."""
    if not (_ROOT / ".git").exists():
        return None
    run = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(run, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of mixdyn, Python and those of the named packages that are installed."""
    from .. import __version__

    found = {"mixdyn": __version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cores_here() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores() -> int:
    """The same, but no more than OMP_NUM_THREADS, where that is set."""
    cores = cores_here()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdigit() and int(asked) else cores

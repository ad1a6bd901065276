"""What a process computes with: its code and the versions below it. Others give other bits."""

from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path

from ..support.provenance import package_versions

_BELOW = ("numpy", "scipy", "numba", "torch")


@functools.cache
def fitness(module: str) -> dict[str, str]:
    """Of this process, for work of that module: the digest of the code of its package and of ours,
    and the versions of what they stand on."""
    found = package_versions(_BELOW)
    for name in sorted({"mixdyn", module.partition(".")[0]}):
        file = getattr(sys.modules.get(name), "__file__", None)
        found[f"code of {name}"] = _digest(Path(file)) if file else "none"
    return found


def differing(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """In words, what another process has that this one has not; empty where there is nothing."""
    names = sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))
    return ", ".join(
        f"{n} {theirs.get(n, 'none')} in place of {ours.get(n, 'none')}" for n in names
    )


def _digest(file: Path) -> str:
    """12 digits for a module's file, or for all the code of a package's folder."""
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    h = hashlib.sha256()
    for each in files:
        h.update(f"{each.relative_to(file.parent).as_posix()}\n".encode() + each.read_bytes())
    return h.hexdigest()[:12]

"""What a sweep is made of: shards of work, each of one or several rows that are kept by their keys.

A shard is small data; the function that makes its rows is named by its module, so that any process
with the same code can do it. Its rows depend on the shard alone, never on who does it, or when.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

Row = Any  # JSON data
Work = Callable[[Any, list[Any]], Sequence[Row]]


@dataclass(frozen=True)
class Shard:
    """What one call of the work does: work(common, [own, ...]) returns a row for each `own`.

    parts : (key, own) for each row; the key says all that the row depends on (`key_of`). name : for
    messages.
    """

    name: str
    common: Any
    parts: tuple[tuple[str, Any], ...]

    def without(self, kept: Callable[[str], bool]) -> Shard:
        """Those of its parts whose rows are not kept yet."""
        return replace(self, parts=tuple(part for part in self.parts if not kept(part[0])))

    def do(self, work: Work) -> list[tuple[str, Row]]:
        """Its rows by their keys."""
        rows = work(self.common, [own for _, own in self.parts])
        return [(key, row) for (key, _), row in zip(self.parts, rows, strict=True)]


@dataclass(frozen=True)
class Done:
    """A shard with its rows by their keys; lost: why no process survived it, if so without rows."""

    shard: Shard
    rows: tuple[tuple[str, Row], ...] = ()
    lost: str = ""


def key_of(*parts: object) -> str:
    """24 hexadecimal digits for what a row depends on."""
    text = ":".join(f"{len(str(part))}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:24]

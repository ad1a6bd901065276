"""What the folder of a paper says about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """The header of a folder of `verify/papers`.

    place: where its claims stand in the ledger. arxiv, version: of the paper whose numbers they
    bear, None for results of no paper.
    """

    title: str
    place: int
    arxiv: str | None = None
    version: int | None = None

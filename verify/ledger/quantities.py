"""Numbers as the ledger stores and reads them; see `mixdyn.support.numbers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixdyn.support.numbers import (
    Log10,
    Number,
    dump_json,
    nearest_double,
    number_from_log,
    plain,
    show_number,
    show_share,
)

__all__ = [
    "Log10",
    "Number",
    "dump_json",
    "nearest_double",
    "number_from_log",
    "plain",
    "read_number",
    "show_number",
    "show_share",
]


def read_number(row: Mapping[str, Any], key: str) -> Number | None:
    """The number under `key` of a row of JSON data, as a Log10 where its exponent is stored."""
    exponent = row.get(f"log10_{key}")
    return Log10(exponent) if exponent is not None else row.get(key)

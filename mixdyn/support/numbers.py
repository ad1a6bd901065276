"""Numbers as reports keep them: doubles, powers of ten beyond double range, strict JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Log10:
    """A positive number 10**exponent, for values that doubles cannot hold."""

    exponent: float

    @classmethod
    def from_log(cls, natural_log: float) -> Log10:
        """From the natural logarithm of the number."""
        return cls(natural_log / math.log(10.0))

    def to_float(self) -> float | None:
        """The nearest double (0.0 on underflow), or None where it would overflow."""
        return 10.0**self.exponent if self.exponent < 308.25 else None


Number = float | Log10
_LARGEST = 700.0  # natural logarithms up to it, of either sign, are those of ordinary doubles


def number_from_log(natural_log: float) -> Number:
    """exp(natural_log): a double where it is one (0 for -inf), else its exponent, never a 0 or an
    infinity that stands for a finite number."""
    if abs(natural_log) <= _LARGEST or not math.isfinite(natural_log):
        return math.exp(natural_log)
    return Log10.from_log(natural_log)


def nearest_double(value: Number) -> float:
    """The nearest double: 0 below the smallest, infinity beyond the largest."""
    if not isinstance(value, Log10):
        return value
    found = value.to_float()
    return math.inf if found is None else found


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as strict JSON data: NaN and infinities become null, dataclasses become objects, and
    a Log10 under the key k becomes the nearest double under k and its exponent under log10_k; of a
    list that holds one, log10_k lists the exponents, null for its other entries."""
    row: dict[str, Any] = {}
    for key, value in values.items():
        row[key] = _plain_value(value)
        exponents = _exponents(value)
        if exponents is not None:
            row[f"log10_{key}"] = exponents
    return row


def _exponents(value: Any) -> Any:
    """The exponents of a Log10, or of a list with one at any depth; None for everything else."""
    if isinstance(value, Log10):
        return _plain_value(value.exponent)
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return None
    found = [_exponents(item) for item in value]
    return found if any(item is not None for item in found) else None


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, Log10):
        return value.to_float()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dump_json(values: Mapping[str, Any]) -> str:
    """Strict JSON text; raises ValueError for what JSON cannot say."""
    return json.dumps(plain(values), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def read_number(row: Mapping[str, Any], key: str) -> Number | None:
    """The number under `key` of a row of JSON data, as a Log10 where its exponent is stored."""
    exponent = row.get(f"log10_{key}")
    return Log10(exponent) if exponent is not None else row.get(key)


def show_number(value: Number | None, digits: int = 4) -> str:
    """A number for a table: a dash for null, powers of ten beyond double range as 1e-1042."""
    if value is None:
        return "–"
    if isinstance(value, Log10):
        if abs(value.exponent) < 300.0:
            return show_number(10.0**value.exponent, digits)
        power = math.floor(value.exponent)
        return f"{10.0 ** (value.exponent - power):.{max(digits - 2, 0)}f}e{power:+d}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.{digits}g}"


def show_share(share: float | None, digits: int = 3) -> str:
    """A share in per cent, a dash for null: 100 % says all and 0 % none.

    `digits` significant ones, and near 100 % as many as show two of what is missing: 99,995 of
    100,000 are 99.995 %.
    """
    if share is None:
        return show_number(None)
    missing = 100.0 * (1.0 - share)
    if not 0.0 < missing < 50.0:
        before = len(f"{abs(100.0 * share):.0f}")  # of the point, without an exponent
        return f"{100.0 * share:.{max(digits, before)}g} %"
    decimals = max(1 - math.floor(math.log10(missing)), digits - 2)
    whole, point, rest = f"{100.0 * share:.{decimals}f}".partition(".")
    return f"{whole}{point}{rest}".rstrip("0").rstrip(".") + " %" if rest else f"{whole} %"

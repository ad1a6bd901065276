"""Plans on disk: NPZ, plain arrays, with their provenance."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

from ..support.errors import FileError, InputError
from ..support.files import check_output, read_parameters, write_parameters

if TYPE_CHECKING:
    from .plan import Plan

FORMAT = "mixdyn.plan.1"


def save(plan: Plan, path: str | os.PathLike[str]) -> None:
    """See `Plan.save`."""
    held = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    provenance = json.dumps(held.pop("provenance"), sort_keys=True, default=str)
    write_parameters(
        check_output(path, ".npz"), {"format": FORMAT, **held, "provenance": provenance}
    )


def load(kind: type[Plan], path: str | os.PathLike[str]) -> Plan:
    """See `Plan.load`."""
    keys = frozenset({"format", *(field.name for field in dataclasses.fields(kind))})
    values = read_parameters(path, keys, keys)
    version = values.pop("format")
    if version != FORMAT:
        raise FileError(
            f"a file of a plan has the format {FORMAT!r}",
            f"{version!r} in {path}",
            "Save the plan again with this version.",
        )
    try:
        return kind(**{**values, "provenance": _provenance(values["provenance"])})
    except (InputError, ValueError, TypeError) as error:
        rule = error.rule if isinstance(error, InputError) else "a plan is made of numbers"
        fault = error.received if isinstance(error, InputError) else error
        raise FileError(rule, f"{fault} in {path}", "Save the plan again.") from None


def _provenance(text: Any) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"provenance {found!r}")
    return found

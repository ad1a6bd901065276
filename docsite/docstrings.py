"""Docstrings as Markdown, for the reference: sections, parameters one a line, shapes kept."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ITEM = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)\s?: (.*)$")
_RULE = re.compile(r"^-{3,}$")


def to_markdown(text: str) -> str:
    """`Name` over dashes becomes a bold line, `name : what it is` an item, and the lines that are
    indented below it go on with it; other blocks that are indented stay as they are."""
    lines, out, k = text.split("\n"), [], 0
    while k < len(lines):
        line = lines[k]
        below = lines[k + 1] if k + 1 < len(lines) else ""
        item = _ITEM.match(line)
        if _RULE.match(below.strip()) and line.strip():
            out += ["", f"**{line.strip()}**", ""]
            k += 1
        elif item:
            if out and out[-1] and not out[-1].startswith("- "):
                out.append("")
            words = [item[2]]
            while k + 1 < len(lines) and lines[k + 1].startswith("    "):
                k += 1
                words.append(lines[k].strip())
            out.append(f"- `{item[1]}`: {_escaped(' '.join(words))}")
        else:
            out.append(line if line.startswith("    ") else _escaped(line))
        k += 1
    return "\n".join(out)


def _escaped(text: str) -> str:
    """Signs of mathematics that Markdown would take for its own, outside of code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*<_])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


class Docstrings(griffe.Extension):  # type: ignore[misc]
    """Told of every object that is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Its docstring becomes Markdown."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)

"""A notebook in the percent form, a Python file whose cells begin with `# %%`: executed, and as a
page with what the cells said, or as .ipynb.

No kernel, no server: a cell is code of one namespace, what it prints is kept, and the value of its
last expression is shown, a figure as a picture.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CELL, _WORDS = "# %%", "# %% [markdown]"


@dataclass(frozen=True)
class Cell:
    """words: Markdown, and not code. text: what it printed and its last value, "" before it ran.
    picture: of a figure, as PNG."""

    words: bool
    source: str
    text: str = ""
    picture: bytes = b""


def read(path: Path) -> list[Cell]:
    """The cells of a file, not yet executed."""
    cells: list[tuple[bool, list[str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(_CELL):
            cells.append((line == _WORDS, []))
        elif cells:
            words, lines = cells[-1]
            lines.append(line.removeprefix("#").removeprefix(" ") if words else line)
    return [Cell(words, "\n".join(lines).strip()) for words, lines in cells]


def execute(cells: list[Cell], name: str) -> list[Cell]:
    """The same with what each said. An error leaves as it is, after the cell that raised it."""
    import matplotlib as mpl

    mpl.use("agg")
    space: dict[str, Any] = {"__name__": name}
    return [
        cell if cell.words else _run(cell, space, f"{name}[{k}]") for k, cell in enumerate(cells)
    ]


def _run(cell: Cell, space: dict[str, Any], name: str) -> Cell:
    tree, value = ast.parse(cell.source, name), None
    last = tree.body[-1] if tree.body else None
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if isinstance(last, ast.Expr):
            tree.body.pop()
            exec(compile(tree, name, "exec"), space)  # noqa: S102 - a file of this repository
            value = eval(compile(ast.Expression(last.value), name, "eval"), space)  # noqa: S307
        else:
            exec(compile(tree, name, "exec"), space)  # noqa: S102
    picture = b""
    if value is not None and hasattr(value, "savefig"):
        stream = io.BytesIO()
        value.savefig(stream, format="png", dpi=110, bbox_inches="tight")
        picture = stream.getvalue()
    elif value is not None:
        said.write(f"{value!r}\n")
    return Cell(False, cell.source, said.getvalue(), picture)


def page(cells: list[Cell]) -> str:
    """Markdown of executed cells."""
    parts = []
    for cell in cells:
        if cell.words:
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        if cell.text:
            parts.append(f"```text\n{cell.text.rstrip()}\n```")
        if cell.picture:
            data = base64.b64encode(cell.picture).decode()
            parts.append(f"![what the cell above drew](data:image/png;base64,{data})")
    return "\n\n".join(parts) + "\n"


def ipynb(cells: list[Cell]) -> str:
    """Executed cells as a Jupyter notebook, format 4.5."""
    found = []
    for k, cell in enumerate(cells):
        kind = "markdown" if cell.words else "code"
        entry: dict[str, Any] = {"cell_type": kind, "id": f"cell-{k}", "metadata": {}}
        entry["source"] = cell.source.splitlines(keepends=True)
        if not cell.words:
            entry |= {"execution_count": None, "outputs": _outputs(cell)}
        found.append(entry)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    return json.dumps({**notebook, "cells": found}, indent=1, ensure_ascii=False) + "\n"


def _outputs(cell: Cell) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    if cell.text:
        lines = cell.text.splitlines(keepends=True)
        out.append({"output_type": "stream", "name": "stdout", "text": lines})
    if cell.picture:
        data = {"image/png": base64.b64encode(cell.picture).decode()}
        out.append({"output_type": "display_data", "data": data, "metadata": {}})
    return out

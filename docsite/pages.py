"""Texts that the repository keeps elsewhere, as pages of the site: links between them lead to the
pages, and what a page shows is copied beside it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A file of the repository and its page; what else lies in docs/ is a page as it is.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}
_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def as_page(source: str) -> str:
    """The Markdown of a file of `PAGES`, every relative link as seen from its page."""
    folder = posixpath.dirname(source)

    def moved(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[2]))
        return found[1] + address(target) + found[3]

    return _LINK.sub(moved, (ROOT / source).read_text(encoding="utf-8"))


def address(target: str) -> str:
    """Where a file of the repository stands on the site."""
    return PAGES.get(target, target.removeprefix("docs/"))


def shown_by(source: str) -> dict[str, Path]:
    """The files that a text of `PAGES` links to and that do not lie in docs/, by their address."""
    folder, text = posixpath.dirname(source), (ROOT / source).read_text(encoding="utf-8")
    targets = {posixpath.normpath(posixpath.join(folder, f[2])) for f in _LINK.finditer(text)}
    others = {t for t in targets if not t.startswith("docs/") and t not in PAGES}
    return {target: ROOT / target for target in sorted(others)}


def examples() -> str:
    """The page of examples/: each file whole, under the first line of its docstring."""
    parts = [
        "# Examples\n\nEach is a whole program: copy it, change the mixture, run it. The tests run "
        "them all.\n"
    ]
    for path in sorted((ROOT / "examples").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        title, _, code = text.partition('"""\n')
        parts.append(f"## {title.strip(chr(34)).rstrip('.')}\n\n`examples/{path.name}`\n")
        parts.append(f"```python\n{code.strip()}\n```\n")
    return "\n".join(parts)

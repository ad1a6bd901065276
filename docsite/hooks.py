"""What MkDocs asks for while it builds the site; see `docsite`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a hook is loaded by its path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from docsite import gallery, notebook, pages, reference

_UNSHOWN = (".jsonl", ".py")  # data of a page, and the notebook itself


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages; stop where a public name says nothing."""
    missing = reference.undocumented()
    if missing:
        raise PluginError(f"public names without a docstring: {', '.join(missing)}")
    for file in [file for file in files if file.src_uri.endswith(_UNSHOWN)]:
        files.remove(file)
    hour = notebook.execute(notebook.read(pages.ROOT / "docs" / "first_hour.py"), "first_hour")
    page, pictures = gallery.figures(gallery.drawn())
    made = {
        **{address: pages.as_page(source) for source, address in pages.PAGES.items()},
        **reference.pages(),
        "first_hour.md": notebook.page(hour),
        "first_hour.ipynb": notebook.ipynb(hour),
        "figures.md": page,
        "cards.html": gallery.cards(),
        "examples.md": pages.examples(),
    }
    copied = dict(pictures)
    for source in pages.PAGES:
        copied |= pages.shown_by(source)
    for address, text in made.items():
        files.append(File.generated(config, address, content=text))
    for address, path in copied.items():
        if files.get_file_from_path(address) is None:
            files.append(File.generated(config, address, abs_src_path=str(path)))
    return files

"""The site is built in strict mode and of this machine alone."""

import pytest

from docsite.pages import ROOT

pytest.importorskip("mkdocs", exc_type=ImportError)
pytest.importorskip("material", exc_type=ImportError)

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort


def small_site(folder, text):
    """The settings of the site, for one page."""
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(text)
    (folder / "docs" / "other.md").write_text("# Other\n")
    config = load_config(
        str(ROOT / "mkdocs.yml"),
        docs_dir=str(folder / "docs"),
        site_dir=str(folder / "site"),
        hooks=[],
        nav=[{"mixdyn": "index.md"}, {"Other": "other.md"}],
        plugins=[],
    )
    build(config)
    return (folder / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    "link", ["missing.md", "other.md#nowhere", "/other.html"], ids=["page", "anchor", "absolute"]
)
def test_a_link_that_leads_nowhere_stops_the_build(link, tmp_path):
    with pytest.raises(Abort):
        small_site(tmp_path, f"# One\n\n[there]({link})\n")


def test_a_page_takes_nothing_from_elsewhere(tmp_path):
    page = small_site(tmp_path, "# One\n\n[there](other.md#other)\n")
    assert 'href="other.html#other"' in page
    for tag in ('src="http', 'src="//', 'rel="preconnect"', "fonts.g", 'stylesheet" href="http'):
        assert tag not in page

"""The report in a browser, wide and on a phone, by mouse-free keys."""

import pytest

from tests.report import chromium
from tests.report.test_page import BOTH, document, entry
from verify.report import document as report

pytestmark = pytest.mark.skipif(chromium.found() is None, reason="no Chromium on this machine")

WIDE, PHONE = 1300, 390
SHOWN = "[...document.querySelectorAll('#verdicts tbody tr')].filter(r => !r.hidden)"
LONG = "A remainder that no line of a phone takes: " + "x" * 300


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    entries = entry("G.8", (1.0, 2.5), BOTH), entry("G.9", 1.0, note=LONG)
    text = report.render(document(*entries), "report.html.j2")
    (folder / "index.html").write_text(text, encoding="utf-8")
    with chromium.browser(folder) as shown:
        shown.open(folder / "index.html")
        yield shown


@pytest.fixture(autouse=True)
def wide_and_unfiltered(page):
    page.width(WIDE)
    page.run(
        "document.querySelectorAll('.filters [data-column]').forEach(c => { c.value = '';"
        " c.dispatchEvent(new Event('input')); })"
    )
    page.run("document.activeElement.blur(), scrollTo(0, 0)")


def typed(page, words):
    page.run("document.querySelector('.filters input').focus()")
    page.press(words)
    return page.run(f"{SHOWN}.map(r => r.cells[0].textContent.trim())")


def test_the_filter_finds_words_of_a_title_an_id_and_a_basis(page):
    assert len(typed(page, "MIDPOINT of a")) == 6
    page.run("document.querySelector('.filters input').value = ''")
    assert typed(page, "G.9") == ["G.9", "G.9"]
    page.run("document.querySelector('.filters input').value = ''")
    assert typed(page, "sampled") == ["G.8", "G.8"]
    assert page.run("document.getElementById('shown').textContent") == "2 of 6 rows"


@pytest.mark.parametrize("width", [WIDE, 500, PHONE])
def test_no_width_makes_the_page_scroll_sideways(page, width):
    page.width(width)
    assert page.run("document.documentElement.scrollWidth") <= width


def test_words_and_failures_stand_on_the_first_screen(page):
    def top(selector):
        return page.run(f"document.querySelector('{selector}').getBoundingClientRect().top")

    assert 0 < top("#legend") < top(".loud li") < 900
    assert top(".loud li") < top("#table")


def test_failing_rows_are_open_and_what_they_say_is_seen(page):
    seen = "[...document.querySelectorAll('details[id] > div')].filter(d => d.checkVisibility())"
    assert page.run(f"{seen}.map(d => d.parentElement.id)") == [
        "G.8-standard-sampled",
        "G.8-random-1-sampled",
        "G.9-standard-exact",
    ]


def test_a_header_is_reached_by_tab_and_sorts_by_enter_both_ways(page):
    page.run("document.querySelector('.filters select:last-of-type').focus()")
    reached = []
    for _ in range(40):
        page.press("Tab")
        reached.append(page.run("document.activeElement.closest('th')?.textContent.trim() ?? ''"))
        if reached[-1] == "Measured":
            break
    assert reached[-1] == "Measured", reached
    column = f"{SHOWN}.map(r => r.cells[5].textContent.trim())"
    page.press("Enter")
    assert page.run(column) == ["1", "1", "1", "1", "2.5", "2.5"]
    page.press("Enter")
    assert page.run(column) == ["2.5", "2.5", "1", "1", "1", "1"]
    assert page.run("document.activeElement.closest('th').ariaSort") == "descending"


def test_a_row_opens_and_closes_by_the_keyboard(page):
    row = "document.getElementById('G.9-random-1-exact')"
    page.run(f"{row}.querySelector('summary').focus()")
    for opened in (True, False):
        page.press("Enter")
        assert page.run(f"{row}.open") is opened


def test_a_badge_names_its_basis_and_leads_to_the_open_row(page):
    badge = "document.querySelector('.glance a[href=\"#G.8-random-1-exact\"]')"
    assert "exact" in page.run(f"{badge}.textContent")
    assert page.run("document.getElementById('G.8-random-1-exact').open") is False
    page.run(f"{badge}.focus()")
    page.press("Enter")
    assert page.run("document.getElementById('G.8-random-1-exact').open") is True


def test_every_label_of_the_graph_lies_in_its_box(page):
    outside = (
        "[...document.querySelectorAll('.claim-graph g, .claim-graph a')].filter(g => {"
        " const box = g.querySelector(':scope > .box'); if (!box) return false;"
        " const frame = box.getBoundingClientRect();"
        " return [...g.querySelectorAll(':scope > text')].some(t =>"
        " t.getBoundingClientRect().right > frame.right + 0.5); }).length"
    )
    assert page.run("document.querySelectorAll('.claim-graph .box').length") >= 2
    assert page.run(outside) == 0

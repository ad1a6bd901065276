"""The dependency graph: acyclic data, boxes that do not overlap, links, colours and words."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from verify.ledger.links import CLOSED_FORMS, all_links, ancestors
from verify.ledger.registry import reading_order
from verify.ledger.relations import Outcome
from verify.ledger.sources import ROOT
from verify.report.graph import BOX, COLOURS, TALL, WIDTH, graph_svg
from verify.report.graph_layout import lay_out
from verify.report.legend import MARKS

SVG = "{http://www.w3.org/2000/svg}"
SHORT = {name: link.short for name, link in all_links().items() if name not in CLOSED_FORMS}
EVERY = [{"id": name, "title": title, "verdict": "holds"} for name, title in SHORT.items()]


def parse(rows):
    return ET.fromstring(graph_svg(rows))


def boxes(svg):
    """(x, y, class, stroke) of every box."""
    found = [r for r in svg.iter(f"{SVG}rect") if "box" in r.get("class", "")]
    return [(float(r.get("x")), float(r.get("y")), r.get("class"), r.get("stroke")) for r in found]


def texts(node):
    return [t.text for t in node.iter(f"{SVG}text")]


def link_of(svg, name):
    target = f"#claim-{name.replace(' ', '')}"
    return next(a for a in svg.iter(f"{SVG}a") if a.get("href") == target)


def row(name, verdict, title="a title"):
    return {"id": name, "title": title, "verdict": verdict}


# -- the data ------------------------------------------------------------------------------------


def test_every_claim_has_a_few_words_for_its_box_and_a_place_in_the_reading_order():
    assert all(SHORT.values())
    for name in SHORT:
        reading_order(name)


def test_what_a_claim_rests_on_or_sharpens_is_a_claim_or_a_closed_form():
    for claim, link in all_links().items():
        below = {**link.rests_on, **link.sharpens}
        assert set(below) <= set(all_links()), claim
        assert all(below.values()), "each with a word why"


def test_nothing_rests_on_itself():
    assert all(name not in ancestors(name) for name in all_links())


def test_the_chain_from_dominance_to_shrinkage_is_there():
    assert {"T4.2", "G.3", "A4.1", "X1", "G.2", "G.1"} <= ancestors("X2")
    assert {"O1", "G.1"} <= ancestors("X5")
    assert "P4.7 (1)" in ancestors("C.4")
    assert not ancestors("no such claim")


# -- the layout ----------------------------------------------------------------------------------


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="circle"):
        lay_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")])


def test_columns_rise_along_every_edge_and_a_source_stands_right_before_its_use():
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("late", "d"), ("a", "d"), ("a", "unknown")]
    layout = lay_out(["a", "b", "c", "d", "late"], edges)
    assert layout.column == {"a": 0, "b": 1, "c": 2, "d": 3, "late": 2}
    assert len(layout.passing["a", "d"]) == 2
    assert ("a", "unknown") not in layout.passing


def test_nodes_of_a_column_keep_their_distance():
    layout = lay_out([f"s{k}" for k in range(4)] + ["t"], [(f"s{k}", "t") for k in range(4)])
    places = sorted(layout.place[f"s{k}"] for k in range(4))
    gaps = [b - a for a, b in itertools.pairwise(places)]
    assert min(gaps) >= 1.0 - 1e-9
    assert layout.place["t"] == pytest.approx(sum(places) / 4, abs=1e-9)
    assert layout.height == pytest.approx(4.0)


def test_two_chains_given_crosswise_are_untangled():
    layout = lay_out(["a", "b", "B", "A"], [("a", "A"), ("b", "B")])
    assert (layout.place["a"] < layout.place["b"]) == (layout.place["A"] < layout.place["B"])


def test_no_nodes_make_an_empty_layout():
    layout = lay_out([], [])
    assert (layout.columns, layout.height) == (0, 0.0)


# -- the picture ---------------------------------------------------------------------------------


def test_all_claims_together_fit_without_overlap():
    svg = parse(EVERY)
    *_, width, height = (float(v) for v in svg.get("viewBox").split())
    placed = boxes(svg)
    assert len(placed) == len(SHORT) + len(CLOSED_FORMS)
    assert width == WIDTH <= 1200
    for k, (x, y, *_) in enumerate(placed):
        assert x >= 0.0
        assert x + BOX <= width
        assert y >= 0.0
        assert y + TALL <= height
        for a, b, *_ in placed[k + 1 :]:
            assert abs(a - x) >= BOX or abs(b - y) >= TALL


def test_a_box_links_to_the_claims_section_of_the_report():
    template = (ROOT / "verify/report/templates" / "report.html.j2").read_text(encoding="utf-8")
    assert """id="claim-{{ id | replace(' ', '') }}\"""" in template
    assert "P4.7 (1)" in texts(link_of(parse(EVERY), "P4.7 (1)"))


def test_a_box_says_its_worst_verdict_and_shows_the_others_in_proportion():
    svg = parse(
        [row("G.1", "holds"), row("G.1", "fails"), row("G.1", "holds"), row("G.1", "holds")]
    )
    link = link_of(svg, "G.1")
    assert f"{MARKS[Outcome.FAILS]} fails" in texts(link)
    tall = {r.get("fill"): float(r.get("height")) for r in link.iter(f"{SVG}rect") if r.get("fill")}
    assert tall[COLOURS[Outcome.FAILS]] == pytest.approx(TALL / 4, abs=0.06)
    assert tall[COLOURS[Outcome.HOLDS]] == pytest.approx(3 * TALL / 4, abs=0.06)
    assert "3 holds, 1 fails" in link.find(f"{SVG}title").text


def test_every_verdict_has_a_colour_of_its_own_and_a_mark():
    assert set(COLOURS) == set(Outcome) == set(MARKS)
    assert len(set(COLOURS.values())) == len(Outcome)


def test_foundations_without_a_row_are_drawn_dashed_and_closed_forms_without_a_verdict():
    svg = parse([row("X5", "holds")])
    kinds = sorted(kind for _, _, kind, _ in boxes(svg))
    assert kinds == ["box", "box absent", "box closed"]  # X5, G.1, O1
    assert "not in this run" in texts(svg)
    assert [a.get("href") for a in svg.iter(f"{SVG}a")] == ["#claim-X5"]


def test_the_line_from_a_failing_foundation_has_its_colour_and_others_do_not():
    svg = parse([row("A4.1", "fails"), row("G.2", "holds"), row("G.3", "holds")])
    lines = {p.find(f"{SVG}title").text: p.get("style") for p in svg.iter(f"{SVG}path") if len(p)}
    coloured = [title for title, style in lines.items() if style]
    assert [title.partition(":")[0] for title in coloured] == ["G.3 rests on A4.1"]
    assert lines[coloured[0]] == f"stroke:{COLOURS[Outcome.FAILS]}"
    assert any(title.startswith("G.3 rests on G.2") for title in lines)


def test_ours_is_tied_to_the_published_result_it_sharpens_only_where_both_are_shown():
    both = graph_svg([row("X3", "holds"), row("P4.7 (2)", "vacuous")])
    assert "X3 is sharper than P4.7 (2)" in both
    assert "sharper than" not in re.sub(
        r"<text.*?</text>|<style>.*?</style>", "", graph_svg([row("G.2", "holds")]), flags=re.DOTALL
    )


def test_an_unknown_claim_stands_by_itself_and_a_title_cannot_break_the_markup():
    svg = parse([row("X99", "error", "x < y & $\\alpha$"), row("G.1", "holds")])
    link = link_of(svg, "X99")
    assert "x < y & alpha" in texts(link)
    assert "Without a link to another claim here:" in texts(svg)


@pytest.mark.parametrize("verdict", Outcome)
def test_no_label_leaves_its_box_in_the_widest_common_font(verdict):
    svg = parse([row(name, verdict, title) for name, title in SHORT.items()])
    sizes = {"id": (12.5, "bold"), "soft": (10.0, "normal"), "": (10.5, "normal")}

    def width(text):
        if text.get("textLength"):
            return float(text.get("textLength"))
        size, weight = sizes[text.get("class")]
        words = TextPath(
            (0, 0), text.text, size, FontProperties(family="DejaVu Sans", weight=weight)
        )
        return words.get_extents().width

    for node in [*svg.iter(f"{SVG}a"), *svg.iter(f"{SVG}g")]:
        name, label, words = node.iter(f"{SVG}text")
        left = float(next(node.iter(f"{SVG}rect")).get("x"))
        assert float(words.get("x")) + width(words) <= left + BOX
        assert float(name.get("x")) + width(name) <= float(label.get("x")) - width(label)


def test_no_rows_make_an_empty_picture():
    assert boxes(parse([])) == []


def test_the_picture_depends_on_the_rows_alone_and_loads_nothing():
    text = graph_svg(EVERY)
    assert graph_svg(list(reversed(EVERY))) == text
    assert "<script" not in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]

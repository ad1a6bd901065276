"""The readable document: all derivations in order, as Markdown with LaTeX and as HTML with MathML.

The HTML file is self-contained: browsers typeset MathML without a network.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from latex2mathml.converter import convert

from . import catalogue
from .algebra.chain import Chain
from .algebra.derivation import Derivation
from .algebra.notation import NOTATION, tex
from .stored import Outcome, write_text

TITLE = "Derivations: from the forward process to each bound"
LEAD = (
    "Every formula that the engine, the closed forms and the bounds use is derived here, and"
    " every step is"
    " checked by SymPy: an equality by a named rewriting that brings the difference of its"
    " sides to exactly"
    " zero, an inequality by a gap that is nonnegative term by term or that starts at zero"
    " and grows. What"
    " algebra does not settle is cited at the step that uses it. Sums over modes and"
    " coordinates are indexed"
    " sums of symbolic length unless a derivation says otherwise."
)

_STYLE = Path(__file__).with_suffix(".css")


def _relation(relation: str) -> str:
    return r"\le" if relation == "<=" else "="


def _lines(chain: Chain) -> Iterator[tuple[str, str]]:
    """(LaTeX of a line, reason in words) for the start and each link."""
    meaning = ", ".join(f"${tex(name)} = {tex(value)}$" for name, value in chain.where.items())
    yield tex(chain.start), f"where {meaning}" if meaning else ""
    for link in chain.links:
        reason = (
            f"{link.why} ({link.evidence.words(tex)})" if link.why else link.evidence.words(tex)
        )
        yield rf"{_relation(link.relation)}\; {tex(link.target)}", reason


def _facts(derivation: Derivation, outcome: Outcome | None) -> list[str]:
    facts = [f"*Source:* {derivation.source}.", f"*How general:* {derivation.general}."]
    if derivation.citations:
        facts.append(f"*Rests on:* {'; '.join(derivation.citations)}.")
    if outcome is not None:
        state = "closes" if outcome.closed else f"DOES NOT CLOSE, residual {outcome.residual}"
        facts.append(
            f"*Checked:* {outcome.links} links, {state}; {outcome.rejected} wrong variants"
            f" rejected."
        )
    return facts


# -- Markdown ------------------------------------------------------------------------------------


def section_markdown(derivation: Derivation, outcome: Outcome | None = None) -> str:
    """One derivation."""
    parts = [f"### {derivation.id} · {derivation.title}", derivation.prose]
    parts += [f"$$\n{derivation.latex}\n$$"]
    if derivation.correction:
        parts.append(f"> **Correction.** {derivation.correction}")
    for number, chain in enumerate(derivation.proof.chains, 1):
        lines = list(_lines(chain))
        parts.append(f"**{number}. {_capital(chain.name)}.**")
        for formula, reason in lines:
            parts.append(f"$$\n{formula}\n$$" + (f"\n\n- {reason}" if reason else ""))
    parts.append(" ".join(_facts(derivation, outcome)))
    return "\n\n".join(parts) + "\n"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def markdown(outcomes: Mapping[str, Outcome]) -> str:
    """The whole document."""
    parts = [f"# {TITLE}", LEAD, f"**Notation.** {NOTATION}", _table_markdown(outcomes)]
    for number, chapter in enumerate(catalogue.chapters(), 1):
        parts += [f"## {number}. {chapter.title}", chapter.lead]
        parts += [section_markdown(catalogue.load(n), outcomes.get(n)) for n in chapter.names]
    return "\n\n".join(parts)


def _table_markdown(outcomes: Mapping[str, Outcome]) -> str:
    rows = ["| id | statement | closes | how general |", "|---|---|---|---|"]
    for name in catalogue.names():
        if (row := outcomes.get(name)) is not None:
            verdict = "yes" if row.closed else "NO"
            rows.append(f"| {row.id} | {row.title} | {verdict} | {row.general} |")
    return "\n".join(rows)


# -- HTML ----------------------------------------------------------------------------------------


def _display(formula: str) -> str:
    return str(convert(formula, display="block"))


def _inline(text: str) -> str:
    """One paragraph: maths between dollar signs, *emphasis*, the rest escaped."""
    pieces = []
    for k, piece in enumerate(text.split("$")):
        if k % 2:
            pieces.append(str(convert(" ".join(piece.split()))))
        else:
            marked = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(piece))
            pieces.append(re.sub(r"\*(.+?)\*", r"<em>\1</em>", marked))
    return "".join(pieces)


def _prose(text: str) -> str:
    """Paragraphs, displayed formulas and lists."""
    blocks = []
    for k, part in enumerate(text.split("$$")):
        if k % 2:
            blocks.append(_display(" ".join(part.split())))
            continue
        for block in filter(None, (b.strip() for b in part.split("\n\n"))):
            if block.startswith("- "):
                items = re.split(r"(?:^|\n)- ", block)[1:]
                blocks.append("<ul>" + "".join(f"<li>{_inline(i)}</li>" for i in items) + "</ul>")
            else:
                blocks.append(f"<p>{_inline(block)}</p>")
    return "\n".join(blocks)


def _chain_html(number: int, chain: Chain) -> str:
    lines = list(_lines(chain))
    rows = [f'<p class="name">{number}. {html.escape(_capital(chain.name))}.</p>']
    for formula, reason in lines:
        rows.append(f'<div class="step">{_display(formula)}</div>')
        if reason:
            rows.append(f'<p class="why">{_inline(reason)}</p>')
    return '<div class="chain">' + "\n".join(rows) + "</div>"


def _section_html(name: str, derivation: Derivation, outcome: Outcome | None) -> str:
    parts = [
        f'<h3 id="{name}"><span class="id">{html.escape(derivation.id)}</span>'
        f"{html.escape(derivation.title)}</h3>",
        _prose(derivation.prose),
        f'<div class="statement">{_display(derivation.latex)}</div>',
    ]
    if derivation.correction:
        parts.append(
            f'<p class="correction"><b>Correction.</b> {_inline(derivation.correction)}</p>'
        )
    parts += [_chain_html(k, chain) for k, chain in enumerate(derivation.proof.chains, 1)]
    parts.append(f'<p class="facts">{_inline(" ".join(_facts(derivation, outcome)))}</p>')
    return "\n".join(parts)


def _table_html(outcomes: Mapping[str, Outcome]) -> str:
    rows = ["<tr><th>id</th><th>statement</th><th>closes</th><th>how general</th></tr>"]
    for name in catalogue.names():
        if (row := outcomes.get(name)) is not None:
            verdict = "yes" if row.closed else "<b>NO</b>"
            rows.append(
                f"<tr><td>{html.escape(row.id)}</td>"
                f'<td><a href="#{name}">{html.escape(row.title)}</a></td>'
                f"<td>{verdict}</td><td>{html.escape(row.general)}</td></tr>"
            )
    return "<table>" + "\n".join(rows) + "</table>"


def page(outcomes: Mapping[str, Outcome]) -> str:
    """The whole document as one HTML file."""
    parts = [f"<h1>{TITLE}</h1>", f"<p>{_inline(LEAD)}</p>"]
    parts += [f"<p><b>Notation.</b> {_inline(NOTATION)}</p>", _table_html(outcomes)]
    for number, chapter in enumerate(catalogue.chapters(), 1):
        parts += [
            f"<h2>{number}. {html.escape(chapter.title)}</h2>",
            f"<p>{_inline(chapter.lead)}</p>",
        ]
        parts += [_section_html(n, catalogue.load(n), outcomes.get(n)) for n in chapter.names]
    body, style = "\n".join(parts), _STYLE.read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>'
        f"<style>{style}</style></head><body>\n{body}\n</body></html>\n"
    )


def write(folder: Path, outcomes: Mapping[str, Outcome]) -> list[Path]:
    """Write derivations.md and derivations.html into a folder, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"derivations.md": markdown(outcomes), "derivations.html": page(outcomes)}
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]

"""Claim texts, which carry LaTeX between dollar signs, as HTML with MathML, LaTeX or plain text."""

from __future__ import annotations

import html
import re

from markupsafe import Markup

_LATEX_SPECIALS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "–": "--",
}


def _pieces(text: str) -> list[tuple[bool, str]]:
    """(is it maths, piece) in order."""
    return [(k % 2 == 1, piece) for k, piece in enumerate(text.split("$")) if piece]


def to_markup(text: str) -> Markup:
    """HTML: the words escaped, the maths as MathML, which browsers typeset without a network."""
    from latex2mathml.converter import convert

    parts = (convert(p) if is_math else html.escape(p) for is_math, p in _pieces(text))
    return Markup("".join(parts))  # noqa: S704 - every piece is escaped above or made of tags


def to_latex(text: str) -> str:
    """LaTeX source: the words escaped, the maths as it is."""
    return "".join(
        f"${p}$" if is_math else "".join(_LATEX_SPECIALS.get(c, c) for c in p)
        for is_math, p in _pieces(text)
    )


def to_markdown_cell(text: str) -> str:
    """One cell of a Markdown table."""
    return re.sub(r"\s+", " ", text).replace("|", r"\|")

"""Expressions as LaTeX for a reader: responsibilities and shares by their symbols, not spelled out.

Only the typesetting is shortened; what is checked is always the full expression.
"""

from __future__ import annotations

import functools
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

from . import mixture as mix
from . import pair

NOTATION = (
    r"Indices $k, q$ run over the $N$ modes, $c, e, f$ over the $d$ coordinates; $i, j$ are"
    r" the two modes of"
    r" a pair. $\varphi_k = w_ke^{-|y-\mu_k|^2/(2v)}$ is a mode's share, $Z = \sum_q\varphi_q$,"
    r" $\gamma_k = \varphi_k/Z$ its responsibility, in $x$ with a variance $S_k$ for each mode"
    r" $\tilde\varphi_k = w_kS_k^{-d/2}e^{-|x-\alpha\mu_k|^2/(2S_k)}$, $\tilde Z$ and"
    r" $\tilde\gamma_k$; with"
    r" data on atoms a hat. $m = \sum_k\gamma_k\mu_k$ is the mean field. A component is"
    r" written as an index."
    r" Letters $s, t, o$ that no text explains are slacks $\ge 0$ that turn an inequality"
    r" into an equation."
)

_NAMES = {
    "near2": r"|\cdot|^2_{\mathrm{near}}",
    "bd2": r"|bd|^2",
    "ac2": r"|ac|^2",
    "bridge_var": r"V_{\mathrm{bridge}}",
    "G'": r"G'",
    "angle": "t",
    "h_slack": r"s^{(h)}",
    "p_a": "a",
    "p_b": "b",
    "p_c": "c",
    "x'": r"\dot x",
    "alpha'": r"\dot\alpha",
    "abar": r"\bar\alpha",
    "mbar": r"\bar\mu",
    "y_hat": r"\hat y",
    "mu_hat": r"\hat\mu",
    "m_exact": r"\mathrm m'",
    "dist": r"\mathrm{dist}",
    "size": r"|\xi|",
    "rem": r"\mathrm{rem}",
    "margin": r"\mathrm{margin}",
    "loss": r"\mathrm{loss}",
    "rest": r"\mathrm{rest}",
    "w_near": r"w_*",
    "w_min": r"w_{\min}",
    "beta_max": r"\sup\beta",
    "U2": r"U^2",
    "A2": r"A^2",
    "X2": r"X^2",
    "m_ball": r"m(y^*)",
    "y_star": r"y^*",
    "P_return": r"P(\mathrm{return})",
    "KL_paths": r"KL",
    "E_sum_of_steps": r"E\sum_t\frac{|\Delta_t|^2}{2S_t}",
    "series": r"\sum_n\frac4\pi\frac{(-1)^n}{2n+1}e^{-(2n+1)^2\pi^2t/(8r^2)}",
    "L_rest": r"L_{\mathrm{rest}}",
    "b_end": r"b_{\mathrm{end}}",
}
_KINDS = (
    (mix.share, r"\varphi", r"\gamma", "Z"),
    (mix.share_x, r"\tilde\varphi", r"\tilde\gamma", r"\tilde Z"),
    (mix.share_atom, r"\hat\varphi", r"\hat\gamma", r"\hat Z"),
)
_MODES = (mix.k, mix.q, mix.i, mix.j)


class _Printer(LatexPrinter):  # type: ignore[misc]
    """SymPy's printer with our names for indexed bases, symbols and functions."""

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        return _NAMES.get(expr.name) or super()._print_Symbol(expr)

    def _print_Indexed(self, expr: sp.Indexed) -> str:
        name = expr.base.label.name
        base = _NAMES.get(name) or super()._print_Symbol(expr.base.label)
        indices = "".join(self._print(index) for index in expr.indices)
        return f"{{{base}}}_{{{indices}}}"


def _take(product: sp.Expr, factors: tuple[sp.Expr, ...], name: str) -> sp.Expr:
    """The product with `factors` replaced by one symbol, if it has them all."""
    present = sp.Mul.make_args(product)
    if not all(factor in present for factor in factors):
        return product
    return sp.Mul(sp.Symbol(name), *[a for a in present if a not in factors])


def _shares(product: sp.Expr) -> sp.Expr:
    for mode in (mix.k, mix.q):
        place = sp.Mul.make_args(pair.parallel(pair.mode(mode)))
        product = _take(product, place, f"a_{{{mode}}}")
    for share, phi, _, _ in _KINDS:
        for mode in _MODES:
            product = _take(product, sp.Mul.make_args(share(mode)), f"{phi}_{{{mode}}}")
    return product


def _responsibilities(product: sp.Expr) -> sp.Expr:
    for _, phi, gamma, total in _KINDS:
        for mode in _MODES:
            factors = (sp.Symbol(f"{phi}_{{{mode}}}"), 1 / sp.Symbol(total))
            product = _take(product, factors, f"{gamma}_{{{mode}}}")
    return product


def _mean(node: sp.Sum) -> sp.Expr:
    """sum_k gamma_k mu_(k, e) as m_e."""
    factors = sp.Mul.make_args(node.function)
    if len(factors) == 2 and sp.Symbol(r"\gamma_{k}") in factors:
        other = next(a for a in factors if a != sp.Symbol(r"\gamma_{k}"))
        if isinstance(other, sp.Indexed) and other.base == mix.mu:
            return sp.Symbol(f"m_{{{other.indices[1]}}}")
    return node


def _is_product(node: sp.Basic) -> bool:
    return isinstance(node, sp.Mul)


def abbreviate(expr: Any) -> Any:
    """The expression with responsibilities, shares, their sum and the mean field as symbols."""
    if not isinstance(expr, sp.Basic) or not expr.has(sp.Indexed):
        return expr
    expr = expr.replace(_is_product, _shares)
    expr = expr.xreplace({pair.LENGTH2: sp.Symbol("l^{2}")})
    for _, phi, _, total in _KINDS:
        for mode in _MODES:
            whole = mix.over_modes(sp.Symbol(f"{phi}_{{{mode}}}"), mode)
            expr = expr.xreplace({whole: sp.Symbol(total)})
    expr = expr.replace(_is_product, _responsibilities)
    return expr.replace(lambda node: isinstance(node, sp.Sum), _mean)


@functools.cache
def tex(expr: Any) -> str:
    """LaTeX of an expression."""
    return str(_Printer({"mul_symbol": None}).doprint(abbreviate(expr)))

"""The numeric constants of the formula modules that a mutant changes, found in their syntax trees.

Integers that count or index (subscripts, axes, shapes, ranges, integers outside of arithmetic)
are structure, not formula: 1 % of them means nothing. Constants named at module level in capitals
are tolerances and limits, unless their value is an expression with a function call, such as
0.5 * log(2 pi).
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "mixdyn/bounds",
    "mixdyn/oracles",
    "mixdyn/geometry/dynamics.py",
    "mixdyn/geometry/dominance_times.py",
)

_STRUCTURAL_KEYWORDS = {"axis", "ndim", "keepdims", "low", "high", "initial", "power"}
_COUNTS = {"len", "ceil"}  # an integer added to one of these counts too
_STRUCTURAL_CALLS = {
    "range", "check_integer", "check_array", "check_points", "full", "full_like", "zeros", "eye",
    "empty", "ones", "reshape", "partition", "expand_dims", "factorial",
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """One constant: file, function, position, the expressions around it and its value.

    text: the whole expression; inner: the smallest one that contains the constant.
    """

    path: str
    function: str
    line: int
    column: int
    text: str
    inner: str
    value: float

    @property
    def label(self) -> str:
        """How a person finds it."""
        return (
            f"{self.path}:{self.line}:{self.column} {self.function}: {self.value!r} in {self.text}"
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it while lines move."""
        return (self.path, self.function, self.inner)


# Held against something else than a derivation: quadratures, each compared with another one in
# tests/oracles, tests/affine and tests/score.
ELSEWHERE = frozenset({"chain_law.py", "gaussian_return.py", "information.py"})


def files() -> list[Path]:
    """The files whose constants are mutated."""
    found: list[Path] = []
    for package in PACKAGES:
        path = ROOT / package
        found += sorted(path.glob("*.py")) if path.is_dir() else [path]
    return [path for path in found if path.name not in ELSEWHERE]


def sites(path: Path) -> list[Site]:
    """Every constant of a file that carries a formula."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    relative = path.relative_to(ROOT).as_posix()
    found = []
    for function, node, parents in _constants(tree):
        if _is_formula(node, parents):
            text = ast.unparse(_expression(node, parents))
            inner = ast.unparse(_innermost(node, parents))
            place = (node.lineno, node.col_offset)
            found.append(Site(relative, function, *place, text, inner, float(node.value)))
    return found


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.Constant, list[ast.AST]]]:
    """(enclosing function, node, ancestors from the outside in)."""

    def walk(node: ast.AST, function: str, parents: list[ast.AST]) -> Iterator:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield function, node, parents
        if isinstance(node, ast.FunctionDef):
            function = node.name
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.FunctionDef) and child in node.decorator_list):
                yield from walk(child, function, [*parents, node])

    yield from walk(tree, "", [])


def _expression(node: ast.AST, parents: list[ast.AST]) -> ast.AST:
    """The smallest expression around a constant that tells where it is: up to the statement."""
    best: ast.AST = node
    for parent in reversed(parents):
        if isinstance(parent, ast.stmt):
            break
        if isinstance(parent, ast.expr):
            best = parent
    return best


def _innermost(node: ast.AST, parents: list[ast.AST]) -> ast.AST:
    """The smallest expression that contains a constant and more than its sign."""
    for parent in reversed(parents):
        if isinstance(parent, ast.expr) and not isinstance(parent, ast.UnaryOp):
            return parent
        if isinstance(parent, ast.stmt):
            return parent
    return node


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_formula(node: ast.Constant, parents: list[ast.AST]) -> bool:
    if node.value == 0:  # 1 % of nothing
        return False
    if _is_named_limit(parents) or (isinstance(node.value, int) and not _is_operand(parents)):
        return False
    child: ast.AST = node
    for parent in reversed(parents):
        if isinstance(parent, ast.Subscript) and child is parent.slice:
            return False
        if isinstance(parent, ast.keyword) and parent.arg in _STRUCTURAL_KEYWORDS:
            return False
        if isinstance(parent, ast.Call) and _called(parent) in _STRUCTURAL_CALLS:
            return False
        if isinstance(parent, ast.Raise | ast.JoinedStr | ast.arguments):
            return False
        child = parent
    return True


def _is_operand(parents: list[ast.AST]) -> bool:
    """Whether a constant is part of arithmetic (not of shifts, floor division and remainders)."""
    inner = next((p for p in reversed(parents) if not isinstance(p, ast.UnaryOp)), None)
    whole = ast.LShift | ast.FloorDiv | ast.Mod
    arithmetic = isinstance(inner, ast.BinOp) and not isinstance(inner.op, whole)
    return arithmetic and not _counts(parents)


def _counts(parents: list[ast.AST]) -> bool:
    """Whether the arithmetic around a constant has a length or a number of parts as an operand."""
    arithmetic = itertools.takewhile(
        lambda p: isinstance(p, ast.BinOp | ast.UnaryOp), reversed(parents)
    )
    return any(isinstance(o, ast.Call) and _called(o) in _COUNTS for o in _operands([*arithmetic]))


def _operands(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """What arithmetic is made of, down to what is not arithmetic."""
    for node in nodes:
        if isinstance(node, ast.BinOp):
            yield from _operands([node.left, node.right])
        elif isinstance(node, ast.UnaryOp):
            yield from _operands([node.operand])
        else:
            yield node


def _is_named_limit(parents: list[ast.AST]) -> bool:
    """A module-level capital name bound without a call: a tolerance or a limit."""
    if any(isinstance(p, ast.FunctionDef | ast.ClassDef) for p in parents):
        return False
    for parent in parents:
        if isinstance(parent, ast.Assign):
            return not any(isinstance(n, ast.Call) for n in ast.walk(parent.value))
    return True


def all_sites() -> list[Site]:
    """Every mutable constant of the formula modules."""
    return [site for path in files() for site in sites(path)]

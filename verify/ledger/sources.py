"""What a module depends on, read from its imports: the files whose change makes a result stale.

The closure runs over the packages that lie side by side at the root of the repository, or that were
installed together, and takes imports inside functions with it. Importing a module imports the
packages above it, and a package brings the data files of its folder. A package with a module-level
`__getattr__` imports on demand: dicts of strings in its `__init__` say which module a name comes
from ("*": any other), and what is used of such a package is looked up there. A package that finds
its classes by `mixdyn.support.finding` depends on the module that `class_in` finds, on all that
`classes_in` does. A module imported under any other computed name is not seen.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mixdyn.support.finding import module_of

ROOT = Path(__file__).resolve().parents[2]
_NO_DATA = (".py", ".md")


@dataclass(frozen=True)
class _Imports:
    """What one file says. modules: (name, names) for every `import name` (names empty) and `from
    name import names`. used: per dotted name that it imports, the attributes taken from it, "*"
    where it is used otherwise. table: names that a package imports on demand, each with the module.
    """

    modules: tuple[tuple[str, tuple[str, ...]], ...]
    used: Mapping[str, frozenset[str]]
    table: Mapping[str, str] = field(default_factory=dict)


def sources_of(*paths: Path, root: Path = ROOT) -> tuple[Path, ...]:
    """The files below root that modules' files depend on, themselves included, sorted.

    paths, root : absolute. Imports under `if TYPE_CHECKING` are none.
    """
    return _closure(paths, root)[0]


def packages_of(*paths: Path, root: Path = ROOT) -> frozenset[str]:
    """The top-level modules from elsewhere that modules' files import, directly or not."""
    return _closure(paths, root)[1]


def digest_of(*paths: Path, root: Path = ROOT) -> str:
    """SHA-256 over the names and contents of everything that modules' files depend on."""
    h = hashlib.sha256()
    for name, content in contents_of(*paths, root=root).items():
        h.update(f"{name}:{content}\n".encode())
    return h.hexdigest()


def contents_of(*paths: Path, root: Path = ROOT) -> dict[str, str]:
    """SHA-256 of every file that modules' files depend on, by its path below root."""
    sources = sources_of(*paths, root=root)
    return {path.relative_to(root).as_posix(): _hash(*_state(path)) for path in sources}


def changed_since(contents: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """The files among `contents_of` an earlier day that are gone or have another content now."""
    return [
        name
        for name, content in contents.items()
        if not (root / name).is_file() or _hash(*_state(root / name)) != content
    ]


def _closure(paths: Sequence[Path], root: Path) -> tuple[tuple[Path, ...], frozenset[str]]:
    found: set[Path] = set()
    foreign: set[str] = set()
    waiting = [found for path in paths for found in _files(_module(path, root), root)]
    while waiting:
        source = waiting.pop()
        if source in found:
            continue
        found.add(source)
        if source.name == "__init__.py":
            found.update(p for p in source.parent.iterdir() if _is_data(p))
            waiting += source.parent.glob("*.py") if "classes_in" in _finds(*_state(source)) else []
        files, packages = _next(root, *_state(source))
        waiting += files
        foreign |= packages
    return tuple(sorted(found)), frozenset(foreign)


def _module(path: Path, root: Path) -> str:
    """The dotted name of a file below root."""
    place = path.relative_to(root).with_suffix("")
    return ".".join(place.parent.parts if place.name == "__init__" else place.parts)


def _is_data(path: Path) -> bool:
    return path.is_file() and path.suffix not in _NO_DATA and not path.name.startswith(".")


@functools.cache
def _next(
    root: Path, source: Path, changed: int, size: int
) -> tuple[frozenset[Path], frozenset[str]]:
    """The files that a file imports, and the top-level modules from elsewhere."""
    names = set(_named(source, root))
    ours = {name: _files(name, root) for name in names}
    foreign = {name.partition(".")[0] for name, files in ours.items() if not files}
    return frozenset(path for files in ours.values() for path in files), frozenset(foreign)


def _named(source: Path, root: Path) -> Iterator[str]:
    """The dotted names of all modules that a file imports."""
    package = ".".join(source.relative_to(root).parent.parts)
    imports = _imports(package, *_state(source))
    yield from (module for module, _ in imports.modules)
    for module, names in [*imports.modules, *imports.used.items()]:
        for name in names:
            yield from _member(module, name, root)


def _member(module: str, name: str, root: Path) -> Iterator[str]:
    """The modules that have to be imported for `module.name`."""
    init = _file(module, root)
    if init is None or init.name != "__init__.py":
        return
    table = _imports(module, *_state(init)).table
    if name == "*":
        yield from table.values()
    elif _file(f"{module}.{name}", root) is not None:
        yield f"{module}.{name}"
    elif name in table:
        yield table[name]
    elif "*" in table and (found := list(_member(table["*"], name, root))):
        yield from [table["*"], *found]
    elif "class_in" in _finds(*_state(init)) and (home := module_of([init.parent], name)):
        yield f"{module}.{home}"


@functools.cache
def _beside(root: Path) -> frozenset[str] | None:
    """What was installed together with this package, where root holds installed packages, of which
    the others are not ours. None in a checkout: all that lies side by side there is."""
    for record in root.glob("mixdyn-*.dist-info/RECORD"):
        return frozenset(line.partition("/")[0] for line in record.read_text("utf-8").splitlines())
    return None


def _file(module: str, root: Path) -> Path | None:
    """The file of a module below root, or None."""
    parts, ours = module.split("."), _beside(root)
    if ours is not None and parts[0] not in ours:
        return None
    place = root.joinpath(*parts)
    for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        if path.is_file():
            return path
    return None


def _files(module: str, root: Path) -> list[Path]:
    """The files of a module and of the packages above it; none if it is not one of root's."""
    parts = module.split(".")
    if _file(parts[0], root) is None:
        return []
    above = (_file(".".join(parts[:k]), root) for k in range(1, len(parts) + 1))
    return [path for path in above if path is not None]


# -- one file ------------------------------------------------------------------------------------


def _state(path: Path) -> tuple[Path, int, int]:
    """A file with what tells one state of it from the next, to keep what was read of it."""
    stat = path.stat()
    return path, stat.st_mtime_ns, stat.st_size


@functools.cache
def _hash(path: Path, changed: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _finds(path: Path, changed: int, size: int) -> frozenset[str]:
    """By what functions a package finds the classes of its own modules."""
    calls = (n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call))
    own = (n for n in calls if n.args and ast.unparse(n.args[0]) == "__name__")
    return frozenset(ast.unparse(call.func) for call in own)


@functools.cache
def _imports(package: str, path: Path, changed: int, size: int) -> _Imports:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(_running(tree))
    modules: list[tuple[str, tuple[str, ...]]] = []
    bound: dict[str, str] = {}  # local name -> dotted name of a module, if it is one
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules.append((alias.name, ()))
                bound[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            modules.append((module, tuple(alias.name for alias in node.names)))
            bound |= {a.asname or a.name: f"{module}.{a.name}" for a in node.names}
    return _Imports(tuple(modules), _uses(nodes, bound), _lazy_table(tree, package))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads, in the order of the text."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        fields = node._fields
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            fields = ("orelse",)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            fields = tuple(name for name in fields if name != "annotation")
        for name in reversed(fields):
            value = getattr(node, name)
            if isinstance(value, list):
                waiting += [one for one in reversed(value) if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST) and name != "ctx":
                waiting.append(value)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _uses(nodes: list[ast.AST], bound: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Per imported dotted name the attributes taken from it, at any depth; "*" for other uses."""
    used: dict[str, set[str]] = {}
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        chain = _chain(node) if isinstance(node, ast.Name | ast.Attribute) else []
        if not chain or chain[0] not in bound:
            continue
        dotted = ".".join([bound[chain[0]], *chain[1:]])
        if isinstance(node, ast.Attribute):
            module, _, name = dotted.rpartition(".")
            used.setdefault(module, set()).add(name)
        if id(node) not in inner:
            used.setdefault(dotted, set()).add("*")
    return {module: frozenset(names) for module, names in used.items()}


def _chain(node: ast.AST) -> list[str]:
    """["a", "b", "c"] for the expression a.b.c, else nothing."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [*reversed([*names, node.id])] if isinstance(node, ast.Name) else []


def _lazy_table(tree: ast.Module, package: str) -> dict[str, str]:
    """The names that a package with `__getattr__` imports on demand, each with its module."""
    if not any(isinstance(n, ast.FunctionDef) and n.name == "__getattr__" for n in tree.body):
        return {}
    dicts = [n.value for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign)]
    pairs = [
        (ast.literal_eval(key), ast.literal_eval(value))
        for held in dicts
        if isinstance(held, ast.Dict)
        for key, value in zip(held.keys, held.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    ]
    return {str(name): f"{package}.{module}" for name, module in pairs}

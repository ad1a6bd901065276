"""python -m tests.mutants [FILE ...]: change each constant by 1 % and see a comparison fail.

Runs only the comparisons with the derivations, each mutant in a forked process. Exit status 0 if
all mutants were noticed, 1 if some survived, 2 for a file that has none, a stale
exemption, or comparisons that fail without a mutant.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from derivations import catalogue
from tests.derivations import compare_bounds, compare_engine, compare_oracles

from .exempt import EXEMPT
from .sites import ROOT, Site, all_sites

FACTOR = 1.01
CPU_SECONDS = 20  # a mutant that loops counts as noticed
_COMPARISONS = {
    "mixdyn/bounds": compare_bounds.COMPARISONS,
    "mixdyn/oracles": compare_oracles.COMPARISONS,
    "mixdyn/geometry": compare_engine.COMPARISONS,
}


def comparisons(site: Site) -> list:
    """Those that may notice a site, with those that cover its own file first."""
    chosen = _COMPARISONS[_package(site)]
    return sorted(chosen, key=lambda comparison: not _covers_file(comparison, site))


def _package(site: Site) -> str:
    return Path(site.path).parent.as_posix()


def _covers_file(comparison, site: Site) -> bool:
    return any(_file(function) == str(ROOT / site.path) for function in comparison.covers)


def _file(function) -> str:
    module = sys.modules[function.__module__]
    return str(Path(module.__file__ or "").resolve())


def _mutated(site: Site, factor: float) -> ast.Module:
    tree = ast.parse((ROOT / site.path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and (node.lineno, node.col_offset) == (
            site.line,
            site.column,
        ):
            node.value = node.value * factor
    return tree


def apply(site: Site, factor: float = FACTOR) -> None:
    """Give the loaded module the mutated code, in place, so that every reference sees it."""
    name = site.path.removesuffix(".py").replace("/", ".")
    module = sys.modules[name]
    fresh = types.ModuleType(name)
    fresh.__dict__.update(
        __file__=module.__file__, __package__=module.__package__, __spec__=module.__spec__
    )
    # Dataclasses look their module up by name while they are defined.
    sys.modules[name] = fresh
    exec(compile(_mutated(site, factor), str(module.__file__), "exec"), fresh.__dict__)
    sys.modules[name] = module
    _replace(module.__dict__, fresh.__dict__, name)


def _replace(old: dict, new: dict, module: str) -> None:
    for key, value in new.items():
        target = old.get(key)
        if isinstance(value, type) and getattr(value, "__module__", "") == module:
            _replace(dict(target.__dict__), dict(value.__dict__), module)
        elif (code := getattr(_function(value), "__code__", None)) is not None:
            function = _function(target)
            if function is not None and _function(value).__module__ == module:
                function.__code__ = code
        elif isinstance(value, int | float) and not key.startswith("__"):
            old[key] = value


def _function(member: object) -> types.FunctionType | None:
    """The plain function behind a method, property or static method."""
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, None) or member
    return member if isinstance(member, types.FunctionType) else None


def is_noticed(site: Site, factor: float = FACTOR, chosen: list | None = None) -> bool:
    """Whether a comparison fails, in a child of its own."""
    child = os.fork()
    if child == 0:
        if factor != 1.0:  # unchanged code may have to be compiled first, a mutant finds it cached
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        noticed = False
        try:
            apply(site, factor)
            for comparison in comparisons(site) if chosen is None else chosen:
                comparison()
        except BaseException:  # noqa: BLE001 - whatever goes wrong notices the mutant
            noticed = True
        os._exit(1 if noticed else 0)
    _, status = os.waitpid(child, 0)
    return status != 0


def broken_controls(sites: list[Site]) -> list[str]:
    """Files whose comparisons fail without any change: each package once, each file's own ones."""
    by_file = {site.path: site for site in reversed(sites)}
    by_package = {_package(site): site for site in by_file.values()}
    broken = []
    for path, site in by_file.items():
        whole = by_package[_package(site)] is site
        own = [c for c in comparisons(site) if whole or _covers_file(c, site)]
        if is_noticed(site, factor=1.0, chosen=own):
            broken.append(path)
    return broken


def _spread(sites: list[Site], count: int) -> list[Site]:
    """`count` of them, evenly over all files."""
    step = len(sites) / count
    return [sites[int((k + 0.5) * step)] for k in range(count)]


def _warm_up() -> None:
    """Build all formulas once, so that the children inherit them."""
    for name in catalogue.names():
        for formula in catalogue.load(name).numeric().values():
            formula.prepare()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mutants asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="paths such as mixdyn/bounds/tube.py; default all")
    parser.add_argument("--count", type=int, help="only so many, spread over the files")
    parser.add_argument("--list", action="store_true", help="print the constants and stop")
    arguments = parser.parse_args(argv)
    everything = all_sites()
    unused = set(EXEMPT) - {site.key for site in everything}
    sites = [s for s in everything if s.key not in EXEMPT]
    if arguments.files:
        sites = [s for s in sites if s.path in {Path(f).as_posix() for f in arguments.files}]
    if not sites or unused:
        print(f"no constants in {arguments.files}" if not sites else f"stale exemptions: {unused}")
        return 2
    if arguments.count:
        sites = _spread(sites, min(arguments.count, len(sites)))
    if arguments.list:
        print("\n".join(site.label for site in sites))
        return 0
    _warm_up()
    if broken := broken_controls(sites):
        print(f"the comparisons fail without a mutant in {', '.join(broken)}")
        return 2
    survivors = []
    for site in sites:
        noticed = is_noticed(site)
        print("noticed " if noticed else "SURVIVED", site.label, flush=True)
        if not noticed:
            survivors.append(site)
    print(f"{len(sites) - len(survivors)} of {len(sites)} mutants noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
